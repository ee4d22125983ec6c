//go:build unix

package filelock

import (
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

// TestOwnersThatMayLive are left alone: those of other hosts, of another boot
// or container, and files that do not say.
func TestOwnersThatMayLive(t *testing.T) {
	t.Cleanup(Disable())
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
			t.Cleanup(Disable())
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
