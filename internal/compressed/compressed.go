// Package compressed reads files compressed with bzip2 (.bz2), gzip (.gz), xz (.xz)
// or Zstandard (.zst). The extension selects the format.
//
// A reader needs at most maxWindow of memory for its decoder, whatever the file's
// header asks for. The caller must bound the size of the decompressed content.
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

// maxWindow bounds the history that a file may make a decoder keep, in bytes. It
// is what `zstd --long` uses, twice what `xz -9` uses, and the default limit of
// the zstd program.
const maxWindow = 128 << 20

// NewReader returns a reader of the decompressed content of r, the content of a
// file with the given name. A file with another extension is read as it is.
// Closing the reader does not close r.
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

// zstdReader frees the decoder when it is closed.
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
		return fmt.Errorf("decompressing it takes more than %d MiB of memory, the limit for a decoder; "+
			"compress it again with the program's usual settings (%w)", maxWindow>>20, err)
	}
	return err
}
