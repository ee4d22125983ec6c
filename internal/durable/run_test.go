package durable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/badinput/badinputtest"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/jsonl"
	"barka/internal/panics"
)

func testIdentity(beam int, inputs map[string]string) Identity {
	return Identity{Stage: "test", Version: 1, Options: testOptions{Beam: beam}, Inputs: inputs, Seed: 7}
}

// writeSet makes a dataset of n passages at out.
func writeSet(t *testing.T, out string, id Identity, n int, restart bool) *dataset.Manifest {
	t.Helper()
	r, err := Begin(out, id, restart)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Done() {
		return r.Manifest()
	}
	w, err := NewWriter[dataset.Passage](r)
	if err != nil {
		t.Fatal(err)
	}
	for p := range testPassages(n) {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(Final{}); err != nil {
		t.Fatal(err)
	}
	return r.Manifest()
}

func TestChangedSettingsAreNamed(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	os.WriteFile(in, []byte("{}\n"), 0o666)
	out := filepath.Join(dir, "out")
	id := testIdentity(5, map[string]string{"passages": in})
	for _, state := range []string{"begun", "made"} {
		if state == "begun" {
			r, err := Begin(out, id, false)
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		} else {
			writeSet(t, out, id, 10, false)
		}
		_, err := Begin(out, testIdentity(4, map[string]string{"passages": in}), false)
		badinputtest.Want(t, err, state, "option beam was 5 and is now 4", "--restart", "--out")
		other := id
		o := testOptions{Beam: 5}
		o.Nested.Rate = 0.5
		other.Options, other.Seed, other.Version = o, 8, 2
		_, err = Begin(out, other, false)
		badinputtest.Want(t, err, "option nested.rate was 0 and is now 0.5", "seed was 7 and is now 8", "stage version was 1 and is now 2")
		_, err = Begin(out, testIdentity(5, nil), false)
		badinputtest.Want(t, err, "content of input passages")
	}
	os.WriteFile(in, []byte("{} \n"), 0o666)
	_, err := Begin(out, id, false)
	badinputtest.Want(t, err, "content of input passages was sha256:")
	if _, err := os.Lstat(out + dataset.PartialSuffix); err == nil {
		t.Error("a refused run leaves a partial directory")
	}
}

func TestDoneNeedsNothingAndSeesDamage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	id := testIdentity(5, nil)
	m := writeSet(t, out, id, 100, false)
	r, err := Begin(out, id, false)
	if err != nil || !r.Done() || r.Manifest().Rows != 100 {
		t.Fatalf("%v, %v", r, err)
	}
	if err := r.Finish(Final{}); err == nil {
		t.Error("Finish of a finished run")
	}
	r.Close()
	if len(m.Files) != 3 {
		t.Fatalf("%d parts of 100 rows", len(m.Files))
	}
	os.Truncate(filepath.Join(out, m.Files[1].Name), 100)
	_, err = Begin(out, id, false)
	badinputtest.Want(t, err, m.Files[1].Name, "100 bytes", "--restart")
	for _, err := range dataset.Rows[dataset.Passage](context.Background(), out) {
		badinputtest.Want(t, err, m.Files[1].Name)
		break
	}
	if m := writeSet(t, out, id, 100, true); m.Rows != 100 {
		t.Error("restart")
	}
}

func TestRestart(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	old, new := testIdentity(5, nil), testIdentity(4, nil)
	writeSet(t, out, old, 10, false)
	r, err := Begin(out, new, true)
	if err != nil {
		t.Fatal(err)
	}
	r.Journal().Put("paid", 1)
	if m, err := dataset.ReadManifest(out); err != nil || m.Rows != 10 {
		t.Errorf("the finished directory goes away before its replacement is there: %v", err)
	}
	r.Close() // interrupted; now without --restart
	if r, err = Begin(out, new, false); err != nil || r.Done() || r.Journal().Len() != 1 {
		t.Fatalf("the replacement is not continued: %v", err)
	}
	r.Close()
	if r, err = Begin(out, old, false); err != nil || !r.Done() {
		t.Fatalf("the finished directory is not accepted beside unfinished work: %v", err)
	}
	r.Close()
	if m := writeSet(t, out, new, 20, false); m.Rows != 20 {
		t.Errorf("%d rows", m.Rows)
	}
	if m, _ := dataset.ReadManifest(out); m.Rows != 20 {
		t.Errorf("%d rows after the swap", m.Rows)
	}
}

func TestForeignDirectoriesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	for _, restart := range []bool{false, true} {
		os.MkdirAll(out, 0o777)
		os.WriteFile(filepath.Join(out, "thesis.tex"), []byte("x"), 0o666)
		_, err := Begin(out, testIdentity(5, nil), restart)
		badinputtest.Want(t, err, "not a dataset directory")
		os.RemoveAll(out)
		os.MkdirAll(out+dataset.PartialSuffix, 0o777)
		os.WriteFile(filepath.Join(out+dataset.PartialSuffix, "thesis.tex"), []byte("x"), 0o666)
		_, err = Begin(out, testIdentity(5, nil), restart)
		badinputtest.Want(t, err, "thesis.tex")
		if _, err := os.Stat(filepath.Join(out+dataset.PartialSuffix, "thesis.tex")); err != nil {
			t.Fatal("a foreign file was removed")
		}
		if entries, _ := os.ReadDir(out + dataset.PartialSuffix); len(entries) != 1 {
			t.Errorf("a foreign directory holds %v now", entries)
		}
		os.RemoveAll(out + dataset.PartialSuffix)
	}
	for _, out := range []string{"", ".", "..", "/"} {
		_, err := Begin(out, testIdentity(5, nil), false)
		badinputtest.Want(t, err)
	}
	in := filepath.Join(dir, "in")
	writeSet(t, in, testIdentity(5, nil), 3, false)
	os.Symlink(in, filepath.Join(dir, "link"))
	for _, out := range []string{in, in + "/sub", dir + "/link"} {
		_, err := Begin(out, testIdentity(5, map[string]string{"rows": in}), true)
		badinputtest.Want(t, err, "input rows")
	}
	_, err := Begin(filepath.Join(dir, "o"), testIdentity(5, map[string]string{"x": filepath.Join(dir, "missing")}), false)
	badinputtest.Want(t, err, "input x", "missing")
}

// TestForeignFilesAreLeftAlone: a dataset with a file that barka did not write is not
// replaced.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	writeSet(t, out, testIdentity(5, nil), 10, false)
	notes := filepath.Join(out, "notes.txt")
	if err := os.WriteFile(notes, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := Begin(out, testIdentity(4, nil), true)
	badinputtest.Want(t, err, "notes.txt", "move it away")
	if err := os.Rename(notes, filepath.Join(t.TempDir(), "notes.txt")); err != nil {
		t.Fatal(err)
	}
	r, err := Begin(out, testIdentity(4, nil), true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.WriteFile(notes, []byte("mine"), 0o666); err != nil { // meanwhile
		t.Fatal(err)
	}
	badinputtest.Want(t, r.Finish(Final{}), "notes.txt")
	if data, err := os.ReadFile(notes); err != nil || string(data) != "mine" {
		t.Errorf("the foreign file holds %q, %v", data, err)
	}
}

// TestEveryFlippedBitIsNoticed: Parquet has no checksum of its headers and footer, so a
// damaged file may be readable, with other rows.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	id := testIdentity(5, nil)
	m := writeSet(t, out, id, 30, false)
	path := filepath.Join(out, m.Files[0].Name)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := 0; bit < 8*len(whole); bit += 61 {
		data := bytes.Clone(whole)
		data[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		for _, err = range dataset.Rows[dataset.Passage](context.Background(), out) {
			break
		}
		if !badinput.Is(err) || !strings.Contains(err.Error(), path) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if bit%1000 < 61 {
			_, err := Begin(out, id, false)
			badinputtest.Want(t, err, path, "SHA-256", "--restart")
		}
	}
}

func TestInterrupted(t *testing.T) {
	want := reference(t)
	out := filepath.Join(t.TempDir(), "out")
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Duration(5+i)*time.Millisecond, cancel)
		err := testStage(ctx, out, 4*time.Millisecond, 5)
		cancel()
		if err == nil {
			if i == 0 {
				t.Error("never interrupted")
			}
			break
		}
		if err != context.Canceled {
			t.Fatalf("interruption %d: %v", i, err)
		}
	}
	sameTree(t, want, out)
}

