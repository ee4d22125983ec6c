package train

import (
	"context"
	"math"
	"slices"

	"barka/internal/model"
	"barka/internal/tensor"
)

// objective is what the steps of a run descend.
type objective interface {
	// prepare is called once, with the adapter as it is before the first step.
	prepare(ctx context.Context, t *trainer) error
	// parts divides the units of an optimiser step into passes.
	parts(d *Data, batch []int) []part
	// backward adds the gradient of a pass and returns its share of the step's loss.
	backward(t *trainer, p *pass, part part) (tensor.Value, error)
	// measure adds what is measured beside the loss to the metrics of the step that ends.
	measure(m *Metrics)
	// loss returns the sum of the losses of units, and what a mean divides it by.
	loss(t *trainer, d *Data, units []int) (sum, weight float64, err error)
}

// part is a pass of an optimiser step. Each of its terms, trained tokens or pairs, has weight
// in the step's loss.
type part struct {
	units  []int
	weight float64
}

// newObjective returns the objective of the options.
func newObjective(o Options) (made objective) {
	made = &likelihood{o}
	if o.Objective == ObjectiveDPO {
		made = &preference{o: o}
	}
	if wrap != nil {
		made = wrap(made)
	}
	return made
}

// wrap, if not nil, changes objectives. Tests plant faults with it.
var wrap func(objective) objective

// likelihood is the negative log-likelihood of the trained tokens.
type likelihood struct{ o Options }

func (l *likelihood) prepare(context.Context, *trainer) error { return nil }

func (l *likelihood) measure(*Metrics) {}

// parts gives each token the weight 1/N of the N trained tokens of the step. With NormLegacy
// the step is G groups of micro_batch units, and a token of a group with n of them has the
// weight 1/(G·n).
func (l *likelihood) parts(d *Data, batch []int) (all []part) {
	groups := [][]int{batch}
	if l.o.LossNorm == NormLegacy {
		groups = slices.Collect(slices.Chunk(batch, l.o.MicroBatch))
	}
	for _, group := range groups {
		weight := 1 / float64(len(groups)) / float64(d.trained(group))
		for _, units := range d.micro(group, l.o.MicroTokens) {
			all = append(all, part{units, weight})
		}
	}
	return all
}

func (l *likelihood) backward(t *trainer, p *pass, part part) (tensor.Value, error) {
	weights := slices.Repeat([]float32{float32(part.weight)}, len(p.rows))
	return model.Backward(t.model, p.Pass, p.tokens, p.rows, p.targets, weights)
}

func (l *likelihood) loss(t *trainer, d *Data, units []int) (sum, weight float64, err error) {
	p, err := t.pass(d, units)
	if err != nil {
		return 0, 0, err
	}
	sum, err = model.Loss(t.model, p.Pass, p.tokens, p.rows, p.targets)
	return sum, float64(len(p.rows)), err
}

// preference is DPO: with the log-probability π of an answer and ρ that of the model at the
// start, the loss of a pair is -log σ(β·((π-ρ) of the chosen - (π-ρ) of the rejected)).
type preference struct {
	o          Options
	train, val *reference

	margin float64 // of the current step: Σ β·(…)
	right  int     // pairs whose margin is positive
	pairs  int
}

func (r *preference) prepare(ctx context.Context, t *trainer) (err error) {
	if r.train, err = t.refer(ctx, "train", t.data); err != nil || t.val == nil {
		return err
	}
	r.val, err = t.refer(ctx, "val", t.val)
	return err
}

func (r *preference) parts(d *Data, batch []int) (all []part) {
	for _, units := range d.micro(batch, r.o.MicroTokens) {
		all = append(all, part{units, 1 / float64(len(batch))})
	}
	return all
}

func (r *preference) measure(m *Metrics) {
	margin, share := r.margin/float64(r.pairs), float64(r.right)/float64(r.pairs)
	m.Margin, m.Accuracy = &margin, &share
	r.margin, r.right, r.pairs = 0, 0, 0
}

// backward needs the log-probabilities of whole answers before it knows the gradient, so it
// reads them in each pass.
func (r *preference) backward(t *trainer, p *pass, part part) (tensor.Value, error) {
	var loss float64
	err := model.BackwardOf(t.model, p.Pass, p.tokens, p.rows, p.targets, func(nll []float32) []float32 {
		weights := make([]float32, 0, len(nll))
		for k, z := range r.margins(p, r.train, nll) {
			loss += part.weight * softplus(-z)
			// dloss/dnll: raising the nll of the chosen answer's tokens raises the loss.
			slope := float32(part.weight * r.o.Beta / (1 + math.Exp(z)))
			for range p.trained[2*k] {
				weights = append(weights, slope)
			}
			for range p.trained[2*k+1] {
				weights = append(weights, -slope)
			}
			if r.margin += z; z > 0 {
				r.right++
			}
			r.pairs++
		}
		return weights
	})
	return tensor.Known(loss), err
}

// margins returns β·((π-ρ) of the chosen - (π-ρ) of the rejected) of each pair of a pass.
func (r *preference) margins(p *pass, base *reference, nll []float32) []float64 {
	gain := make([]float64, len(p.samples)) // π-ρ
	for k, n := range p.trained {
		gain[k] = -sum64(nll[:n]) - base.at(p.samples[k])
		nll = nll[n:]
	}
	margins := make([]float64, len(gain)/2)
	for k := range margins {
		margins[k] = r.o.Beta * (gain[2*k] - gain[2*k+1])
	}
	return margins
}

func (r *preference) loss(t *trainer, d *Data, units []int) (sum, weight float64, err error) {
	p, err := t.pass(d, units)
	if err != nil {
		return 0, 0, err
	}
	base := r.train
	if d == t.val {
		base = r.val
	}
	nll, err := model.NLL(t.model, p.Pass, p.tokens, p.rows, p.targets)
	if err != nil {
		return 0, 0, err
	}
	for _, z := range r.margins(p, base, nll) {
		sum += softplus(-z)
	}
	return sum, float64(len(units)), nil
}

// softplus is log(1+e^x) = -log σ(-x).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func sum64(x []float32) (sum float64) {
	for _, v := range x {
		sum += float64(v)
	}
	return sum
}
