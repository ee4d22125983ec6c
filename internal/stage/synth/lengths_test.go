package synth

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestThreshold compares with the place in the sorted lengths.
func TestThreshold(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	for range 300 {
		var all []int
		l := lengths{}
		for range rng.IntN(40) {
			n := rng.IntN(15)
			all = append(all, n)
			l[n]++
		}
		slices.Sort(all)
		o := Options{LongQuantile: float64(rng.IntN(9)) / 8}
		want := math.MaxInt
		if i := int(o.LongQuantile * float64(len(all))); i < len(all) {
			want = all[i]
		}
		if got := l.threshold(o, len(all)); got != want {
			t.Fatalf("quantile %g of %v is %d, want %d", o.LongQuantile, all, got, want)
		}
	}
	if n := (lengths{5: 1}).threshold(Options{LongChars: 7}, 1); n != 7 {
		t.Errorf("threshold %d", n)
	}
}
