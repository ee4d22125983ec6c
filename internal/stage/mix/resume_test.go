package mix

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/badinput/badinputtest"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// TestMain lets a test start this program as a child that mixes and can be killed.
func TestMain(m *testing.M) {
	if in := os.Getenv("BARKA_MIX_TEST_IN"); in != "" {
		checkpointEvery = time.Millisecond
		if _, err := Run(context.Background(), resumed(), words(), resumedEnv(os.Getenv("BARKA_MIX_TEST_OUT"), in)); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func words() map[string]Counter {
	return map[string]Counter{"words": func(s string) int { return len(strings.Fields(s)) }}
}

// resumed are options that use every part of the stage.
func resumed() Options {
	o := Defaults()
	o.Validation, o.Limits = 0.2, map[string]int{"a": 900}
	o.Weights, o.WeightsOf = map[string]float64{"a": 1, "b": 2}, "tokens"
	return o
}

func resumedEnv(out, in string) durable.Env {
	return durable.Env{Out: out, In: map[string]string{"x": in}, Seed: 5, Progress: progress.Silent}
}

// resumedRows have duplicates, rows that are refused, and pages.
func resumedRows(t *testing.T) string {
	rows := append(rowsOf("a", 1500), rowsOf("b", 500)...)
	for i := range rows {
		r := &rows[i]
		r.Kind = "why how"
		switch {
		case i%31 == 5:
			r.ID = rows[i-3].ID
		case i%17 == 3:
			r.Messages = r.Messages[:1]
		case i%3 == 0:
			r.Title = fmt.Sprint("page ", i/9)
		}
	}
	return testfiles.JSONLines(t, rows...)
}

func uninterrupted(t *testing.T, in string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "whole")
	if _, err := Run(t.Context(), resumed(), words(), resumedEnv(out, in)); err != nil {
		t.Fatal(err)
	}
	return out
}

func sameMix(t *testing.T, what, got, want string) {
	t.Helper()
	whole := testfiles.Tree(t, want)
	if len(whole) != 7 { // train, validation, rejected, card, croissant, sources, manifest
		t.Fatalf("%d files in %s", len(whole), want)
	}
	testfiles.Same(t, what, testfiles.Tree(t, got), whole)
	if _, err := os.Lstat(got + dataset.PartialSuffix); err == nil {
		t.Errorf("%s is still there", got+dataset.PartialSuffix)
	}
}

// canceller cancels a run after so many rows.
type canceller struct {
	progress.Reporter
	left            atomic.Int64
	skipped, worked atomic.Int64
	cancel          func()
}

func (c *canceller) Add(n int64) {
	c.worked.Add(n)
	if c.left.Add(-n) == 0 {
		c.cancel()
	}
}

func (c *canceller) Skip(n int64) { c.skipped.Add(n) }

// TestResumesAfterCtrlC interrupts each pass at several rows and goes on. No row is worked
// on twice by the passes, and the output is that of an uninterrupted run.
func TestResumesAfterCtrlC(t *testing.T) {
	in := resumedRows(t)
	whole := uninterrupted(t, in)
	for _, after := range []int64{1, 700, 1999, 2000, 2001, 2900, 3999, 4100} {
		out := filepath.Join(t.TempDir(), "mix")
		ctx, cancel := context.WithCancel(t.Context())
		c := &canceller{Reporter: progress.Silent, cancel: cancel}
		c.left.Store(after)
		env := resumedEnv(out, in)
		env.Progress = c
		if _, err := Run(ctx, resumed(), words(), env); err == nil {
			t.Fatalf("after %d rows: the run was not interrupted", after)
		}
		first := c.worked.Load()
		c.worked.Store(0)
		if _, err := Run(t.Context(), resumed(), words(), env); err != nil {
			t.Fatalf("after %d rows: %v", after, err)
		}
		passes := int64(2 * 2000)
		if done := min(first, passes); c.worked.Load() < passes-done || after < passes && c.worked.Load() > 2*passes-done {
			t.Errorf("after %d rows: %d and %d rows worked on", after, first, c.worked.Load())
		}
		if wantSkipped := first % 2000; first < passes && c.skipped.Load() != wantSkipped {
			t.Errorf("after %d rows: %d skipped, want %d", after, c.skipped.Load(), wantSkipped)
		}
		sameMix(t, fmt.Sprintf("interrupted after %d rows", after), out, whole)
	}
}

// TestMixSurvivesKills kills the stage at random moments and resumes it each time.
func TestMixSurvivesKills(t *testing.T) {
	in := resumedRows(t)
	whole := uninterrupted(t, in)
	testfiles.Kills(t, func(out string) []string { return []string{"BARKA_MIX_TEST_IN=" + in, "BARKA_MIX_TEST_OUT=" + out} },
		func(what, out string) { sameMix(t, what, out, whole) })
}

// TestDamagedSpool: what an interruption left and something else changed is refused.
func TestDamagedSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.spool")
	s, err := openSpool(path, newMark(3))
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 3*blockSize)
	for i := range 5000 {
		record := fmt.Sprint("record ", i)
		if i == 2500 {
			record = large
		}
		if err := s.put(i%3, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	mark, err := s.mark()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	count := func() (n int, err error) {
		s, err := openSpool(path, mark)
		if err != nil {
			return 0, err
		}
		defer s.close()
		for bucket := range 3 {
			next := bucket
			for record, err := range s.records(bucket) {
				if err != nil {
					return n, err
				}
				if want := fmt.Sprint("record ", next); string(record) != want && string(record) != large {
					t.Fatalf("bucket %d has %.20q, want %q", bucket, record, want)
				}
				next += 3
				n++
			}
		}
		return n, nil
	}
	if n, err := count(); n != 5000 || err != nil {
		t.Fatalf("%d records, %v", n, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		func(b []byte) []byte { b[3] = 1; return b },
		func(b []byte) []byte { b[8] = 1; return b },
	} {
		if err := os.WriteFile(path, damage([]byte(string(whole))), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := count()
		badinputtest.Want(t, err, "x.spool", "--restart")
	}
}
