package parquet

import (
	"sync"

	"github.com/klauspost/compress/zstd"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// codec compresses the pages of written files. The library's codec has a window of 8 MiB,
// for which an encoder takes 16 MiB, and the garbage collector discards its encoders every
// second cycle. All pages but those with a very long text fit into a smaller window, with
// which the compressed bytes are the same. TestCodec compares them.
type codec struct{ compress.Codec }

// window is the size in bytes up to which pages have the smaller window. Writers end a page
// at 256 KiB.
const window = 1 << 20

// encoder serves all writers. They take turns: a stage writes from one goroutine.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true),
		zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // only the options can be wrong
	}
	return e
})

// zstdCodec is the codec of written files.
var zstdCodec compress.Codec = codec{&pq.Zstd}

// Encode compresses a page.
func (c codec) Encode(dst, src []byte) ([]byte, error) {
	if len(src) > window {
		return c.Codec.Encode(dst, src)
	}
	return encoder().EncodeAll(src, dst[:0]), nil
}
