package train

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/tensor"
)

// TestCheckpointsByTheMonotonicClock: the time since the last checkpoint is that of the clock that
// does not jump, so that a wrong or corrected time of day neither delays checkpoints nor makes
// one after every step.
func TestCheckpointsByTheMonotonicClock(t *testing.T) {
	g := newGuarded(t, 6)
	g.o.SaveSteps, g.o.SaveMinutes = 0, 1e-9
	tr := &trainer{o: g.o, total: 9, step: 1}
	tr.saved = time.Now().Add(-time.Hour)
	if !tr.due() {
		t.Error("no checkpoint is due after an hour")
	}
	tr.o.SaveMinutes = 120
	if tr.due() {
		t.Error("a checkpoint is due after an hour of two")
	}
	var saved []string
	record := func(o objective) objective {
		return &watched{o, func(t *trainer) { saved = append(saved, t.saved.String()) }}
	}
	wrap = record
	defer func() { wrap = nil }()
	if _, err := Run(context.Background(), g.o, g.in, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3,
		Progress: progress.Silent}); err != nil {
		t.Fatal(err)
	}
	if len(saved) < 2 || saved[0] == saved[len(saved)-1] {
		t.Fatalf("no checkpoint was written: %v", saved)
	}
	for _, at := range saved {
		if !strings.Contains(at, " m=") {
			t.Errorf("the time %s has no reading of the monotonic clock", at)
		}
	}
}

// watched calls see in every pass.
type watched struct {
	objective
	see func(t *trainer)
}

func (w *watched) backward(t *trainer, p *pass, part part) (tensor.Value, error) {
	w.see(t)
	return w.objective.backward(t, p, part)
}
