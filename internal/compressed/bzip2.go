package compressed

import (
	"bufio"
	"compress/bzip2"
	"context"
	"errors"
	"io"
	"os"

	"github.com/cosnicolaou/pbzip2"
)

// bzip2File reads a bzip2 file with several goroutines, one per block.
type bzip2File struct {
	f      *os.File
	r      io.Reader
	cancel context.CancelFunc // nil when the standard library reads
	n      int64              // bytes that were read
}

// NewBzip2File returns a reader of the decompressed content of a bzip2 file. It decompresses
// blocks on so many goroutines. Closing the reader does not close f.
//
// Where the file is damaged or cut off, the standard library reads it again up to the place
// that was reached and from there on: it returns all bytes before the damage, and pbzip2 as
// many as it happens to have.
func NewBzip2File(f *os.File, workers int) io.ReadCloser {
	ctx, cancel := context.WithCancel(context.Background())
	return &bzip2File{f, pbzip2.NewReader(ctx, bufio.NewReader(f),
		pbzip2.DecompressionOptions(pbzip2.BZConcurrency(max(workers, 1)))), cancel, 0}
}

func (b *bzip2File) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if err == nil || errors.Is(err, io.EOF) || b.cancel == nil || len(p) == 0 {
		return n, err
	}
	if n > 0 {
		return n, nil // the error comes again
	}
	if err := b.Close(); err != nil {
		return 0, err
	}
	if _, err := b.f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	b.r = bzip2.NewReader(bufio.NewReader(b.f))
	if _, err := io.CopyN(io.Discard, b.r, b.n); err != nil {
		return 0, unexpected(err)
	}
	return b.r.Read(p)
}

// unexpected is the error of a file that ended although it had gone on before.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close ends the goroutines.
func (b *bzip2File) Close() error {
	if b.cancel == nil {
		return nil
	}
	b.cancel()
	b.cancel = nil
	_, _ = b.r.Read(make([]byte, 1)) // after the cancellation it waits for them
	return nil
}
