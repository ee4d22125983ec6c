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
	"barka/internal/printable"
	"barka/internal/tensor"
)

// Engine continues prompts by continuous batching. Prompts may be submitted at
// any time, from any goroutine. All fields but Model may be zero; they must not
// change after the first Submit.
//
// Each pass of the model runs one token of every sequence that is decoding, so
// that none waits for another's prompt, and fills up with pieces of prompts
// (chunked prefill). Sequences share the cache rows of a common prefix, also
// with sequences that finished a while ago. When the cache is full, the youngest
// sequence is preempted: it loses its rows and runs again later, with the same
// result.
type Engine struct {
	Model model.Decoder
	// MaxSequences bounds the sequences that decode together; zero means 32.
	MaxSequences int
	// MaxBatchTokens bounds the tokens of a pass that runs prompts; zero means
	// BatchTokens, or on a GPU what model.PassTokens returns.
	MaxBatchTokens int
	// CacheBytes bounds the key/value cache; zero means 1 GiB. The memory is
	// reserved at the first request and touched as sequences need it.
	CacheBytes int64
	// Threads is the number of threads that sample from logits; zero means one
	// per core.
	Threads int
	// NoPrefixSharing runs every sequence on its own. It is meant for
	// comparison: the results are equal bit for bit.
	NoPrefixSharing bool

	mu      sync.Mutex
	rows    int // bound of the cache in rows; 0 means CacheBytes
	arrived []*Call
	serving bool
	closed  bool
	done    sync.WaitGroup
	stats   Stats

	// The fields below belong to the goroutine that runs serve.
	waiting []*Call // not yet admitted, or preempted; in order
	active  []*Call // oldest first
	prompts []*Call // active calls with more than one token to run
	cache   *model.Cache
	pool    *pool
	batch   batch
	tokens  int // that the device proposes for a pass; 0 before the first pass
	most    int // tokens and sequences of a pass since the device's memory was too short; 0 means no bound
	drawing drawing
}

// Stats counts what an engine has done.
type Stats struct {
	Passes    int64 // passes of the model
	Run       int64 // tokens run through the model
	Shared    int64 // tokens not run, because their rows were already in the cache
	Preempted int64 // times a sequence was preempted
	Rows      int   // largest number of cache rows in use at once
}

// Call is a submitted request.
type Call struct {
	sequence
	ctx  context.Context
	done chan struct{}
	err  error
}

// Wait returns the result when the request is done or its context has ended.
// The engine then no longer uses anything of the request. If the engine
// panicked, Wait panics.
func (c *Call) Wait() (Result, error) {
	<-c.done
	if p, ok := c.err.(*panics.Error); ok {
		panic(p)
	}
	return c.result(), c.err
}

var errClosed = errors.New("generate: the engine was closed")

func maxSequences(n int) int {
	if n <= 0 {
		return 32
	}
	return n
}

// limit returns the bound of the cache in rows.
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
		n = min(n, int64(maxSequences(e.MaxSequences))*int64(positions))
	}
	return int(min(n, 1<<30))
}

// check refuses a request that the model or the cache can never hold.
func (e *Engine) check(r *Request) error {
	info := e.Model.Info()
	if err := r.check(info.MaxPositions, info.Vocab); err != nil {
		return err
	}
	rowBytes := e.Model.NewCache().RowBytes()
	limit := e.limit(rowBytes)
	if need := r.rows(info.MaxPositions); need > limit {
		return badinput.Errorf("the prompt has %d tokens and up to %d may follow, which need %s of key/value cache; its bound is %s "+
			"(%d tokens); request a shorter answer, or allow the cache more memory",
			len(r.Prompt), need-len(r.Prompt)+1, printable.Bytes(int64(need)*rowBytes), printable.Bytes(int64(limit)*rowBytes), limit)
	}
	return nil
}

