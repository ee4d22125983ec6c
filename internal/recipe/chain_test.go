package recipe

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/demo"
	"barka/internal/local"
	"barka/internal/pipeline"
	"barka/internal/stage/train"
)

// demonstration extracts the demonstration with some of its lines changed, and
// returns a runner of it.
func demonstration(t *testing.T, changes ...string) (*Runner, *Recipe) {
	t.Helper()
	dir := t.TempDir()
	path, err := demo.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(changed, changes[i]) {
			t.Fatalf("the recipe has no %q", changes[i])
		}
		changed = strings.Replace(changed, changes[i], changes[i+1], 1)
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &Runner{Out: filepath.Join(t.TempDir(), "out"), Engine: local.NewEngine(0, r.DType, nil), Workers: 2, Say: func(Step) {}, Progress: pipeline.Silent, Log: slog.New(slog.DiscardHandler)}
	return w, r
}

// TestTrainDType: the block's type is that of the base weights, and is what the
// adapter's record states.
func TestTrainDType(t *testing.T) {
	for want, change := range map[string]string{"bf16": "  dtype: bf16\n", "f32": ""} {
		w, r := demonstration(t, "  dtype: f32\n", change, "epochs: 6", "epochs: 1")
		if err := w.Run(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		var s train.State
		if err := readJSON(filepath.Join(w.Out, adapterDir, train.StateFile), &s); err != nil {
			t.Fatal(err)
		}
		var o train.Options
		if err := json.Unmarshal(s.Options, &o); err != nil || o.DType != want || !strings.HasSuffix(s.ModelDigest, "-"+want) {
			t.Errorf("dtype %q of weights %q, want %s (%v)", o.DType, s.ModelDigest, want, err)
		}
	}
}
