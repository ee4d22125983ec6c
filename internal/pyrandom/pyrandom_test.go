package pyrandom

import (
	"slices"
	"testing"
)

// shuffled returns random.Random(seed).shuffle(list(range(n))).
func shuffled(seed uint64, n int) []int {
	xs := make([]int, n)
	for i := range xs {
		xs[i] = i
	}
	New(seed).Shuffle(n, func(i, j int) { xs[i], xs[j] = xs[j], xs[i] })
	return xs
}

// The expected values were printed by CPython 3.11.
func TestShuffleMatchesPython(t *testing.T) {
	if got, want := shuffled(42, 10), []int{7, 3, 2, 8, 5, 6, 9, 4, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("shuffle of 10 with seed 42 = %v, want %v", got, want)
	}
	if got, want := shuffled(42, 195)[:10], []int{161, 42, 2, 174, 140, 12, 78, 13, 121, 69}; !slices.Equal(got, want) {
		t.Errorf("shuffle of 195 with seed 42 starts %v, want %v", got, want)
	}
}

func TestDrawsMatchPython(t *testing.T) {
	r := New(42)
	for i, want := range []uint32{2746317213, 478163327, 107420369, 3184935163} {
		if got := r.Uint32(); got != want {
			t.Errorf("getrandbits(32) number %d = %d, want %d", i, got, want)
		}
	}
	if got, want := New(0).Float64(), 0.8444218515250481; got != want {
		t.Errorf("random() with seed 0 = %v, want %v", got, want)
	}
	if got, want := New(0x123456789abcdef0).Float64(), 0.849063363578306; got != want {
		t.Errorf("random() with a 64-bit seed = %v, want %v", got, want)
	}
	r = New(1234)
	for i, want := range []int{989, 796, 451, 119, 7, 92} {
		if got := r.Below(1000); got != want {
			t.Errorf("randrange(1000) number %d = %d, want %d", i, got, want)
		}
	}
	// Past the first refill of the state.
	r = New(7)
	for range 2000 {
		r.Uint32()
	}
	if got, want := r.Uint32(), uint32(4083946869); got != want {
		t.Errorf("2001st word with seed 7 = %d, want %d", got, want)
	}
}

func TestBelowRefusesEmptyRange(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Below(0) did not panic")
		}
	}()
	New(1).Below(0)
}
