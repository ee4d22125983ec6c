package generate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/panics"
	"barka/internal/parallel"
)

// Engine continues prompts that come at any time, from any goroutine, and
// decodes all that are at hand together. The zero value of all but Model is
// ready for use; fields must not be changed after the first Submit.
//
// Each pass of the model takes one token of every sequence that is being
// decoded, so that none ever waits for another's prompt, and fills up with
// pieces of prompts. Sequences that begin with the same tokens, or with those
// of one that finished a while ago, share the cache rows of the beginning.
// When the cache is full, the youngest sequence gives up its rows and runs
// again later; what it yields is the same.
type Engine struct {
	Model model.Decoder
	// MaxSequences bounds the sequences decoded together; zero means 32.
	MaxSequences int
	// MaxTokens bounds the tokens of a pass that runs prompts; zero means 512.
	MaxTokens int
	// CacheBytes bounds the key/value cache; zero means 1 GiB. Memory is set
	// aside at the first request and touched as sequences need it.
	CacheBytes int64
	// Threads choose from logits; zero means one per core.
	Threads int
	// Apart shares nothing between sequences: for comparison, since the
	// results are the same to the bit.
	Apart bool

	mu      sync.Mutex
	rows    int // bound of the cache in rows; 0: by CacheBytes
	arrived []*Call
	serving bool
	closed  bool
	done    sync.WaitGroup
	stats   Stats

	// What follows belongs to the goroutine that serves.
	waiting []*Call // for a place, the first first
	active  []*Call // the oldest first
	prompts []*Call // active ones with more than one token to run
	cache   *model.Cache
	pool    *pool
	batch   batch
	workers *parallel.Pool
	sampler []sampler // of each worker
	logits  []float32
}

// Stats counts what an engine has done.
type Stats struct {
	Passes  int64 // of the model
	Run     int64 // tokens run through the model
	Shared  int64 // tokens that were not, because their rows were at hand
	Yielded int64 // times a sequence gave up its rows
	Rows    int   // most cache rows in use at once
}

// Call is a submitted request.
type Call struct {
	sequence
	ctx  context.Context
	done chan struct{}
	err  error
}

// Wait returns the result when the request is done or its context has ended;
// nothing of the request is used any more then. A panic of the engine goes on
// in who waits.
func (c *Call) Wait() (Result, error) {
	<-c.done
	if p, ok := c.err.(*panics.Error); ok {
		panic(p)
	}
	return c.result(), c.err
}

var errClosed = errors.New("generate: the engine was closed")

func sequences(n int) int {
	if n <= 0 {
		return 32
	}
	return n
}

// limit is the bound of the cache in rows.
func (e *Engine) limit(rowBytes int64) int {
	if e.rows > 0 {
		return e.rows
	}
	bytes := e.CacheBytes
	if bytes <= 0 {
		bytes = 1 << 30
	}
	n := bytes / max(rowBytes, 1)
	if positions := e.Model.Info().MaxPositions; positions > 0 {
		n = min(n, int64(sequences(e.MaxSequences))*int64(positions))
	}
	return int(min(n, 1<<30))
}

// check refuses what the model or the cache can never hold.
func (e *Engine) check(r *Request) error {
	info := e.Model.Info()
	if err := r.check(info.MaxPositions, info.Vocab); err != nil {
		return err
	}
	rowBytes := e.Model.NewCache().RowBytes()
	limit := e.limit(rowBytes)
	if need := r.rows(info.MaxPositions); need > limit {
		return badinput.Errorf("the prompt has %d tokens and up to %d may follow, which need %s of key/value cache; its bound is %s, %d tokens; "+
			"ask for a shorter answer or allow the cache more memory",
			len(r.Prompt), need-len(r.Prompt)+1, mebibytes(int64(need)*rowBytes), mebibytes(int64(limit)*rowBytes), limit)
	}
	return nil
}

// Submit hands in a request, whose slices must not change before it is done.
// A context that ends takes the request, and no other, out of the engine.
func (e *Engine) Submit(ctx context.Context, r Request) (*Call, error) {
	if err := e.check(&r); err != nil {
		return nil, err
	}
	c := &Call{sequence: newSequence(r), ctx: ctx, done: make(chan struct{})}
	c.most = r.rows(e.Model.Info().MaxPositions)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	e.arrived = append(e.arrived, c)
	if !e.serving {
		e.serving = true
		e.done.Go(e.serve)
	}
	return c, nil
}

// Stats returns the counts so far.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// count adds to the counts, but for Rows.
func (e *Engine) count(s Stats) {
	if s == (Stats{}) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Passes += s.Passes
	e.stats.Run += s.Run
	e.stats.Shared += s.Shared
	e.stats.Yielded += s.Yielded
}

// Close ends all requests and gives the cache back.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.done.Wait()
	e.reset()
	if e.workers != nil {
		e.workers.Close()
		e.workers = nil
	}
}

func (e *Engine) reset() {
	if e.cache != nil {
		e.cache.Free()
		e.cache, e.pool = nil, nil
	}
}

// serve runs passes until there is nothing to do.
func (e *Engine) serve() {
	for e.gather() {
		// A panic goes on in those who wait for the calls.
		if err := panics.Catch(e.step); err != nil {
			e.fail(err)
			e.reset() // rows that were not filled must not be found
		}
	}
}

// step runs one pass.
func (e *Engine) step() error {
	e.dismiss()
	e.admit()
	if len(e.active) == 0 {
		return nil
	}
	e.plan()
	return e.run()
}

