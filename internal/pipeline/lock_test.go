//go:build unix

package pipeline

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"barka/internal/badinput"
)

// withoutLocks makes this process see a file system that cannot lock.
func withoutLocks(t *testing.T) {
	before := systemLock
	systemLock = func(*os.File) error { return errNoLocks }
	t.Cleanup(func() { systemLock = before })
}

// TestFileSystemsWithoutLocks: a second process is refused and told who works
// there, and the lock of a process that was killed is taken over.
func TestFileSystemsWithoutLocks(t *testing.T) {
	withoutLocks(t)
	var notes []string
	Note, noted = func(s string) { notes = append(notes, s) }, sync.Once{}
	t.Cleanup(func() { Note = func(string) {} })

	out := filepath.Join(t.TempDir(), "out")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childOut+"="+out, childUnlocked+"=1", "BARKA_PIPELINE_TEST_DELAY=200ms")
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
	if _, err := os.Stat(filepath.Join(out+partialSuffix, lockName+ownerSuffix)); err != nil {
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

// TestOwnersThatMayLive are left alone: those of other hosts, of another boot
// or container, and files that do not say.
func TestOwnersThatMayLive(t *testing.T) {
	withoutLocks(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Skip(err)
	}
	pid, space := dead.Process.Pid, processSpace()
	for _, c := range []struct {
		name    string
		content any
		taken   bool
	}{
		{"dead", owner{Host: host, Space: space, PID: pid}, true},
		{"its number is another process's now", owner{Host: host, Space: space, PID: os.Getpid(), Began: "1"}, space != ""},
		{"this process", owner{Host: host, Space: space, PID: os.Getpid(), Began: processStart(os.Getpid())}, false},
		{"another host", owner{Host: "other-" + host, Space: space, PID: pid}, false},
		{"another container", owner{Host: host, Space: "other", PID: pid}, false},
		{"half written", nil, false},
	} {
		path := filepath.Join(t.TempDir(), "lock")
		var data []byte
		if c.content != nil {
			data, _ = json.Marshal(c.content)
		}
		if err := os.WriteFile(path+ownerSuffix, data, 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := Acquire(path)
		if (err == nil) != c.taken || err != nil && !(badinput.Is(err) && strings.Contains(err.Error(), "remove that file")) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := l.Discard(); err != nil {
			t.Error(err)
		}
		if entries, _ := os.ReadDir(filepath.Dir(path)); c.taken && len(entries) > 0 {
			t.Errorf("%s: left %v", c.name, entries)
		}
	}
}

// TestLockIsOfOneProcess has many take one lock at the same time, with and
// without the system's locks.
func TestLockIsOfOneProcess(t *testing.T) {
	for _, unlocked := range []bool{false, true} {
		if unlocked {
			withoutLocks(t)
		}
		path := filepath.Join(t.TempDir(), "lock")
		var mu sync.Mutex
		holders, most, taken := 0, 0, 0
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 200 {
					l, err := Acquire(path)
					if err != nil {
						if !badinput.Is(err) {
							t.Error(err)
						}
						continue
					}
					mu.Lock()
					holders++
					taken++
					most = max(most, holders)
					mu.Unlock()
					mu.Lock()
					holders--
					mu.Unlock()
					if err := l.Discard(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if most != 1 || taken == 0 {
			t.Errorf("without locks %t: taken %d times, by %d at once", unlocked, taken, most)
		}
	}
}

// TestErrorsOfSystemsWithoutLocks: what such file systems answer is known.
func TestErrorsOfSystemsWithoutLocks(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	if err := tryLock(w); err == nil || errors.Is(err, errHeld) || errors.Is(err, errNoLocks) {
		t.Errorf("a closed file: %v", err)
	}
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.ENOLCK, unix.EOPNOTSUPP, unix.ENOTSUP} {
		if !cannotLock(errno) {
			t.Errorf("%v", errno)
		}
	}
	if cannotLock(unix.EWOULDBLOCK) || cannotLock(unix.EBADF) {
		t.Error("other errors are taken for it")
	}
}

// TestLateSyncErrors: an error of a sync in the background is reported when
// the journal is closed and by Finish.
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
