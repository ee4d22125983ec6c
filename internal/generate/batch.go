package generate

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// batch holds the tokens of one pass of the model. Its memory is reused.
type batch struct {
	layout    tensor.Layout
	pass      nn.Pass
	tokens    []int32
	positions []int32
	rows      []int32
	ready     []*Call  // calls whose next token is chosen after the pass
	ends      []int32  // batch row of each ready call's last token
	choices   []choice // of each ready call
	greedy    []int32  // indices of ready calls that choose greedily
	sampled   []int32  // indices of ready calls that sample
	at        []int32
}

func (b *batch) reset() {
	b.tokens, b.positions, b.rows = b.tokens[:0], b.positions[:0], b.rows[:0]
	b.layout.Starts, b.layout.Past = append(b.layout.Starts[:0], 0), b.layout.Past[:0]
	clear(b.layout.Keys)
	clear(b.ready)
	b.layout.Keys, b.ready, b.ends = b.layout.Keys[:0], b.ready[:0], b.ends[:0]
}

// add adds the tokens of a call from position past to its last row.
func (b *batch) add(c *Call, past int) {
	for i := past; i < len(c.rows); i++ {
		b.tokens, b.positions, b.rows = append(b.tokens, c.tokens[i]), append(b.positions, int32(i)), append(b.rows, c.rows[i])
	}
	b.layout.Starts = append(b.layout.Starts, int32(len(b.tokens)))
	b.layout.Past = append(b.layout.Past, int32(past))
	b.layout.Keys = append(b.layout.Keys, c.rows)
	if c.pending() == 0 {
		b.ready, b.ends = append(b.ready, c), append(b.ends, int32(len(b.tokens)-1))
	}
}

// run runs the scheduled batch and chooses the next token of every ready call.
func (e *Engine) run() error {
	b, dev := &e.batch, e.Model.Device()
	b.pass = nn.Pass{Dev: dev, Layout: &b.layout, Positions: b.positions, Rows: b.rows}
	h, _, err := e.Model.Forward(&b.pass, b.tokens, e.cache)
	if err != nil {
		return err
	}
	e.count(Stats{Passes: 1, Run: int64(len(b.tokens))})
	e.choose(h)
	dev.Free(h)
	positions := e.Model.Info().MaxPositions
	finished := false
	for i, c := range b.ready {
		c.accept(b.choices[i], positions)
		finished = finished || c.finish != ""
	}
	if finished {
		e.retire()
	}
	return nil
}

// retire completes and removes finished calls.
func (e *Engine) retire() {
	kept := e.active[:0]
	for _, c := range e.active {
		if c.finish == "" {
			kept = append(kept, c)
		} else {
			e.complete(c, nil)
		}
	}
	clear(e.active[len(kept):])
	e.active = kept
}

// choose chooses the next token of every ready call from the states h [T,D].
// The logits of greedy calls are never stored.
func (e *Engine) choose(h tensor.Tensor) {
	b, dev := &e.batch, e.Model.Device()
	b.greedy, b.sampled = b.greedy[:0], b.sampled[:0]
	if n := len(b.ready); cap(b.choices) < n {
		b.choices = make([]choice, n)
	} else {
		b.choices = b.choices[:n]
	}
	for i, c := range b.ready {
		if c.req.Sampling.greedy() {
			b.greedy = append(b.greedy, int32(i))
		} else {
			b.sampled = append(b.sampled, int32(i))
		}
	}
	head, softcap := e.Model.Head()
	if len(b.greedy) > 0 {
		rows := e.states(h, b.greedy)
		for j, c := range dev.TopK(rows, head, 1, softcap, nil, nil).Get() {
			b.choices[b.greedy[j]] = choice{c.Tokens[0], c.LogP[0]}
		}
		dev.Free(rows)
	}
	if len(b.sampled) > 0 {
		rows := e.states(h, b.sampled)
		e.drawing.run(dev, e.Threads, rows, head, softcap, func(i int, sampler *sampler, logits []float32) {
			call := b.sampled[i]
			s := &b.ready[call].sequence
			b.choices[call] = sampler.choose(logits, &s.req.Sampling, s.seen, nil, s.draw())
		})
		dev.Free(rows)
	}
}

// logitBudget bounds the logits in memory at a time, in values (64 MiB).
const logitBudget = 16 << 20

// states gathers the last states [n,D] of ready calls.
func (e *Engine) states(h tensor.Tensor, calls []int32) tensor.Tensor {
	b, dev := &e.batch, e.Model.Device()
	rows := dev.Alloc(len(calls), h.Cols)
	b.at = b.at[:0]
	for _, c := range calls {
		b.at = append(b.at, b.ends[c])
	}
	dev.Gather(rows, h, tensor.Ints{Host: b.at})
	return rows
}