// gather takes in what has arrived. It ends the serving if that is nothing
// and nothing is left.
func (e *Engine) gather() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = append(e.waiting, e.arrived...)
	clear(e.arrived)
	e.arrived = e.arrived[:0]
	if e.closed {
		e.fail(errClosed)
	}
	e.serving = len(e.waiting)+len(e.active) > 0
	if e.pool != nil {
		e.stats.Rows = max(e.stats.Rows, e.pool.used())
	}
	return e.serving
}

// fail ends all requests with an error.
func (e *Engine) fail(err error) {
	for _, c := range e.active {
		e.leave(c, err)
	}
	for _, c := range e.waiting {
		e.leave(c, err)
	}
	clear(e.active)
	clear(e.waiting)
	e.active, e.waiting = e.active[:0], e.waiting[:0]
}

// leave lets go of a call's rows and tells who waits for it.
func (e *Engine) leave(c *Call, err error) {
	e.drop(c)
	c.err = err
	close(c.done)
}

// drop makes a call's rows idle.
func (e *Engine) drop(c *Call) {
	if e.pool != nil {
		e.pool.release(c.last())
	}
	c.rows = c.rows[:0]
}

// dismiss takes out the calls whose contexts have ended.
func (e *Engine) dismiss() {
	gone := func(c *Call) bool {
		err := c.ctx.Err()
		if err != nil {
			e.leave(c, err)
		}
		return err != nil
	}
	e.active = slices.DeleteFunc(e.active, gone)
	e.waiting = slices.DeleteFunc(e.waiting, gone)
}

// admit gives places to calls in their order while the cache has room for
// what they still have to run and a quarter of what may follow. Should more
// follow, sequences yield.
func (e *Engine) admit() {
	if e.pool == nil && len(e.waiting) > 0 {
		e.cache = e.Model.NewCache()
		limit := e.limit(e.cache.RowBytes())
		e.cache.Grow(limit)
		keep := limit / 4
		if e.Apart {
			keep = 0
		}
		e.pool = newPool(e.cache, limit, keep, !e.Apart)
	}
	n := 0
	for ; n < len(e.waiting) && len(e.active) < sequences(e.MaxSequences); n++ {
		c := e.waiting[n]
		shared := e.match(c)
		room := e.pool.available() - e.owed()
		if len(e.active) > 0 && room < c.pending()+(c.most-len(c.tokens))/4 {
			e.drop(c)
			break
		}
		e.count(Stats{Shared: int64(shared)})
		c.begin()
		e.active = append(e.active, c)
	}
	e.waiting = slices.Delete(e.waiting, 0, n)
}

// owed is the number of rows that the active calls' tokens still need.
func (e *Engine) owed() int {
	n := 0
	for _, c := range e.active {
		n += c.pending()
	}
	return n
}

// match moves a call past the tokens whose rows are at hand and returns their
// number. At least one token is left to run: the next one is chosen from its
// state.
func (e *Engine) match(c *Call) int {
	if e.Apart {
		return 0
	}
	shared := 0
	for c.pending() > 1 {
		r, ok := e.pool.find(c.last(), c.tokens[len(c.rows)])
		if !ok {
			break
		}
		e.pool.follow(r)
		c.rows = append(c.rows, r)
		shared++
	}
	return shared
}

// plan fills the batch of the next pass.
func (e *Engine) plan() {
	for {
		e.batch.reset()
		e.prompts = e.prompts[:0]
		decoding := 0
		for _, c := range e.active {
			e.count(Stats{Shared: int64(e.match(c))})
			if c.pending() == 1 {
				decoding++
			} else {
				e.prompts = append(e.prompts, c)
			}
		}
		if decoding > e.pool.available() {
			e.yield()
			continue
		}
		for _, c := range e.active {
			if c.pending() == 1 {
				e.take(c, 1)
			}
		}
		e.planPrompts(max(e.tokens()-decoding, 1))
		if len(e.batch.tokens) > 0 {
			return
		}
		e.yield() // prompts alone, and no row left for any
	}
}

func (e *Engine) tokens() int {
	if e.MaxTokens <= 0 {
		return 512
	}
	return e.MaxTokens
}

// planPrompts gives a budget of tokens to prompts: a quarter to the oldest,
// the rest to those that are done with the fewest. Long prompts do not hold up
// short ones, nor short ones a long one for ever.
func (e *Engine) planPrompts(budget int) {
	if len(e.prompts) == 0 {
		return
	}
	oldest := e.prompts[0]
	slices.SortStableFunc(e.prompts, func(a, b *Call) int { return cmp.Compare(a.pending(), b.pending()) })
	reserved := min(oldest.pending(), max(budget/4, 1))
	budget -= reserved
	for _, c := range e.prompts {
		// Others have put tokens into this very pass.
		e.count(Stats{Shared: int64(e.match(c))})
		n := budget
		if c == oldest {
			n += reserved
		}
		n = min(n, c.pending(), e.pool.available())
		if n > 0 {
			e.take(c, n)
			budget -= n
		}
		if c == oldest {
			budget = max(budget+reserved, 0)
		}
	}
}

// take puts the next n tokens of a call into the batch.
func (e *Engine) take(c *Call, n int) {
	past := len(c.rows)
	for _, t := range c.tokens[past : past+n] {
		c.rows = append(c.rows, e.pool.extend(c.last(), t))
	}
	e.batch.add(c, past)
}

// yield takes the youngest call's rows for the others. It will go on before
// those that have not begun.
func (e *Engine) yield() {
	c := e.active[len(e.active)-1]
	e.active = e.active[:len(e.active)-1]
	e.drop(c)
	e.waiting = slices.Insert(e.waiting, 0, c)
	e.count(Stats{Yielded: 1})
}
