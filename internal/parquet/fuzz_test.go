package parquet

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/badinput"
)

// readAll reads everything a file offers, both ways; errors must be bad input.
func readAll(t *testing.T, path string) {
	check := func(err error) {
		if err != nil && !badinput.Is(err) {
			t.Fatalf("error that does not blame the file: %v", err)
		}
	}
	for _, err := range Read[map[string]any](path) {
		check(err)
	}
	for _, err := range Read[row](path) {
		check(err)
	}
}

func seeds(t testing.TB) [][]byte {
	paths, _ := filepath.Glob("testdata/*.parquet")
	own := filepath.Join(t.TempDir(), "own.parquet")
	if err := WriteFile(own, testRows(70)); err != nil {
		t.Fatal(err)
	}
	var files [][]byte
	for _, p := range append(paths, own) {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	return files
}

func FuzzRead(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.parquet")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		readAll(t, path)
	})
}

// TestDamagedFiles changes bytes at random, most of them in the footer and the
// page headers' surroundings, and cuts files off.
func TestDamagedFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "x.parquet")
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for _, data := range seeds(t) {
		for range rounds {
			damaged := append([]byte{}, data...)
			for range 1 + rng.IntN(3) {
				damaged[rng.IntN(len(damaged))] = byte(rng.Uint32())
			}
			if rng.IntN(8) == 0 {
				damaged = damaged[:rng.IntN(len(damaged))]
			}
			if err := os.WriteFile(path, damaged, 0o666); err != nil {
				t.Fatal(err)
			}
			readAll(t, path)
		}
	}
}
