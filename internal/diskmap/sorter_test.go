package diskmap

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSorter adds entries of which one partition needs many pieces and others one, and
// compares with sorted slices.
func TestSorter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s, err := NewSorter(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var want []Entry
	for i := range 6 * pieceEntries {
		key := rng.Uint64N(pieceEntries) * 0x9e3779b97f4a7c15
		if i%2 == 0 {
			key >>= partitionBits // into the first partition
		}
		want = append(want, Entry{key, uint32(i)})
		if err := s.Add(key, i); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(want, compareEntries)
	var all []Entry
	for e, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if !slices.Equal(all, want) {
		t.Errorf("%d entries, expected %d in the order of their keys", len(all), len(want))
	}
	largest := 0
	for p := range s.Partitions() {
		for piece, err := range s.pieces(p) {
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, len(piece))
		}
	}
	if largest > 5*pieceEntries/4 {
		t.Errorf("a piece has %d entries", largest)
	}
	sameGroups(t, s, want)
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file stayed: %v", err)
	}
}

// sameGroups compares the groups with those of sorted entries.
func sameGroups(t *testing.T, s *Sorter, sorted []Entry) {
	t.Helper()
	var groups, want [][]int
	for p := range s.Partitions() {
		for group, err := range s.Groups(p) {
			if err != nil {
				t.Fatal(err)
			}
			groups = append(groups, slices.Clone(group))
		}
	}
	for i, e := range sorted {
		if i > 0 && sorted[i-1].Key == e.Key {
			want[len(want)-1] = append(want[len(want)-1], int(e.Number))
		} else {
			want = append(want, []int{int(e.Number)})
		}
	}
	want = slices.DeleteFunc(want, func(group []int) bool { return len(group) < 2 })
	if len(want) == 0 || !slices.EqualFunc(groups, want, slices.Equal) {
		t.Errorf("%d groups, expected %d", len(groups), len(want))
	}
}
