package translationmemory

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/resident"
)

type translation struct {
	Text  string
	Score float32
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func part(t *testing.T, f *File, settings any) *Memory[translation] {
	t.Helper()
	m, err := For[translation](t.Context(), f, settings)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRemembers: a translation is found again in the same process and after the file is
// opened again, under its settings alone.
func TestRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder?", "a#b.db") // characters that mean something in a URI
	f := open(t, path)
	m, other := part(t, f, []string{"nllb", "beam 5"}), part(t, f, []string{"nllb", "beam 4"})
	want := translation{"مرحبا", -0.25}
	if err := m.Put("Hello", want); err != nil {
		t.Fatal(err)
	}
	check := func(m, other *Memory[translation]) {
		t.Helper()
		if got, ok, err := m.Get("Hello"); !ok || err != nil || got != want {
			t.Errorf("got %v, %t, %v", got, ok, err)
		}
		if _, ok, err := other.Get("Hello"); ok || err != nil {
			t.Errorf("found under other settings (%v)", err)
		}
		if _, ok, err := m.Get("hello"); ok || err != nil {
			t.Errorf("another source is found (%v)", err)
		}
	}
	check(m, other)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	check(part(t, f, []string{"nllb", "beam 5"}), part(t, f, []string{"nllb", "beam 4"}))
	if n, err := f.Len(); n != 1 || err != nil {
		t.Errorf("%d translations, %v", n, err)
	}
	if err := part(t, f, []string{"nllb", "beam 5"}).Put("Hello", translation{"أهلا", -1}); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := part(t, f, []string{"nllb", "beam 5"}).Get("Hello"); got.Text != "أهلا" {
		t.Errorf("the later translation is not kept: %v", got)
	}
}

// TestWritesByItself: what was put is in the file about a second later, without another call.
func TestWritesByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.db")
	f, reader := open(t, path), open(t, path)
	if err := part(t, f, "x").Put("Hello", translation{Text: "مرحبا"}); err != nil {
		t.Fatal(err)
	}
	m := part(t, reader, "x")
	for deadline := time.Now().Add(20 * commitEvery); ; time.Sleep(commitEvery / 10) {
		if _, ok, err := m.Get("Hello"); err != nil {
			t.Fatal(err)
		} else if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("another process does not find it")
		}
	}
}

// TestFlippedBits: a damaged sentence is an error or is not found. It is never another one.
func TestFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.db")
	f := open(t, path)
	want := translation{Text: "the translation"}
	if err := errors.Join(part(t, f, "x").Put("the source", want), f.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, at := range []int{bytes.Index(data, []byte("the source")), bytes.Index(data, []byte("the translation"))} {
		for bit := range 10 * 8 {
			bad := bytes.Clone(data)
			bad[at+bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			f := open(t, path)
			got, ok, err := part(t, f, "x").Get("the source")
			switch {
			case err != nil && (!badinput.Is(err) || !strings.Contains(err.Error(), path)):
				t.Errorf("bit %d: %v", bit, err)
			case err != nil:
				failed++
			case ok && got != want:
				t.Errorf("bit %d: %v", bit, got)
			}
			f.Close()
		}
	}
	if failed < 100 {
		t.Errorf("%d errors of 160 flipped bits", failed)
	}
}

// TestShared: two openings of a file, as two processes have, write at the same time, and each
// finds what the other has written.
func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.db")
	const each = 3000
	var wg sync.WaitGroup
	files := []*File{open(t, path), open(t, path)}
	for i, f := range files {
		m := part(t, f, "same")
		wg.Go(func() {
			for j := range each {
				source := fmt.Sprintf("sentence %d of %d", j, i)
				if err := m.Put(source, translation{Text: source}); err != nil {
					t.Error(err)
					return
				}
				if j%100 == 0 {
					if err := f.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
			if err := f.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, f := range files {
		m := part(t, f, "same")
		for j := range each {
			source := fmt.Sprintf("sentence %d of %d", j, 1-i)
			if got, ok, err := m.Get(source); !ok || err != nil || got.Text != source {
				t.Fatalf("%s: %v, %t, %v", source, got, ok, err)
			}
		}
	}
}

// TestBadFiles: other files and damaged ones are refused by name, and left as they are.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	f := open(t, good)
	m := part(t, f, "x")
	for i := range 5000 {
		if err := m.Put(fmt.Sprint("sentence ", i), translation{Text: strings.Repeat("x", 100)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), data...)
	for i := 100; i < len(damaged); i += 3 {
		damaged[i] ^= 0x5a
	}
	later := append([]byte(nil), data...)
	later[63]++ // user_version
	other := append([]byte(nil), data...)
	other[71]++ // application_id
	for name, c := range map[string]struct {
		data []byte
		want string
		bad  bool
	}{
		"text": {[]byte(strings.Repeat("no database\n", 100)), "not a database", true}, "damaged": {damaged, "remove it", true},
		"later": {later, "version 2, expected 1", true}, "other": {other, "another program", true},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err == nil {
			_, err = For[translation](t.Context(), f, "x")
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || badinput.Is(err) != c.bad {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.ReadFile(path); string(now) != string(c.data) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "memory.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	m, err := For[translation](b.Context(), f, "x")
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	b.Run("put", func(b *testing.B) {
		for b.Loop() {
			if err := m.Put(fmt.Sprint("This is the sentence with the number ", n), translation{Text: "هذه هي الجملة رقم"}); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
	b.Run("get", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, ok, err := m.Get(fmt.Sprint("This is the sentence with the number ", i*7919%n)); !ok || err != nil {
				b.Fatal(ok, err)
			}
			i++
		}
	})
}

// TestMemoryOfSegments measures the resident memory of a process that writes and reads many
// segments: 10 million stay below 1 GiB.
func TestMemoryOfSegments(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("BARKA_SEGMENTS"))
	if err != nil {
		t.Skip("BARKA_SEGMENTS=10000000 measures the memory of a file with so many segments")
	}
	path := filepath.Join(t.TempDir(), "memory.db")
	f := open(t, path)
	m := part(t, f, "x")
	source := func(i int) string {
		return fmt.Sprint("This is the sentence with the number ", i, " of those that are remembered.")
	}
	want := translation{Text: "هذه هي الجملة رقم كذا من الجمل التي تُحفظ.", Score: -0.5}
	resident.ResetPeak()
	for i := range n {
		if err := m.Put(source(i), want); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range min(n, 200_000) {
		if v, ok, err := m.Get(source(int(int64(i) * 7919 % int64(n)))); !ok || err != nil || v != want {
			t.Fatal(v, ok, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	peak := resident.Peak()
	t.Logf("%d segments: a file of %d MB, %d MB of resident memory", n, info.Size()>>20, peak>>20)
	if peak >= 1<<30 {
		t.Errorf("the peak is %d MB, expected less than 1 GiB", peak>>20)
	}
}
