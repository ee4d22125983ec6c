package minhash

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"

	"barka/internal/atomicfile"
)

// Entries go to one of so many partitions by the highest bits of their hashes, so that
// entries with the same hash meet. A partition is written in blocks of one file, and is
// read into memory as a whole.
const (
	partitionBits = 8
	partitions    = 1 << partitionBits
	entryBytes    = 12 // hash and number
	blockEntries  = 1024
	blockBytes    = blockEntries * entryBytes
)

// A Shuffle finds numbers that share a hash, such as the key of a band. It keeps them in a
// file: in memory are 3 MiB of buffers, 4 bytes per 1,024 entries and, when it is read, the
// entries of one partition in 256 per reader.
type Shuffle struct {
	f       *os.File
	buffers [][]byte
	blocks  [][]uint32 // of each partition: the numbers of its full blocks in the file
	next    uint32     // block
}

// NewShuffle makes the file, replacing an existing one.
func NewShuffle(path string) (*Shuffle, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, atomicfile.Explain(path, err)
	}
	s := &Shuffle{f: f, buffers: make([][]byte, partitions), blocks: make([][]uint32, partitions)}
	for i := range s.buffers {
		s.buffers[i] = make([]byte, 0, blockBytes)
	}
	return s, nil
}

// Add adds a number under a hash, whose highest bits must be well spread.
func (s *Shuffle) Add(hash uint64, number int) error {
	p := hash >> (64 - partitionBits)
	b := binary.LittleEndian.AppendUint64(s.buffers[p], hash)
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
func (s *Shuffle) Partitions() int { return partitions }

type entry struct {
	hash   uint64
	number uint32
}

// Groups reads a partition: the numbers of each hash that has two or more, ascending. A
// group is valid until the next one. Several partitions can be read at once when all
// entries have been added.
func (s *Shuffle) Groups(partition int) iter.Seq2[[]int, error] {
	return func(yield func([]int, error) bool) {
		entries, err := s.partition(partition)
		if err != nil {
			yield(nil, err)
			return
		}
		slices.SortFunc(entries, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.number, b.number))
		})
		var group []int
		for lo, hi := 0, 0; lo < len(entries); lo = hi {
			group = group[:0]
			for hi = lo; hi < len(entries) && entries[hi].hash == entries[lo].hash; hi++ {
				group = append(group, int(entries[hi].number))
			}
			if len(group) > 1 && !yield(group, nil) {
				return
			}
		}
	}
}

func (s *Shuffle) partition(p int) ([]entry, error) {
	entries := make([]entry, 0, len(s.blocks[p])*blockEntries+len(s.buffers[p])/entryBytes)
	decode := func(b []byte) {
		for ; len(b) > 0; b = b[entryBytes:] {
			entries = append(entries, entry{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])})
		}
	}
	block := make([]byte, blockBytes)
	for _, n := range s.blocks[p] {
		if _, err := s.f.ReadAt(block, int64(n)*blockBytes); err != nil {
			return nil, fmt.Errorf("%s was damaged while it was in use: %w", s.f.Name(), err)
		}
		decode(block)
	}
	decode(s.buffers[p])
	return entries, nil
}

// Remove closes the file and deletes it.
func (s *Shuffle) Remove() error { return errors.Join(s.f.Close(), os.Remove(s.f.Name())) }

// representatives is the largest number of members with which a member of a group is
// compared.
const representatives = 16

// Compare compares the members of a group, each with the first members that are not near
// to an earlier one, and at most sixteen of them. near returns true for two members that
// are near. A group may have members that only share a common phrase. The bound keeps
// large groups of that kind from taking quadratic time.
func Compare(group []int, near func(a, b int) (bool, error)) error {
	kept := make([]int, 0, representatives) // positions in the group
	for i := range group {
		alone := true
		for _, k := range kept {
			same, err := near(k, i)
			if err != nil {
				return err
			}
			if same {
				alone = false
				break
			}
		}
		if alone && len(kept) < representatives {
			kept = append(kept, i)
		}
	}
	return nil
}
