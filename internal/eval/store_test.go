package eval

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/eval/record"
)

// TestStoreIsShared: runs with other output directories, metrics, tasks and lengths score
// only what the store lacks, and write the same files as without it.
func TestStoreIsShared(t *testing.T) {
	store := t.TempDir()
	m := newHashModel()
	run := func(list string, max int, change func(*Options)) *Outcome {
		t.Helper()
		o, fresh := fixtureOptions(t, list), fixtureOptions(t, list)
		o.MaxSamples, fresh.MaxSamples = max, max
		if change != nil {
			change(&o)
			change(&fresh)
		}
		o.Store = store
		out, err := Run(t.Context(), m, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(o.OutputDir, "cache")); err == nil {
			t.Error("a store in the output directory too")
		}
		if _, err := Run(t.Context(), newHashModel(), fresh, nil); err != nil {
			t.Fatal(err)
		}
		a, b := tree(t, fresh.OutputDir), tree(t, o.OutputDir)
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Error("the files of a run from the store are others")
		}
		return out
	}
	if out := run("community|piqa_ar|0|1,community|boolq_ar|0|1", 2, nil); out.Scored != 8 || out.Reused != 0 {
		t.Errorf("first run: %d scored, %d reused", out.Scored, out.Reused)
	}
	if out := run("community|piqa_ar|0|1", 2, nil); out.Scored != 0 || out.Reused != 4 {
		t.Errorf("another output directory: %d scored, %d reused", out.Scored, out.Reused)
	}
	if out := run("community|piqa_ar|0|1", 3, nil); out.Scored != 2 || out.Reused != 4 {
		t.Errorf("a longer run: %d scored, %d reused", out.Scored, out.Reused)
	}
	if out := run("community|piqa_ar|0|1,community|boolq_ar|0|1", 3,
		func(o *Options) { o.TokenBoundary = record.Guarded }); out.Scored != 2 || out.Reused != 10 {
		t.Errorf("another border that changes no token: %d scored, %d reused", out.Scored, out.Reused)
	}
	before := m.info
	for name, change := range map[string]func(*ModelInfo){
		"weights": func(i *ModelInfo) { i.Digest = "e" }, "adapter": func(i *ModelInfo) { i.AdapterDigest = "a" },
		"dtype": func(i *ModelInfo) { i.DType = "torch.bfloat16" },
	} {
		m.info = before
		change(&m.info)
		o := fixtureOptions(t, "community|piqa_ar|0|1")
		o.MaxSamples, o.Store = 2, store
		if out, err := Run(t.Context(), m, o, nil); err != nil || out.Scored != 4 {
			t.Errorf("other %s: %v, %+v", name, err, out)
		}
	}
}

// TestBrokenStoreIsTold: a warning has the number of ignored lines of the store.
func TestBrokenStoreIsTold(t *testing.T) {
	o := fixtureOptions(t, "community|piqa_ar|0|1")
	if _, err := Run(t.Context(), newHashModel(), o, nil); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(o.OutputDir, "cache", "scores-*.log"))
	if len(logs) != 1 {
		t.Fatal(logs)
	}
	data, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	lines[1][5] ^= 1
	if err := os.WriteFile(logs[0], bytes.Join(lines, nil)[:len(data)-7], 0o644); err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	o.Log = slog.New(slog.NewTextHandler(&told, nil))
	out, err := Run(t.Context(), newHashModel(), o, nil)
	if err != nil || out.Scored != 2 {
		t.Errorf("%v, %+v", err, out)
	}
	if !strings.Contains(told.String(), "lines=2") || !strings.Contains(told.String(), filepath.Base(logs[0])) {
		t.Errorf("warnings %q", told.String())
	}
}
