// Package lora has low-rank adapters (Hu et al., "LoRA: Low-Rank Adaptation of Large
// Language Models", 2021): y = W·x + s·B·(A·x̃) with A [r,K], B [N,r] and x̃ the input after
// dropout. It also has their gradients and PEFT's file format.
package lora

import (
	"math"

	"barka/internal/tensor"
)

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
	Rows []uint64
}

// NewPair makes an adapter whose B is zero, so that it changes nothing at first. A is
// uniform in ±1/√K, drawn from uniform: PEFT's kaiming-uniform initialisation with a=√5.
func NewPair(dev tensor.Device, module string, n, k, rank int, scale float32, uniform func() float64) *Pair {
	p := &Pair{Module: module, Scale: scale, A: dev.Alloc(rank, k), B: dev.Alloc(n, rank)}
	bound := 1 / math.Sqrt(float64(k))
	values := make([]float32, rank*k)
	for i := range values {
		values[i] = float32((2*uniform() - 1) * bound)
	}
	dev.Upload(p.A, values)
	dev.Zero(p.B)
	return p
}

// Train allocates the pair's gradients if necessary and sets them to zero.
func (p *Pair) Train(dev tensor.Device) {
	if p.GradA.None() {
		p.GradA = dev.Alloc(p.A.Rows, p.A.Cols)
		p.GradB = dev.Alloc(p.B.Rows, p.B.Cols)
	}
	dev.Zero(p.GradA)
	dev.Zero(p.GradB)
}

// Pack packs A and B for products. It must be called after every change of their values.
func (p *Pair) Pack(dev tensor.Device) {
	if p.a == nil {
		p.a, p.b = dev.PackTensor(p.A), dev.PackTensor(p.B)
		return
	}
	dev.Repack(p.a, p.A)
	dev.Repack(p.b, p.B)
}

// Rank returns r.
func (p *Pair) Rank() int { return p.A.Rows }

// Forward adds s·B·A·x̃ to y [T,N] for x [T,K]. It returns u = s·A·x̃ [T,r], which Backward
// needs and the caller frees.
func (p *Pair) Forward(dev tensor.Device, y, x tensor.Tensor, drop Dropout) tensor.Tensor {
	u := dev.Alloc(x.Rows, p.Rank())
	in := p.dropped(dev, x, drop)
	dev.MatMul(u, in, p.a, tensor.Tensor{}, false) // u [T,r] = x̃·Aᵀ
	if drop.Rate > 0 {
		dev.Free(in)
	}
	dev.Scale(u, p.Scale)
	dev.MatMul(y, u, p.b, tensor.Tensor{}, true) // y [T,N] += u·Bᵀ
	return u
}

// Backward adds the adapter's share of ∂loss/∂x to dx [T,K], unless dx is none. If the pair
// trains it also adds to its gradients: with v = s·dy·B, dB += dyᵀ·u and dA += vᵀ·x̃. dy is
// [T,N]; x [T,K] and u [T,r] are Forward's input and result.
func (p *Pair) Backward(dev tensor.Device, dx, dy, x, u tensor.Tensor, drop Dropout) {
	v := dev.Alloc(dy.Rows, p.Rank())
	defer dev.Free(v)
	dev.MatMulT(v, dy, p.b, false) // v [T,r] = dy·B
	dev.Scale(v, p.Scale)
	if !p.GradA.None() {
		dev.GradWeight(p.GradB, dy, u) // [N,r]
		in := p.dropped(dev, x, drop)
		dev.GradWeight(p.GradA, v, in) // [r,K]
		if drop.Rate > 0 {
			dev.Free(in)
		}
	}
	if dx.None() {
		return
	}
	if drop.Rate == 0 {
		dev.MatMulT(dx, v, p.a, true)
		return
	}
	d := dev.Alloc(dx.Rows, dx.Cols)
	defer dev.Free(d)
	dev.MatMulT(d, v, p.a, false)
	dev.Dropout(d, d, drop.Rate, p.seed(drop), drop.Rows)
	dev.Add(dx, d)
}

// dropped returns x̃: x itself without dropout, else a copy that the caller frees.
func (p *Pair) dropped(dev tensor.Device, x tensor.Tensor, drop Dropout) tensor.Tensor {
	if drop.Rate == 0 {
		return x
	}
	in := dev.Alloc(x.Rows, x.Cols)
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
