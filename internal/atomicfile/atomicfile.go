// Package atomicfile replaces files so that a reader, or a run after a crash, finds
// either the old content or all of the new content, never a part.
//
// The new content is written to a temporary file beside the target. Its name is
// random, so that two processes that replace the same target do not write to the same
// file. The process holds a lock on it. A temporary file without a lock was left by a
// killed process; the next process that writes into the directory removes it. No
// other files are removed.
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

// File is the new content of a file. Commit puts it in place.
type File struct {
	*os.File
	path string
}

// Create begins to replace the file at path, which need not exist. Its directory must
// exist. The caller must call Commit or Discard.
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
		f.Close() // a sweep of another process removed it before it was locked
	}
}

// Commit makes the content durable and renames it to path. If that fails, the file at
// path is unchanged.
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

// Discard removes the new content. The file at path is unchanged.
func (f *File) Discard() error {
	closeErr := f.Close()
	if errors.Is(closeErr, os.ErrClosed) {
		closeErr = nil
	}
	return errors.Join(closeErr, os.Remove(f.Name()))
}

// Write creates or replaces the file at path with what fill writes. If fill fails, the
// file is unchanged. Its directory must exist.
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

// WriteFile creates or replaces the file at path with data, as Write does.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// maxName bounds the part of a target's name that a temporary name repeats, in bytes.
// Most file systems allow names of 255 bytes.
const maxName = 200

// temporary returns a new random name for the temporary file of a target.
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

// Target returns the name of the file that a temporary file was meant to replace, cut
// to 200 bytes. Any other name is returned unchanged.
func Target(name string) string {
	if m := temporaries.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return name
}

// swept holds the directories that this process has swept. Once is enough: files of a
// process that dies later are removed by the next process.
var swept sync.Map

func sweepOnce(dir string) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if _, done := swept.LoadOrStore(dir, true); !done {
		Sweep(dir)
	}
}

// Sweep removes the temporary files that killed processes left in a directory. Create
// sweeps the directory that it writes to. Errors are ignored: a temporary file that
// cannot be removed does no harm.
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

// SyncDir makes the names in a directory durable. On Windows, which has no call for
// it, it does nothing.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems cannot sync directories and return EINVAL.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
