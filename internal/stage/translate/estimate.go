package translate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"barka/internal/segment"
)

// Estimate is what a run will translate.
type Estimate struct {
	Rows     int   `json:"rows"`
	Segments int   `json:"segments"`
	Distinct int   `json:"distinct"`
	Tokens   int64 `json:"source_tokens"` // of the distinct segments
	// Remembered counts the distinct segments that the memory has, and RememberedTokens theirs.
	Remembered       int   `json:"remembered,omitempty"`
	RememberedTokens int64 `json:"remembered_tokens,omitempty"`
	// Second counts those that the second translator gets first.
	Second int `json:"second,omitempty"`
	// Probe is nil unless sentences were timed.
	Probe *Probed `json:"probe,omitempty"`

	usual      int64    // source tokens that the translator gets
	candidates int      // texts that it gets
	sample     []string // some of them
}

// Probed is what timed sentences showed.
type Probed struct {
	Sentences             int     `json:"sentences"`
	SentencesPerSecond    float64 `json:"sentences_per_second"`
	SourceTokensPerSecond float64 `json:"source_tokens_per_second"`
	Seconds               float64 `json:"seconds"` // of the whole run
}

// mostProbed bounds the sentences of a probe.
const mostProbed = 4096

// Plan counts the work on the rows at path without doing it. The keys of the segments are in
// temporary files. probe is how many sentences Time may translate.
func Plan(ctx context.Context, o Options, t Tools, path string, probe int) (e Estimate, err error) {
	if len(o.Columns) > 0 {
		return plan(ctx, o, t, path, probe, columns)
	}
	if err := require(path); err != nil {
		return e, err
	}
	return plan(ctx, o, t, path, probe, instructions)
}

func plan[Row any](ctx context.Context, o Options, t Tools, path string, probe int, task task[Row]) (e Estimate, err error) {
	seen, err := newTexts()
	if err != nil {
		return e, err
	}
	defer seen.close()
	if o.Temperature > 0 {
		t.Memory = nil // its texts are those of a seed
	}
	shared, err := o.share(ctx, t, 0)
	if err != nil {
		return e, err
	}
	w := newWorker(o, t)
	pick := rand.New(rand.NewPCG(1, 2))
	for row, err := range task.cut(ctx, w, path) {
		if err != nil {
			return e, err
		}
		e.Rows++
		for _, s := range row.segments {
			if !s.Translated() {
				continue
			}
			e.Segments++
			r := row.w.request(s)
			if first, err := seen.add(r.key()); err != nil {
				return e, err
			} else if !first {
				continue
			}
			known, err := shared.has(r)
			if err != nil {
				return e, err
			}
			e.add(r, int64(t.Translator.CountTokens(r.text)), known)
			if !known && r.via == usual && r.to == "" {
				e.choose(pick, r.text, min(probe, mostProbed))
			}
		}
	}
	return e, nil
}

// request returns what is asked for a segment first, if it goes to a model in one piece.
func (w *worker) request(s segment.Segment) request {
	r := w.ask(usual, w.c.o.Form.Mask(s))
	if w.ladder(s)[0].name == RungSecond {
		r.via = second
	}
	return r
}

// has reports whether the translation of a request is in the memory.
func (s sharedMemory) has(r request) (known bool, err error) {
	if s[r.via] != nil && r.to == "" {
		_, known, err = s[r.via].Get(r.shared())
	}
	return known, err
}

// add counts a distinct text.
func (e *Estimate) add(r request, tokens int64, known bool) {
	e.Distinct++
	e.Tokens += tokens
	switch {
	case known:
		e.Remembered++
		e.RememberedTokens += tokens
	case r.via == usual:
		e.usual += tokens
	default:
		e.Second++
	}
}

