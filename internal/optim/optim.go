// Package optim has learning-rate schedules, and the AdamW optimiser (Loshchilov and
// Hutter, "Decoupled Weight Decay Regularization", 2019) for the adapters of a model, in
// PyTorch's order of operations.
package optim

import (
	"fmt"
	"math"

	"barka/internal/tensor"
)

// Schedule returns the learning rate at an optimiser step, counted from 0, as a factor of
// the peak learning rate.
type Schedule func(step int) float64

// Cosine rises linearly over the warmup steps and then falls along half a cosine to 0 at
// step total, like transformers' get_cosine_schedule_with_warmup.
func Cosine(warmup, total int) Schedule {
	return func(step int) float64 {
		if step < warmup {
			return float64(step) / float64(max(1, warmup))
		}
		progress := float64(step-warmup) / float64(max(1, total-warmup))
		return max(0, 0.5*(1+math.Cos(math.Pi*progress)))
	}
}

// Linear rises linearly over the warmup steps and then falls linearly to 0 at step total.
func Linear(warmup, total int) Schedule {
	return func(step int) float64 {
		if step < warmup {
			return float64(step) / float64(max(1, warmup))
		}
		return max(0, float64(total-step)/float64(max(1, total-warmup)))
	}
}

// Constant rises linearly over the warmup steps and then stays at 1.
func Constant(warmup int) Schedule {
	return func(step int) float64 {
		if step < warmup {
			return float64(step) / float64(max(1, warmup))
		}
		return 1
	}
}

// NewSchedule returns the schedule with a name: cosine, linear or constant.
func NewSchedule(name string, warmup, total int) (Schedule, error) {
	switch name {
	case "cosine":
		return Cosine(warmup, total), nil
	case "linear":
		return Linear(warmup, total), nil
	case "constant":
		return Constant(warmup), nil
	}
	return nil, fmt.Errorf("schedule %q: expected cosine, linear or constant", name)
}

// Param is one trained tensor with its gradient.
type Param struct {
	Name        string
	Value, Grad tensor.Tensor
	// Packed, if not nil, is the weight that the device has packed from Value.
	Packed tensor.Weight
}

// Config holds AdamW's constants.
type Config struct {
	Beta1, Beta2, Eps, WeightDecay float64
}

// AdamW is the optimiser's state: the first and second moments of every parameter (M, V),
// and the number of steps taken.
type AdamW struct {
	cfg    Config
	params []tensor.Param
	grads  []tensor.Tensor
	M, V   []tensor.Tensor
	Steps  int
}

// New makes an optimiser with zero moments.
func New(dev tensor.Device, params []Param, cfg Config) *AdamW {
	o := &AdamW{cfg: cfg}
	for _, p := range params {
		m, v := dev.Alloc(p.Value.Rows, p.Value.Cols), dev.Alloc(p.Value.Rows, p.Value.Cols)
		dev.Zero(m)
		dev.Zero(v)
		o.M, o.V, o.grads = append(o.M, m), append(o.V, v), append(o.grads, p.Grad)
		o.params = append(o.params, tensor.Param{Value: p.Value, Grad: p.Grad, M: m, V: v, Packed: p.Packed})
	}
	return o
}

// GradNorm returns the Euclidean norm of all gradients, taken as one vector.
func (o *AdamW) GradNorm(dev tensor.Device) tensor.Value {
	squares := dev.SumSquares(o.grads...)
	if squares.Known() {
		return tensor.Known(math.Sqrt(squares.Get()))
	}
	return tensor.Later(func() float64 { return math.Sqrt(squares.Get()) })
}

// Clip returns the factor of gradients that makes their norm at most limit, as
// torch.nn.utils.clip_grad_norm_ does. A limit of 0 means none.
func Clip(norm, limit float64) float64 {
	if factor := limit / (norm + 1e-6); limit > 0 && factor < 1 {
		return factor
	}
	return 1
}

// Step updates every parameter by its gradient times scale, zeroes the gradients, and packs
// the new values.
func (o *AdamW) Step(dev tensor.Device, lr, scale float64) {
	o.Steps++
	dev.Update(o.params, float32(scale), tensor.AdamW{
		LR: float32(lr), Beta1: float32(o.cfg.Beta1), Beta2: float32(o.cfg.Beta2),
		Eps: float32(o.cfg.Eps), WeightDecay: float32(o.cfg.WeightDecay),
		Correction1: float32(1 - math.Pow(o.cfg.Beta1, float64(o.Steps))),
		Correction2: float32(1 - math.Pow(o.cfg.Beta2, float64(o.Steps))),
	})
}
