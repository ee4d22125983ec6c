// Package badinputtest checks errors about bad input in tests.
package badinputtest

import (
	"strings"
	"testing"

	"barka/internal/badinput"
)

// Want reports an error that is not bad input, or lacks one of the words.
func Want(t testing.TB, err error, words ...string) {
	t.Helper()
	if !badinput.Is(err) {
		t.Errorf("error %v, want bad input", err)
	}
	for _, w := range words {
		if err != nil && !strings.Contains(err.Error(), w) {
			t.Errorf("error %v, want %q", err, w)
		}
	}
}
