package model

import (
	"barka/internal/lora"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/tensor"
)

// Backward runs a batch of tokens [T] forward and backward. With nll[i] the negative
// log-likelihood of targets[i] at row rows[i], it adds the gradient of scale·Σnll to the
// adapter's gradients and returns Σnll. Logits are computed for the listed rows only.
func Backward(m Decoder, p *nn.Pass, tokens, rows, targets []int32, scale float32) (float64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	p.Save = true
	h, tape, err := m.Forward(p, tokens, nil)
	if err != nil {
		return 0, err
	}
	dev := p.Dev
	picked, dpicked := dev.Alloc(len(rows), h.Cols), dev.Alloc(len(rows), h.Cols)
	dev.Gather(picked, h, rows) // picked, dpicked [len(rows), D]
	head, softcap := m.Head()
	nll := make([]float32, len(rows))
	dev.CrossEntropy(nll, dpicked, picked, head, targets, softcap, scale)
	dh := h // dh [T,D], in the memory of h, which is no longer needed
	dev.Zero(dh)
	dev.Scatter(dh, dpicked, rows)
	dev.Free(picked, dpicked)
	tape.Backward(dh)
	dev.Free(dh)
	var sum float64
	for _, x := range nll {
		sum += float64(x)
	}
	return sum, nil
}

// Loss returns Σnll of a batch, as Backward does, without gradients.
func Loss(m Decoder, p *nn.Pass, tokens, rows, targets []int32) (float64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	h, _, err := m.Forward(p, tokens, nil)
	if err != nil {
		return 0, err
	}
	dev := p.Dev
	picked := dev.Alloc(len(rows), h.Cols)
	defer dev.Free(h, picked)
	dev.Gather(picked, h, rows)
	head, softcap := m.Head()
	nll := make([]float32, len(rows))
	dev.CrossEntropy(nll, tensor.Tensor{}, picked, head, targets, softcap, 0)
	var sum float64
	for _, x := range nll {
		sum += float64(x)
	}
	return sum, nil
}

// Train allocates every pair's gradients if necessary and sets them to zero.
func (a *Adapter) Train(dev tensor.Device) {
	for _, p := range a.Pairs {
		p.Train(dev)
	}
}

// Pack packs every pair for products. It must be called after the values have changed.
func (a *Adapter) Pack(dev tensor.Device) {
	for _, p := range a.Pairs {
		p.Pack(dev)
	}
}

// Params lists the trained tensors under PEFT's names.
func (a *Adapter) Params() []optim.Param {
	var ps []optim.Param
	for _, p := range a.Pairs {
		ps = append(ps,
			optim.Param{Name: lora.NameA(p.Module), Value: p.A, Grad: p.GradA},
			optim.Param{Name: lora.NameB(p.Module), Value: p.B, Grad: p.GradB})
		if m := p.Magnitude; m != nil {
			ps = append(ps, optim.Param{Name: lora.NameM(p.Module), Value: m.M, Grad: m.Grad})
		}
	}
	return ps
}
