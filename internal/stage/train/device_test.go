package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/durable"
	"barka/internal/progress"
)

// stopped is a context that ends after a step.
func stopped(at int) (context.Context, progress.Reporter) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, &noted{Reporter: progress.Silent, do: func(step int) {
		if step == at {
			cancel()
		}
	}}
}

// TestOnOtherDevice: a run that began on a CPU does not continue on a GPU, and the error names both.
// With AllowOtherDevice it goes on from its checkpoint, in both directions, and the result names all
// devices. What is finished, it takes as it is, or extends it.
func TestOnOtherDevice(t *testing.T) {
	g := newGuarded(t, 8)
	g.o.SaveSteps = 1
	out := filepath.Join(t.TempDir(), "run")
	run := func(digest string, allow bool, stop int) (*State, error) {
		g.in.ModelDigest = digest
		ctx, p := stopped(stop)
		return Run(ctx, g.o, g.in, durable.Env{Out: out, Seed: 3, Progress: p, AllowOtherDevice: allow})
	}
	if _, err := run("d1-f32", false, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	refused := func(digest string, wants ...string) {
		t.Helper()
		_, err := run(digest, false, 0)
		if !badinput.Is(err) {
			t.Fatalf("error %v", err)
		}
		for _, w := range append(wants, "--restart", "--allow-other-device") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v\nwant %s", err, w)
			}
		}
	}
	refused("d1-cuda-f32", "device was cpu and is now cuda")
	if _, err := run("d2-cuda-f32", true, 0); !badinput.Is(err) || !strings.Contains(err.Error(), "model was d1-f32 and is now d2-f32") {
		t.Errorf("another model on another device: %v", err)
	}
	if _, err := run("d1-cuda-f32", true, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	refused("d1-cuda-f32", "device was cpu, then cuda and is now cuda")
	s, err := run("d1-f32", true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if lines := readFile(t, filepath.Join(out, metricsFile)); s.Steps != 4 || strings.Count(lines, "\n") != 4 {
		t.Errorf("%d steps, metrics %s", s.Steps, lines)
	}
	var id identity
	if err := badinput.ReadJSON(filepath.Join(out, identityFile), &id); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(id.Devices, " "); got != "cpu cuda cpu" || id.Model != "d1-f32" {
		t.Errorf("the run was of %s on %s", id.Model, got)
	}
	refused("d1-cuda-f32", "device was cpu, then cuda, then cpu and is now cuda")
	if again, err := run("d1-cuda-f32", true, 0); err != nil || again.FinalLoss != s.FinalLoss {
		t.Errorf("the finished run is not taken: %+v, %v", again, err)
	}
	g.o.Epochs = 2
	if s, err = run("d1-cuda-f32", true, 0); err != nil || s.Steps != 8 {
		t.Fatalf("extended: %+v, %v", s, err)
	}
	if err := badinput.ReadJSON(filepath.Join(out, identityFile), &id); err != nil || strings.Join(id.Devices, " ") != "cpu cuda cpu cuda" {
		t.Errorf("the extended run was on %v, %v", id.Devices, err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