// Submit adds a request, whose slices must not change before it is done. When
// ctx ends, the request is cancelled and no other.
func (e *Engine) Submit(ctx context.Context, r Request) (*Call, error) {
	if err := e.check(&r); err != nil {
		return nil, err
	}
	c := &Call{sequence: newSequence(r), ctx: ctx, done: make(chan struct{})}
	c.maxRows = r.rows(e.Model.Info().MaxPositions)
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

// count adds s to the statistics, except for Rows.
func (e *Engine) count(s Stats) {
	if s == (Stats{}) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Passes += s.Passes
	e.stats.Run += s.Run
	e.stats.Shared += s.Shared
	e.stats.Preempted += s.Preempted
}

// Close cancels all requests and frees the cache.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.done.Wait()
	e.reset()
	e.drawing.close()
}

func (e *Engine) reset() {
	if e.cache != nil {
		e.cache.Free()
		e.cache, e.pool = nil, nil
	}
}

// serve runs passes until no request is left.
func (e *Engine) serve() {
	for e.receive() {
		// Wait panics again in the callers.
		if err := panics.Catch(e.step); err != nil && !e.shrink(err) {
			e.fail(err)
			e.reset() // rows that were not filled must not be shared
		}
	}
}

// step runs one pass.
func (e *Engine) step() (err error) {
	dev := e.Model.Device()
	defer tensor.Reclaim(dev, tensor.Mark(dev), &err)
	e.batch.reset()
	e.cancelDone()
	e.admit()
	if len(e.active) == 0 {
		return nil
	}
	e.schedulePass()
	return e.run()
}

// shrink makes the next passes half as large as the last one, if the device's memory was too short for
// it. It reports whether that is possible. All sequences are preempted: rows that the pass should have
// filled must not be shared.
func (e *Engine) shrink(err error) bool {
	n := len(e.batch.tokens)
	if !tensor.OutOfMemory(err) || n < 2 {
		return false
	}
	e.most = n / 2
	for len(e.active) > 0 {
		e.preempt()
	}
	e.reset()
	return true
}

// bounded returns n, or what shrink allows if that is less.
func (e *Engine) bounded(n int) int {
	if e.most > 0 {
		return min(n, e.most)
	}
	return n
}

