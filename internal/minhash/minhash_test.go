package minhash

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"barka/internal/wordhash"
)

// jaccard returns the exact similarity of two sets.
func jaccard(a, b []uint64) float64 {
	in := map[uint64]int{}
	for _, h := range a {
		in[h] |= 1
	}
	for _, h := range b {
		in[h] |= 2
	}
	both := 0
	for _, v := range in {
		if v == 3 {
			both++
		}
	}
	return float64(both) / float64(len(in))
}

// pairs makes pairs of sets whose similarity is spread between 0 and 1.
func pairs(rng *rand.Rand, n int) (a, b [][]uint64) {
	for range n {
		x, y := make([]uint64, 20+rng.IntN(100)), []uint64(nil)
		for i := range x {
			x[i] = rng.Uint64()
		}
		keep := rng.Float64()
		for _, h := range x {
			if rng.Float64() > keep {
				h = rng.Uint64()
			}
			y = append(y, h)
		}
		a, b = append(a, x), append(b, y)
	}
	return a, b
}

// TestSimilarity: estimates are within four standard errors of the exact similarity, and
// unbiased.
func TestSimilarity(t *testing.T) {
	s := Scheme{Bands: 16, Rows: 8}
	x, y := make([]uint32, s.Hashes()), make([]uint32, s.Hashes())
	a, b := pairs(rand.New(rand.NewPCG(1, 1)), 2000)
	bias := 0.0
	for i := range a {
		s.Sign(x, a[i])
		s.Sign(y, b[i])
		want, got := jaccard(a[i], b[i]), Similarity(x, y)
		if e := math.Sqrt(want*(1-want)/128) + 1e-9; math.Abs(got-want) > 4.5*e {
			t.Errorf("pair %d: estimated %.3f, is %.3f", i, got, want)
		}
		bias += got - want
	}
	if bias /= float64(len(a)); math.Abs(bias) > 0.003 {
		t.Errorf("estimates are %.4f off on average", bias)
	}
}

// TestRecall compares what an index finds with the exact similarities of all pairs.
func TestRecall(t *testing.T) {
	s := Scheme{Bands: 16, Rows: 8}
	rng := rand.New(rand.NewPCG(2, 1))
	a, b := pairs(rng, 4000)
	x := NewIndex(s)
	sig := make([]uint32, s.Hashes())
	for _, set := range a {
		s.Sign(sig, set)
		x.Add(sig)
	}
	const threshold = 0.8
	var near, found, wrong int
	for i, set := range b {
		exact := jaccard(a[i], set)
		s.Sign(sig, set)
		best, _ := x.Nearest(sig, threshold)
		if best >= 0 && best != i {
			t.Fatalf("set %d was found near %d", i, best)
		}
		switch {
		case exact >= threshold+0.05:
			near++
			if best == i {
				found++
			}
		case exact < threshold-0.1 && best == i:
			wrong++
		}
	}
	if near < 300 || float64(found) < 0.97*float64(near) || wrong > 0 {
		t.Errorf("%d of %d near pairs found, %d that are not near", found, near, wrong)
	}
	if c := s.Chance(0.85); c < 0.99 {
		t.Errorf("a pair of similarity 0.85 is compared with probability %.3f", c)
	}
}

// TestSetsAndOrder: order and repetition do not matter, and a set without elements is near
// itself alone.
func TestSetsAndOrder(t *testing.T) {
	s := Scheme{Bands: 4, Rows: 4}
	x, y := make([]uint32, 16), make([]uint32, 16)
	s.Sign(x, []uint64{1, 2, 3})
	s.Sign(y, []uint64{3, 1, 2, 1})
	if Similarity(x, y) != 1 {
		t.Error("the order of elements matters")
	}
	s.Sign(y, nil)
	if Similarity(x, y) != 0 || Similarity(y, y) != 1 {
		t.Error("the empty set resembles another")
	}
}

// TestShingles: runs of words, in order.
func TestShingles(t *testing.T) {
	text := func(s string) []uint64 { return Shingles(nil, wordhash.Words(nil, s), 3) }
	if n := len(text("a b c d e")); n != 3 {
		t.Errorf("five words give %d runs of three, want 3", n)
	}
	if len(text("a b")) != 1 || len(text("")) != 0 {
		t.Error("short texts")
	}
	if jaccard(text("واحد اثنان ثلاثة"), text("واحِد، اثنان: ثلاثه")) != 1 {
		t.Error("spelling matters")
	}
	if jaccard(text("a b c"), text("c b a")) != 0 {
		t.Error("order does not matter")
	}
}

// TestIndexGrows: numbers and signatures stay across chunks.
func TestIndexGrows(t *testing.T) {
	s := Scheme{Bands: 2, Rows: 2}
	x := NewIndex(s)
	sig := make([]uint32, 4)
	for i := range chunk + 10 {
		s.Sign(sig, []uint64{uint64(i) * 0x9e3779b97f4a7c15})
		x.Add(sig)
	}
	for _, i := range []int{0, chunk - 1, chunk, chunk + 9} {
		s.Sign(sig, []uint64{uint64(i) * 0x9e3779b97f4a7c15})
		if best, _ := x.Nearest(sig, 1); best != i || Similarity(sig, x.Signature(i)) != 1 {
			t.Errorf("signature %d is found at %d", i, best)
		}
	}
	if x.Len() != chunk+10 {
		t.Errorf("%d signatures", x.Len())
	}
}

func BenchmarkIndex(b *testing.B) {
	s := Scheme{Bands: 16, Rows: 8}
	x, sig := NewIndex(s), make([]uint32, s.Hashes())
	var words, elements []uint64
	text := strings.Repeat("كلمة ", 10)
	for i := 0; b.Loop(); i++ {
		words = wordhash.Words(words[:0], fmt.Sprint(text, i, " ", i*7, text, i*3, text))
		elements = Shingles(elements[:0], words, 3)
		s.Sign(sig, elements)
		if best, _ := x.Nearest(sig, 0.8); best < 0 {
			x.Add(sig)
		}
	}
}
