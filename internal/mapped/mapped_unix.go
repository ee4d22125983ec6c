//go:build unix

// Package mapped reads files too large to copy: their bytes are mapped into
// memory, where the system has that, and come from the disk as they are
// looked at.
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

// File is a file's bytes, mapped read-only. Reading bytes of a file that was cut
// short since panics in goroutines that Guard or package panics runs; Explain
// makes an error of it.
type File struct {
	Bytes []byte
	file  *os.File
	info  os.FileInfo // when it was opened
}

// files are those that are mapped, for Explain.
var files struct {
	sync.Mutex
	open map[*File]bool
}

func (f *File) register() {
	files.Lock()
	defer files.Unlock()
	if files.open == nil {
		files.open = map[*File]bool{}
	}
	files.open[f] = true
}

// lost returns the error of the file that is mapped at an address; nil if none
// is.
func lost(address uintptr) error {
	files.Lock()
	defer files.Unlock()
	for f := range files.open {
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(f.Bytes)))
		// The last page is mapped whole.
		if address < begin || address >= begin+uintptr(len(f.Bytes)+os.Getpagesize()-1)&^uintptr(os.Getpagesize()-1) {
			continue
		}
		if err := f.Unchanged(); err != nil {
			return err
		}
		return badinput.Errorf("%s: the disk does not give the bytes from %d on; run again when it does", f.file.Name(), address-begin)
	}
	return nil
}

// Unchanged returns an error if the file is not what it was when it was opened:
// its size or time differs, or its path leads to another file.
func (f *File) Unchanged() error {
	if err := f.Stayed(); err != nil || f.file == nil {
		return err
	}
	if now, err := os.Stat(f.file.Name()); err == nil { // else the open file is as it was
		return Compare(f.file.Name(), f.info, now)
	}
	return nil
}

// Stayed is Unchanged without looking at the path: bytes that were read are
// those of the file as it was opened. It takes less than a microsecond.
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

func mapWhole(f *os.File, info os.FileInfo) ([]byte, error) {
	if info.Size() == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return b, nil
}

// Release lets the system drop the whole pages between two positions; they are
// read again when they are looked at.
func (f *File) Release(begin, end int) {
	page := os.Getpagesize()
	begin, end = (begin+page-1)/page*page, end/page*page
	if begin < end {
		// It is advice: what the system makes of it does not matter here.
		_ = unix.Madvise(f.Bytes[begin:end], unix.MADV_DONTNEED)
	}
}

// Close unmaps the file; its bytes must not be used afterwards.
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
