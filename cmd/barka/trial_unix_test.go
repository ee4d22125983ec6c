//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"barka/internal/hub/hubtest"
	"barka/internal/resident"
)

// peakLimit bounds the resident memory of a verb on testdata/chain's data.
const peakLimit = 384 << 20

// trialLimit is the time after which a run counts as hanging, also on a loaded machine.
const trialLimit = 2 * time.Minute

// trial is a run of a verb in its own process that is disturbed, and the files of an
// undisturbed run. Several trials can run at the same time.
type trial struct {
	verbRun
	name   string
	env    []string
	before string // a directory that is at out when the run begins

	work, out, stdout string // out is in work; standard output goes to the file stdout
	want              map[string][]byte
	wantStdout        []byte // nil if it differs from run to run
	took              time.Duration
	peak              int64 // largest resident size of all runs, in bytes
	several           bool  // results of several finished evaluations may exist
}

// trials returns runs of all verbs that write files.
func trials(t *testing.T) []*trial {
	t.Helper()
	root := t.TempDir()
	made := filepath.Join(root, "made")
	prepare := func(args ...string) {
		t.Helper()
		if text, err := program(append(args, "--quiet")...).CombinedOutput(); err != nil {
			t.Fatalf("barka %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
	in := func(name ...string) string { return filepath.Join(append([]string{made}, name...)...) }
	gemma := in("inputs", "models", "gemma2")
	prepare(runChain(t, made)...)
	prepare("lock", made)
	shards := []string{filepath.Join(root, "a-eval-0"), filepath.Join(root, "a-eval-1")}
	for i, dir := range shards {
		prepare(evalLine(in("inputs"), dir, "--num-shards", "2", "--shard", fmt.Sprint(i))...)
	}
	older := filepath.Join(root, "older")
	prepare("train", "--model", gemma, "--data", in("5-mix"), "--rank", "2", "--epochs", "1", "--out", older)

	endpoint := newPaid(t)
	s := hubtest.New()
	t.Cleanup(s.Close)
	addRepo(t, s, "models", "org/model", gemma)
	hubEnv := []string{"HF_ENDPOINT=" + s.URL(), "HF_HUB_OFFLINE=", "HF_TOKEN=", "HF_TOKEN_PATH="}

	var all []*trial
	add := func(name string, env []string, before string, run func(out string) verbRun) {
		work := filepath.Join(root, strings.ReplaceAll(name, " ", "-"), "work")
		tr := &trial{name: name, env: env, before: before, work: work, out: filepath.Join(work, "x-eval-out"),
			stdout: filepath.Join(filepath.Dir(work), "stdout")}
		tr.verbRun = run(tr.out)
		if err := os.MkdirAll(filepath.Join(filepath.Dir(work), "tmp"), 0o755); err != nil {
			t.Fatal(err)
		}
		tr.env = append(tr.env, "TMPDIR="+filepath.Join(filepath.Dir(work), "tmp"))
		all = append(all, tr)
	}
	for i, v := range everyVerb(made, "") {
		name := v.verb
		switch {
		case name == "bench" || name == "doctor":
			continue // they answer differently each time, and write no file
		case name == "translate" && v.stdin != "":
			name = "translate lines"
		}
		add(name, nil, "", func(out string) verbRun { return everyVerb(made, out)[i] })
	}
	more := func(name string, env []string, before string, goesOn bool, args func(out string) []string) {
		verb, _, _ := strings.Cut(name, " ")
		add(name, env, before, func(out string) verbRun { return verbRun{verb, "", args(out)[1:], goesOn} })
	}
	more("train restart", nil, older, true, func(out string) []string {
		return []string{"train", "--restart", "--model", gemma, "--data", in("5-mix"), "--rank", "4", "--batch", "4", "--epochs",
			"2", "--save-steps", "2", "--out", out}
	})
	more("filter restart", nil, in("4-clean"), false, func(out string) []string {
		return []string{"filter", "--restart", "--min-answer-words", "2", "--in", in("3-translated"), "--out", out}
	})
	more("filter lines", nil, "", false, func(out string) []string {
		return []string{"filter", "--in", in("3-translated"), "--out", out + ".jsonl"}
	})
	more("synth endpoint", nil, "", true, func(out string) []string {
		return []string{"synth", "--in", in("1-passages"), "--endpoint", endpoint.URL, "--model", "m", "--concurrency", "2",
			"--turns", "2", "--out", out}
	})
	more("eval merge", nil, "", false, func(out string) []string {
		return append(append([]string{"eval", "merge"}, shards...), "--output-dir", out)
	})
	more("report all", nil, "", false, func(out string) []string {
		return []string{"report", "--stages", in("1-passages"), "--stages", in("4-clean"), "--training", in("6-adapter"), "--base",
			in("8-eval-base"),
			"--tuned", in("9-eval-tuned"), "--samples", in("3-translated"), "--out", out}
	})
	more("download", hubEnv, "", true, func(out string) []string {
		return []string{"download", "org/model", "--cache-dir", out}
	})
	return all
}

// reset restores the working directory to its state before the run.
func (tr *trial) reset(t *testing.T) {
	t.Helper()
	err := os.RemoveAll(tr.work)
	if err == nil {
		err = os.MkdirAll(tr.work, 0o755)
	}
	if err == nil && tr.before != "" {
		err = os.CopyFS(tr.out, os.DirFS(tr.before))
	}
	if err != nil {
		t.Fatal(err)
	}
	tr.several = false
}

// ended is how a run ended.
type ended struct {
	code   int // -1 for a signal
	killed bool
	stderr string
}

// run runs the verb below a command such as strace, and calls started when it
// has begun.
func (tr *trial) run(t *testing.T, below []string, started func(*os.Process)) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), trialLimit)
	defer cancel()
	line := append(append([]string{}, below...), os.Args[0], tr.verb)
	line = append(append(line, tr.args...), "--quiet")
	c := exec.CommandContext(ctx, line[0], line[1:]...)
	c.Env = append(append(os.Environ(), "BARKA_TEST_MAIN=1"), tr.env...)
	c.Stdin = strings.NewReader(tr.stdin)
	c.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	c.Stderr = &stderr
	stdout, err := os.Create(tr.stdout)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	c.Stdout = stdout
	// On Linux a child's peak begins with its parent's.
	debug.FreeOSMemory()
	resident.ResetPeak()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if started != nil {
		started(c.Process)
	}
	_ = c.Wait() // its state says more
	if ctx.Err() != nil {
		t.Fatalf("no end within %v: %s\n%s", trialLimit, strings.Join(line, " "), stderr.String())
	}
	if usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak := int64(usage.Maxrss) << 10
		if runtime.GOOS == "darwin" { // counts bytes
			peak = int64(usage.Maxrss)
		}
		tr.peak = max(tr.peak, peak)
		if peak > peakLimit {
			t.Errorf("%d MiB resident, limit %d MiB", peak>>20, peakLimit>>20)
		}
	}
	tr.several = tr.several || strings.Contains(stderr.String(), "tasks could not be run") || tr.committed(t)
	status, _ := c.ProcessState.Sys().(syscall.WaitStatus)
	return ended{c.ProcessState.ExitCode(), status.Signaled() && status.Signal() == syscall.SIGKILL, stderr.String()}
}

