package translate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"barka/internal/panics"
)

// Request is a text to translate.
type Request struct {
	Text string
	// NoRepeatNGram replaces that of the translator's settings, if it is positive.
	NoRepeatNGram int
	// To is the target language; "" is the translator's.
	To string
	// Term is a term of the text with its translation, for a Guided; "" is none.
	Term Term
}

// Term is a term with its translation.
type Term struct{ Source, Target string }

// Guided is a Model that takes a term with each text.
type Guided interface {
	Model
	// TranslateWith returns the translation of each request, in order.
	TranslateWith(ctx context.Context, requests []Request) ([]Translation, error)
}

// Next returns the next request. With wait it waits for one, and false means that there will be
// none, or that ctx has ended. Without wait, false means that there is none at present.
type Next func(ctx context.Context, wait bool) (Request, bool)

// Streamer is a Model that takes requests while it works on others.
type Streamer interface {
	Model
	// Stream translates what next returns until it returns false when called with wait. done is
	// called with each translation, in any order; its index counts the requests. Neither is called
	// twice at once, but done may be called while next waits.
	Stream(ctx context.Context, next Next, done func(index int, tr Translation) error) error
}

// Targeting is a Streamer that translates into other languages than its own.
type Targeting interface {
	Streamer
	// CheckTarget returns an error if the model does not know a language.
	CheckTarget(code string) error
}

const (
	// batchTexts is how many texts a Model that is no Streamer gets together.
	batchTexts = 64
	// window is how many waiting texts are sorted by length. Texts of about the same length
	// are encoded together and end together.
	window = 1024
)

// queue keeps a translator busy with the texts that all workers need, each once. What is
// translated goes to the memory.
type queue struct {
	t      Model
	memory *memory

	mu      sync.Mutex
	waiting []*ask           // in order of arrival
	block   []*ask           // the next ones, longest last
	open    map[request]*ask // waiting or in work
	given   map[int]*ask     // in work, by index
	taken   int
	closed  bool
	err     error // the error that ended the stream

	woken chan struct{} // has a value if something was added
	ended chan struct{} // is closed when the stream has ended
}

// ask is a request of one or several workers.
type ask struct {
	need
	done chan struct{}
}

// need is a request, and what reports whether other hypotheses than the best are needed; nil
// if they are not.
type need struct {
	request
	others func(Translation) bool
}

// newQueue starts a queue. The translator is not used before the first request.
func newQueue(ctx context.Context, t Model, m *memory) *queue {
	q := &queue{t: t, memory: m, open: map[request]*ask{}, given: map[int]*ask{}, woken: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run(ctx)
	return q
}

// close ends the queue, when nobody waits any more, and returns when it has ended.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
	<-q.ended
}

func (q *queue) wake() {
	select {
	case q.woken <- struct{}{}:
	default:
	}
}

func (q *queue) run(ctx context.Context) {
	defer close(q.ended)
	stream := q.batches
	if s, ok := q.t.(Streamer); ok {
		stream = s.Stream
	}
	err := panics.Catch(func() error {
		if !q.pause(ctx) {
			return ctx.Err()
		}
		return stream(ctx, q.next, q.deliver)
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err = err; err == nil && len(q.open) > 0 {
		q.err = fmt.Errorf("translator %s left %d texts untranslated", q.t.Name(), len(q.open))
	}
}

// pause waits for a request, and returns false at the end.
func (q *queue) pause(ctx context.Context) bool {
	for {
		q.mu.Lock()
		some, closed := len(q.waiting)+len(q.block) > 0, q.closed
		q.mu.Unlock()
		if some {
			return true
		}
		if closed {
			return false
		}
		select {
		case <-q.woken:
		case <-ctx.Done():
			return false
		}
	}
}

func (q *queue) next(ctx context.Context, wait bool) (Request, bool) {
	if wait && !q.pause(ctx) {
		return Request{}, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.block) == 0 {
		n := min(len(q.waiting), window)
		q.block = append(q.block, q.waiting[:n]...)
		q.waiting = slices.Delete(q.waiting, 0, n)
		slices.SortStableFunc(q.block, func(a, b *ask) int { return cmp.Compare(len(a.text), len(b.text)) })
	}
	last := len(q.block) - 1
	if last < 0 {
		return Request{}, false
	}
	a := q.block[last]
	q.block = q.block[:last]
	q.given[q.taken] = a
	q.taken++
	return a.Request(), true
}

// deliver takes a translation.
func (q *queue) deliver(i int, tr Translation) error {
	q.mu.Lock()
	a := q.given[i]
	delete(q.given, i)
	q.mu.Unlock()
	if a == nil {
		return fmt.Errorf("translator %s returned a translation of nothing", q.t.Name())
	}
	if len(tr.Alternatives) > 0 && (a.others == nil || !a.others(tr)) {
		tr.Alternatives, tr.Dropped = nil, len(tr.Alternatives)
	}
	if err := q.memory.put(a.request, tr); err != nil {
		return err
	}
	q.mu.Lock()
	delete(q.open, a.request)
	q.mu.Unlock()
	close(a.done)
	return nil
}

// translate returns when the memory has the translations of all requests.
func (q *queue) translate(ctx context.Context, needs []need) error {
	asks, err := q.add(needs)
	if err != nil {
		return err
	}
	for _, a := range asks {
		select {
		case <-a.done:
			continue
		case <-ctx.Done():
			return ctx.Err()
		case <-q.ended:
		}
		select {
		case <-a.done: // before the end
		default:
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.err
		}
	}
	return nil
}

// add puts what the memory lacks into the queue.
func (q *queue) add(needs []need) (asks []*ask, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range needs {
		r := n.request
		a := q.open[r]
		if a == nil {
			// It may have been translated for another worker meanwhile.
			if _, known, err := q.memory.get(r); err != nil {
				return nil, err
			} else if known {
				continue
			}
			a = &ask{n, make(chan struct{})}
			q.open[r] = a
			q.waiting = append(q.waiting, a)
		}
		asks = append(asks, a)
	}
	q.wake()
	return asks, nil
}

// batches is the Stream of a translator that takes batches.
func (q *queue) batches(ctx context.Context, next Next, done func(int, Translation) error) error {
	for first := 0; ; {
		r, ok := next(ctx, true)
		if !ok {
			return ctx.Err()
		}
		requests := []Request{r}
		time.Sleep(time.Millisecond) // for the others that are about to come
		for len(requests) < batchTexts {
			if r, ok = next(ctx, false); !ok {
				break
			}
			requests = append(requests, r)
		}
		translations, err := q.batch(ctx, requests)
		if err == nil && len(translations) != len(requests) {
			err = fmt.Errorf("translator %s returned %d translations of %d texts", q.t.Name(), len(translations), len(requests))
		}
		if err != nil {
			return err
		}
		for i, tr := range translations {
			if err := done(first+i, tr); err != nil {
				return err
			}
		}
		first += len(requests)
	}
}

// batch translates requests together.
func (q *queue) batch(ctx context.Context, requests []Request) ([]Translation, error) {
	if g, ok := q.t.(Guided); ok {
		return g.TranslateWith(ctx, requests)
	}
	texts := make([]string, len(requests))
	for i, r := range requests {
		texts[i] = r.Text
	}
	return q.t.Translate(ctx, texts, nil)
}
