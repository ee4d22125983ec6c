package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// TestExecuteAfterBadInput: after an error in the input, a partial directory without
// finished work is removed, so that other inputs can be given at once. Journaled work,
// files of the stage and the partial directories of other errors stay.
func TestExecuteAfterBadInput(t *testing.T) {
	bad, other := badinput.Errorf("line 3 is no row"), errors.New("disk on fire")
	for _, c := range []struct {
		name string
		work func(*Run) error
		left bool
	}{
		{"nothing done", func(*Run) error { return bad }, false},
		{"rows written", func(r *Run) error {
			w, err := NewWriter[dataset.Passage](r)
			return errors.Join(err, w.Write(dataset.Passage{ID: "1"}), bad)
		}, false},
		{"journaled", func(r *Run) error { return errors.Join(r.Journal().Put("k", 1), bad) }, true},
		{"a file of the stage", func(r *Run) error { return errors.Join(os.Mkdir(filepath.Join(r.Dir(), "api"), 0o777), bad) }, true},
		{"another error", func(*Run) error { return other }, true},
	} {
		out := filepath.Join(t.TempDir(), "out")
		_, err := Execute(t.Context(), Env{Out: out}, testIdentity(5, nil), func(r *Run) (Final, error) { return Final{}, c.work(r) })
		if !errors.Is(err, bad) && !errors.Is(err, other) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := os.Stat(out + dataset.PartialSuffix); (err == nil) != c.left {
			t.Errorf("%s: the partial directory is left: %t", c.name, err == nil)
		}
		if _, err := Execute(t.Context(), Env{Out: out}, testIdentity(4, nil),
			func(r *Run) (Final, error) { return Final{}, nil }); c.left != badinput.Is(err) {
			t.Errorf("%s: with other options: %v", c.name, err)
		}
	}
}
