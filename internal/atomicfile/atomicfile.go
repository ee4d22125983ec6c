// Package atomicfile replaces files so that a reader, or a run after a crash,
// finds the old content or the whole new one, never a part.
//
// The new content is written to a temporary file beside the target. Its name is
// random, so that two processes that write the same target do not write into
// one file, and the process holds a lock on it. What a killed process left is
// known by its name and by its missing lock; the next process that writes into
// the directory removes it, and no other file.
package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// File is the new content of a file, which takes its place with Commit.
type File struct {
	*os.File
	path string
}

// Create begins to replace the file at path, which need not exist. The
// directory must exist. Commit or Discard ends it.
func Create(path string) (*File, error) {
	sweepOnce(filepath.Dir(path))
	for {
		f, err := os.OpenFile(temporary(path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if held(f) {
			return &File{f, path}, nil
		}
		f.Close() // a process that sweeps came first
	}
}

// Commit makes the content durable and puts it in its place. If that fails,
// the file at path is as it was.
func (f *File) Commit() error {
	err := f.Sync()
	if err == nil && !removable {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, f.Discard())
	}
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return SyncDir(filepath.Dir(f.path))
}

// Discard removes the new content and leaves the file at path as it is.
func (f *File) Discard() error {
	closeErr := f.Close()
	if errors.Is(closeErr, os.ErrClosed) {
		closeErr = nil
	}
	return errors.Join(closeErr, os.Remove(f.Name()))
}

// Write creates or replaces the file at path with what fill writes. A failed
// fill leaves it as it was. The directory must exist.
func Write(path string, fill func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if err := fill(f); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Commit()
}

// WriteFile is Write of bytes in memory.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// maxName is how much of a target's name a temporary name repeats, in bytes.
// File systems take names of 255.
const maxName = 200

// temporary returns a new name of a temporary file for a target.
func temporary(path string) string {
	var random [8]byte
	rand.Read(random[:])
	dir, name := filepath.Split(path)
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	return dir + name + ".barka" + hex.EncodeToString(random[:]) + ".tmp"
}

var temporaries = regexp.MustCompile(`^(.+)\.barka[0-9a-f]{16}\.tmp$`)

// Target returns the name of the file that a temporary file was to replace; any
// other name is returned as it is. Names of more than 200 bytes are cut.
func Target(name string) string {
	if m := temporaries.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return name
}

// swept are the directories in which this process has looked for temporary
// files. Looking once suffices: a process that dies later leaves them to the next.
var swept sync.Map

func sweepOnce(dir string) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if _, done := swept.LoadOrStore(dir, true); !done {
		Sweep(dir)
	}
}

// Sweep removes the temporary files that killed processes left in a directory.
// Create does it where it writes. They are litter: one that cannot be removed
// does no harm.
func Sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Type().IsRegular() && Target(e.Name()) != e.Name() {
			removeDead(filepath.Join(dir, e.Name()))
		}
	}
}

// SyncDir makes the names in a directory durable. Windows has no such call.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems cannot sync directories; they answer EINVAL.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
