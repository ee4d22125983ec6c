package mix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// spool is a file of records in numbered buckets, in the order of put within
// each bucket. Records wait in memory until a block of their bucket is full. A
// block ends with the position of the bucket's block before it, so that memory
// holds one position per bucket, whatever the size of the file.
type spool struct {
	f       *os.File
	end     int64
	last    []int64 // position of each bucket's last block, -1 if it has none
	waiting [][]byte
	full    int // bytes that a block may have
}

// spoolMark is a state of the file that can be returned to.
type spoolMark struct {
	End  int64   `json:"end"`
	Last []int64 `json:"last"`
}

const (
	blockHeader = 8 + 8 + 8 // size, position of the block before, XXH64 of the data
	// Blocks have at most blockSize bytes, and at least half as many. With many buckets
	// they are smaller, so that what waits in memory comes to about a megabyte.
	blockSize = 8 << 10
	waitBytes = 1 << 20
)

// newMark is the state of an empty spool.
func newMark(buckets int) spoolMark {
	m := spoolMark{Last: make([]int64, buckets)}
	for i := range m.Last {
		m.Last[i] = -1
	}
	return m
}

// openSpool opens or creates the file at path and cuts off what was written
// after the mark.
func openSpool(path string, mark spoolMark) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, atomicfile.Explain(path, err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < mark.End {
		err = badinput.Errorf("%s has %d bytes, %d were written before the interruption; begin again with --restart",
			path, info.Size(), mark.End)
	}
	if err == nil {
		err = atomicfile.Explain(path, f.Truncate(mark.End))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	buckets := len(mark.Last)
	return &spool{f, mark.End, append([]int64(nil), mark.Last...), make([][]byte, buckets),
		min(max(blockSize/2, waitBytes/max(buckets, 1)), blockSize)}, nil
}

// put appends a record to a bucket.
func (s *spool) put(bucket int, record []byte) error {
	w := s.waiting[bucket]
	if len(w) > 0 && len(w)+binary.MaxVarintLen32+len(record) > s.full {
		if err := s.flush(bucket); err != nil {
			return err
		}
		w = s.waiting[bucket]
	}
	if w == nil {
		w = make([]byte, 0, s.full)
	}
	w = binary.AppendUvarint(w, uint64(len(record)))
	s.waiting[bucket] = append(w, record...)
	return nil
}

func (s *spool) flush(bucket int) error {
	data := s.waiting[bucket]
	if len(data) == 0 {
		return nil
	}
	block := make([]byte, 0, blockHeader+len(data))
	block = binary.LittleEndian.AppendUint64(block, uint64(len(data)))
	block = binary.LittleEndian.AppendUint64(block, uint64(s.last[bucket]))
	block = binary.LittleEndian.AppendUint64(block, blockSum(s.last[bucket], data))
	if _, err := s.f.WriteAt(append(block, data...), s.end); err != nil {
		return atomicfile.Explain(s.f.Name(), err)
	}
	s.last[bucket] = s.end
	s.end += int64(blockHeader + len(data))
	if s.waiting[bucket] = data[:0]; cap(data) > 4*blockSize { // after a large record
		s.waiting[bucket] = nil
	}
	return nil
}

// blockSum is the checksum of a block and of the position before it.
func blockSum(before int64, data []byte) uint64 { return xxhash.Sum64(data) ^ uint64(before) }

// mark makes all records durable and returns the state after them.
func (s *spool) mark() (spoolMark, error) {
	for bucket := range s.waiting {
		if err := s.flush(bucket); err != nil {
			return spoolMark{}, err
		}
	}
	if err := s.f.Sync(); err != nil {
		return spoolMark{}, atomicfile.Explain(s.f.Name(), err)
	}
	return spoolMark{s.end, append([]int64(nil), s.last...)}, nil
}

// records reads a bucket of a spool whose records were all written by mark. A
// record is valid after the next one was read.
func (s *spool) records(bucket int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		blocks, err := s.blocks(bucket)
		if err != nil {
			yield(nil, err)
			return
		}
		for i := len(blocks) - 1; i >= 0; i-- {
			data, err := s.block(blocks[i])
			if err != nil {
				yield(nil, err)
				return
			}
			for len(data) > 0 {
				size, n := binary.Uvarint(data)
				if n <= 0 || size > uint64(len(data)-n) {
					yield(nil, s.damaged(blocks[i]))
					return
				}
				if !yield(data[n:n+int(size)], nil) {
					return
				}
				data = data[n+int(size):]
			}
		}
	}
}

// blocks returns the positions of a bucket's blocks, the last one first.
func (s *spool) blocks(bucket int) (at []int64, err error) {
	var header [blockHeader]byte
	for p := s.last[bucket]; p >= 0; {
		if _, err := s.f.ReadAt(header[:], p); err != nil {
			return nil, s.explain(err, p)
		}
		before := int64(binary.LittleEndian.Uint64(header[8:]))
		if before >= p {
			return nil, s.damaged(p)
		}
		at = append(at, p)
		p = before
	}
	return at, nil
}

func (s *spool) block(at int64) ([]byte, error) {
	var header [blockHeader]byte
	if _, err := s.f.ReadAt(header[:], at); err != nil {
		return nil, s.explain(err, at)
	}
	size := binary.LittleEndian.Uint64(header[:])
	if size > uint64(s.end-at) {
		return nil, s.damaged(at)
	}
	data := make([]byte, size)
	if _, err := s.f.ReadAt(data, at+blockHeader); err != nil {
		return nil, s.explain(err, at)
	}
	if blockSum(int64(binary.LittleEndian.Uint64(header[8:])), data) != binary.LittleEndian.Uint64(header[16:]) {
		return nil, s.damaged(at)
	}
	return data, nil
}

func (s *spool) explain(err error, at int64) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s.damaged(at)
	}
	return atomicfile.Explain(s.f.Name(), err)
}

func (s *spool) damaged(at int64) error {
	return badinput.Errorf("%s is damaged at byte %d; begin again with --restart", s.f.Name(), at)
}

func (s *spool) close() error {
	if s == nil {
		return nil
	}
	if err := s.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("%s: %w", s.f.Name(), err)
	}
	return nil
}
