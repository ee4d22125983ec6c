package minhash

import (
	"errors"
	"slices"
	"testing"
)

// TestSchemeFor: the chance is at least 0.98 at the threshold, and one more row per band
// would have less.
func TestSchemeFor(t *testing.T) {
	for _, hashes := range []int{16, 64, 128, 256} {
		for _, threshold := range []float64{0.3, 0.5, 0.6, 0.8, 0.95, 1} {
			s := SchemeFor(hashes, threshold)
			if s.Hashes() > hashes || s.Rows < 1 || s.Bands < 1 {
				t.Errorf("%d hashes, %g: %+v", hashes, threshold, s)
			}
			if s.Rows > 1 && s.Chance(threshold) < 0.98 {
				t.Errorf("%d hashes, %g: %+v has chance %.3f", hashes, threshold, s, s.Chance(threshold))
			}
			if more := (Scheme{hashes / (s.Rows + 1), s.Rows + 1}); s.Rows < hashes && more.Chance(threshold) >= 0.98 {
				t.Errorf("%d hashes, %g: %+v although %+v suffices", hashes, threshold, s, more)
			}
		}
	}
	if s := SchemeFor(128, 0.6); s != (Scheme{Bands: 32, Rows: 4}) {
		t.Errorf("%+v", s)
	}
}

// TestCompare joins what is near to a representative, and compares no member with more
// than sixteen.
func TestCompare(t *testing.T) {
	group := make([]int, 400)
	calls := map[int]int{}
	err := Compare(group, func(a, b int) (bool, error) { calls[b]++; return false, nil })
	if err != nil || calls[399] != representatives || calls[5] != 5 {
		t.Errorf("%d and %d comparisons, %v", calls[399], calls[5], err)
	}
	var pairs [][2]int
	err = Compare(group[:6], func(a, b int) (bool, error) {
		if a%2 == b%2 {
			pairs = append(pairs, [2]int{a, b})
		}
		return a%2 == b%2, nil
	})
	if want := [][2]int{{0, 2}, {1, 3}, {0, 4}, {1, 5}}; err != nil || !slices.Equal(pairs, want) {
		t.Errorf("pairs %v, want %v, %v", pairs, want, err)
	}
	failure := errors.New("no disk")
	if err := Compare(group, func(int, int) (bool, error) { return false, failure }); err != failure {
		t.Errorf("an error became %v", err)
	}
}

// TestSets are unions by the smallest member, and intersections of sorted lists.
func TestSets(t *testing.T) {
	c := NewClusters(6)
	c.Join(4, 2)
	c.Join(5, 4)
	c.Join(1, 3)
	if c.Find(5) != 2 || c.Find(4) != 2 || c.Find(3) != 1 || c.Find(0) != 0 {
		t.Errorf("clusters %v", c)
	}
	a, b := Set([]uint32{5, 1, 5, 9}), Set([]uint32{9, 2, 5})
	if n := Common(a, b); n != 2 || Jaccard(len(a), len(b), n) != 0.5 || Jaccard(0, 0, 0) != 1 {
		t.Errorf("%v and %v share %d", a, b, n)
	}
}
