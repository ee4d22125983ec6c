package mix

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"barka/internal/dataset"
	"barka/internal/testfiles"
)

// TestInterruptedLineage: a search for the stages before an input that is interrupted is an
// error. It does not look like the first stage, whose rows come from nowhere.
func TestInterruptedLineage(t *testing.T) {
	made, _ := mix(t, Defaults(), 1, testfiles.JSONLines(t, rowsOf("a", 5)...))
	digest, err := dataset.Digest(t.Context(), made)
	if err != nil {
		t.Fatal(err)
	}
	next := &dataset.Manifest{Inputs: map[string]dataset.InputInfo{"a": {Digest: digest}}}
	if path, err := madeFrom(t.Context(), filepath.Dir(made), next, map[string]bool{}); path != made || err != nil {
		t.Errorf("%q, %v; want %s", path, err, made)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if path, err := madeFrom(ctx, filepath.Dir(made), next, map[string]bool{}); path != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %q, %v; want an error", path, err)
	}
}
