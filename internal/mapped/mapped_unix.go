//go:build unix

// Package mapped reads files that are too large to copy. On Unix, their bytes are mapped into
// memory and read from the disk when they are used. On other systems files are copied.
package mapped

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"barka/internal/badinput"
)

// File holds a file's bytes, mapped read-only. If the file is truncated, reading the lost
// bytes panics in goroutines that Guard or package panics runs. Explain turns the panic
// into an error.
type File struct {
	Bytes []byte
	file  *os.File
	info  os.FileInfo // when it was opened
}

// files holds the mapped files, in which Explain looks up addresses.
var files struct {
	sync.Mutex
	open map[*File]bool
}

// register adds f to files.
func (f *File) register() {
	files.Lock()
	defer files.Unlock()
	if files.open == nil {
		files.open = map[*File]bool{}
	}
	files.open[f] = true
}

// lost returns an error about the file that is mapped at an address, or nil if no file is.
func lost(address uintptr) error {
	files.Lock()
	defer files.Unlock()
	for f := range files.open {
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(f.Bytes)))
		// A mapping extends to the end of its last page.
		if address < begin || address >= begin+uintptr(len(f.Bytes)+os.Getpagesize()-1)&^uintptr(os.Getpagesize()-1) {
			continue
		}
		if err := f.Unchanged(); err != nil {
			return err
		}
		return badinput.Errorf("%s: the bytes from %d on cannot be read; check the disk and run again", f.file.Name(), address-begin)
	}
	return nil
}

// Unchanged returns an error if the file has changed since it was opened: its size or time
// differs, or its path leads to another file.
func (f *File) Unchanged() error {
	if err := f.Stayed(); err != nil || f.file == nil {
		return err
	}
	if now, err := os.Stat(f.file.Name()); err == nil { // if the path is gone, the open file is unchanged
		return Compare(f.file.Name(), f.info, now)
	}
	return nil
}

// Stayed is Unchanged without the check of the path. If it returns nil, bytes that were read
// before are those of the file as it was opened. It takes less than a microsecond.
func (f *File) Stayed() error {
	if f.file == nil {
		return nil
	}
	now, err := f.file.Stat()
	if err != nil {
		return badinput.Wrap(err)
	}
	return compare(f.file.Name(), f.info, now)
}

// ReadAt reads without mapping pages. Use it for small, scattered reads: reading one byte of
// Bytes can add megabytes around it to the process's resident memory.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.file == nil {
		return 0, os.ErrClosed
	}
	return f.file.ReadAt(p, off)
}

// Open maps a regular file.
func Open(path string) (*File, error) {
	f, err := badinput.Open(path)
	if err != nil {
		return nil, err
	}
	m := &File{file: f}
	if m.info, err = f.Stat(); err == nil {
		m.Bytes, err = mapWhole(f, m.info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	m.register()
	return m, nil
}

// mapWhole maps all bytes of a file.
func mapWhole(f *os.File, info os.FileInfo) ([]byte, error) {
	if info.Size() == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s into memory: %w", f.Name(), err)
	}
	return b, nil
}

// Release lets the system drop the complete pages between two positions. Their bytes are
// read from the disk again when they are used.
func (f *File) Release(begin, end int) {
	page := os.Getpagesize()
	begin, end = (begin+page-1)/page*page, end/page*page
	if begin < end {
		// The call is advice, which the system may ignore.
		_ = unix.Madvise(f.Bytes[begin:end], unix.MADV_DONTNEED)
	}
}

// Close unmaps the file. Its bytes must not be used afterwards.
func (f *File) Close() error {
	files.Lock()
	delete(files.open, f)
	files.Unlock()
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
