//go:build unix

package durable

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/filelock"
)

// TestFileSystemsWithoutLocks: a second process is refused, with the owner of the lock. The
// lock of a killed process is taken over.
func TestFileSystemsWithoutLocks(t *testing.T) {
	t.Cleanup(filelock.Disable())
	var notes []string
	filelock.Note = func(s string) { notes = append(notes, s) }
	t.Cleanup(func() { filelock.Note = func(string) {} })

	out := filepath.Join(t.TempDir(), "out")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childOut+"="+out, childUnlocked+"=1", "BARKA_DURABLE_TEST_DELAY=200ms")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewScanner(stdout).Scan() // it is in Map now
	for range 2 {
		err := testStage(context.Background(), out, 0, 1)
		if !badinput.Is(err) || !strings.Contains(err.Error(), "has been working on this output since") {
			t.Errorf("beside a living process: %v", err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the state of a killed process
	if _, err := os.Stat(filepath.Join(out+dataset.PartialSuffix, lockName+".owner")); err != nil {
		t.Fatalf("the killed process left no owner's file: %v", err)
	}
	if err := testStage(context.Background(), out, 0, 3); err != nil {
		t.Fatal(err)
	}
	sameTree(t, reference(t), out)
	if len(notes) != 1 || !strings.Contains(notes[0], "no file locks") {
		t.Errorf("notes %q, want one", notes)
	}
}

// TestLateSyncErrors: an error of a background sync is reported by the journal's Close and
// by Finish.
func TestLateSyncErrors(t *testing.T) {
	failing := func(j *Journal) {
		_, w, err := os.Pipe() // which cannot be synced
		if err != nil {
			t.Fatal(err)
		}
		j.f.Close()
		j.f, j.pending = w, true
		j.sync()
	}
	j, err := openJournal(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	failing(j)
	if err := j.close(); !errors.Is(err, unix.EINVAL) {
		t.Errorf("close: %v", err)
	}

	out := filepath.Join(t.TempDir(), "out")
	r, err := Begin(out, Identity{Stage: "test"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	failing(r.journal)
	if err := r.Finish(Final{}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Finish: %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("there is an output")
	}
}
