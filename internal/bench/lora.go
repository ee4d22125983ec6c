package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/tensor"
)

// tuning is an adapter on every linear layer, and its optimiser.
type tuning struct {
	adapter *model.Adapter
	opt     *optim.AdamW
}

// tune attaches the adapter to the model, once for all works.
func (b *bench) tune(rank int) error {
	if err := b.open(); err != nil || b.tuning != nil {
		return err
	}
	cfg := lora.Config{TaskType: "CAUSAL_LM", Rank: rank, Alpha: float64(rank), Targets: lora.Targets{Pattern: "all-linear"}}
	adapter, err := model.NewAdapter(b.decoder, cfg, 1)
	if err != nil {
		return err
	}
	adapter.Train(b.o.Device)
	b.tuning = &tuning{adapter, optim.New(b.o.Device, adapter.Params(), optim.Config{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})}
	return nil
}

// trained is the batch of an optimiser step: sequences one after the other, and the tokens
// whose likelihood is trained.
type trained struct {
	rank                  int
	tokens, rows, targets []int32
	lengths               []int
	of                    []int // the sequence of each row
}

func newTrained(in *LoRA) *trained {
	t := &trained{rank: in.Rank}
	for s, ids := range in.Sequences {
		for i := in.TrainFrom; i < len(ids); i++ {
			t.rows, t.targets = append(t.rows, int32(len(t.tokens)+i-1)), append(t.targets, ids[i])
			t.of = append(t.of, s)
		}
		t.tokens, t.lengths = append(t.tokens, ids...), append(t.lengths, len(ids))
	}
	return t
}

// training returns optimiser steps of LoRA; the same steps with every block computed again in
// the backward pass; and steps of DPO, for which each two sequences are a pair.
func (b *bench) training(in *LoRA) []work {
	if in == nil {
		return nil
	}
	t := newTrained(in)
	weights := slices.Repeat([]float32{1 / float32(len(t.rows))}, len(t.rows))
	likelihood := func(p *nn.Pass) (float64, error) {
		nll, err := model.Backward(b.decoder, p, t.tokens, t.rows, t.targets, weights)
		return nll.Get(), err
	}
	recomputed := func(p *nn.Pass) (float64, error) {
		p.Recompute = b.o.Shape.Layers
		return likelihood(p)
	}
	preference := func(p *nn.Pass) (float64, error) { return t.preference(b.decoder, p) }
	return []work{b.steps("lora", t, likelihood), b.steps("lora-recomputed", t, recomputed), b.steps("dpo", t, preference)}
}

// preference is DPO (Rafailov et al., 2023) at β = 0.1, with a reference that finds all
// sequences equally likely.
func (t *trained) preference(m model.Decoder, p *nn.Pass) (loss float64, err error) {
	const beta = 0.1
	err = model.BackwardOf(m, p, t.tokens, t.rows, t.targets, func(nll []float32) []float32 {
		sums := make([]float64, len(t.lengths)) // -log-likelihood of each sequence
		for i, x := range nll {
			sums[t.of[i]] += float64(x)
		}
		weights := make([]float32, len(nll))
		pairs := float64(len(sums) / 2)
		slopes := make([]float64, len(sums))
		for s := 0; s+1 < len(sums); s += 2 {
			z := beta * (sums[s+1] - sums[s])
			slope := beta / (1 + math.Exp(z)) / pairs
			slopes[s], slopes[s+1] = slope, -slope
			loss += math.Log1p(math.Exp(-z)) / pairs
		}
		for i := range weights {
			weights[i] = float32(slopes[t.of[i]])
		}
		return weights
	})
	return loss, err
}

// steps takes optimiser steps whose gradients backward adds. The ceiling counts forward and
// backward of the frozen weights; forward, backward and gradient of the adapters; and forward
// and backward of the head for the target rows.
func (b *bench) steps(name string, t *trained, backward func(p *nn.Pass) (loss float64, err error)) work {
	_, layers := b.o.Shape.Parameters()
	var adapters float64
	for _, w := range b.o.Shape.tensors(b.o.Shape) {
		if len(w.shape) == 2 && strings.Contains(w.name, "layers.") {
			adapters += float64(t.rank) * float64(w.shape[0]+w.shape[1])
		}
	}
	share := float64(len(t.rows)) / float64(len(t.tokens))
	flops := 4*float64(layers) + 2*share*b.headFLOPs()
	w := work{name: name, variant: fmt.Sprintf("rank %d, %d×%d tokens", t.rank, len(t.lengths), t.lengths[0]), unit: "tokens/s",
		ceiling: 1 / (flops/b.peakFLOPs() + 6*adapters/b.c.F32), setup: func() error { return b.tune(t.rank) }}
	w.run = func(context.Context) (tally, error) {
		dev, layout := b.o.Device, tensor.Packed(t.lengths...)
		loss, err := backward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()})
		if err != nil {
			return tally{}, err
		}
		opt := b.tuning.opt
		opt.Step(dev, 1e-4, optim.Clip(opt.GradNorm(dev).Get(), 1))
		b.tuning.adapter.Renew(dev)
		return tally{units: float64(len(t.tokens)), outcome: loss}, nil
	}
	return w
}
