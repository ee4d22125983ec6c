// Package lora has low-rank adapters (Hu et al., "LoRA: Low-Rank Adaptation of Large
// Language Models", 2021): y = W·x + s·B·(A·x̃) with A [r,K], B [N,r] and x̃ the input after
// dropout. It also has DoRA's magnitudes (Liu et al., "DoRA: Weight-Decomposed Low-Rank
// Adaptation", 2024), the gradients of both, and PEFT's file format.
package lora

import (
	"barka/internal/tensor"
)

// Base is the frozen linear layer below an adapter: y = x·Wᵀ + bias.
type Base struct {
	W    tensor.Weight // [N,K]
	Bias tensor.Tensor // [1,N] or none
}

// Pair is the adapter of one linear layer. A and B are float32 for any type of the base
// weights, as in PEFT.
type Pair struct {
	// Module is the Hugging Face path of the layer, such as
	// model.layers.0.self_attn.q_proj.
	Module string
	A, B   tensor.Tensor // [r,K], [N,r]
	// GradA and GradB accumulate gradients. They are none if the pair is frozen.
	GradA, GradB tensor.Tensor
	// Scale is s: alpha/r, or alpha/√r with rsLoRA.
	Scale float32
	// Magnitude is DoRA's part of the adapter; nil without DoRA.
	Magnitude *Magnitude
	// Initial is what A and B were at first if their product was taken from the base weights,
	// with a Scale of -s: the layer computes W·x + s·B·A·x̃ - s·B₀·A₀·x. It is frozen, and nil
	// if the first product was zero.
	Initial *Pair
	// Index numbers the pairs of a model; dropout masks depend on it.
	Index uint64

	a, b tensor.Weight // A and B, packed
}

// Dropout describes the masks of one pass. Every pair drops values of its own copy of the
// input. Rows numbers the rows of the batch, so that a row's mask does not depend on its
// micro-batch.
type Dropout struct {
	Rate float32
	Seed uint64
	Rows tensor.Numbers
}

// Saved is what Backward needs of a forward pass. The zero value is that of no adapter.
type Saved struct {
	U tensor.Tensor // [T,r] s·A·x̃
	Z tensor.Tensor // [T,N] with DoRA: the output before its factors
}

// Free frees what was saved.
func (s Saved) Free(dev tensor.Device) {
	if !s.U.None() {
		dev.Free(s.U, s.Z)
	}
}

// Train allocates the pair's gradients if necessary and sets them to zero.
func (p *Pair) Train(dev tensor.Device) {
	if p.GradA.None() {
		p.GradA = dev.Alloc(p.A.Rows, p.A.Cols)
		p.GradB = dev.Alloc(p.B.Rows, p.B.Cols)
	}
	dev.Zero(p.GradA)
	dev.Zero(p.GradB)
	if m := p.Magnitude; m != nil {
		if m.Grad.None() {
			m.Grad = dev.Alloc(1, m.M.Cols)
		}
		dev.Zero(m.Grad)
	}
}

// Pack packs A and B for products, and renews DoRA's factors. It must be called after every
// change of their values.
func (p *Pair) Pack(dev tensor.Device) {
	if p.a == nil {
		p.a, p.b = dev.PackTensor(p.A), dev.PackTensor(p.B)
	} else {
		dev.Repack(p.a, p.A)
		dev.Repack(p.b, p.B)
	}
	p.Renew(dev)
}

// Packed returns A and B as Pack has packed them.
func (p *Pair) Packed() (a, b tensor.Weight) { return p.a, p.b }

// Renew computes DoRA's factors from A and B, which are packed, and the lengths.
func (p *Pair) Renew(dev tensor.Device) {
	if p.Magnitude != nil {
		p.Magnitude.renew(dev, p)
	}
}

// Rank returns r.
func (p *Pair) Rank() int { return p.A.Rows }

// Forward sets y [T,N] to the output of the adapted layer for x [T,K]. With save it returns
// what Backward needs; if y is none, only that is computed.
func (p *Pair) Forward(dev tensor.Device, base Base, y, x tensor.Tensor, drop Dropout, save bool) Saved {
	if y.Type != tensor.F32 && (p.Magnitude != nil || p.Initial != nil) { // y is a sum of several products
		sum := dev.Alloc(y.Rows, y.Cols)
		defer dev.Free(sum)
		s := p.Forward(dev, base, sum, x, drop, save)
		dev.Copy(y, sum)
		return s
	}
	in := p.dropped(dev, x, drop)
	var s Saved
	if p.Magnitude != nil {
		s = p.forwardDoRA(dev, base, y, x, in, drop, save)
	} else {
		s.U = dev.Alloc(in.Rows, p.Rank())
		dev.Linear(y, s.U, x, in, base.W, base.Bias, p.adapter())
		if p.Initial != nil && !y.None() {
			dev.Free(p.Initial.add(dev, y, x))
		}
	}
	if drop.Rate > 0 {
		dev.Free(in)
	}
	if save {
		return s
	}
	s.Free(dev)
	return Saved{}
}