// receive moves the calls that have arrived to the waiting ones. It reports
// whether there is anything to serve; if not, the serving goroutine must end.
func (e *Engine) receive() bool {
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

// fail completes all requests with an error.
func (e *Engine) fail(err error) {
	for _, c := range e.active {
		e.complete(c, err)
	}
	for _, c := range e.waiting {
		e.complete(c, err)
	}
	clear(e.active)
	clear(e.waiting)
	e.active, e.waiting = e.active[:0], e.waiting[:0]
}

// complete releases a call's rows and wakes up its Wait.
func (e *Engine) complete(c *Call, err error) {
	e.releaseRows(c)
	c.err = err
	close(c.done)
}

// releaseRows makes a call's rows idle.
func (e *Engine) releaseRows(c *Call) {
	if e.pool != nil {
		e.pool.release(c.last())
	}
	c.rows = c.rows[:0]
}

// cancelDone removes the calls whose contexts have ended.
func (e *Engine) cancelDone() {
	ended := func(c *Call) bool {
		err := c.ctx.Err()
		if err != nil {
			e.complete(c, err)
		}
		return err != nil
	}
	e.active = slices.DeleteFunc(e.active, ended)
	e.waiting = slices.DeleteFunc(e.waiting, ended)
}

// admit makes waiting calls active, in order, while the cache has room for the
// tokens that they still have to run and a quarter of those that may follow. If
// more follow than fit, sequences are preempted.
func (e *Engine) admit() {
	if e.pool == nil && len(e.waiting) > 0 {
		e.cache = e.Model.NewCache()
		limit := e.limit(e.cache.RowBytes())
		e.cache.Grow(limit)
		keep := limit / 4
		if e.NoPrefixSharing {
			keep = 0
		}
		e.pool = newPool(e.cache, limit, keep, !e.NoPrefixSharing)
	}
	n := 0
	for ; n < len(e.waiting) && len(e.active) < e.bounded(maxSequences(e.MaxSequences)); n++ {
		c := e.waiting[n]
		shared := e.reusePrefix(c)
		room := e.pool.available() - e.pendingTokens()
		if len(e.active) > 0 && room < c.pending()+(c.maxRows-len(c.tokens))/4 {
			e.releaseRows(c)
			break
		}
		e.count(Stats{Shared: int64(shared)})
		c.begin()
		e.active = append(e.active, c)
	}
	e.waiting = slices.Delete(e.waiting, 0, n)
}

// pendingTokens returns the number of tokens that active calls have to run.
func (e *Engine) pendingTokens() int {
	n := 0
	for _, c := range e.active {
		n += c.pending()
	}
	return n
}

// reusePrefix moves a call past the tokens whose rows are already in the cache
// and returns their number. It leaves at least one token to run, because the
// next one is chosen from that token's state.
func (e *Engine) reusePrefix(c *Call) int {
	if e.NoPrefixSharing {
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

// schedulePass fills the batch of the next pass, preempting sequences if the
// cache has no room.
func (e *Engine) schedulePass() {
	for {
		e.batch.reset()
		e.prompts = e.prompts[:0]
		decoding := 0
		for _, c := range e.active {
			e.count(Stats{Shared: int64(e.reusePrefix(c))})
			if c.pending() == 1 {
				decoding++
			} else {
				e.prompts = append(e.prompts, c)
			}
		}
		if decoding > e.pool.available() {
			e.preempt()
			continue
		}
		for _, c := range e.active {
			if c.pending() == 1 {
				e.schedule(c, 1)
			}
		}
		e.schedulePrompts(max(e.maxBatchTokens()-decoding, 1))
		if len(e.batch.tokens) > 0 {
			return
		}
		e.preempt() // only prompts, and no row left for any of them
	}
}

// BatchTokens is the default of Engine.MaxBatchTokens on the CPU.
const BatchTokens = 512

func (e *Engine) maxBatchTokens() int {
	if e.MaxBatchTokens > 0 {
		return e.bounded(e.MaxBatchTokens)
	}
	if e.tokens == 0 {
		e.tokens = model.PassTokens(e.Model.Device(), e.Model.Info(), BatchTokens)
	}
	return e.bounded(e.tokens)
}

// schedulePrompts distributes a budget of tokens over prompts. A quarter is
// reserved for the oldest; the rest goes to the shortest remainders first. Thus
// long prompts do not delay short ones, and a long one is never starved.
func (e *Engine) schedulePrompts(budget int) {
	if len(e.prompts) == 0 {
		return
	}
	oldest := e.prompts[0]
	slices.SortStableFunc(e.prompts, func(a, b *Call) int { return cmp.Compare(a.pending(), b.pending()) })
	reserved := min(oldest.pending(), max(budget/4, 1))
	budget -= reserved
	for _, c := range e.prompts {
		// Calls before this one may have added a shared prefix to this pass.
		e.count(Stats{Shared: int64(e.reusePrefix(c))})
		n := budget
		if c == oldest {
			n += reserved
		}
		n = min(n, c.pending(), e.pool.available())
		if n > 0 {
			e.schedule(c, n)
			budget -= n
		}
		if c == oldest {
			budget = max(budget+reserved, 0)
		}
	}
}

// schedule adds the next n tokens of a call to the batch.
func (e *Engine) schedule(c *Call, n int) {
	past := len(c.rows)
	for _, t := range c.tokens[past : past+n] {
		c.rows = append(c.rows, e.pool.extend(c.last(), t))
	}
	e.batch.add(c, past)
}

// preempt releases the youngest call's rows and puts it first among the waiting
// calls.
func (e *Engine) preempt() {
	c := e.active[len(e.active)-1]
	e.active = e.active[:len(e.active)-1]
	e.releaseRows(c)
	e.waiting = slices.Insert(e.waiting, 0, c)
	e.count(Stats{Preempted: 1})
}
