package store

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"barka/internal/eval/record"
)

func TestScores(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenScores(dir, "x", "")
	if err != nil {
		t.Fatal(err)
	}
	keys := []record.Key{record.KeyOf(record.Request{Context: []int32{1}, Continuation: []int32{2}}),
		record.KeyOf(record.Request{Context: []int32{1, 2},
			Continuation: nil}), record.KeyOf(record.Request{Context: nil, Continuation: []int32{1, 2}})}
	scores := []record.Score{{LogProb: -1.25, Greedy: true}, {LogProb: math.Inf(-1)}, {LogProb: 0}}
	for i, key := range keys {
		if err := j.Put(key, scores[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "scores-x.log")
	data, _ := os.ReadFile(path)
	damaged := bytes.Clone(data)
	damaged[bytes.IndexByte(data, '\n')+3] ^= 1 // in the second line
	for name, c := range map[string]struct {
		data   []byte
		want   []bool
		broken int
	}{
		"whole":      {data, []bool{true, true, true}, 0},
		"torn":       {data[:len(data)-4], []bool{true, true, false}, 1},
		"no end":     {data[:len(data)-1], []bool{true, true, true}, 0},
		"damaged":    {damaged, []bool{true, false, true}, 1},
		"foreign":    {[]byte("not a log\n\x00"), []bool{false, false, false}, 2},
		"no newline": {[]byte("abc"), []bool{false, false, false}, 1},
	} {
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := OpenScores(dir, "x", "")
		if err != nil {
			t.Fatal(err)
		}
		if j.broken != c.broken {
			t.Errorf("%s: %d broken lines, want %d", name, j.broken, c.broken)
		}
		for i, key := range keys {
			got, ok := j.known[key]
			if ok != c.want[i] || ok && (got.LogProb != scores[i].LogProb || got.Greedy != scores[i].Greedy) {
				t.Errorf("%s: score %d = %v, %v", name, i, got, ok)
			}
		}
		// An entry that is appended after a torn line is on a line of its own.
		if err := j.Put(keys[2], scores[2]); err != nil {
			t.Fatal(err)
		}
		j.Close()
		j, _ = OpenScores(dir, "x", "")
		if _, ok := j.known[keys[2]]; !ok {
			t.Errorf("%s: a score written after reopening is lost", name)
		}
		j.Close()
	}
	if ModelIdentity(record.ModelInfo{Digest: "a"}, 8) == ModelIdentity(record.ModelInfo{Digest: "a", AdapterDigest: "b"}, 8) ||
		ModelIdentity(record.ModelInfo{Digest: "a"}, 8) == ModelIdentity(record.ModelInfo{Digest: "a"}, 9) {
		t.Error("different models share scores")
	}
}

func FuzzParseScore(f *testing.F) {
	f.Add(formatScore(record.Key{1}, record.Score{LogProb: -2}))
	f.Add("01000000000000000000000000000000 c0000000000 0") // digits are missing
	f.Add("01000000000000000000000000000000 00000c0000000000\f0")
	f.Fuzz(func(t *testing.T, line string) {
		if key, s, ok := parseScore(line); ok && !strings.EqualFold(formatScore(key, s), line) {
			t.Errorf("%q reads as %v %v", line, key, s)
		}
	})
}

// TestStoreOfSeveral: several processes append to one file at the same time, and one is
// stopped within a line. No complete entry is lost.
func TestStoreOfSeveral(t *testing.T) {
	dir := t.TempDir()
	keyOf := func(writer, i int) record.Key {
		return record.KeyOf(record.Request{Context: []int32{int32(writer)}, Continuation: []int32{int32(i)}})
	}
	const writers, each = 4, 300
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			j, err := OpenScores(dir, "m", "")
			if err != nil {
				t.Error(err)
				return
			}
			for i := range each {
				if err := j.Put(keyOf(w, i), record.Score{LogProb: -float64(i)}); err != nil {
					t.Error(err)
				}
				if w == 0 && i == each/2 { // stopped within a line, and started again
					if err := j.write("0123 torn"); err != nil {
						t.Error(err)
					}
					j.Close()
					if j, err = OpenScores(dir, "m", ""); err != nil {
						t.Error(err)
						return
					}
				}
			}
			j.Close()
		})
	}
	wg.Wait()
	j, err := OpenScores(dir, "m", "")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	// The entry that another process appends after the torn line may be lost with it.
	if n := len(j.known); n < writers*each-1 || j.broken == 0 || j.broken > 2 {
		t.Errorf("%d scores of %d, %d broken lines", n, writers*each, j.broken)
	}
	for w := range writers {
		for i := range each {
			if s, ok := j.known[keyOf(w, i)]; ok && s.LogProb != -float64(i) {
				t.Fatalf("writer %d, entry %d: %g", w, i, s.LogProb)
			}
		}
	}
}

// TestFullDisk: a failed write of a score is an error that states the reason.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if runtime.GOOS != "linux" || err != nil {
		t.Skip("needs /dev/full")
	}
	s := &Scores{appendLog: &appendLog{file: full}, known: map[record.Key]record.Score{}}
	err = s.Put(record.Key{}, record.Score{})
	if err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "store") {
		t.Errorf("error %v", err)
	}
}
