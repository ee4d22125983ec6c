package translate

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"barka/internal/progress"
	"barka/internal/segment"
)

// countAfter is how long a run has worked when it begins to count what it has to translate.
// A short run ends before.
var countAfter = 5 * time.Second

// pace is how fast a run translates, and what it has to translate yet. It is part of memory,
// whose lock guards it.
type pace struct {
	begun     time.Time // of the first translation
	sentences int64     // translated since then
	tokens    int64     // of their translations, where the translator counts them
	bytes     int64     // of their texts

	counted   texts // what was to be translated when it was counted
	counting  bool
	complete  bool  // all rows are counted
	left      int64 // counted texts that are not translated yet
	leftBytes int64
}

// translated counts a translation by the model. The first one begins the time, so that the
// loading of the model does not count.
func (p *pace) translated(r request, tr Translation) error {
	if p.begun.IsZero() {
		p.begun = time.Now()
	} else {
		p.sentences++
		p.tokens += int64(tr.Tokens)
		p.bytes += int64(len(r.text))
	}
	return p.known(r)
}

// known takes a request from those that are left.
func (p *pace) known(r request) error {
	if !p.counting {
		return nil
	}
	counted, err := p.counted.has(r.key())
	if counted {
		p.left--
		p.leftBytes -= int64(len(r.text))
	}
	return err
}

// expect counts a request that is to be translated.
func (m *memory) expect(r request) error {
	_, known, err := m.get(r)
	if err != nil || known {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.known[r]; known { // since then
		return nil
	}
	first, err := m.pace.counted.add(r.key())
	if first {
		m.pace.left++
		m.pace.leftBytes += int64(len(r.text))
	}
	return err
}

// detail describes the pace for a progress display.
func (m *memory) detail() progress.Detail {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, d := m.pace, progress.Detail{Left: -1, Fields: map[string]any{}}
	var parts []string
	add := func(name string, value float64, format string) {
		d.Fields[name] = value
		parts = append(parts, fmt.Sprintf(format, value))
	}
	seconds := time.Since(p.begun).Seconds()
	if p.sentences > 0 && seconds > 0 {
		add("sentences_per_second", float64(p.sentences)/seconds, "%.1f sentences/s")
		if p.tokens > 0 {
			add("tokens_per_second", float64(p.tokens)/seconds, "%.0f tokens/s")
		}
	}
	if all := m.counts.Translated + m.counts.Remembered; m.shared[usual] != nil && all > 0 {
		d.Fields["remembered_share"] = float64(m.counts.Remembered) / float64(all)
		parts = append(parts, fmt.Sprintf("%.0f %% from the memory", 100*float64(m.counts.Remembered)/float64(all)))
	}
	if p.complete {
		d.Fields["sentences_left"] = p.left
		parts = append(parts, fmt.Sprintf("%d sentences to translate", p.left))
		if p.bytes > 0 {
			d.Left = time.Duration(float64(p.leftBytes) / float64(p.bytes) * seconds * float64(time.Second))
		}
	}
	d.Text = strings.Join(parts, ", ")
	return d
}

// cutRow is the segments of a row, and the worker for its target language.
type cutRow struct {
	w        *worker
	segments []segment.Segment
}

// cut cuts each row.
func (t task[Row]) cut(ctx context.Context, w *worker, path string) iter.Seq2[cutRow, error] {
	return func(yield func(cutRow, error) bool) {
		for row, err := range t.rows(ctx, path) {
			var c cutRow
			if err == nil {
				c, err = t.cutOne(w, row)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func (t task[Row]) cutOne(w *worker, row Row) (c cutRow, err error) {
	if c.w, err = t.worker(w, row); err != nil {
		return c, err
	}
	texts, err := t.texts(w.o, row)
	for _, text := range texts {
		c.segments = append(c.segments, c.w.c.cut(text)...)
	}
	return c, err
}

// count counts what a run has to translate while it translates.
type count struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startCount begins to count the texts of the rows' segments that the memory lacks. Errors end
// it: the run finds them too.
func startCount(ctx context.Context, w *worker, rows iter.Seq2[cutRow, error]) *count {
	c := &count{}
	ctx, c.cancel = context.WithCancel(ctx)
	c.done.Go(func() {
		select {
		case <-time.After(countAfter):
		case <-ctx.Done():
			return
		}
		counted, err := newTexts()
		if err != nil {
			return
		}
		w.memory.setCounted(counted)
		defer w.memory.setCounted(texts{})
		if w.count(ctx, rows) == nil {
			w.memory.mu.Lock()
			w.memory.pace.complete = true
			w.memory.mu.Unlock()
			<-ctx.Done()
		}
	})
	return c
}

// stop ends the count.
func (c *count) stop() {
	c.cancel()
	c.done.Wait()
}

// setCounted replaces the set of what is to be translated. The zero value is none.
func (m *memory) setCounted(t texts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pace.counting {
		m.pace.counted.close()
	}
	m.pace.counted, m.pace.counting, m.pace.complete = t, t.keys != nil, false
}

// count counts what the first rungs of the ladder lack.
func (w *worker) count(ctx context.Context, rows iter.Seq2[cutRow, error]) error {
	for row, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		for _, s := range row.segments {
			if !s.Translated() {
				continue
			}
			_, lacks, err := row.w.settle(s)
			if err != nil {
				return err
			}
			for _, r := range lacks {
				if err := w.memory.expect(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
