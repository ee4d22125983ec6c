//go:build unix

// Package mapped reads files too large to copy: their bytes are mapped into
// memory, where the system has that, and come from the disk as they are
// looked at.
package mapped

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// File is a file's bytes, mapped read-only. A file that is cut short while it
// is mapped ends the program when the lost bytes are read.
type File struct{ Bytes []byte }

// Open maps a regular file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() == 0 {
		return &File{}, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &File{b}, nil
}

// Forget lets the system drop the whole pages between two positions; they are
// read again when they are looked at.
func (f *File) Forget(begin, end int) {
	page := os.Getpagesize()
	begin, end = (begin+page-1)/page*page, end/page*page
	if begin < end {
		// It is advice: what the system makes of it does not matter here.
		_ = unix.Madvise(f.Bytes[begin:end], unix.MADV_DONTNEED)
	}
}

// Close unmaps the file; its bytes must not be used afterwards.
func (f *File) Close() error {
	if f.Bytes == nil {
		return nil
	}
	b := f.Bytes
	f.Bytes = nil
	return unix.Munmap(b)
}
