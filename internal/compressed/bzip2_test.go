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
