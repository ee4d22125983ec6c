package diskmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strconv"
)

const (
	entrySize   = 32  // key and value
	pageEntries = 128 // a page is read at once
	pageSize    = entrySize * pageEntries
)

func name(i int) string { return strconv.Itoa(i) }

// run is a sorted file of entries.
type run struct {
	f      *os.File
	level  int
	n      int
	fences []uint64 // the beginning of the first key of each page
	filter filter   // nil if the run is large
}

func head(k Key) uint64 { return binary.BigEndian.Uint64(k[:]) }

// get looks a key up. It reads pages into buffer.
func (r *run) get(k Key, buffer []byte) (Value, bool, error) {
	if !r.filter.has(k) {
		return Value{}, false, nil
	}
	h := head(k)
	// The key is in the page before the first fence that is not smaller, or, if the
	// beginnings are equal, in one of those from there.
	page := max(sort.Search(len(r.fences), func(i int) bool { return r.fences[i] >= h })-1, 0)
	for ; page < len(r.fences) && r.fences[page] <= h; page++ {
		entries, err := r.page(page, buffer)
		if err != nil {
			return Value{}, false, err
		}
		n := len(entries) / entrySize
		i := sort.Search(n, func(i int) bool { return bytes.Compare(entries[i*entrySize:][:len(k)], k[:]) >= 0 })
		if i < n && Key(entries[i*entrySize:][:len(k)]) == k {
			return valueOf(entries[i*entrySize:]), true, nil
		}
	}
	return Value{}, false, nil
}

// page reads a page into buffer.
func (r *run) page(i int, buffer []byte) ([]byte, error) {
	size := min(pageSize, (r.n-i*pageEntries)*entrySize)
	if _, err := r.f.ReadAt(buffer[:size], int64(i)*pageSize); err != nil {
		return nil, fmt.Errorf("%s was damaged while it was in use: %w", r.f.Name(), err)
	}
	return buffer[:size], nil
}

func valueOf(entry []byte) Value {
	return Value{binary.LittleEndian.Uint64(entry[16:]), binary.LittleEndian.Uint64(entry[24:])}
}

// freeFilter lets get read a page for every key.
func (r *run) freeFilter() {
	free(r.filter)
	r.filter = nil
}

func (r *run) close() error {
	r.freeFilter()
	err := r.f.Close()
	return errors.Join(err, ignoreMissing(os.Remove(r.f.Name())))
}

// runWriter writes a run.
type runWriter struct {
	run    *run
	buffer []byte // the last page, not full yet
}

// newRunWriter begins a run of at most so many entries.
func newRunWriter(path string, level, most int, filtered bool) (*runWriter, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	r := &run{f: f, level: level, fences: make([]uint64, 0, most/pageEntries+1)}
	if filtered {
		r.filter = newFilter(most)
	}
	return &runWriter{run: r, buffer: make([]byte, 0, pageSize)}, nil
}

func (w *runWriter) add(k Key, v Value) error {
	if w.run.n%pageEntries == 0 {
		if err := w.flush(); err != nil {
			return err
		}
		w.run.fences = append(w.run.fences, head(k))
	}
	w.run.filter.add(k)
	w.run.n++
	w.buffer = append(w.buffer, k[:]...)
	w.buffer = binary.LittleEndian.AppendUint64(w.buffer, v[0])
	w.buffer = binary.LittleEndian.AppendUint64(w.buffer, v[1])
	return nil
}

func (w *runWriter) flush() error {
	_, err := w.run.f.Write(w.buffer)
	w.buffer = w.buffer[:0]
	return err
}

// cursor reads the entries of a run in order.
type cursor struct {
	r      *run
	next   int
	buffer []byte
	page   []byte
	key    Key
	value  Value
}

// step moves to the next entry. It returns io.EOF after the last one.
func (c *cursor) step() (err error) {
	if c.next == c.r.n {
		return io.EOF
	}
	i := c.next % pageEntries
	if i == 0 {
		if c.page, err = c.r.page(c.next/pageEntries, c.buffer); err != nil {
			return err
		}
	}
	c.key, c.value = Key(c.page[i*entrySize:][:len(c.key)]), valueOf(c.page[i*entrySize:])
	c.next++
	return nil
}

// mergeRuns adds the entries of runs in the order of their keys. Of equal keys the entry
// of the last run counts.
func mergeRuns(runs []*run, add func(Key, Value) error) error {
	var open []*cursor
	for _, r := range runs {
		c := &cursor{r: r, buffer: make([]byte, pageSize)}
		if err := c.step(); err != nil {
			return err
		}
		open = append(open, c)
	}
	for len(open) > 0 {
		newest := open[0]
		for _, c := range open[1:] {
			if bytes.Compare(c.key[:], newest.key[:]) <= 0 {
				newest = c
			}
		}
		key := newest.key
		if err := add(key, newest.value); err != nil {
			return err
		}
		var failed error
		open = slices.DeleteFunc(open, func(c *cursor) bool {
			if c.key != key {
				return false
			}
			err := c.step()
			if err != nil && err != io.EOF {
				failed = err
			}
			return err == io.EOF
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}
