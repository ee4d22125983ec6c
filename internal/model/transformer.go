package model

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Transformer is the decoder that all causal architectures share: token embeddings,
// blocks that each add to a residual stream, a final norm, and an output projection. It
// implements Decoder. An architecture fills one from its configuration and weights.
type Transformer struct {
	Files
	Dev    tensor.Device
	Meta   Info
	Embed  tensor.Table
	Scale  float32 // factor of the embeddings
	Round  bool    // round the embeddings to BF16, as a BF16 reference does
	Blocks []nn.Block
	Norm   nn.Norm
	Output tensor.Weight // [V,D]
	// EmbedModule and HeadModule are the module paths of Embed and Output. Tied is set if they
	// are the same matrix.
	EmbedModule, HeadModule string
	Tied                    bool
	// Softcap is the cap of the logits; 0 means none.
	Softcap float32
	// KVWidth is G·Dh, the width of a layer's keys and of its values.
	KVWidth int

	embedding, head *Full // in place of Embed and Output, if they are trained; or nil
	linears         []*nn.Linear
}

// tape is one saved forward pass. It starts at the lowest block with an adapter: nothing
// below it needs a gradient.
type tape struct {
	m      *Transformer
	p      *nn.Pass
	blocks []nn.BlockSaved
	last   tensor.Tensor // the residual stream before the final norm
}

// Info implements Decoder.
func (m *Transformer) Info() Info { return m.Meta }

// Device implements Decoder.
func (m *Transformer) Device() tensor.Device { return m.Dev }

// Head implements Decoder.
func (m *Transformer) Head() (tensor.Weight, float32) { return m.Output, m.Softcap }

// NewCache implements Decoder.
func (m *Transformer) NewCache() *Cache {
	return NewCache(m.Dev, len(m.Blocks), m.KVWidth, m.Dev.OperandType(m.Blocks[0].Linears()[0].W))
}

// Linears implements Decoder.
func (m *Transformer) Linears() []*nn.Linear {
	var ls []*nn.Linear
	for _, b := range m.Blocks {
		ls = append(ls, b.Linears()...)
	}
	return ls
}

// Forward implements Decoder.
func (m *Transformer) Forward(p *nn.Pass, tokens []int32, cache *Cache) (h tensor.Tensor, t Tape, err error) {
	dev := p.Dev
	defer tensor.Reclaim(dev, tensor.Mark(dev), &err)
	if cache != nil && p.Decodes() && !m.adapted() {
		key := step{m, cache.addresses}
		return p.Replay(key, tokens, nil, func() tensor.Tensor { return m.decode(p, len(tokens), cache) }), nil, nil
	}
	p.Prepare(tokens, nil)
	x := dev.Alloc(len(tokens), m.Meta.Hidden) // x [T,D], the residual stream
	m.embed(dev, x, p.Batch.Tokens)
	if !p.Noise.None() {
		if m.Scale != 1 {
			dev.Scale(p.Noise, m.Scale)
		}
		dev.Add(x, p.Noise)
	}
	first := len(m.Blocks) // the first block that saves its activations
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
	for i, b := range m.Blocks[first:] {
		var s nn.BlockSaved
		if i < p.Recompute {
			s = nn.ForwardInput(p, b, x)
		} else {
			x, s = b.ForwardSave(p, x)
		}
		blocks = append(blocks, s)
	}
	h = dev.Alloc(len(tokens), m.Meta.Hidden) // h [T,D]
	m.Norm.Forward(dev, h, x)
	if p.Save {
		return h, &tape{m: m, p: p, blocks: blocks, last: x}, nil
	}
	dev.Free(x)
	p.Release()
	return h, nil, nil
}

// step identifies the steps of decoding that are the same operations on the same memory.
type step struct {
	m     any
	cache uint64
}

// decode is Forward for a step of decoding of T tokens, whose lists are prepared.
func (m *Transformer) decode(p *nn.Pass, T int, cache *Cache) (h tensor.Tensor) {
	dev := p.Dev
	x := dev.Alloc(T, m.Meta.Hidden) // x [T,D]
	m.embed(dev, x, p.Batch.Tokens)
	for i, b := range m.Blocks {
		b.Forward(p, x, cache.Layer(i))
	}
	h = dev.Alloc(T, m.Meta.Hidden) // h [T,D]
	m.Norm.Forward(dev, h, x)
	dev.Free(x)
	return h
}

// adapted reports whether anything of the model is trained: then steps of decoding may differ in
// their weights.
func (m *Transformer) adapted() bool {
	if m.linears == nil {
		m.linears = m.Linears()
	}
	for _, l := range m.linears {
		if l.LoRA != nil {
			return true
		}
	}
	return m.embedding != nil || m.head != nil
}

// embed fills x [T,D] with the embeddings of tokens.
func (m *Transformer) embed(dev tensor.Device, x tensor.Tensor, tokens tensor.Ints) {
	if m.embedding == nil {
		dev.Embed(x, m.Embed, tokens, m.Scale, m.Round)
		return
	}
	dev.Gather(x, m.embedding.Value, tokens)
	if m.Scale != 1 {
		dev.Scale(x, m.Scale)
	}
}

// firstAdapted returns the index of the lowest block with an adapter, or the number of
// blocks if none has one. Below trained embeddings it is 0.
func (m *Transformer) firstAdapted() int {
	if m.embedding.trains() {
		return 0
	}
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
func (t *tape) Backward(dh tensor.Tensor) {
	t.m.Norm.Backward(t.p.Dev, dh, dh, t.last, false)
	t.p.Dev.Free(t.last)
	for i := len(t.blocks) - 1; i >= 0; i-- {
		t.blocks[i].Backward(t.p, dh, i == 0 && !t.m.embedding.trains())
	}
	if t.m.embedding.trains() {
		if t.m.Scale != 1 {
			t.p.Dev.Scale(dh, t.m.Scale)
		}
		t.p.Dev.ScatterAdd(t.m.embedding.Grad, dh, t.p.Batch.Tokens)
	}
	t.p.Release()
}
