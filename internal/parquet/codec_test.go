package parquet

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	pq "github.com/parquet-go/parquet-go"
)

// pageOf returns text of a size, with repetitions at every distance.
func pageOf(size int) []byte {
	rng := rand.New(rand.NewPCG(5, uint64(size)))
	page := make([]byte, 0, size+64)
	for len(page) < size {
		if at := rng.IntN(len(page) + 1); rng.IntN(3) == 0 && at < len(page) {
			page = append(page, page[at:min(at+4+rng.IntN(60), len(page))]...)
			continue
		}
		for range 1 + rng.IntN(20) {
			page = append(page, "abcdefghij \n"[rng.IntN(12)])
		}
	}
	return page[:size]
}

// TestCodec compares compressed pages with those of the library's codec, byte by byte.
func TestCodec(t *testing.T) {
	for _, size := range []int{0, 1, 255, 256, 1000, 1024, 1025, 65_000, 70_000, 131_072, 131_073, 262_144, 300_000, 1 << 19,
		window - 1, window, window + 1, 3 << 20} {
		page := pageOf(size)
		want, err := pq.Zstd.Encode(nil, page)
		if err != nil {
			t.Fatal(err)
		}
		got, err := zstdCodec.Encode(nil, page)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("a page of %d bytes became %d bytes (%v), the library makes %d", size, len(got), err, len(want))
		}
		if back, err := zstdCodec.Decode(nil, got); err != nil || !bytes.Equal(back, page) {
			t.Errorf("a page of %d bytes came back with %d (%v)", size, len(back), err)
		}
	}
}

// TestCodecMemory: the encoder survives garbage collections. The library's would be made
// again, with 16 MiB.
func TestCodecMemory(t *testing.T) {
	page := pageOf(256 << 10)
	out, err := zstdCodec.Encode(nil, page)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := zstdCodec.Encode(out[:0], page); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("a page took %d bytes of new memory", n)
	}
}
