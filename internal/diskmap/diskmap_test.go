package diskmap

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func key(i int) Key {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
	return Key(sum[:16])
}

// TestAgainstGoMap compares with a Go map: entries that are replaced, absent keys, and
// keys whose first halves are equal, over several levels of runs.
func TestAgainstGoMap(t *testing.T) {
	dir := t.TempDir()
	m, err := Open(filepath.Join(dir, "map-"), Options{Recent: 100, Merge: 3, Filtered: 1000})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	keyOf := func(i int) Key {
		k := key(i)
		if i%3 == 0 {
			copy(k[:8], "the same")
		}
		return k
	}
	want := map[Key]Value{}
	for n := range 20_000 {
		k, v := keyOf(rng.IntN(9000)), Value{uint64(n), rng.Uint64()}
		want[k] = v
		if err := m.Put(k, v); err != nil {
			t.Fatal(err)
		}
		k = keyOf(rng.IntN(12_000))
		got, ok, err := m.Get(k)
		if v, there := want[k]; err != nil || ok != there || got != v {
			t.Fatalf("after %d: %v %v %v, want %v %v", n, got, ok, err, v, there)
		}
	}
	if level := m.runs[0].level; level < 3 {
		t.Errorf("only %d levels", level)
	}
	if largest, smallest := m.runs[0], m.runs[len(m.runs)-1]; largest.filter != nil || smallest.filter == nil {
		t.Errorf("filters of %d and of %d bytes, expected one for the smallest run alone", 8*len(largest.filter), 8*len(smallest.filter))
	}
	for i := 1; i < len(m.runs); i++ {
		if m.runs[i].level > m.runs[i-1].level {
			t.Errorf("run %d has level %d after %d", i, m.runs[i].level, m.runs[i-1].level)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(m.runs) {
		t.Errorf("%d files of %d runs, %v", len(files), len(m.runs), err)
	}
	for i := range 12_000 {
		got, ok, err := m.Get(keyOf(i))
		if v, there := want[keyOf(i)]; err != nil || ok != there || got != v {
			t.Fatalf("%d: %v %v %v, want %v %v", i, got, ok, err, v, there)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
}

// TestAdd sets the value of a key once.
func TestAdd(t *testing.T) {
	m, err := Open(filepath.Join(t.TempDir(), "map-"), Options{Recent: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for n := range 300 {
		added, err := m.Add(key(n%100), Value{uint64(n)})
		if v, _, gerr := m.Get(key(n % 100)); err != nil || gerr != nil || added != (n < 100) || v[0] != uint64(n%100) {
			t.Fatalf("%d: added %v, value %d, %v, %v", n, added, v[0], err, gerr)
		}
	}
}

// TestLeftovers opens a map where a killed process has left a run.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"map-0", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(filepath.Join(dir, "map-"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "other" {
		t.Errorf("%v, %v", files, err)
	}
}

// TestFilter holds the share of absent keys that the filter lets pass.
func TestFilter(t *testing.T) {
	f := newFilter(50_000)
	defer free(f)
	for i := range 50_000 {
		f.add(key(i))
	}
	passed := 0
	for i := range 100_000 {
		switch has := f.has(key(i)); {
		case i < 50_000 && !has:
			t.Fatalf("key %d is missing", i)
		case i >= 50_000 && has:
			passed++
		}
	}
	if passed > 1500 {
		t.Errorf("%d of 50,000 absent keys pass", passed)
	}
}

func BenchmarkMap(b *testing.B) {
	m, err := Open(filepath.Join(b.TempDir(), "map-"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	i := 0
	for b.Loop() {
		k := key(i)
		if _, _, err := m.Get(k); err != nil {
			b.Fatal(err)
		}
		if err := m.Put(k, Value{uint64(i)}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
