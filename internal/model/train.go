package model

import (
	"slices"

	"barka/internal/lora"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/tensor"
)

// Backward runs a batch of tokens [T] forward and backward. With nll[i] the negative
// log-likelihood of targets[i] at row rows[i], it adds the gradient of Σ weights[i]·nll[i] to
// the adapter's gradients and returns that sum. Logits are computed for the listed rows only.
func Backward(m Decoder, p *nn.Pass, tokens, rows, targets []int32, weights []float32) (sum tensor.Value, err error) {
	lists := predicted(rows, targets)
	lists.Weights = tensor.Host(len(weights), 1, weights)
	err = backward(m, p, tokens, lists, func(b tensor.Batch, nll, dpicked, picked tensor.Tensor) {
		head, softcap := m.Head()
		p.Dev.CrossEntropy(nll, dpicked, picked, head, b.Targets, b.Weights, softcap)
		sum = p.Dev.Dot(nll, b.Weights)
	})
	return sum, err
}

// BackwardOf is Backward for a loss that is no fixed sum of the nll: weigh gets them and
// returns the loss's derivative with respect to each. The gradient of a row of hidden states
// is proportional to its weight, so that the head runs once, before the weights are known.
func BackwardOf(m Decoder, p *nn.Pass, tokens, rows, targets []int32, weigh func(nll []float32) []float32) error {
	return backward(m, p, tokens, predicted(rows, targets), func(b tensor.Batch, nll, dpicked, picked tensor.Tensor) {
		dev := p.Dev
		head, softcap := m.Head()
		values, weights := make([]float32, len(rows)), tensor.Host(len(rows), 1, slices.Repeat([]float32{1}, len(rows)))
		if d, ok := m.(full); ok && d.trainsHead() { // its gradient takes the weights
			dev.CrossEntropy(nll, tensor.Tensor{}, picked, head, b.Targets, tensor.Tensor{}, softcap)
			dev.Download(values, nll)
			copy(weights.Data, weigh(values))
			dev.CrossEntropy(nll, dpicked, picked, head, b.Targets, weights, softcap)
			return
		}
		dev.CrossEntropy(nll, dpicked, picked, head, b.Targets, weights, softcap)
		dev.Download(values, nll)
		scaleRows(dev, dpicked, weigh(values))
	})
}

// scaleRows multiplies each row of t by its factor.
func scaleRows(dev tensor.Device, t tensor.Tensor, factors []float32) {
	values := make([]float32, t.Len())
	dev.Download(values, t)
	for i, f := range factors {
		row := values[i*t.Cols : (i+1)*t.Cols]
		for j := range row {
			row[j] *= f
		}
	}
	dev.Upload(t, values)
}

// predicted returns the lists of rows of a pass whose next tokens are targets.
func predicted(rows, targets []int32) tensor.Batch {
	return tensor.Batch{Picked: tensor.Ints{Host: rows}, Targets: tensor.Ints{Host: targets}}
}

// backward runs a batch forward, calls loss with the hidden states [n,D] of the listed rows to
// set their gradient, and runs the batch backward. nll [n,1] is for the use of loss, which gets
// the lists prepared.
func backward(m Decoder, p *nn.Pass, tokens []int32, lists tensor.Batch,
	loss func(b tensor.Batch, nll, dpicked, picked tensor.Tensor)) (err error) {
	defer tensor.Reclaim(p.Dev, tensor.Mark(p.Dev), &err)
	n := len(lists.Picked.Host)
	if n == 0 {
		return nil
	}
	p.Save = true
	h, tape, err := m.Forward(p, tokens, nil)
	if err != nil {
		return err
	}
	dev := p.Dev
	picked, dpicked, nll := dev.Alloc(n, h.Cols), dev.Alloc(n, h.Cols), dev.Alloc(n, 1)
	b := dev.Prepare(lists)
	dev.Gather(picked, h, b.Picked) // picked, dpicked [n, D]
	loss(b, nll, dpicked, picked)
	dh := h // dh [T,D], in the memory of h, which is no longer needed
	dev.Zero(dh)
	dev.Scatter(dh, dpicked, b.Picked)
	dev.Free(picked, dpicked, nll, b.Memory)
	tape.Backward(dh)
	dev.Free(dh)
	return nil
}

// NLL returns the nll of a batch, as in Backward, without gradients.
func NLL(m Decoder, p *nn.Pass, tokens, rows, targets []int32) (values []float32, err error) {
	defer tensor.Reclaim(p.Dev, tensor.Mark(p.Dev), &err)
	if len(rows) == 0 {
		return nil, nil
	}
	h, _, err := m.Forward(p, tokens, nil)
	if err != nil {
		return nil, err
	}
	dev := p.Dev
	picked, nll := dev.Alloc(len(rows), h.Cols), dev.Alloc(len(rows), 1)
	b := dev.Prepare(predicted(rows, targets))
	defer dev.Free(h, picked, nll, b.Memory)
	dev.Gather(picked, h, b.Picked)
	head, softcap := m.Head()
	dev.CrossEntropy(nll, tensor.Tensor{}, picked, head, b.Targets, tensor.Tensor{}, softcap)
	values = make([]float32, len(rows))
	dev.Download(values, nll)
	return values, nil
}

// Loss returns Σnll of a batch.
func Loss(m Decoder, p *nn.Pass, tokens, rows, targets []int32) (sum float64, err error) {
	nll, err := NLL(m, p, tokens, rows, targets)
	for _, x := range nll {
		sum += float64(x)
	}
	return sum, err
}

// Train allocates every pair's gradients if necessary and sets them to zero.
func (a *Adapter) Train(dev tensor.Device) {
	for _, p := range a.Pairs {
		p.Train(dev)
	}
	for _, f := range a.Full {
		f.Train(dev)
	}
}

// Pack packs every pair for products. It must be called after the values have changed by
// anything but an optimiser.
func (a *Adapter) Pack(dev tensor.Device) {
	for _, p := range a.Pairs {
		p.Pack(dev)
	}
	for _, f := range a.Full {
		f.Pack(dev)
	}
}

// Renew computes what depends on the values beside their packed form. It must be called after
// an optimiser's step, which packs the values itself.
func (a *Adapter) Renew(dev tensor.Device) {
	for _, p := range a.Pairs {
		p.Renew(dev)
	}
}

// Params lists the trained tensors under PEFT's names.
func (a *Adapter) Params() []optim.Param {
	var ps []optim.Param
	for _, p := range a.Pairs {
		packedA, packedB := p.Packed()
		ps = append(ps,
			optim.Param{Name: lora.NameA(p.Module), Value: p.A, Grad: p.GradA, Packed: packedA},
			optim.Param{Name: lora.NameB(p.Module), Value: p.B, Grad: p.GradB, Packed: packedB})
		if m := p.Magnitude; m != nil {
			ps = append(ps, optim.Param{Name: lora.NameM(p.Module), Value: m.M, Grad: m.Grad})
		}
	}
	for _, f := range a.Full {
		ps = append(ps, optim.Param{Name: lora.NameFull(f.Module), Value: f.Value, Grad: f.Grad, Packed: f.packed})
	}
	return ps
}