// choose takes a text into the sample of n texts, each with the same chance.
func (e *Estimate) choose(pick *rand.Rand, text string, n int) {
	if e.candidates++; len(e.sample) < n {
		e.sample = append(e.sample, text)
	} else if at := pick.IntN(e.candidates); at < n {
		e.sample[at] = text
	}
}

// Time translates the sample and adds the time of the whole run to the estimate. Nothing is
// kept. The ladder's later rungs, and the second translator, do not count.
func (e *Estimate) Time(ctx context.Context, t Translator) error {
	if len(e.sample) < 2 {
		return nil
	}
	// The first text loads the model.
	if _, err := t.Translate(ctx, e.sample[:1], nil); err != nil {
		return err
	}
	p := probe{t: t, texts: e.sample[1:]}
	if err := p.run(ctx); err != nil {
		return err
	}
	sentences, tokens := p.work()
	if p.seconds <= 0 || tokens <= 0 {
		return nil
	}
	e.Probe = &Probed{Sentences: len(e.sample), SentencesPerSecond: sentences / p.seconds, SourceTokensPerSecond: tokens / p.seconds,
		Seconds: float64(e.usual) / tokens * p.seconds}
	return nil
}

// probe translates texts as the queue does, and measures while the search is full.
type probe struct {
	t     Translator
	texts []string

	mu                       sync.Mutex // of what follows, while a stream runs
	taken, ended             int        // texts
	takenTokens, endedTokens int64      // of the source
	seconds                  float64
	exhausted                bool // all texts are taken
	full                     bool // the measured time ended with the last text taken
}

// run translates the texts. What is in the search when none is left is given up, if most texts
// have ended by then.
func (p *probe) run(ctx context.Context) error {
	start := time.Now()
	s, ok := p.t.(Streamer)
	if !ok {
		translations, err := p.t.Translate(ctx, p.texts, nil)
		for _, text := range p.texts[:len(translations)] {
			p.take(text)
			p.end(p.ended)
		}
		p.seconds = time.Since(start).Seconds()
		return err
	}
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	err := s.Stream(stopped, func(context.Context, bool) (Request, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.taken < len(p.texts) {
			p.take(p.texts[p.taken])
			return Request{Text: p.texts[p.taken-1]}, true
		}
		if !p.exhausted && 2*p.ended > len(p.texts) {
			p.full, p.seconds = true, time.Since(start).Seconds()
			stop()
		}
		p.exhausted = true
		return Request{}, false
	}, func(i int, _ Translation) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.full {
			p.end(i)
		}
		return nil
	})
	if p.full && errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return nil
	}
	if !p.full {
		p.seconds = time.Since(start).Seconds()
	}
	return err
}

func (p *probe) take(text string) {
	p.taken++
	p.takenTokens += int64(p.t.CountTokens(text))
}

func (p *probe) end(i int) {
	p.ended++
	p.endedTokens += int64(p.t.CountTokens(p.texts[i]))
}

// work returns the sentences and source tokens that were translated in the measured time. Of
// those in the search half is done.
func (p *probe) work() (sentences, tokens float64) {
	return float64(p.taken+p.ended) / 2, float64(p.takenTokens+p.endedTokens) / 2
}

// Text describes the estimate in a line.
func (e *Estimate) Text() string {
	text := fmt.Sprintf("%d rows, %d sentences, %d of them distinct, %d source tokens", e.Rows, e.Segments, e.Distinct, e.Tokens)
	if e.Remembered > 0 {
		text += fmt.Sprintf("; %d in the memory", e.Remembered)
	}
	if e.Second > 0 {
		text += fmt.Sprintf("; %d for the second translator", e.Second)
	}
	if p := e.Probe; p != nil {
		text += fmt.Sprintf("; about %s, by %d sentences translated now (%.1f sentences/s, %.0f source tokens/s)",
			time.Duration(p.Seconds*float64(time.Second)).Round(time.Second), p.Sentences, p.SentencesPerSecond, p.SourceTokensPerSecond)
	}
	return text
}
