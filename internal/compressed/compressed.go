// Package compressed reads files that are compressed as their names tell: with
// bzip2 (.bz2), gzip (.gz), xz (.xz) or Zstandard (.zst).
//
// A reader takes the memory that its format's decoder needs, at most
// maxWindow, however small the file and whatever its header asks for. How much
// comes out is for the caller to bound.
package compressed

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxWindow is the most that a file may ask a decoder to remember, in bytes.
// It is what `zstd --long` asks for, twice of what `xz -9` does, and the limit
// of the zstd program.
const maxWindow = 128 << 20

// NewReader returns a reader of the decompressed content of r, which is that
// of the file with the given name. A name without one of the known ends is
// that of a file as it is. Closing it does not close r.
func NewReader(name string, r io.Reader) (io.ReadCloser, error) {
	switch {
	case strings.HasSuffix(name, ".bz2"):
		return io.NopCloser(bzip2.NewReader(bufio.NewReader(r))), nil
	case strings.HasSuffix(name, ".gz"):
		return gzip.NewReader(bufio.NewReader(r))
	case strings.HasSuffix(name, ".xz"):
		z, err := xz.NewReader(r, maxWindow)
		if err != nil {
			return nil, explained(err)
		}
		return io.NopCloser(explaining{z}), nil
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, explained(err)
		}
		return zstdReader{explaining{z}, z}, nil
	}
	return io.NopCloser(r), nil
}

// zstdReader stops the decoder when it is closed.
type zstdReader struct {
	io.Reader
	z *zstd.Decoder
}

func (z zstdReader) Close() error {
	z.z.Close()
	return nil
}

// explaining is a reader whose errors say what to do.
type explaining struct{ io.Reader }

func (e explaining) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	return n, explained(err)
}

func explained(err error) error {
	if errors.Is(err, xz.ErrMemlimit) || errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("decompressing it takes more than %d MiB of memory, the most that is given to a decoder; "+
			"compress it again with the program's usual settings (%w)", maxWindow>>20, err)
	}
	return err
}
