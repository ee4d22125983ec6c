//go:build !unix

// Package mapped reads files too large to copy: their bytes are mapped into
// memory, where the system has that, and come from the disk as they are
// looked at.
package mapped

import (
	"bytes"
	"os"
)

// File is a file's bytes, read whole where files are not mapped.
type File struct{ Bytes []byte }

// Open reads a file.
func Open(path string) (*File, error) {
	b, err := os.ReadFile(path)
	return &File{b}, err
}

// ReadAt reads from the bytes.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.Bytes).ReadAt(p, off)
}

// Forget does nothing: the bytes are not mapped.
func (f *File) Forget(begin, end int) {}

// Close lets go of the bytes; they must not be used afterwards.
func (f *File) Close() error { f.Bytes = nil; return nil }
