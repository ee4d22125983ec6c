// Package diskmap holds in files what work on millions of records must remember of each:
// a Map from 128-bit keys, for the place of a result or whether an id occurred before, and
// an Array of numbers.
package diskmap

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/atomicfile"
)

// Key identifies an entry. Its bits must be well spread, as those of a hash are.
type Key = [16]byte

// Value is what an entry holds.
type Value [2]uint64

// Options bound the memory of a Map. The zero value is the default.
type Options struct {
	Recent   int // entries in memory before they are written as a run; 32,768
	Merge    int // runs of one size that become one larger run; 4
	Filtered int // entries up to which a run has a Bloom filter; 524,288
}

// Map holds the latest entries in a Go map and the others in sorted files, its runs. When
// there are Merge runs of one size, they become one. A look-up reads at most one page per
// run. Runs of up to half a million entries have a Bloom filter, which spares nearly all
// look-ups of absent keys; there are few larger runs.
//
// The files are not durable: they are removed when the Map is opened or closed. Memory is
// at most five megabytes and, per million entries, 63 KB. A Map is not safe for concurrent
// use.
type Map struct {
	prefix string
	o      Options
	recent map[Key]Value
	runs   []*run // the oldest first; levels never increase
	made   int    // runs written, for their names
	page   []byte // of the last look-up
}

// Open returns an empty Map whose files have names that begin with prefix. It removes
// those of an earlier process.
func Open(prefix string, o Options) (*Map, error) {
	if o.Recent <= 0 {
		o.Recent = 1 << 15
	}
	if o.Merge < 2 {
		o.Merge = 4
	}
	if o.Filtered <= 0 {
		o.Filtered = 1 << 19
	}
	entries, err := os.ReadDir(filepath.Dir(prefix))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if name := filepath.Base(prefix); strings.HasPrefix(e.Name(), name) {
			if err := os.Remove(filepath.Join(filepath.Dir(prefix), e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return &Map{prefix: prefix, o: o, recent: map[Key]Value{}, page: make([]byte, pageSize)}, nil
}

// Get returns the latest value of a key.
func (m *Map) Get(k Key) (v Value, ok bool, err error) {
	if v, ok = m.recent[k]; ok {
		return v, true, nil
	}
	for _, r := range slices.Backward(m.runs) {
		if v, ok, err = r.get(k, m.page); ok || err != nil {
			return v, ok, err
		}
	}
	return Value{}, false, nil
}

// Add sets the value of a key that is absent, and reports whether it was.
func (m *Map) Add(k Key, v Value) (added bool, err error) {
	if _, ok, err := m.Get(k); ok || err != nil {
		return false, err
	}
	return true, m.Put(k, v)
}

// Put sets the value of a key.
func (m *Map) Put(k Key, v Value) error {
	m.recent[k] = v
	if len(m.recent) < m.o.Recent {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(m.recent), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	err := m.write(0, len(keys), func(w *runWriter) error {
		for _, k := range keys {
			if err := w.add(k, m.recent[k]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	clear(m.recent)
	return m.compact()
}

// compact merges the newest runs while Merge of them have one level.
func (m *Map) compact() error {
	for len(m.runs) >= m.o.Merge {
		last := m.runs[len(m.runs)-m.o.Merge:]
		level, most := last[0].level, 0
		for _, r := range last {
			if r.level != level {
				return nil
			}
			most += r.n
		}
		merged := slices.Clone(last)
		for _, r := range merged {
			r.freeFilter() // makes room for the new one
		}
		if err := m.write(level+1, most, func(w *runWriter) error { return mergeRuns(merged, w.add) }); err != nil {
			return err
		}
		newest := m.runs[len(m.runs)-1]
		m.runs = append(m.runs[:len(m.runs)-1-m.o.Merge], newest)
		for _, r := range merged {
			if err := r.close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// write appends a run of at most so many entries, which fill adds in the order of their
// keys.
func (m *Map) write(level, most int, fill func(*runWriter) error) error {
	path := m.prefix + name(m.made)
	m.made++
	w, err := newRunWriter(path, level, most, most <= m.o.Filtered)
	if err == nil {
		err = fill(w)
	}
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		if w != nil {
			w.run.close()
		}
		return atomicfile.Explain(path, err)
	}
	m.runs = append(m.runs, w.run)
	return nil
}

// Close removes the files. Closing again does nothing.
func (m *Map) Close() error {
	var errs []error
	for _, r := range m.runs {
		errs = append(errs, r.close())
	}
	m.runs, m.recent = nil, nil
	return errors.Join(errs...)
}

// ignoreMissing: another process may have begun again in the same directory.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
