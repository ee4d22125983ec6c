package diskmap

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"os"
	"slices"

	"barka/internal/atomicfile"
)

// Entries go to one of so many partitions by the highest bits of their keys. A partition is
// written in blocks of one file, and sorted in pieces.
const (
	partitionBits = 8
	partitions    = 1 << partitionBits
	sorterEntry   = 12 // bytes: key and number
	blockEntries  = 512
	blockBytes    = blockEntries * sorterEntry
	// A piece has about so many entries, until a partition has more than maxPieces of them:
	// it is read once per piece.
	pieceEntries = 1 << 16
	maxPieces    = 16
)

// A Sorter sorts numbers by 64-bit keys, so that those with the same key meet. It keeps them
// in a file: in memory are 1.5 MiB of buffers, 4 bytes per 512 entries and, when it is read,
// one MiB per reader, or more from 268 million entries on.
type Sorter struct {
	f       *os.File
	buffers [][]byte
	blocks  [][]uint32 // of each partition: the numbers of its full blocks in the file
	next    uint32     // block
}

// NewSorter makes the file, replacing an existing one.
func NewSorter(path string) (*Sorter, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, atomicfile.Explain(path, err)
	}
	s := &Sorter{f: f, buffers: make([][]byte, partitions), blocks: make([][]uint32, partitions)}
	for i := range s.buffers {
		s.buffers[i] = make([]byte, 0, blockBytes)
	}
	return s, nil
}

// Add adds a number, less than 2^32, under a key, whose highest bits must be well spread.
func (s *Sorter) Add(key uint64, number int) error {
	p := key >> (64 - partitionBits)
	b := binary.LittleEndian.AppendUint64(s.buffers[p], key)
	b = binary.LittleEndian.AppendUint32(b, uint32(number))
	if s.buffers[p] = b; len(b) < blockBytes {
		return nil
	}
	if _, err := s.f.WriteAt(b, int64(s.next)*blockBytes); err != nil {
		return atomicfile.Explain(s.f.Name(), err)
	}
	s.blocks[p] = append(s.blocks[p], s.next)
	s.next++
	s.buffers[p] = b[:0]
	return nil
}

// Partitions returns the number of partitions for Groups.
func (s *Sorter) Partitions() int { return partitions }

// Entry is a number with its key.
type Entry struct {
	Key    uint64
	Number uint32
}

func compareEntries(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Number, b.Number))
}

// All returns the entries in the order of their keys and numbers.
func (s *Sorter) All() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for p := range partitions {
			for entries, err := range s.pieces(p) {
				if err != nil {
					yield(Entry{}, err)
					return
				}
				for _, e := range entries {
					if !yield(e, nil) {
						return
					}
				}
			}
		}
	}
}

// Groups reads a partition: the numbers of each key that has two or more, ascending. A
// group is valid until the next one. Several partitions can be read at once when all
// entries have been added.
func (s *Sorter) Groups(partition int) iter.Seq2[[]int, error] {
	return func(yield func([]int, error) bool) {
		var group []int
		for entries, err := range s.pieces(partition) {
			if err != nil {
				yield(nil, err)
				return
			}
			for lo, hi := 0, 0; lo < len(entries); lo = hi {
				group = group[:0]
				for hi = lo; hi < len(entries) && entries[hi].Key == entries[lo].Key; hi++ {
					group = append(group, int(entries[hi].Number))
				}
				if len(group) > 1 && !yield(group, nil) {
					return
				}
			}
		}
	}
}

// pieces sorts a partition in pieces, by the bits of the keys behind those of the partition.
// A piece is valid until the next one.
func (s *Sorter) pieces(p int) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		all := len(s.blocks[p])*blockEntries + len(s.buffers[p])/sorterEntry
		width := min(bits.Len(uint(all/pieceEntries)), bits.Len(uint(maxPieces-1)))
		var entries []Entry
		for piece := range uint64(1) << width {
			entries = entries[:0]
			err := s.read(p, func(e Entry) {
				if width == 0 || e.Key<<partitionBits>>(64-width) == piece {
					entries = append(entries, e)
				}
			})
			if err != nil {
				yield(nil, err)
				return
			}
			slices.SortFunc(entries, compareEntries)
			if !yield(entries, nil) {
				return
			}
		}
	}
}

// read calls use for the entries of a partition.
func (s *Sorter) read(p int, use func(Entry)) error {
	decode := func(b []byte) {
		for ; len(b) > 0; b = b[sorterEntry:] {
			use(Entry{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])})
		}
	}
	block := make([]byte, blockBytes)
	for _, n := range s.blocks[p] {
		if _, err := s.f.ReadAt(block, int64(n)*blockBytes); err != nil {
			return fmt.Errorf("%s was damaged while it was in use: %w", s.f.Name(), err)
		}
		decode(block)
	}
	decode(s.buffers[p])
	return nil
}

// Remove closes the file and deletes it.
func (s *Sorter) Remove() error {
	return errors.Join(s.f.Close(), ignoreMissing(os.Remove(s.f.Name())))
}
