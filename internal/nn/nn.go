// Package nn has the layers of decoder and encoder-decoder language models, with forward
// and backward side by side. There is no automatic differentiation: Forward fills a struct
// of saved activations, and Backward reads it.
//
// Letters in shapes: T tokens of the flat ragged batch, D width of the residual stream, H
// query heads, G key/value heads, Dh width of a head, F width of the feed-forward layer, N
// outputs and K inputs of a linear layer, r rank of an adapter, R rows of a cache.
package nn

import (
	"barka/internal/lora"
	"barka/internal/tensor"
)

// Pass is one run of a model over a ragged batch.
type Pass struct {
	Dev       tensor.Device
	Layout    *tensor.Layout
	Positions []int32 // [T] position of every token
	// The cache mode of a pass:
	//
	// No cache: the layout's keys are rows of the batch.
	//
	// Slots, with Rows [T] set: Rows[i] is the cache row for the key and value of token i,
	// and the layout's keys are cache rows.
	//
	// Prefix, with Rows nil: the layout's keys index the first PrefixRows cache rows, then
	// the batch's own rows. After the pass, the rows listed in Keep are stored in cache rows
	// 0..len(Keep)-1.
	Rows       []int32
	PrefixRows int
	Keep       []int32
	// Queries [R, H·Dh], if not none, receives in Rows the queries of the cross-attention
	// that a model.Aligner names.
	Queries tensor.Tensor
	// Save keeps the activations that Backward needs.
	Save bool
	// Recompute is the number of blocks, from the lowest one that saves, that keep only their
	// input. Backward computes their activations again. Results do not depend on it.
	Recompute int
	// Rerun is set while a block's activations are computed again: its output is known, and
	// Result gives none.
	Rerun bool
	// Dropout of the adapters' inputs; the zero value drops nothing.
	Dropout lora.Dropout
	// Noise [T,D], if not none, is added to the embeddings, which are then scaled; it is
	// overwritten.
	Noise tensor.Tensor

	// Batch has the pass's lists on the device, from Prepare to Release.
	Batch tensor.Batch
}

// Prepare brings the lists of a pass over tokens [T] to the device. source is the layout of
// the cross-attention, or nil.
func (p *Pass) Prepare(tokens []int32, source *tensor.Layout) {
	p.Batch = p.Dev.Prepare(p.lists(tokens, source))
	p.Dropout.Rows = p.Batch.Numbers
}

func (p *Pass) lists(tokens []int32, source *tensor.Layout) tensor.Batch {
	return tensor.Batch{
		Tokens: tensor.Ints{Host: tokens}, Positions: tensor.Ints{Host: p.Positions},
		Rows: tensor.Ints{Host: p.Rows}, Keep: tensor.Ints{Host: p.Keep}, Numbers: tensor.Numbers{Host: p.Dropout.Rows.Host},
		Keys: tensor.Keys{Layout: p.Layout}, Source: tensor.Keys{Layout: source},
	}
}

// Decodes reports whether the pass has one token of each sequence, whose keys and values go to a
// cache, and keeps nothing else: a step of decoding.
func (p *Pass) Decodes() bool {
	return p.Rows != nil && len(p.Rows) == p.Layout.Sequences() && !p.Save && p.Noise.None() && p.Queries.None() && p.Dropout.Rows.Host == nil
}

// Replay runs f, a step of decoding with prepared lists, by Device.Replay.
func (p *Pass) Replay(key any, tokens []int32, source *tensor.Layout, f func() tensor.Tensor) tensor.Tensor {
	return p.Dev.Replay(key, p.lists(tokens, source), func(b tensor.Batch) tensor.Tensor {
		p.Batch = b
		result := f()
		p.Batch = tensor.Batch{}
		return result
	})
}

// Release gives back the memory of what Prepare has brought.
func (p *Pass) Release() {
	p.Dev.Free(p.Batch.Memory)
	p.Batch, p.Dropout.Rows.Handle = tensor.Batch{}, 0
}

// Result returns a tensor for a block's output, in the shape of x, or none in a rerun.
func (p *Pass) Result(x tensor.Tensor) tensor.Tensor {
	if p.Rerun {
		return tensor.Tensor{}
	}
	return p.Dev.Alloc(x.Rows, x.Cols)
}

// Tokens returns T.
func (p *Pass) Tokens() int { return len(p.Positions) }

// Linear is y = x·Wᵀ + bias, plus the adapter's s·(x·Aᵀ)·Bᵀ if it has one. W is
// [N,K].
type Linear struct {
	// Name is the Hugging Face module path.
	Name string
	W    tensor.Weight
	Bias tensor.Tensor // [1,N] or none
	LoRA *lora.Pair
}

// Forward fills y [T,N] from x [T,K]. With p.Save it returns what Backward needs of the
// adapter. If y is none, only that is computed.
func (l *Linear) Forward(p *Pass, y, x tensor.Tensor) lora.Saved {
	if l.LoRA == nil {
		if !y.None() {
			p.Dev.MatMul(y, x, l.W, l.Bias, false)
		}
		return lora.Saved{}
	}
	return l.LoRA.Forward(p.Dev, lora.Base{W: l.W, Bias: l.Bias}, y, x, p.Dropout, p.Save)
}

// together is Forward of up to three layers with the same x [T,K]. Without adapters it is one operation.
func together(p *Pass, x tensor.Tensor, ls [3]*Linear, ys [3]tensor.Tensor) (saved [3]lora.Saved) {
	var ps tensor.Products
	adapted := false
	for i, l := range ls {
		if l != nil {
			ps[i] = tensor.Product{Y: ys[i], W: l.W, Bias: l.Bias}
			adapted = adapted || l.LoRA != nil
		}
	}
	if !adapted {
		p.Dev.MatMuls(x, ps)
		return saved
	}
	for i, l := range ls {
		if l != nil {
			saved[i] = l.Forward(p, ys[i], x)
		}
	}
	return saved
}

// Backward fills dx [T,K] from dy [T,N], or adds to it with accumulate. If dx is none it
// is not computed. x [T,K] and saved are Forward's input and result. Base weights are
// frozen: only the adapter accumulates gradients.
func (l *Linear) Backward(p *Pass, dx, dy, x tensor.Tensor, saved lora.Saved, accumulate bool) {
	switch {
	case l.LoRA != nil:
		l.LoRA.Backward(p.Dev, lora.Base{W: l.W, Bias: l.Bias}, dx, dy, x, saved, p.Dropout, accumulate)
	case !dx.None():
		p.Dev.MatMulT(dx, dy, l.W, accumulate)
	}
}

// Operand allocates a tensor for operands of the layer's products.
func (l *Linear) Operand(dev tensor.Device, rows, cols int) tensor.Tensor {
	return tensor.AllocOperand(dev, rows, cols, l.W)
}

// Dims returns N and K.
func (l *Linear) Dims() (n, k int) { return l.W.Dims() }
