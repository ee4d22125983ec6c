package durable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"barka/internal/badinput/badinputtest"
)

func filledJournal(t *testing.T, n int) (path string, data []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := j.Put(fmt.Sprint("key", i), map[string]any{"text": "نص\n<x>", "i": i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

func TestJournalCutAnywhere(t *testing.T) {
	path, data := filledJournal(t, 5)
	for cut := range len(data) + 1 {
		os.WriteFile(path, data[:cut], 0o666)
		j, err := openJournal(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		whole := bytes.Count(data[:cut], []byte("\n"))
		if j.Len() != whole {
			t.Fatalf("cut at %d: %d keys of %d", cut, j.Len(), whole)
		}
		if err := j.Put("more", cut); err != nil {
			t.Fatal(err)
		}
		j.close()
		if j, err = openJournal(path); err != nil || j.Len() != whole+1 {
			t.Fatalf("cut at %d, then written to: %v", cut, err)
		}
		var got int
		if ok, err := j.Get("more", &got); !ok || err != nil || got != cut {
			t.Fatalf("cut at %d: read %d %v %v", cut, got, ok, err)
		}
		j.close()
	}
}

func TestJournalTailOfZeros(t *testing.T) {
	path, data := filledJournal(t, 5)
	os.WriteFile(path, append(data, make([]byte, 5000)...), 0o666)
	j, err := openJournal(path)
	if err != nil || j.Len() != 5 {
		t.Fatalf("%v", err)
	}
	j.close()
}

func TestJournalDamagedInTheMiddle(t *testing.T) {
	path, data := filledJournal(t, 5)
	second := bytes.IndexByte(data, '\n') + 1
	third := second + bytes.IndexByte(data[second:], '\n') + 1
	for i := second; i < third; i++ {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x15
		os.WriteFile(path, damaged, 0o666)
		j, err := openJournal(path)
		if err == nil {
			t.Fatalf("byte %d: accepted with %d keys", i, j.Len())
		}
		badinputtest.Want(t, err, path, "line 2", "--restart")
		if after, _ := os.ReadFile(path); !bytes.Equal(after, damaged) {
			t.Fatal("a damaged journal was changed")
		}
	}
}

func TestJournalReplacement(t *testing.T) {
	path, _ := filledJournal(t, 4)
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	j.Put("key1", "new")
	var got string
	if ok, err := j.Get("key1", &got); !ok || err != nil || got != "new" || j.Len() != 4 {
		t.Errorf("%q, %v, %v, %d keys", got, ok, err, j.Len())
	}
	if err := j.Put("nan", func() {}); err == nil {
		t.Error("a value that is no JSON")
	}
	j.close()
	if err := j.Put("late", 1); err == nil {
		t.Error("Put after close")
	}
	if _, err := j.Get("key0", new(any)); err == nil {
		t.Error("Get after close")
	}
}

func TestJournalConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				key := fmt.Sprint(w, "/", i)
				if err := j.Put(key, key); err != nil {
					t.Error(err)
				}
				var got string
				if ok, err := j.Get(key, &got); !ok || err != nil || got != key {
					t.Errorf("%q %v %v", got, ok, err)
				}
			}
		})
	}
	wg.Wait()
	j.close()
	if j, err = openJournal(path); err != nil || j.Len() != 1600 {
		t.Fatalf("%v", err)
	}
	j.close()
}

func FuzzJournal(f *testing.F) {
	line := []byte(`{"k":"a","v":1}`)
	line = append(append(append(checksum(line), ' '), line...), '\n')
	f.Add(line)
	f.Add(append(bytes.Clone(line), line[:9]...))
	f.Add([]byte("0123456789abcdef {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "j")
		os.WriteFile(path, data, 0o666)
		j, err := openJournal(path)
		if err != nil {
			return
		}
		n := j.Len()
		j.close()
		if j, err = openJournal(path); err != nil || j.Len() != n {
			t.Fatalf("opened again: %v", err)
		}
		j.close()
	})
}

// TestJournalLine compares lines with json.Marshal's spelling of them.
func TestJournalLine(t *testing.T) {
	for _, value := range []any{nil, 5, "<a & b>\u2028", map[string]any{"x": []int{1, 2}, "<": nil}, json.RawMessage(` { "a" : "<" } `),
		struct {
			Rows []json.RawMessage `json:"rows"`
		}{[]json.RawMessage{[]byte("[1, 2]")}}} {
		for _, key := range []string{"", "a \"quoted\" <key>", "\x00unit 5", "كلمة", "\xff"} {
			for _, stamp := range []uint64{0, 1, math.MaxUint64} {
				raw, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				data, err := json.Marshal(journalLine{key, stamp, raw})
				if err != nil {
					t.Fatal(err)
				}
				want := string(checksum(data)) + " " + string(data) + "\n"
				if line, err := newJournalLine(key, stamp, value); err != nil || string(line) != want {
					t.Errorf("key %q, stamp %d: %q, want %q (%v)", key, stamp, line, want, err)
				}
			}
		}
	}
	if _, err := newJournalLine("a", 0, math.NaN()); err == nil {
		t.Error("a value that is no JSON has a line")
	}
}
