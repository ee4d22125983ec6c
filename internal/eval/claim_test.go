package eval

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/progress"
)

// at calls do after the numbered unit of work with the label.
type at struct {
	progress.Reporter
	label string
	n     int
	do    func()
	seen  int
	under bool
}

func (a *at) Start(label string, total int64, unit string) {
	a.under = strings.HasPrefix(label, a.label)
}

func (a *at) Add(int64) {
	if a.under {
		if a.seen++; a.seen == a.n {
			a.do()
		}
	}
}

// TestKilledEvaluationsLeaveOneResult: wherever a run is killed, the files after the next
// run are those of one evaluation.
func TestKilledEvaluationsLeaveOneResult(t *testing.T) {
	const list = "community|arabic_exams|0|0,community|acva:Iraq|0|0"
	m := newHashModel()
	hour := 0
	options := func(dir string) Options {
		o := fixtureOptions(t, list)
		o.OutputDir = dir
		hour++
		clock := time.Date(2024, 7, 4, hour, 22, 5, 321098000, time.UTC)
		o.Now = func() time.Time { return clock }
		return o
	}
	whole := t.TempDir()
	if _, err := Run(t.Context(), m, options(whole), nil); err != nil {
		t.Fatal(err)
	}
	files := len(tree(t, whole))
	copyTo := func(from, to string) func() {
		return func() {
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, kill := range map[string]func(from, to string, o *Options) progress.Reporter{
		"while scoring": func(from, to string, o *Options) progress.Reporter {
			return &at{Reporter: progress.Silent, label: "community|", n: 3, do: copyTo(from, to)}
		},
		"between the details": func(from, to string, o *Options) progress.Reporter {
			return &at{Reporter: progress.Silent, label: "details", n: 1, do: copyTo(from, to)}
		},
		"behind the details": func(from, to string, o *Options) progress.Reporter {
			return &at{Reporter: progress.Silent, label: "details", n: 2, do: copyTo(from, to)}
		},
		"before it is recorded": func(from, to string, o *Options) progress.Reporter {
			o.Committed = func(*Outcome) error { copyTo(from, to)(); return nil }
			return nil
		},
	} {
		from, to := t.TempDir(), filepath.Join(t.TempDir(), "killed")
		o := options(from)
		progress := kill(from, to, &o)
		if _, err := Run(t.Context(), m, o, progress); err != nil {
			t.Fatal(err)
		}
		before := tree(t, from)
		if _, err := Run(t.Context(), m, options(to), nil); err != nil {
			t.Errorf("killed %s: %v", name, err)
		}
		after := tree(t, to)
		if len(after) != files {
			t.Errorf("killed %s: %d files, an undisturbed run leaves %d", name, len(after), files)
		}
		if name == "while scoring" {
			continue // nothing was written under the first time
		}
		for f := range before {
			if before[f] != after[f] {
				t.Errorf("killed %s: %s differs", name, f)
			}
		}
	}
}

// TestTheSameEvaluationTwice: one evaluation cannot run twice at the same time in one
// directory, but another one can run there.
func TestTheSameEvaluationTwice(t *testing.T) {
	m := newHashModel()
	o := fixtureOptions(t, "community|arabic_exams|0|0")
	other := o
	other.MaxSamples = 1
	other.Now = func() time.Time { return time.Date(2025, 7, 4, 21, 22, 5, 321098000, time.UTC) }
	disturb := &at{Reporter: progress.Silent, label: "community|", n: 2, do: func() {
		if _, err := Run(t.Context(), newHashModel(), o, nil); !badinput.Is(err) || !strings.Contains(err.Error(), "the same evaluation") {
			t.Errorf("the same: %v", err)
		}
		if _, err := Run(t.Context(), newHashModel(), other, nil); err != nil {
			t.Errorf("another: %v", err)
		}
	}}
	if _, err := Run(t.Context(), m, o, disturb); err != nil {
		t.Fatal(err)
	}
	if disturb.seen < 2 {
		t.Fatal("nothing was disturbed")
	}
	results, _ := filepath.Glob(filepath.Join(o.OutputDir, "results", "test", "hash-model", "results_*"))
	all, _ := os.ReadDir(filepath.Join(o.OutputDir, "results", "test", "hash-model"))
	if len(results) != 2 || len(all) != 8 {
		t.Errorf("results %v, files %v", results, all)
	}
}

// TestClaimsAreTidied: the claim of a killed run is removed when its results are known to
// be complete, and not before.
func TestClaimsAreTidied(t *testing.T) {
	o := fixtureOptions(t, "community|arabic_exams|0|0")
	stop := errors.New("stop")
	o.Committed = func(*Outcome) error { return stop }
	if _, err := Run(t.Context(), newHashModel(), o, nil); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	left := func() []string {
		names, _ := filepath.Glob(filepath.Join(o.OutputDir, "results", "test", "hash-model", ".eval-*"))
		return names
	}
	if n := left(); len(n) != 1 || !strings.HasSuffix(n[0], claimTimes) {
		t.Errorf("left %v, want the times", n)
	}
	if err := Tidy(o.OutputDir, "test/hash-model"); err != nil || len(left()) > 0 {
		t.Errorf("left %v, %v", left(), err)
	}
}