// committed reports whether an evaluation is complete except for the removal of its lock:
// its results exist, and the record of its times does not. The same command is then a new
// evaluation.
func (tr *trial) committed(t *testing.T) bool {
	results, err := filepath.Glob(filepath.Join(tr.out, "results", "*", "results_*.json"))
	begun, err2 := filepath.Glob(filepath.Join(tr.out, "results", "*", ".eval-*.json"))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return len(results) > 0 && len(begun) == 0
}

// measure runs the verb twice undisturbed, the second time below a command, and keeps its
// files.
func (tr *trial) measure(t *testing.T, below []string) {
	t.Helper()
	for i, with := range [][]string{nil, below} {
		tr.reset(t)
		start := time.Now()
		if e := tr.run(t, with, nil); e.code != exitDone {
			t.Fatalf("undisturbed: exit code %d, %s", e.code, e.stderr)
		}
		stdout := tr.said(t)
		if i == 0 {
			tr.took, tr.want, tr.wantStdout = time.Since(start), contents(t, tr.work), stdout
			continue
		}
		if !bytes.Equal(stdout, tr.wantStdout) {
			tr.wantStdout = nil
		}
		if diff := tr.difference(t, false); diff != "" {
			t.Fatalf("two undisturbed runs: %s", diff)
		}
	}
	if len(tr.want) == 0 && len(tr.wantStdout) == 0 {
		t.Fatal("it leaves nothing")
	}
}

// said returns the standard output of the last run.
func (tr *trial) said(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(tr.stdout)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// difference describes how the files of a run differ from those of an undisturbed run, or
// returns "". The standard output of a resumed run reports only its own work.
func (tr *trial) difference(t *testing.T, wentOn bool) string {
	t.Helper()
	var diff []string
	got, twice := newestContents(t, tr.work)
	if len(twice) > 0 && !tr.several {
		diff = append(diff, fmt.Sprintf("there are two evaluations, with %s", twice[0]))
	}
	for name, data := range tr.want {
		if has, ok := got[name]; !ok {
			diff = append(diff, name+" is missing")
		} else if !bytes.Equal(has, data) {
			diff = append(diff, name+" differs")
		}
	}
	for name := range got {
		if _, ok := tr.want[name]; !ok {
			diff = append(diff, name+" is too much")
		}
	}
	if said := tr.said(t); tr.wantStdout != nil && !wentOn && !bytes.Equal(said, tr.wantStdout) {
		diff = append(diff, fmt.Sprintf("standard output has %d bytes, expected %d, or differs", len(said), len(tr.wantStdout)))
	}
	return strings.Join(diff, "; ")
}

// finish runs the verb undisturbed on the files of a disturbed run. It returns a
// description of what is wrong with the result, or "".
func (tr *trial) finish(t *testing.T) string {
	t.Helper()
	if e := tr.run(t, nil, nil); e.code != exitDone {
		return fmt.Sprintf("the same command afterwards: exit code %d, %s", e.code, e.stderr)
	}
	if diff := tr.difference(t, tr.goesOn); diff != "" {
		return "the same command afterwards: " + diff
	}
	return ""
}