func TestFailureOfOneRecordKeepsTheOthers(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	var calls atomic.Int64
	broken := errors.New("server is down")
	run := func(fail bool) error {
		r, err := Begin(out, testIdentity(5, nil), false)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Workers: 4}
		err = Map(context.Background(), r, testPassages(50), o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
			if fail && p.Revision>>40 == 30 {
				return nil, broken
			}
			calls.Add(1)
			return []dataset.Passage{p}, nil
		})
		if err != nil {
			if ferr := r.Finish(Final{}); ferr == nil {
				t.Error("Finish after a failed Map")
			}
			return err
		}
		return r.Finish(Final{})
	}
	if err := run(true); !errors.Is(err, broken) || !strings.Contains(err.Error(), dataset.ContentID("30")) {
		t.Fatalf("%v does not name the record", err)
	}
	if err := run(false); err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 50 {
		t.Errorf("%d calls for 50 records", calls.Load())
	}
}

// TestPanicInAWorker: a panic of a worker continues in the caller of Map, which does not
// wait for workers that have ended. Results finished before it are kept.
func TestPanicInAWorker(t *testing.T) {
	for _, workers := range []int{1, 4} {
		r, err := Begin(filepath.Join(t.TempDir(), "out"), testIdentity(5, nil), false)
		if err != nil {
			t.Fatal(err)
		}
		o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Workers: workers}
		err = panics.Catch(func() error {
			return Map(t.Context(), r, testPassages(50), o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
				if p.Revision>>40 == 30 {
					panic("boom")
				}
				return []dataset.Passage{p}, nil
			})
		})
		var p *panics.Error
		if !errors.As(err, &p) || p.Value != "boom" {
			t.Errorf("%d workers: %v, want the panic", workers, err)
		}
		if err := r.Finish(Final{}); err == nil {
			t.Error("Finish after a Map that panicked")
		}
		r.Close()
	}
}

func TestDuplicateRecords(t *testing.T) {
	run := func(second string) (calls int64, m *dataset.Manifest, err error) {
		r, err := Begin(filepath.Join(t.TempDir(), "out"), testIdentity(5, nil), false)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		in := func(yield func(dataset.Passage, error) bool) {
			for _, text := range []string{"a", "b", second} {
				id := text
				if text == second {
					id = "a"
				}
				if !yield(dataset.Passage{ID: id, Text: text}, nil) {
					return
				}
			}
		}
		o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Workers: 3}
		err = Map(context.Background(), r, in, o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
			atomic.AddInt64(&calls, 1)
			return []dataset.Passage{p}, nil
		})
		if err != nil {
			return calls, nil, err
		}
		err = r.Finish(Final{})
		return calls, r.Manifest(), err
	}
	calls, m, err := run("a")
	if err != nil || calls != 2 || m.Rows != 3 {
		t.Errorf("the same record twice: %d calls, %v, %v", calls, m, err)
	}
	_, _, err = run("other")
	badinputtest.Want(t, err, `"a"`)
}

func TestMapBatch(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	fatal := errors.New("out of memory")
	sizes := map[int]int{}
	run := func(budget int, failAt int64) error {
		r, err := Begin(out, testIdentity(5, nil), false)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }}
		err = MapBatch(context.Background(), r, testPassages(97), o, func(p dataset.Passage) int { return int(p.Revision>>40)%10 + 1 }, budget,
			func(_ context.Context, recs []dataset.Passage) ([][]dataset.Passage, []error) {
				sizes[len(recs)]++
				out, errs := make([][]dataset.Passage, len(recs)), make([]error, len(recs))
				total := 0
				for i, p := range recs {
					n := p.Revision >> 40
					total += int(n)%10 + 1
					out[i] = []dataset.Passage{p}
					switch {
					case n == failAt:
						errs[i] = fatal
					case n%10 == 4:
						errs[i] = &dataset.Reject{Reason: "four"}
					}
				}
				if total > budget && len(recs) > 1 {
					t.Errorf("a batch of %d for a budget of %d", total, budget)
				}
				return out, errs
			})
		if err != nil {
			return err
		}
		return r.Finish(Final{})
	}
	if err := run(25, 50); !errors.Is(err, fatal) {
		t.Fatal(err)
	}
	if err := run(3, -1); err != nil { // a changed budget does not prevent resuming
		t.Fatal(err)
	}
	if len(sizes) < 3 {
		t.Errorf("batch sizes %v", sizes)
	}
	m, _ := dataset.ReadManifest(out)
	if m.Counts["in"] != 97 || m.Counts["rejected_four"] != 10 || m.Rows != 87 || m.Counts["rejected"] != 10 {
		t.Errorf("counts %v", m.Counts)
	}
	i := int64(0)
	for p, err := range dataset.Rows[dataset.Passage](context.Background(), out) {
		if err != nil {
			t.Fatal(err)
		}
		if i%10 == 4 {
			i++
		}
		if p.Revision != i<<40 {
			t.Fatalf("row out of order: %d instead of %d", p.Revision>>40, i)
		}
		i++
	}
	type rejected struct {
		dataset.Passage
		Reason string `json:"reason"`
		Detail string `json:"detail"`
	}
	n := 0
	for row, err := range dataset.Rows[map[string]any](context.Background(), filepath.Join(out, "rejected")) {
		if err != nil {
			t.Fatal(err)
		}
		if row["reason"] != "four" || row["revision"].(int64)>>40%10 != 4 || row["text"] == nil {
			t.Fatalf("rejected row %v", row)
		}
		n++
	}
	if n != 10 {
		t.Errorf("%d rejected rows", n)
	}
}

