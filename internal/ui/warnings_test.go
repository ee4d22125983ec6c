package ui

import (
	"log/slog"
	"strings"
	"testing"
)

// TestWarnings: a warning is a line for people, with text in any script as it
// is.
func TestWarnings(t *testing.T) {
	var out strings.Builder
	log := slog.New(NewWarnings(&out))
	log.Info("loaded")
	log.Warn("the model answers صح to all questions")
	log.With("task", "acva").Warn("task left out", "reason", "no data")
	want := "warning: the model answers صح to all questions\nwarning: task left out (task acva, reason no data)\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
