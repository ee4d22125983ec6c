//go:build unix

// Package mapped reads files too large to copy: their bytes are mapped into
// memory, where the system has that, and come from the disk as they are
// looked at.
package mapped

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// File is a file's bytes, mapped read-only. A file that is cut short while it
// is mapped ends the program when the lost bytes are read.
type File struct {
	Bytes []byte
	file  *os.File
}

// ReadAt reads without mapping pages, for a few bytes here and there: looking
// at Bytes may count up to megabytes around each as the program's memory.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.file == nil {
		return 0, os.ErrClosed
	}
	return f.file.ReadAt(p, off)
}

// Open maps a regular file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m := &File{file: f}
	if m.Bytes, err = mapWhole(f); err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

func mapWhole(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	}
	if info.Size() == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return b, nil
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
	var errs []error
	if f.file != nil {
		errs = append(errs, f.file.Close())
	}
	if f.Bytes != nil {
		errs = append(errs, unix.Munmap(f.Bytes))
	}
	f.Bytes, f.file = nil, nil
	return errors.Join(errs...)
}
