package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// counted reads how many requests a run scored and reused.
func counted(t *testing.T, r result) (scored, reused int) {
	t.Helper()
	m := regexp.MustCompile(`\d+ requests scored, \d+ reused`).FindString(r.err)
	if _, err := fmt.Sscanf(m, "%d requests scored, %d reused", &scored, &reused); err != nil {
		t.Fatalf("no counts in %q: %v", r.err, err)
	}
	return scored, reused
}

// loud is evalLine without --quiet.
func loud(args []string) []string {
	var out []string
	for _, a := range args {
		if a != "--quiet" {
			out = append(out, a)
		}
	}
	return out
}

// TestEvalSurvivesKills kills an evaluation with SIGKILL as soon as some of its scores are
// stored, and again after each resumption. The final files are compared with those of an
// uninterrupted run.
func TestEvalSurvivesKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	dir, root := inputs(t), t.TempDir()
	whole, out, store := filepath.Join(root, "a-eval-whole"), filepath.Join(root, "b-eval-killed"), filepath.Join(root, "store")
	ok(t, "", evalLine(dir, whole)...)
	lines := func() (n int) {
		logs, _ := filepath.Glob(filepath.Join(store, "*.log"))
		for _, name := range logs {
			data, _ := os.ReadFile(name)
			n += bytes.Count(data, []byte("\n"))
		}
		return n
	}
	args := evalLine(dir, out, "--store", store, "--threads", "1")
	for range 4 {
		before := lines()
		c := program(args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = c.Wait() // the state of a killed process
			close(ended)
		}()
		for waiting := true; waiting && lines() <= before; {
			select {
			case <-ended:
				waiting = false // all was scored before
			case <-time.After(time.Millisecond):
			}
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		_ = c.Process.Kill() // it may have ended already
		<-ended
	}
	kept := lines()
	// A kill between two files leaves the first with the time of that run. One of the kills
	// may have come there.
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	scored, reused := counted(t, barka(t, "", loud(args)...))
	if kept == 0 || reused < kept {
		t.Errorf("%d scores in the store, then %d scored and %d reused", kept, scored, reused)
	}
	same(t, "killed and continued", files(t, whole), files(t, out))
}

// TestEvalStore: runs that share a store, also at the same time, score only what it lacks.
// Other weights at the same path are another model.
func TestEvalStore(t *testing.T) {
	dir, root := inputs(t), t.TempDir()
	store := filepath.Join(root, "store")
	line := func(out string, more ...string) []string {
		return loud(evalLine(dir, filepath.Join(root, out), append(more, "--store", store)...))
	}
	first, _ := counted(t, barka(t, "", line("a-eval-1", "--max-samples", "2")...))
	again, _ := counted(t, barka(t, "", line("a-eval-2", "--max-samples", "2")...))
	longer, reused := counted(t, barka(t, "", line("a-eval-3")...))
	if first == 0 || again != 0 || longer == 0 || reused < first {
		t.Errorf("%d scored, again %d; a longer run %d, and %d reused", first, again, longer, reused)
	}
	whole := filepath.Join(root, "b-eval-whole")
	ok(t, "", evalLine(dir, whole)...)
	same(t, "from the store", files(t, whole), files(t, filepath.Join(root, "a-eval-3")))
	if n, _ := counted(t, barka(t, "", line("a-eval-4", "--border", "guarded", "--alghafa", "index")...)); n >= first+longer {
		t.Errorf("other modes: %d scored of %d", n, first+longer)
	}

	// Two at the same time, with an empty store.
	store = filepath.Join(root, "together")
	ended := make(chan error)
	for _, out := range []string{"c-eval-1", "c-eval-2"} {
		c := program(line(out)...)
		go func() { ended <- c.Run() }()
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	for _, out := range []string{"c-eval-1", "c-eval-2"} {
		same(t, out, files(t, whole), files(t, filepath.Join(root, out)))
	}
	if n, _ := counted(t, barka(t, "", line("c-eval-3")...)); n != 0 {
		t.Errorf("after two at once %d were scored", n)
	}

	weights := filepath.Join(dir, "models", "gemma2", "model.safetensors")
	data, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-40] ^= 1 // the lowest bit of a value's significand
	if err := os.WriteFile(weights, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, _ := counted(t, barka(t, "", line("c-eval-4")...)); n != first+longer {
		t.Errorf("other weights at the same path: %d scored of %d", n, first+longer)
	}
}
