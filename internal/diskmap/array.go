package diskmap

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	"barka/internal/atomicfile"
)

const (
	arrayPage  = 4 << 10       // bytes
	arrayWords = arrayPage / 8 // numbers of a page
	arrayPages = 256           // in memory
)

// Array is a list of numbers by position in a file. Numbers that were not set are 0. It
// holds the latest pages, one MiB, in memory: positions in order take nanoseconds, others
// one read of a page and sometimes one write. It is not safe for concurrent use.
type Array struct {
	f     *os.File
	pages [arrayPages]arraySlot // page p is in slot p modulo their number
}

type arraySlot struct {
	page    int // plus one; 0 is none
	changed bool
	words   []uint64
}

// NewArray makes the file at path, replacing an existing one.
func NewArray(path string) (*Array, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, atomicfile.Explain(path, err)
	}
	return &Array{f: f}, nil
}

// Get returns number i.
func (a *Array) Get(i int) (uint64, error) {
	s, err := a.slot(i / arrayWords)
	if err != nil {
		return 0, err
	}
	return s.words[i%arrayWords], nil
}

// Set sets number i.
func (a *Array) Set(i int, n uint64) error {
	s, err := a.slot(i / arrayWords)
	if err != nil {
		return err
	}
	s.words[i%arrayWords], s.changed = n, true
	return nil
}

// slot returns a page in memory.
func (a *Array) slot(page int) (*arraySlot, error) {
	s := &a.pages[page%arrayPages]
	if s.page == page+1 {
		return s, nil
	}
	var bytes [arrayPage]byte
	if s.changed {
		for i, n := range s.words {
			binary.LittleEndian.PutUint64(bytes[8*i:], n)
		}
		if _, err := a.f.WriteAt(bytes[:], int64(s.page-1)*arrayPage); err != nil {
			return nil, atomicfile.Explain(a.f.Name(), err)
		}
	}
	if s.words == nil {
		s.words = make([]uint64, arrayWords)
	}
	s.page, s.changed = 0, false
	n, err := a.f.ReadAt(bytes[:], int64(page)*arrayPage)
	if err != nil && err != io.EOF {
		return nil, atomicfile.Explain(a.f.Name(), err)
	}
	clear(bytes[n:])
	for i := range s.words {
		s.words[i] = binary.LittleEndian.Uint64(bytes[8*i:])
	}
	s.page = page + 1
	return s, nil
}

// Remove closes the file and deletes it. Removing again does nothing.
func (a *Array) Remove() error {
	f := a.f
	if f == nil {
		return nil
	}
	a.f = nil
	return errors.Join(f.Close(), ignoreMissing(os.Remove(f.Name())))
}
