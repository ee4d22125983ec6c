package lora

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"barka/internal/lowrank"
	"barka/internal/tensor"
)

// initial sets A and B from the base weights, and Initial to the same values, so that nothing
// changes at first. PEFT takes their product from the base weights instead, and rounds the
// rest to their type.
func (p *Pair) initial(dev tensor.Device, w tensor.Weight, name string, random Random) error {
	n, k := w.Dims()
	p.Initial = &Pair{Module: p.Module, Scale: -p.Scale, A: dev.Alloc(p.Rank(), k), B: dev.Alloc(n, p.Rank())}
	if _, ok := dev.(interface{ ComputesNothing() }); ok {
		return nil
	}
	if p.Rank() > min(n, k) {
		return fmt.Errorf("init %s: rank %d is larger than the weights of %s, of shape [%d %d], have; take at most %d", name, p.Rank(),
			p.Module, n, k, min(n, k))
	}
	b, a, err := p.decompose(dev, w, name, random)
	if err != nil {
		return fmt.Errorf("init %s: %s: %w", name, p.Module, err)
	}
	for _, t := range []*Pair{p, p.Initial} {
		dev.Upload(t.B, lowrank.Values(b))
		dev.Upload(t.A, lowrank.Values(a))
	}
	return nil
}

// decompose returns B [N,r] and A [r,K].
func (p *Pair) decompose(dev tensor.Device, w tensor.Weight, name string, random Random) (b, a *mat.Dense, err error) {
	n, _ := w.Dims()
	if steps, ok := iterations(name); ok {
		b, a, err = p.iterate(dev, w, steps, random)
		return b, a, err
	}
	dense := unpack(dev, w)
	if name == OLoRA {
		// The first r columns of Q depend on the first r columns of W alone.
		q, _ := lowrank.Orthogonal(mat.DenseCopyOf(dense.Slice(0, n, 0, p.Rank())))
		var r mat.Dense
		r.Mul(q.T(), dense)
		return q, &r, nil
	}
	s, err := lowrank.Decompose(dense, p.Rank())
	if err != nil {
		return nil, nil, err
	}
	b, a = p.principal(s)
	return b, a, nil
}

// principal returns U·√(S/s) and √(S/s)·V.
func (p *Pair) principal(s *lowrank.SVD) (b, a *mat.Dense) {
	for i := range s.S {
		s.S[i] /= float64(p.Scale)
	}
	return s.Balanced()
}

// iterate finds the largest singular values by subspace iteration (Halko et al., "Finding
// structure with randomness", 2011), as torch.svd_lowrank does. Products with W run on the
// device, in the precision of its products; the rest is float64.
func (p *Pair) iterate(dev tensor.Device, w tensor.Weight, steps int, random Random) (b, a *mat.Dense, err error) {
	n, k := w.Dims()
	r := p.Rank()
	rows, cols := dev.Alloc(r, k), dev.Alloc(r, n) // rows [r,K], cols [r,N]
	defer dev.Free(rows, cols)
	start := make([]float32, r*k)
	for i := range start {
		start[i] = float32(random.NormFloat64())
	}
	dev.Upload(rows, start)
	for range steps {
		dev.MatMul(cols, rows, w, tensor.Tensor{}, false) // cols = rows·Wᵀ
		orthonormal(dev, cols)
		dev.MatMulT(rows, cols, w, false) // rows = cols·W
		orthonormal(dev, rows)
	}
	dev.MatMul(cols, rows, w, tensor.Tensor{}, false)
	q := orthonormal(dev, cols) // q [N,r]
	dev.MatMulT(rows, cols, w, false)
	s, err := lowrank.Decompose(download(dev, rows), r)
	if err != nil {
		return nil, nil, err
	}
	var u mat.Dense
	u.Mul(q, s.U)
	s.U = &u
	b, a = p.principal(s)
	return b, a, nil
}

// orthonormal replaces the rows of t [r,n] by orthonormal ones with the same span. It returns
// them as columns [n,r].
func orthonormal(dev tensor.Device, t tensor.Tensor) *mat.Dense {
	q, _ := lowrank.Orthogonal(mat.DenseCopyOf(download(dev, t).T()))
	dev.Upload(t, lowrank.Values(mat.DenseCopyOf(q.T())))
	return q
}

// download returns the values of a tensor.
func download(dev tensor.Device, t tensor.Tensor) *mat.Dense {
	values := make([]float32, t.Len())
	dev.Download(values, t)
	return lowrank.From(t.Rows, t.Cols, values)
}

// unpack returns packed weights [N,K].
func unpack(dev tensor.Device, w tensor.Weight) *mat.Dense {
	n, k := w.Dims()
	rows := dev.Alloc(n, k)
	defer dev.Free(rows)
	dev.Unpack(rows, w, 0)
	return download(dev, rows)
}
