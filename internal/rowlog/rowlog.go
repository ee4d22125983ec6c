// Package rowlog keeps one record for each row of an input in a file, in the order of the
// rows. Stages that decide about a row by all others write what they need of each row
// there, and no texts have to stay in memory. Work that was interrupted goes on after the
// last whole range of records.
package rowlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sort"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
)

// A range is written at once:
//
//	uint32     number of records n
//	uint32     bytes of the records
//	n × uint32 end of each record
//	records
//	uint64     xxHash of all before
//
// Numbers are little-endian.
const (
	headBytes = 8
	sumBytes  = 8
	// maxRange bounds the sizes that a head may state. Ranges are far smaller.
	maxRange = 1 << 31
)

// part is a range of the file.
type part struct {
	first  int   // number of its first record
	n      int   // of records
	offset int64 // in the file
}

// Log is a file of records. All and At may be called by several goroutines.
type Log struct {
	f     *os.File
	parts []part
	count int
	end   int64
}

// Open opens the log at path, which need not exist. It keeps the whole ranges and cuts off
// what follows them, such as a range that was being written when the machine stopped.
func Open(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, atomicfile.Explain(path, err)
	}
	l := &Log{f: f}
	for {
		n, _, err := l.read(l.end)
		if err != nil {
			if !errors.Is(err, errBroken) {
				return nil, errors.Join(atomicfile.Explain(path, err), f.Close())
			}
			break
		}
		l.parts = append(l.parts, part{l.count, len(n), l.end})
		l.count += len(n)
		l.end += rangeBytes(n)
	}
	if err := f.Truncate(l.end); err != nil {
		return nil, errors.Join(atomicfile.Explain(path, err), f.Close())
	}
	return l, nil
}

var errBroken = errors.New("no whole range")

func rangeBytes(ends []uint32) int64 {
	size := int64(headBytes + 4*len(ends) + sumBytes)
	if len(ends) > 0 {
		size += int64(ends[len(ends)-1])
	}
	return size
}

// read returns the ends and the bytes of the records of the range at an offset, or
// errBroken.
func (l *Log) read(offset int64) (ends []uint32, records []byte, err error) {
	var head [headBytes]byte
	if _, err := l.f.ReadAt(head[:], offset); err != nil {
		return nil, nil, broken(err)
	}
	n, size := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	info, err := l.f.Stat()
	if err != nil {
		return nil, nil, err
	}
	total := headBytes + 4*int64(n) + int64(size) + sumBytes
	if n == 0 || total > maxRange || offset+total > info.Size() {
		return nil, nil, errBroken
	}
	data := make([]byte, total)
	if _, err := l.f.ReadAt(data, offset); err != nil {
		return nil, nil, broken(err)
	}
	body := data[:total-sumBytes]
	if xxhash.Sum64(body) != binary.LittleEndian.Uint64(data[len(body):]) {
		return nil, nil, errBroken
	}
	ends, last := make([]uint32, n), uint32(0)
	for i := range ends {
		if ends[i] = binary.LittleEndian.Uint32(body[headBytes+4*i:]); ends[i] < last {
			return nil, nil, errBroken
		}
		last = ends[i]
	}
	if last != size {
		return nil, nil, errBroken
	}
	return ends, body[headBytes+4*n:], nil
}

func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return errBroken
	}
	return err
}

// Len returns the number of records.
func (l *Log) Len() int { return l.count }

// Append writes a range of records.
func (l *Log) Append(records [][]byte) error {
	if len(records) == 0 {
		return nil
	}
	size := 0
	for _, r := range records {
		size += len(r)
	}
	if int64(headBytes+4*len(records)+size+sumBytes) > maxRange {
		return fmt.Errorf("rowlog: a range of %d bytes", size)
	}
	data := make([]byte, 0, headBytes+4*len(records)+size+sumBytes)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(records)))
	data = binary.LittleEndian.AppendUint32(data, uint32(size))
	end := 0
	for _, r := range records {
		end += len(r)
		data = binary.LittleEndian.AppendUint32(data, uint32(end))
	}
	for _, r := range records {
		data = append(data, r...)
	}
	data = binary.LittleEndian.AppendUint64(data, xxhash.Sum64(data))
	if _, err := l.f.WriteAt(data, l.end); err != nil {
		return atomicfile.Explain(l.f.Name(), err)
	}
	l.parts = append(l.parts, part{l.count, len(records), l.end})
	l.count += len(records)
	l.end += int64(len(data))
	return nil
}

// At reads record i.
func (l *Log) At(i int) ([]byte, error) {
	p := l.parts[sort.Search(len(l.parts), func(k int) bool { return l.parts[k].first > i })-1]
	var bounds [8]byte // ends of the record before and of this one
	k := i - p.first
	at := p.offset + headBytes + 4*int64(k-1)
	if k == 0 {
		if _, err := l.f.ReadAt(bounds[4:], at+4); err != nil {
			return nil, l.damaged(err)
		}
	} else if _, err := l.f.ReadAt(bounds[:], at); err != nil {
		return nil, l.damaged(err)
	}
	from, to := binary.LittleEndian.Uint32(bounds[:]), binary.LittleEndian.Uint32(bounds[4:])
	if to < from || int64(to) > maxRange {
		return nil, l.damaged(errBroken)
	}
	record := make([]byte, to-from)
	if _, err := l.f.ReadAt(record, p.offset+headBytes+4*int64(p.n)+int64(from)); err != nil {
		return nil, l.damaged(err)
	}
	return record, nil
}

// All reads all records in order. The caller may keep a record, which keeps its range in
// memory, and must not change it.
func (l *Log) All() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, p := range l.parts {
			ends, records, err := l.read(p.offset)
			if err != nil {
				yield(nil, l.damaged(err))
				return
			}
			start := uint32(0)
			for _, end := range ends {
				if !yield(records[start:end], nil) {
					return
				}
				start = end
			}
		}
	}
}

func (l *Log) damaged(err error) error {
	return fmt.Errorf("%s was damaged while it was in use: %w", l.f.Name(), err)
}

// Close closes the file, which stays.
func (l *Log) Close() error { return l.f.Close() }

// Remove closes the file and deletes it.
func (l *Log) Remove() error {
	return errors.Join(l.f.Close(), os.Remove(l.f.Name()))
}
