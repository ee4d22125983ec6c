//go:build !unix

// Package mapped reads files that are too large to copy. On Unix, their bytes are mapped into
// memory and read from the disk when they are used. On other systems files are copied.
package mapped

import (
	"bytes"
	"io"
	"os"

	"barka/internal/badinput"
)

// File holds a copy of a file's bytes.
type File struct {
	Bytes []byte
	path  string
	info  os.FileInfo // before it was read; nil if it is closed
}

// Open reads all of a regular file.
func Open(path string) (*File, error) {
	f, err := badinput.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &File{path: path}
	if m.info, err = f.Stat(); err == nil {
		m.Bytes, err = io.ReadAll(f)
	}
	return m, err
}

// lost returns nil, since nothing is mapped.
func lost(uintptr) error { return nil }

// Unchanged returns an error if the file at the path has changed since it was read.
func (f *File) Unchanged() error {
	if f.info == nil {
		return nil
	}
	if now, err := os.Stat(f.path); err == nil {
		return Compare(f.path, f.info, now)
	}
	return nil
}

// Stayed returns nil, since the bytes are a copy.
func (f *File) Stayed() error { return nil }

// ReadAt copies from the bytes.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.Bytes).ReadAt(p, off)
}

// Release does nothing, since the bytes are not mapped.
func (f *File) Release(begin, end int) {}

// Close frees the bytes. They must not be used afterwards.
func (f *File) Close() error { f.Bytes, f.info = nil, nil; return nil }
