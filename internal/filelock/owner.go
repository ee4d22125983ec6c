package filelock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// ownerSuffix is the suffix of the file next to a lock that names its owner, on
// file systems without locks. The process that creates it holds the lock.
const ownerSuffix = ".owner"

// owner is the content of that file.
type owner struct {
	Host string `json:"host"`
	// Space distinguishes boots and containers of one host, which may use the
	// same process numbers. It is empty if unknown.
	Space string `json:"space"`
	PID   int    `json:"pid"`
	// Began is when the process began, in ticks since the boot, since the
	// number may later be given to another process. It is empty if unknown.
	Began string    `json:"began"`
	Since time.Time `json:"since"`
}

// Note is called with warnings about the file system. The command sets it at
// start.
var Note = func(string) {}

var noted sync.Once

func noteNoLocks(path string) {
	noted.Do(func() {
		Note(fmt.Sprintf("the file system of %s has no file locks: a file %s beside the lock names the process "+
			"that works there; after a crash of this machine it may have to be removed by hand", path, ownerSuffix))
	})
}

// claim creates the owner's file, or returns a badinput error if its owner may
// be alive. The file of a process that has died is removed.
func (l *Lock) claim() error {
	path := l.path + ownerSuffix
	err := createOwner(path)
	if errors.Is(err, fs.ErrExist) {
		if err = removeDead(path); err == nil {
			err = createOwner(path)
		}
	}
	if errors.Is(err, fs.ErrExist) { // another process was faster
		err = ownedBy(path, nil)
	}
	l.own = err == nil
	if err != nil && !badinput.Is(err) {
		return atomicfile.Explain(path, err)
	}
	return err
}

func createOwner(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	host, herr := os.Hostname()
	pid := os.Getpid()
	data, err := json.Marshal(owner{host, processSpace(), pid, processStart(pid), time.Now()})
	if err = errors.Join(herr, err); err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// removeDead removes an owner's file if the process ran on this host and has
// ended. It first creates a file of its own, so that two processes cannot do
// this at once: the second could remove the new file of the first.
func removeDead(path string) error {
	breaking := path + ".removing"
	f, err := os.OpenFile(breaking, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return badinput.Errorf("%s: another process is about to work on this output; if none is, remove that file", breaking)
	}
	if err != nil {
		return err
	}
	defer os.Remove(breaking)
	defer f.Close()
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var o owner
	if err := json.Unmarshal(data, &o); err != nil {
		return ownedBy(path, nil)
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	if o.Host != host || o.Space != processSpace() || running(o.PID) && processStart(o.PID) == o.Began {
		return ownedBy(path, &o)
	}
	return os.Remove(path)
}

// ownedBy is the error for an owner that is, or may be, alive.
func ownedBy(path string, o *owner) error {
	who := "another process is working on this output"
	if o != nil {
		who = fmt.Sprintf("process %d on %s has been working on this output since %s", o.PID, o.Host, o.Since.Format(time.DateTime))
	}
	return badinput.Errorf("%s: %s; wait for it, or name another output directory. If it has died, remove that file", path, who)
}

// processSpace identifies this boot and, in a container, its numbering of
// processes; empty where the system has no /proc.
func processSpace() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, _ := os.Readlink("/proc/self/ns/pid")
	return strings.TrimSpace(string(boot)) + " " + space
}

// processStart returns when a process began, as /proc says it.
func processStart(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field, a name in brackets, may hold spaces.
	_, rest, _ := cutLast(string(data), ")")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return ""
	}
	return fields[19] // the 22nd of all
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
