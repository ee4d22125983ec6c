package compressed

import (
	"bytes"
	"compress/bzip2"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"barka/internal/testfiles"
)

// FuzzBzip2File compares the parallel reader with the standard library's on changed streams.
func FuzzBzip2File(f *testing.F) {
	data, err := os.ReadFile("../mediawiki/testdata/small-multistream.xml.bz2")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, uint32(0), byte(0))
	f.Add(data[:len(data)-3], uint32(70), byte(1))
	f.Add([]byte("BZh9"), uint32(0), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at uint32, flip byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[int(at)%len(data)] ^= flip
		}
		path := filepath.Join(t.TempDir(), "x.bz2")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		r := NewBzip2File(file, 3)
		defer r.Close()
		const most = 4 << 20 // a few bytes can become gigabytes
		got, err := io.ReadAll(io.LimitReader(r, most))
		want, wantErr := io.ReadAll(io.LimitReader(bzip2.NewReader(bytes.NewReader(data)), most))
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Errorf("%d bytes, %v; the standard library: %d bytes, %v", len(got), err, len(want), wantErr)
		}
	})
}

// TestBzip2File compares the parallel reader with the standard library's: whole files, files
// of several streams, and damaged ones give the same bytes, and an error in the same cases.
func TestBzip2File(t *testing.T) {
	whole, err := os.ReadFile(testfiles.Shared(t, "wiki", "enwiki-pages-articles1-shortened.xml.bz2"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	inputs := [][]byte{whole, append(bytes.Clone(whole), whole...), {}, []byte("BZh9"), []byte("no bzip2"),
		append(bytes.Clone(whole), "more"...)}
	for range 2 {
		damaged := bytes.Clone(whole)
		damaged[rng.IntN(len(whole))] ^= 4
		inputs = append(inputs, whole[:rng.IntN(len(whole))], damaged)
	}
	dir, before := t.TempDir(), runtime.NumGoroutine()
	for i, data := range inputs {
		path := filepath.Join(dir, "x.bz2")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r := NewBzip2File(f, 3)
		got, err := io.ReadAll(r)
		want, wantErr := io.ReadAll(bzip2.NewReader(bytes.NewReader(data)))
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Errorf("input %d: %d bytes, %v; the standard library: %d bytes, %v", i, len(got), err, len(want), wantErr)
		}
		r.Close()
		f.Close()
	}
	// A reader that is closed early leaves no goroutine behind.
	f, err := os.Open(testfiles.Shared(t, "wiki", "enwiki-pages-articles1-shortened.xml.bz2"))
	if err != nil {
		t.Fatal(err)
	}
	r := NewBzip2File(f, 3)
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	r.Close()
	f.Close()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
}