// adapter returns the packed pair as an operand of Device.Linear.
func (p *Pair) adapter() tensor.Adapter { return tensor.Adapter{A: p.a, B: p.b, Scale: p.Scale} }

// add adds s·B·A·x̃ to y [T,N]. It returns u = s·A·x̃ [T,r].
func (p *Pair) add(dev tensor.Device, y, in tensor.Tensor) tensor.Tensor {
	u := dev.Alloc(in.Rows, p.Rank())
	dev.MatMul(u, in, p.a, tensor.Tensor{}, false) // u [T,r] = x̃·Aᵀ
	dev.Scale(u, p.Scale)
	dev.MatMul(y, u, p.b, tensor.Tensor{}, true) // y [T,N] += u·Bᵀ
	return u
}

// Backward sets dx [T,K] = ∂loss/∂x, or adds to it with accumulate, unless dx is none. If
// the pair trains it also adds to its gradients. dy is [T,N]; x [T,K] and s are Forward's
// input and result.
func (p *Pair) Backward(dev tensor.Device, base Base, dx, dy, x tensor.Tensor, s Saved, drop Dropout, accumulate bool) {
	alone := p.Magnitude == nil && p.Initial == nil && drop.Rate == 0
	if dx.Type != tensor.F32 && !alone { // dx is a sum of several products
		sum := dev.Alloc(dx.Rows, dx.Cols)
		defer dev.Free(sum)
		if accumulate {
			dev.Copy(sum, dx)
		}
		p.Backward(dev, base, sum, dy, x, s, drop, accumulate)
		dev.Copy(dx, sum)
		return
	}
	if p.Magnitude != nil {
		p.backwardDoRA(dev, base, dx, dy, x, s, drop, accumulate)
		return
	}
	if !dx.None() && alone {
		v := dev.Alloc(dy.Rows, p.Rank())
		dev.LinearBackward(dx, v, dy, base.W, p.adapter(), accumulate)
		p.train(dev, v, dy, x, s, drop)
		dev.Free(v)
		return
	}
	if !dx.None() {
		dev.MatMulT(dx, dy, base.W, accumulate)
	}
	v := p.gradients(dev, dy, x, s, drop)
	defer dev.Free(v)
	if p.Initial != nil && !dx.None() {
		v := p.Initial.gradients(dev, dy, x, Saved{}, Dropout{})
		dev.MatMulT(dx, v, p.Initial.a, true)
		dev.Free(v)
	}
	switch {
	case dx.None():
	case drop.Rate == 0:
		dev.MatMulT(dx, v, p.a, true)
	default:
		d := dev.Alloc(dx.Rows, dx.Cols)
		defer dev.Free(d)
		dev.MatMulT(d, v, p.a, false)
		dev.Dropout(d, d, drop.Rate, p.seed(drop), drop.Rows)
		dev.Add(dx, d)
	}
}

// gradients returns v = s·dz·B [T,r] for dz [T,N], the gradient of W·x̃ + s·B·A·x̃, and trains the pair
// with it.
func (p *Pair) gradients(dev tensor.Device, dz, x tensor.Tensor, s Saved, drop Dropout) tensor.Tensor {
	v := dev.Alloc(dz.Rows, p.Rank())
	dev.MatMulT(v, dz, p.b, false) // v [T,r] = dz·B
	dev.Scale(v, p.Scale)
	p.train(dev, v, dz, x, s, drop)
	return v
}

// train adds dB += dzᵀ·u and dA += vᵀ·x̃ if the pair trains.
func (p *Pair) train(dev tensor.Device, v, dz, x tensor.Tensor, s Saved, drop Dropout) {
	if p.GradA.None() {
		return
	}
	dev.GradWeight(p.GradB, dz, s.U) // [N,r]
	in := p.dropped(dev, x, drop)
	dev.GradWeight(p.GradA, v, in) // [r,K]
	if drop.Rate > 0 {
		dev.Free(in)
	}
}

// dropped returns x̃: x itself without dropout, else a copy that the caller frees.
func (p *Pair) dropped(dev tensor.Device, x tensor.Tensor, drop Dropout) tensor.Tensor {
	if drop.Rate == 0 {
		return x
	}
	in := dev.AllocAs(x.Rows, x.Cols, x.Type)
	dev.Dropout(in, x, drop.Rate, p.seed(drop), drop.Rows)
	return in
}

// seed derives the seed of the pair's mask: splitmix64 of the step's seed and the index.
func (p *Pair) seed(drop Dropout) uint64 {
	z := drop.Seed + (p.Index+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
