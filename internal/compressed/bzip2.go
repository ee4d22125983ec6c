package compressed

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"
	"os"
)

// bzip2File reads a bzip2 file with several goroutines, one per block. The standard library
// decompresses the blocks, each as a stream of its own. (The package pbzip2 does the same; its
// tables took 10 MB and a tenth of a second from every start of the program.)
type bzip2File struct {
	f       *os.File
	blocks  *splitter // nil when the standard library reads the whole file
	workers int
	ahead   []chan decoded // the blocks that are decompressed, in order
	now     io.Reader
	n       int64 // bytes that were read
}

// decoded is a block's content.
type decoded struct {
	data []byte
	err  error
}

// NewBzip2File returns a reader of the decompressed content of a bzip2 file. It decompresses
// blocks on so many goroutines. Closing the reader does not close f.
//
// Where the file is damaged, cut off or unusual, the standard library reads it again up to
// the place that was reached and from there on: it returns all bytes before the damage, and
// says what is wrong.
func NewBzip2File(f *os.File, workers int) io.ReadCloser {
	return &bzip2File{f: f, blocks: newSplitter(f), workers: max(workers, 1), now: bytes.NewReader(nil)}
}

func (b *bzip2File) Read(p []byte) (int, error) {
	for {
		n, err := b.now.Read(p)
		b.n += int64(n)
		if n > 0 || len(p) == 0 || b.blocks == nil {
			return n, err
		}
		switch err := b.next(); {
		case err == io.EOF:
			return 0, err
		case err != nil:
			if err := b.again(); err != nil {
				return 0, err
			}
		}
	}
}

// next makes the next block the current one and starts to decompress blocks after it.
func (b *bzip2File) next() error {
	for len(b.ahead) < b.workers {
		block, err := b.blocks.next()
		done := make(chan decoded, 1)
		if err != nil { // also the end: blocks before it come first
			if len(b.ahead) == 0 {
				return err
			}
			break
		}
		go func() {
			data, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(block)))
			done <- decoded{data, err}
		}()
		b.ahead = append(b.ahead, done)
	}
	block := <-b.ahead[0]
	b.ahead = b.ahead[1:]
	b.now = bytes.NewReader(block.data)
	return block.err
}

// again lets the standard library read the file from the beginning, and skips what was read.
func (b *bzip2File) again() error {
	b.Close()
	b.blocks = nil
	if _, err := b.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	b.now = bzip2.NewReader(bufio.NewReader(b.f))
	if _, err := io.CopyN(io.Discard, b.now, b.n); err != nil {
		return unexpected(err)
	}
	return nil
}

// unexpected is the error of a file that ended although it had gone on before.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close waits for the goroutines.
func (b *bzip2File) Close() error {
	for _, block := range b.ahead {
		<-block
	}
	b.ahead = nil
	return nil
}

// A bzip2 stream is a header, blocks and an end, without lengths. Blocks and the end begin
// with 48 bits that stand at any bit, and a checksum.
const (
	blockMagic = 0x314159265359
	endMagic   = 0x177245385090
	magicMask  = 1<<48 - 1
	magicBits  = 48
	// largestBlock bounds a compressed block. bzip2's are at most a hundredth above 900 kB.
	largestBlock = 2 << 20
)

var errUnusual = errors.New("not the usual form of a bzip2 file")

// splitter divides the streams of a file into blocks.
type splitter struct {
	r      *bufio.Reader
	window uint64 // the last 64 bits that were read
	block  []byte // begun: header, magic, and the bytes that followed
	shift  int    // bits of the window after the bits in block
	sum    uint32 // checksum of the stream's blocks so far
	begun  bool   // a stream has begun
	err    error
}

func newSplitter(r io.Reader) *splitter { return &splitter{r: bufio.NewReaderSize(r, 1<<16)} }

// next returns the next block as a stream, or io.EOF.
func (s *splitter) next() ([]byte, error) {
	var block []byte
	for block == nil && s.err == nil {
		if s.block == nil {
			s.err = s.begin()
		} else {
			block, s.err = s.rest()
		}
	}
	return block, s.err
}

// begin reads a stream's header and the magic of its first block, or of its end.
func (s *splitter) begin() error {
	var head [4 + magicBits/8]byte
	if n, err := io.ReadFull(s.r, head[:]); err != nil {
		if n == 0 && s.begun {
			return err // io.EOF
		}
		return errUnusual
	}
	if string(head[:3]) != "BZh" || head[3] < '1' || head[3] > '9' {
		return errUnusual
	}
	for _, c := range head {
		s.window = s.window<<8 | uint64(c)
	}
	s.sum, s.shift, s.begun = 0, 0, true
	switch s.window & magicMask {
	case blockMagic:
		s.block = bytes.Clone(head[:])
		return nil
	case endMagic:
		return s.end()
	}
	return errUnusual
}

// rest reads the block that has begun, up to the magic after it.
func (s *splitter) rest() ([]byte, error) {
	for len(s.block) <= largestBlock {
		c, err := s.r.ReadByte()
		if err != nil {
			return nil, errUnusual // io.EOF: cut off
		}
		s.window = s.window<<8 | uint64(c)
		s.block = append(s.block, byte(s.window>>s.shift))
		for shift := range 8 {
			if m := s.window >> shift & magicMask; m == blockMagic || m == endMagic {
				return s.complete(shift, m)
			}
		}
	}
	return nil, errUnusual
}

// complete returns the block that has begun, which a magic ends. So many bits stand after the
// magic in the window.
func (s *splitter) complete(shift int, magic uint64) ([]byte, error) {
	header := string(s.block[:4])
	if len(s.block) < 4+magicBits/8+4 {
		return nil, errUnusual
	}
	sum := be32(s.block[4+magicBits/8:])
	s.sum = (s.sum<<1 | s.sum>>31) ^ sum
	bits := 8*len(s.block) - (magicBits + shift - s.shift)
	block := appendBits(s.block[:(bits+7)/8], bits, endMagic, magicBits)
	block = appendBits(block, bits+magicBits, uint64(sum), 32)
	s.block, s.shift = nil, shift
	if magic == endMagic {
		return block, s.end()
	}
	s.block = append(append(make([]byte, 0, len(block)), header...), 0x31, 0x41, 0x59, 0x26, 0x53, 0x59)
	return block, nil
}

// end reads the checksum of the stream. What follows starts with the next byte.
func (s *splitter) end() error {
	for range 4 {
		c, err := s.r.ReadByte()
		if err != nil {
			return errUnusual
		}
		s.window = s.window<<8 | uint64(c)
	}
	if uint32(s.window>>s.shift) != s.sum {
		return errUnusual
	}
	return nil
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// appendBits appends the lowest n bits of v to the first bits of a slice.
func appendBits(b []byte, bits int, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		if bits%8 == 0 {
			b = append(b[:bits/8], 0)
		}
		mask := byte(0x80 >> (bits % 8))
		if b[bits/8] &^= mask; v>>i&1 == 1 {
			b[bits/8] |= mask
		}
		bits++
	}
	return b
}
