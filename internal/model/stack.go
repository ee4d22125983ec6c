package model

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Stack is what the decoders here have in common: token embeddings, blocks
// that each add to a residual stream, a final norm, and an output projection.
// An architecture loads one, and has a Decoder.
type Stack struct {
	Dev    tensor.Device
	About  Info
	Embed  tensor.Table
	Scale  float32 // of the embeddings
	Round  bool    // round them to BF16, as a BF16 reference does
	Blocks []nn.Block
	Norm   nn.Norm
	Output tensor.Weight // [V,D]
	// Softcap is the cap of the logits, 0 for none.
	Softcap float32
	// KVWidth is G·Dh, the width of a layer's keys and of its values.
	KVWidth int
}

// stackTape is one saved forward pass. Blocks below the first that trains
// have nothing to save.
type stackTape struct {
	m      *Stack
	p      *nn.Pass
	blocks []nn.BlockSaved
	last   tensor.Tensor // the residual stream before the final norm
}

// Info implements Decoder.
func (m *Stack) Info() Info { return m.About }

// Device implements Decoder.
func (m *Stack) Device() tensor.Device { return m.Dev }

// Head implements Decoder.
func (m *Stack) Head() (tensor.Weight, float32) { return m.Output, m.Softcap }

// NewCache implements Decoder.
func (m *Stack) NewCache() *Cache { return NewCache(m.Dev, len(m.Blocks), m.KVWidth) }

// Linears implements Decoder.
func (m *Stack) Linears() []*nn.Linear {
	var ls []*nn.Linear
	for _, b := range m.Blocks {
		ls = append(ls, b.Linears()...)
	}
	return ls
}

// Forward implements Decoder.
func (m *Stack) Forward(p *nn.Pass, tokens []int32, cache *Cache) (tensor.Tensor, Tape, error) {
	x := m.Dev.Alloc(len(tokens), m.About.Hidden)
	m.Dev.Embed(x, m.Embed, tokens, m.Scale, m.Round)
	first := len(m.Blocks) // of those that save
	if p.Save {
		first = m.firstAdapted()
	}
	var kv *nn.KV
	for i, b := range m.Blocks[:first] {
		if cache != nil {
			kv = cache.Layer(i)
		}
		b.Forward(p, x, kv)
	}
	var blocks []nn.BlockSaved
	for _, b := range m.Blocks[first:] {
		var s nn.BlockSaved
		x, s = b.ForwardSave(p, x)
		blocks = append(blocks, s)
	}
	h := m.Dev.Alloc(len(tokens), m.About.Hidden)
	m.Norm.Forward(m.Dev, h, x)
	if p.Save {
		return h, &stackTape{m: m, p: p, blocks: blocks, last: x}, nil
	}
	m.Dev.Free(x)
	return h, nil, nil
}

// firstAdapted is the number of the lowest block with an adapter.
func (m *Stack) firstAdapted() int {
	for i, b := range m.Blocks {
		for _, l := range b.Linears() {
			if l.LoRA != nil {
				return i
			}
		}
	}
	return len(m.Blocks)
}

// Backward implements Tape.
func (t *stackTape) Backward(dh tensor.Tensor) {
	t.m.Norm.Backward(t.m.Dev, dh, dh, t.last, false)
	for i := len(t.blocks) - 1; i >= 0; i-- {
		t.blocks[i].Backward(t.p, dh, i == 0)
	}
	t.m.Dev.Free(t.last)
}
