package backend

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"barka/internal/generate"
	"barka/internal/model"
	"barka/internal/panics"
	"barka/internal/stage/translate"
	"barka/internal/tensor/cpu"
)

// searches are the beam searches of a stream. They take requests and deliver translations in
// turn, and compute side by side.
type searches struct {
	t    *Translator
	next translate.Next
	done func(int, translate.Translation) error

	taking  sync.Mutex
	waiting atomic.Bool // the search that holds taking waits for a request
	given   int         // requests

	delivering sync.Mutex
}

// accepted is a request that a search works on.
type accepted struct {
	index  int // of all requests of the stream
	output Output
}

// mostSearches is the largest number of searches of a stream. Each takes memory for its caches.
const mostSearches = 8

// sideBySide returns the models of a stream's searches, which share m's weights and divide the
// workers of its device. A search on one worker waits for no other, and operations that are too
// small to be divided keep no worker idle. The results are the same.
func sideBySide(m model.Seq2Seq) (models []model.Seq2Seq, closeAll func()) {
	host, ok := m.Device().(*cpu.Device)
	if !ok || host.Workers() == 1 {
		return []model.Seq2Seq{m}, func() {}
	}
	n := min(host.Workers(), mostSearches)
	devices := make([]*cpu.Device, n)
	for i := range devices {
		devices[i] = cpu.New((host.Workers() + i) / n)
		models = append(models, m.On(devices[i]))
	}
	return models, func() {
		for _, d := range devices {
			d.Close()
		}
	}
}

// Stream implements translate.Streamer: the searches are full as long as there are requests.
func (t *Translator) Stream(ctx context.Context, next translate.Next, done func(int, translate.Translation) error) error {
	all := searches{t: t, next: next, done: done}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var work sync.WaitGroup
	for _, m := range t.searches {
		work.Go(func() {
			if err := panics.Catch(func() error { return all.run(ctx, m) }); err != nil {
				stop(err) // the first error is the cause
			}
		})
	}
	work.Wait()
	return context.Cause(ctx)
}

// run is one search, with a model on a device of its own.
func (a *searches) run(ctx context.Context, m model.Seq2Seq) error {
	inWork, taken := map[int]accepted{}, 0
	var unknown error // of a target language
	source := func(wait bool) (s generate.Source, ok bool) {
		r, index, ok := a.take(ctx, wait)
		if !ok {
			return s, false
		}
		g := accepted{index: index}
		s, g.output = a.t.encode(r.Text)
		if r.To != "" {
			var err error
			if s.ForcedBOS, err = a.t.base.Language(r.To); err != nil {
				unknown = err
			}
		}
		s.NoRepeatNGram = r.NoRepeatNGram
		inWork[taken] = g
		taken++
		return s, true
	}
	return generate.BeamStream(ctx, m, a.t.search, source, func(i int, best []generate.Hypothesis) error {
		if unknown != nil {
			return unknown
		}
		g := inWork[i]
		delete(inWork, i)
		a.t.complete(&g.output, best)
		tr := a.t.translation(g.output)
		a.delivering.Lock()
		defer a.delivering.Unlock()
		return a.done(g.index, tr)
	})
}

// take returns the next request and its index. Without wait there is none while another search
// waits for one.
func (a *searches) take(ctx context.Context, wait bool) (r translate.Request, index int, ok bool) {
	if wait {
		a.taking.Lock()
	} else if !a.lock() {
		return r, 0, false
	}
	defer a.taking.Unlock()
	a.waiting.Store(wait)
	defer a.waiting.Store(false)
	if r, ok = a.next(ctx, wait); ok {
		a.given++
	}
	return r, a.given - 1, ok
}

// lock locks taking, unless the search that holds it waits for a request.
func (a *searches) lock() bool {
	for !a.taking.TryLock() {
		if a.waiting.Load() {
			return false
		}
		runtime.Gosched()
	}
	return true
}
