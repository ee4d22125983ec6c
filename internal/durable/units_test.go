package durable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/badinput/badinputtest"
	"barka/internal/dataset"
	"barka/internal/diskmap"
)

func TestUnitSize(t *testing.T) {
	for records, want := range map[int]int{
		0: 64, 1: 64, 65_536 * 64: 64, 65_536*64 + 1: 128, 65_536 * 128: 128, 65_536*200 + 1: 256,
		65_536 * 4096: 4096, 1 << 40: 4096,
	} {
		if got := UnitSize(records); got != want {
			t.Errorf("%d records: %d per unit, want %d", records, got, want)
		}
	}
}

// numbered yields passages with ids and texts from a list; "a=x" is id a with text x.
func numbered(list []string) iter.Seq2[dataset.Passage, error] {
	return func(yield func(dataset.Passage, error) bool) {
		for _, s := range list {
			id, text, _ := strings.Cut(s, "=")
			if !yield(dataset.Passage{ID: id, Text: text}, nil) {
				return
			}
		}
	}
}

// echo maps the list to one row per record and returns the ids that were worked on. It
// fails at the record stop.
func echo(t *testing.T, r *Run, list []string, workers int, stop string) (worked []string, err error) {
	t.Helper()
	var mu sync.Mutex
	o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Workers: workers, Total: len(list)}
	err = Map(context.Background(), r, numbered(list), o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
		if p.ID == stop {
			return nil, errors.New("stopped")
		}
		mu.Lock()
		defer mu.Unlock()
		worked = append(worked, p.ID)
		return []dataset.Passage{p}, nil
	})
	return worked, err
}

func beginUnits(t *testing.T, out string) *Run {
	t.Helper()
	r, err := Begin(out, Identity{Stage: "units", Version: 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// finish finishes the run and compares the ids of its rows.
func finishUnits(t *testing.T, r *Run, out string, want []string) {
	t.Helper()
	if err := r.Finish(Final{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for p, err := range dataset.Rows[dataset.Passage](context.Background(), out) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d rows %.200v, want %d %.200v", len(got), got, len(want), want)
	}
	if n := r.Manifest().Counts["in"]; n != int64(len(want)) {
		t.Errorf("in %d, want %d", n, len(want))
	}
}

// TestRepeatedIDs has ids that occur twice in one unit, in neighbouring units and far apart.
// Each is worked on once, and its result stands in all places.
func TestRepeatedIDs(t *testing.T) {
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf("%d=text", i%700-i%700%7*(i%2)))
	}
	var ids []string
	for _, s := range list {
		ids = append(ids, strings.TrimSuffix(s, "=text"))
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(ids)))
	for _, workers := range []int{1, 8} {
		out := filepath.Join(t.TempDir(), "out")
		r := beginUnits(t, out)
		first, err := echo(t, r, list, workers, "650")
		if err == nil || len(first) == 0 {
			t.Fatalf("worked on %d, then %v", len(first), err)
		}
		r.Close()
		r = beginUnits(t, out)
		rest, err := echo(t, r, list, workers, "")
		if err != nil {
			t.Fatal(err)
		}
		if worked := slices.Sorted(slices.Values(append(first, rest...))); !slices.Equal(worked, distinct) {
			t.Errorf("%d workers: worked on %d records of %d distinct ones", workers, len(worked), len(distinct))
		}
		finishUnits(t, r, out, ids)
	}
}

// TestOtherRecordOfAnEarlierUnit refuses a second record with the id of a finished unit, in
// the same process and in a later one.
func TestOtherRecordOfAnEarlierUnit(t *testing.T) {
	var list []string
	for i := range 300 {
		list = append(list, fmt.Sprintf("%d=text", i))
	}
	list = append(list, "5=another")
	out := filepath.Join(t.TempDir(), "out")
	for range 2 {
		r := beginUnits(t, out)
		_, err := echo(t, r, list, 1, "")
		badinputtest.Want(t, err, `id "5"`, "its own id")
		r.Close()
	}
	r := beginUnits(t, filepath.Join(t.TempDir(), "out"))
	_, err := echo(t, r, []string{"a=1", "\x00unit 0=2"}, 1, "")
	badinputtest.Want(t, err, "record 2", "zero byte")
}

// TestFinishedUnitsAreNotReadAgain counts the records whose key is asked for after an
// interruption: those of units without a line.
func TestFinishedUnitsAreNotReadAgain(t *testing.T) {
	var list []string
	for i := range 640 {
		list = append(list, fmt.Sprintf("%d=text", i))
	}
	out := filepath.Join(t.TempDir(), "out")
	r := beginUnits(t, out)
	if _, err := echo(t, r, list, 1, "400"); err == nil {
		t.Fatal("not stopped")
	}
	r.Close()
	r = beginUnits(t, out)
	keys := 0
	o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { keys++; return p.ID }, Total: len(list)}
	err := Map(context.Background(), r, numbered(list), o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
		return []dataset.Passage{p}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := 640 - 400/64*64; keys != want {
		t.Errorf("%d keys asked for, want %d", keys, want)
	}
	var ids []string
	for _, s := range list {
		ids = append(ids, strings.TrimSuffix(s, "=text"))
	}
	finishUnits(t, r, out, ids)
}

// TestJournalWithoutUnits goes on with a journal of a version that had no units, and with
// one whose units have another size.
func TestJournalWithoutUnits(t *testing.T) {
	var list, ids []string
	for i := range 200 {
		list, ids = append(list, fmt.Sprintf("%d=text", i)), append(ids, fmt.Sprint(i))
	}
	for name, change := range map[string]func(line []byte) []byte{
		"none": func(line []byte) []byte {
			if bytes.Contains(line, []byte(`"k":"\u0000unit`)) {
				return nil
			}
			return line
		},
		"other size": func(line []byte) []byte {
			i := bytes.Index(line, []byte(`"at":[`))
			if i < 0 {
				return line
			}
			j := i + bytes.LastIndexByte(line[i:], ',')
			data := append(bytes.Clone(line[checksumSize:j]), "]}}"...)
			return append(append(append(checksum(data), ' '), data...), '\n')
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			r := beginUnits(t, out)
			if _, err := echo(t, r, list, 1, "150"); err == nil {
				t.Fatal("not stopped")
			}
			r.Close()
			path := filepath.Join(out+dataset.PartialSuffix, "rows-0.jsonl")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var changed []byte
			for line := range bytes.Lines(data) {
				changed = append(changed, change(line)...)
			}
			if bytes.Equal(changed, data) {
				t.Fatal("nothing changed")
			}
			if err := os.WriteFile(path, changed, 0o666); err != nil {
				t.Fatal(err)
			}
			r = beginUnits(t, out)
			worked, err := echo(t, r, list, 1, "")
			if err != nil || !slices.Equal(worked, ids[150:]) {
				t.Fatalf("worked on %v, %v", worked, err)
			}
			finishUnits(t, r, out, ids)
		})
	}
}

