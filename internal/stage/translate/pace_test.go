package translate

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/translationmemory"
)

// watching is a Reporter that keeps the function of the details, and calls it now and then.
type watching struct {
	progress.Reporter
	mu   sync.Mutex
	of   func() progress.Detail
	seen []progress.Detail
}

func (w *watching) Detail(f func() progress.Detail) { w.of = f }

func (w *watching) Add(int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, w.of())
}

// TestPace: a run counts the different sentences that are left, those of an earlier run and of
// the memory not among them, and the time left follows from them.
func TestPace(t *testing.T) {
	defer func(d time.Duration) { countAfter = d }(countAfter)
	countAfter = 0
	in, distinct := manyRows(t, 400)
	memory, err := translationmemory.Open(filepath.Join(t.TempDir(), "memory.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	o := Defaults()
	o.ModelDigest = "weights"
	run := func(s *searching, out string, stopAfter int) (seen []progress.Detail) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := &watching{Reporter: progress.Silent}
		tools := with(s)
		tools.Memory = memory
		s.enough = func(done int) {
			if done == stopAfter {
				cancel()
			}
		}
		_, err := Run(ctx, o, tools, durable.Env{Out: out, In: map[string]string{"instructions": in}, Progress: w})
		if (err != nil) != (stopAfter > 0) {
			t.Fatal(err)
		}
		return w.seen
	}
	out := filepath.Join(t.TempDir(), "out")
	run(&searching{step: time.Millisecond}, out, 100)
	seen := run(&searching{step: 4 * time.Millisecond}, out, 0)
	var first, last progress.Detail
	for _, d := range seen {
		if _, complete := d.Fields["sentences_left"]; complete {
			if last = d; first.Fields == nil {
				first = d
			}
		}
	}
	left := func(d progress.Detail) int64 { n, _ := d.Fields["sentences_left"].(int64); return n }
	if first.Fields == nil || left(first) > int64(distinct-100) || left(first) < int64(distinct)/3 || left(last) > 2*slots {
		t.Fatalf("%d of %d sentences left at first, %d at the end", left(first), distinct, left(last))
	}
	if rate, _ := last.Fields["sentences_per_second"].(float64); rate <= 0 || !strings.Contains(last.Text, "sentences/s") || last.Left < 0 {
		t.Errorf("%+v", last)
	}
	// Everything is in the memory now.
	seen = run(&searching{step: time.Millisecond}, filepath.Join(t.TempDir(), "again"), 0)
	if d := seen[len(seen)-1]; d.Fields["remembered_share"] != 1.0 || !strings.Contains(d.Text, "100 % from the memory") {
		t.Errorf("from the memory: %+v", d)
	}
}

// TestEstimate: the estimate counts what the memory has, and its time is that of the others at the speed of the probe.
func TestEstimate(t *testing.T) {
	in, distinct := manyRows(t, 300)
	memory, err := translationmemory.Open(filepath.Join(t.TempDir(), "memory.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	o := Defaults()
	o.ModelDigest = "weights"
	s := &searching{step: 2 * time.Millisecond}
	tools := with(s)
	tools.Memory = memory
	e, err := Plan(t.Context(), o, tools, in, 100)
	if err != nil {
		t.Fatal(err)
	}
	if e.Rows != 300 || e.Distinct != distinct || e.Remembered != 0 || e.Tokens == 0 || s.steps != 0 || e.Probe != nil {
		t.Errorf("%+v, %d steps", e, s.steps)
	}
	if err := e.Time(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if p := e.Probe; p == nil || p.SentencesPerSecond <= 0 || math.Abs(p.Seconds*p.SourceTokensPerSecond-float64(e.Tokens)) > 0.01 {
		t.Errorf("%+v for %d source tokens", p, e.Tokens)
	}
	if _, err := Run(t.Context(), o, tools, durable.Env{Out: filepath.Join(t.TempDir(), "out"),
		In: map[string]string{"instructions": in}}); err != nil {
		t.Fatal(err)
	}
	if e, err = Plan(t.Context(), o, tools, in, 100); err != nil || e.Remembered != distinct || e.RememberedTokens != e.Tokens {
		t.Errorf("with a memory: %+v, %v", e, err)
	}
	if err := e.Time(t.Context(), s); err != nil || e.Probe != nil {
		t.Errorf("nothing is left to time: %+v, %v", e.Probe, err)
	}
	want := fmt.Sprintf("%d of them distinct", distinct)
	if !strings.Contains(e.Text(), want) || !strings.Contains(e.Text(), "in the memory") {
		t.Errorf("%s, expected %s", e.Text(), want)
	}
}

// TestProbe: what is in the search when the texts end counts as half done.
func TestProbe(t *testing.T) {
	texts := make([]string, 80)
	for i := range texts {
		texts[i] = strings.Repeat("word ", 10) + strings.Repeat("x", 1+i%5)
	}
	s := &searching{step: time.Millisecond}
	p := probe{t: s, texts: texts}
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	sentences, tokens := p.work()
	if !p.full || p.seconds <= 0 || math.Abs(tokens-11*sentences) > 1e-9 || sentences < 80-slots || sentences >= 80 {
		t.Errorf("full %v, %g s, %d texts taken, %d ended: %g sentences, %g tokens", p.full, p.seconds, p.taken, p.ended, sentences, tokens)
	}
	if p = (probe{t: s, texts: texts[:4]}); p.run(t.Context()) != nil || p.ended != 4 || p.seconds <= 0 {
		t.Errorf("fewer texts than the search holds: %d ended in %g s", p.ended, p.seconds)
	}
	if p = (probe{t: &fakeTranslator{}, texts: texts}); p.run(t.Context()) != nil || p.ended != 80 || p.taken != 80 {
		t.Errorf("in batches: %d of %d ended", p.ended, p.taken)
	}
}

// TestEstimateOfColumns: rows of any schema are counted too.
func TestEstimateOfColumns(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(in, []byte(`{"q":"Is it red?","n":1}`+"\n"+`{"q":"Is it red? It is.","n":2}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Columns = []string{"q"}
	if e, err := Plan(t.Context(), o, with(&fakeTranslator{}), in, 0); err != nil || e.Rows != 2 || e.Segments != 3 || e.Distinct != 2 {
		t.Errorf("%+v, %v", e, err)
	}
}