func TestWriterWithSplitsAndRejects(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r, err := Begin(out, testIdentity(5, nil), false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := NewWriter[dataset.Conversation](r)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewSplit[dataset.Conversation](r, "validation")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewWriter[dataset.Conversation](r); err == nil {
		t.Error("a second main writer")
	}
	for _, bad := range []string{"", "rejected", "../x", "a/b"} {
		if _, err := NewSplit[dataset.Conversation](r, bad); err == nil {
			t.Errorf("split %q", bad)
		}
	}
	for i := range 90 {
		c := dataset.Conversation{ID: fmt.Sprint(i), Messages: []chat.Message{{Role: "user", Content: "bad \xff bytes"}}}
		switch {
		case i%9 == 0:
			err = v.Write(c)
		case i%9 == 1:
			err = w.Reject(c, dataset.Reject{Reason: "duplicate", Detail: "of 0"})
		default:
			err = w.Write(c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Reject(dataset.Passage{}, dataset.Reject{Reason: "x"}); err == nil {
		t.Error("rejected rows of two types")
	}
	if err := r.Finish(Final{Counts: map[string]int64{"in": 100, "contaminated": 3}}); err != nil {
		t.Fatal(err)
	}
	if c := r.Manifest().Counts; c["in"] != 100 || c["out"] != 80 || c["rejected_duplicate"] != 10 || c["contaminated"] != 3 {
		t.Errorf("counts %v", c)
	}
	for path, want := range map[string]int{out: 70, out + "/validation": 10, out + "/rejected": 10} {
		n := 0
		for c, err := range dataset.Rows[dataset.Conversation](context.Background(), path) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Messages[0].Content != "bad \uFFFD bytes" {
				t.Fatalf("%q", c.Messages[0].Content)
			}
			n++
		}
		if count, err := dataset.Count(path); n != want || count != want || err != nil {
			t.Errorf("%s: %d rows, counted %d (%v), want %d", path, n, count, err, want)
		}
	}
	a, _ := dataset.Digest(t.Context(), out)
	b, _ := dataset.Digest(t.Context(), out+"/validation")
	if a == b || a == "" {
		t.Errorf("digests %s %s", a, b)
	}
}

func TestRowsOfFilesAndHalfMadeDirectories(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	for _, name := range []string{"x.jsonl", "x.jsonl.gz", "x.jsonl.zst"} {
		path := filepath.Join(dir, name)
		w, err := jsonl.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for p := range testPassages(30) {
			w.Write(p)
		}
		w.Close()
		n := int64(0)
		for p, err := range dataset.Rows[dataset.Passage](ctx, path) {
			if err != nil || p.Revision != n<<40 {
				t.Fatalf("%v %v", p, err)
			}
			n++
		}
		if c, err := dataset.Count(path); c != 30 || n != 30 || err != nil {
			t.Errorf("%s: %d rows, counted %d, %v", name, n, c, err)
		}
	}
	out := filepath.Join(dir, "half")
	r, err := Begin(out, testIdentity(5, nil), false)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	for _, path := range []string{out, out + dataset.PartialSuffix} {
		for _, err := range dataset.Rows[dataset.Passage](ctx, path) {
			badinputtest.Want(t, err, "finish")
		}
		_, err = dataset.Digest(t.Context(), path)
		badinputtest.Want(t, err, "finish")
	}
	for _, err := range dataset.Rows[dataset.Passage](ctx, dir) {
		badinputtest.Want(t, err, "manifest.json")
	}
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	n := 0
	var last error
	for _, err := range dataset.Rows[dataset.Passage](stop, filepath.Join(dir, "x.jsonl")) {
		if last = err; n == 3 {
			cancel()
		}
		n++
	}
	if last != context.Canceled || n != 5 {
		t.Errorf("%v after %d rows", last, n)
	}
}
