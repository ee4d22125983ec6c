package train

import (
	"encoding/json"
	"fmt"

	"barka/internal/durable"
	"barka/internal/tensor"
)

// hostMicroTokens bounds the tokens of a pass on the CPU, if the options do not.
const hostMicroTokens = 2048

// apartMicroTokens are the bounds for a device with memory of its own. From the last one on products keep
// a GPU busy.
var apartMicroTokens = []int{32768, 16384, 8192}

// settle returns the options with a bound of the tokens of a pass. recorded is that of the run that is
// continued, or 0: it does not change with the device, nor with the memory that is free.
func (o Options) settle(in *Input, recorded int) (Options, error) {
	var err error
	switch {
	case o.MicroTokens > 0:
	case recorded > 0:
		o.MicroTokens = recorded
	case in.Apart == nil:
		o.MicroTokens = hostMicroTokens
	default:
		o.MicroTokens, err = o.propose(in)
	}
	return o, err
}

// recordedMicroTokens returns the bound of the run that has begun at out or is finished there, or 0. On the
// CPU it is that of a run which began elsewhere.
func (in *Input) recordedMicroTokens(out string) int {
	w, err := durable.NewWork(out)
	if err != nil {
		return 0 // reported when the run begins, as the errors below
	}
	begun, id, err := readBegun(w)
	if err != nil || begun == nil {
		there, err := readStanding(out)
		if err != nil || there == nil {
			return 0
		}
		id = there.identity
	}
	var o Options
	_, kind := splitDevice(id.Model)
	if json.Unmarshal(id.Options, &o) != nil || in.Apart == nil && kind == hostKind {
		return 0
	}
	return o.MicroTokens
}

// propose returns the largest bound for a device apart with which the longest pass fits into the memory
// that is free, by the estimate: at first without recomputed blocks, then with them.
func (o Options) propose(in *Input) (int, error) {
	m, err := newMeter(o, in)
	if err != nil {
		return 0, err
	}
	limit, all := in.limit(), m.blocks()
	fits := func(tokens, recompute int) bool {
		need, e := m.bytes(o.longest(tokens), recompute)
		if e != nil {
			err = e
		}
		return limit <= 0 || need <= limit
	}
	first := 0
	if o.Checkpointing == CheckpointingOn {
		first = all
	}
	for _, n := range apartMicroTokens {
		if fits(n, first) {
			return n, err
		}
	}
	for n := apartMicroTokens[len(apartMicroTokens)-1]; n > hostMicroTokens; n /= 2 {
		if o.Checkpointing != CheckpointingOff && fits(n, all) {
			return n, err
		}
	}
	return hostMicroTokens, err
}

// longest is a micro-batch of at most so many tokens, all trained, in samples of the longest length.
func (o Options) longest(tokens int) (m micro) {
	for m.trained = tokens; tokens > 0; tokens -= o.MaxLength {
		m.lengths = append(m.lengths, min(tokens, o.MaxLength))
	}
	return m
}

// advise adds to a device's lack of memory what would need less of it.
func (t *trainer) advise(err error) error {
	if !tensor.OutOfMemory(err) || t.o.MicroTokens < 2 {
		return err
	}
	n, longest := t.fewer()
	text := fmt.Sprintf("train with --micro-tokens %d", n)
	if longest > n {
		text += fmt.Sprintf(" --max-length %d", n)
	}
	return fmt.Errorf("%w. A pass over fewer tokens needs less: %s, and a run that has begun also with --restart", err, text)
}

// fewer returns a smaller bound of the tokens of a pass, for which the memory that is free now suffices by
// the estimate, and the tokens of the longest sample, which has a pass of its own.
func (t *trainer) fewer() (n, longest int) {
	n = t.o.MicroTokens / 2
	if t.plan == nil || t.model == nil {
		return n, 0
	}
	longest = t.plan.Data.Longest
	m, err := newMeter(t.o, &t.in)
	if err != nil {
		return n, longest
	}
	recompute := m.blocks()
	if t.o.Checkpointing == CheckpointingOff {
		recompute = 0
	}
	n = max(min(n, t.plan.shape.tokens()/2), 1)
	const least = 32 // a smaller pass is no help
	for free := t.in.limit(); free > 0 && n > least; n /= 2 {
		o := t.o
		o.MicroTokens = n
		shape := t.plan.Data.largest(o, t.env.Seed)
		dev, _, err := m.pass(shape, recompute)
		if err != nil || withGarbage(dev.Tensors()-m.dev.Tensors())+m.workspace(shape.tokens()) <= free {
			break
		}
	}
	return n, longest
}