// TestRetriedResultStandsInAllUnits: a record that failed and is worked on again may stand
// in other units too, whose lines an earlier run has written.
func TestRetriedResultStandsInAllUnits(t *testing.T) {
	var list []string
	for i := range 256 {
		list = append(list, fmt.Sprintf("%d=text", i))
	}
	list[200] = "3=text"
	out := filepath.Join(t.TempDir(), "out")
	run := func(retry, fail bool, stop string) (calls int, err error) {
		r := beginUnits(t, out)
		defer r.Close()
		o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Total: len(list), Retry: retry}
		err = Map(context.Background(), r, numbered(list), o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
			if p.ID == stop {
				return nil, errors.New("stopped")
			}
			if calls++; fail && (p.ID == "3" || p.ID == "100") {
				return nil, &dataset.Reject{Reason: "refused", Failed: true}
			}
			return []dataset.Passage{p}, nil
		})
		if stop == "" && retry {
			if ferr := r.Finish(Final{}); ferr != nil {
				t.Fatal(ferr)
			}
			if c := r.Manifest().Counts; c["out"] != 256 || c["rejected"] != 0 {
				t.Errorf("counts %v", c)
			}
		}
		return calls, err
	}
	if n, err := run(false, true, ""); n != 255 || err != nil {
		t.Fatalf("first: %d calls, %v", n, err)
	}
	if n, err := run(true, false, "100"); n != 1 || err == nil {
		t.Fatalf("again: %d calls, %v", n, err)
	}
	if n, err := run(true, false, ""); n != 1 || err != nil {
		t.Fatalf("to the end: %d calls, %v", n, err)
	}
}

// liveAfterMap returns the memory that a run holds after a Map of n records, in bytes.
func liveAfterMap(t *testing.T, n int) int64 {
	t.Helper()
	r := beginUnits(t, filepath.Join(t.TempDir(), "out"))
	records := func(yield func(dataset.Passage, error) bool) {
		for i := range n {
			if !yield(dataset.Passage{ID: dataset.ContentID(fmt.Sprint(i))}, nil) {
				return
			}
		}
	}
	o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Total: n}
	err := Map(context.Background(), r, records, o, func(context.Context, dataset.Passage) ([]dataset.Passage, error) {
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return int64(m.HeapAlloc)
}

// TestMapMemory bounds what a Map keeps per record. Both numbers of records are larger than
// the part of the index that is in memory.
func TestMapMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("maps 300,000 records")
	}
	begun := time.Now()
	few, many := liveAfterMap(t, 60_000), liveAfterMap(t, 240_000)
	per := float64(many-few) / 180_000
	t.Logf("%.1f bytes per record; %v", per, time.Since(begun).Round(time.Millisecond))
	if per > 8 {
		t.Errorf("%.1f bytes of memory per record, want at most 8", per)
	}
}

// TestSmallIndex runs the stage of the crash tests with indexes that are on disk from the
// first entries on.
func TestSmallIndex(t *testing.T) {
	want := reference(t)
	indexOptions = diskmap.Options{Recent: 8, Merge: 2}
	defer func() { indexOptions = diskmap.Options{} }()
	out := filepath.Join(t.TempDir(), "out")
	if err := testStage(context.Background(), out, 0, 7); err != nil {
		t.Fatal(err)
	}
	sameTree(t, want, out)
}
