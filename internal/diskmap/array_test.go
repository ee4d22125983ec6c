package diskmap

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestArray compares with a slice: numbers in order and at random, over more pages than
// memory holds.
func TestArray(t *testing.T) {
	path := filepath.Join(t.TempDir(), "array")
	if err := os.WriteFile(path, []byte("what an earlier process left"), 0o666); err != nil {
		t.Fatal(err)
	}
	a, err := NewArray(path)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]uint64, 3*arrayPages*arrayWords)
	rng := rand.New(rand.NewPCG(3, 4))
	check := func(i int) {
		t.Helper()
		if got, err := a.Get(i); err != nil || got != want[i] {
			t.Fatalf("number %d is %d (%v), want %d", i, got, err, want[i])
		}
	}
	for n := range 100_000 {
		i := rng.IntN(len(want))
		want[i] = uint64(n) << 20
		if err := a.Set(i, want[i]); err != nil {
			t.Fatal(err)
		}
		check(rng.IntN(len(want)))
	}
	for i := range want {
		check(i)
	}
	if err := a.Remove(); err != nil || a.Remove() != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file stayed: %v", err)
	}
}

func BenchmarkArray(b *testing.B) {
	a, err := NewArray(filepath.Join(b.TempDir(), "array"))
	if err != nil {
		b.Fatal(err)
	}
	defer a.Remove()
	rng := rand.New(rand.NewPCG(3, 4))
	for b.Loop() {
		if err := a.Set(rng.IntN(2_000_000), 1); err != nil {
			b.Fatal(err)
		}
	}
}
