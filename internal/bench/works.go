package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"

	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/lora"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/score"
	"barka/internal/tensor"
)

// bench holds what the works share: the machine's ceilings and the model,
// which is opened once.
type bench struct {
	o       Options
	c       Ceilings
	decoder model.Decoder
	seq2seq model.Seq2Seq
	weights []tensor.Weight // of the products, until a model is opened
}

func (b *bench) works() []work {
	ws := append(b.kernels(), b.load())
	if b.o.Shape.Seq2Seq() {
		return append(ws, b.translate(1), b.translate(16))
	}
	return append(ws, b.prefill(), b.decode(1), b.decode(8),
		b.choice("mmlu-like", 200, 4, 1), b.choice("hellaswag-like", 80, 4, 30), b.lora())
}

// peakFLOPs is the arithmetic ceiling at the weights' type.
func (b *bench) peakFLOPs() float64 {
	switch b.o.DType {
	case dtype.BF16:
		return b.c.BF16
	case dtype.I8:
		return b.c.I8
	}
	return b.c.F32
}

// flops are the multiply-adds of one token through the layers, times two.
func (b *bench) flops() float64 {
	_, layers := b.o.Shape.Parameters()
	return 2 * float64(layers)
}

// headFLOPs are those of one row of logits.
func (b *bench) headFLOPs() float64 {
	return 2 * float64(b.o.Shape.dim("vocab_size")) * float64(b.o.Shape.width())
}

func (s *Shape) width() int {
	if s.Seq2Seq() {
		return s.dim("d_model")
	}
	return s.dim("hidden_size")
}

// tokens are n random ids that are no special ones.
func (b *bench) tokens(seed uint64, n int) []int32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(10 + r.IntN(b.o.Shape.dim("vocab_size")-10))
	}
	return out
}

func (b *bench) options() model.Options { return model.Options{Device: b.o.Device, DType: b.o.DType} }

// open makes sure that the model is there.
func (b *bench) open() (err error) {
	b.weights = nil
	switch {
	case b.decoder != nil || b.seq2seq != nil:
	case b.o.Shape.Seq2Seq():
		b.seq2seq, err = model.OpenSeq2Seq(b.o.Dir, b.options())
	default:
		b.decoder, err = model.OpenDecoder(b.o.Dir, b.options())
	}
	return err
}

// forget drops the model and gives its memory back.
func (b *bench) forget() {
	b.decoder, b.seq2seq = nil, nil
	runtime.GC()
	debug.FreeOSMemory()
}

func (b *bench) load() work {
	all, _ := b.o.Shape.Parameters()
	return work{name: "load", variant: string(b.o.DType), unit: "GB/s", ceiling: b.c.Read / 1e9, reset: b.forget, run: func(context.Context) (float64, error) {
		return float64(2*all) / 1e9, b.open()
	}}
}

func (b *bench) prefill() work {
	const n = 1024
	ceiling := b.peakFLOPs() / (b.flops() + b.headFLOPs()/n)
	return work{name: "prefill", variant: fmt.Sprintf("%d tokens", n), unit: "tokens/s", ceiling: ceiling, setup: b.open, run: func(ctx context.Context) (float64, error) {
		g := &generate.Generator{Model: b.decoder}
		_, err := g.Run(ctx, []generate.Request{{Prompt: b.tokens(1, n), MaxTokens: 1}}, nil)
		return n, err
	}}
}

func (b *bench) decode(batch int) work {
	const prompt, n = 16, 48
	requests := func(tokens int) []generate.Request {
		var reqs []generate.Request
		for i := range batch {
			reqs = append(reqs, generate.Request{Prompt: b.tokens(uint64(i), prompt), MaxTokens: tokens})
		}
		return reqs
	}
	run := func(ctx context.Context, tokens int) error {
		_, err := (&generate.Generator{Model: b.decoder}).Run(ctx, requests(tokens), nil)
		return err
	}
	_, layers := b.o.Shape.Parameters()
	weights := float64(layers) + b.headFLOPs()/2
	ceiling := float64(batch) * b.c.Read / (weights * float64(b.o.DType.Size()))
	return work{name: "decode", variant: fmt.Sprintf("batch %d", batch), unit: "tokens/s", ceiling: ceiling, setup: b.open,
		less: func(ctx context.Context) error { return run(ctx, 1) },
		run:  func(ctx context.Context) (float64, error) { return float64(batch * n), run(ctx, n+1) }}
}

// choice scores questions of several choices: prompt tokens that they share,
// and tokens of each choice.
func (b *bench) choice(name string, prompt, choices, length int) work {
	const questions = 8
	each := float64(prompt + choices*length - choices + 1)
	ceiling := b.peakFLOPs() / (each*b.flops() + float64(choices*length)*b.headFLOPs())
	return work{name: "choice", variant: name, unit: "questions/s", ceiling: ceiling, setup: b.open, run: func(ctx context.Context) (float64, error) {
		var reqs []score.Request
		for q := range questions {
			shared := b.tokens(uint64(q), prompt)
			for c := range choices {
				reqs = append(reqs, score.Request{Context: shared, Continuation: b.tokens(uint64(100+q*choices+c), length)})
			}
		}
		_, err := (&score.Scorer{Model: b.decoder}).LogLikelihoods(ctx, reqs, nil)
		return questions, err
	}}
}

// lora takes optimiser steps of rank 128 on four sequences of 512 tokens, the
// second half of each trained on.
func (b *bench) lora() work {
	const sequences, length, rank = 4, 512, 128
	var adapter *model.Adapter
	var opt *optim.AdamW
	var extra float64
	setup := func() (err error) {
		if err = b.open(); err != nil || adapter != nil {
			return err
		}
		cfg := lora.Config{TaskType: "CAUSAL_LM", Rank: rank, Alpha: rank, Targets: lora.Targets{Pattern: "all-linear"}}
		if adapter, err = model.NewAdapter(b.decoder, cfg, 1); err != nil {
			return err
		}
		adapter.Train(b.o.Device)
		opt = optim.New(b.o.Device, adapter.Params(), optim.Config{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
		return nil
	}
	_, layers := b.o.Shape.Parameters()
	for _, w := range b.o.Shape.tensors(b.o.Shape) {
		if len(w.shape) == 2 && strings.Contains(w.name, "layers.") {
			extra += rank * float64(w.shape[0]+w.shape[1])
		}
	}
	// Forward and backward of the frozen weights, forward, backward and
	// gradient of the adapters; the head for half of the rows, three times.
	flops := 4*float64(layers) + 1.5*b.headFLOPs()
	ceiling := 1 / (flops/b.peakFLOPs() + 6*extra/b.c.F32)
	return work{name: "lora", variant: fmt.Sprintf("rank %d, %d×%d tokens", rank, sequences, length), unit: "tokens/s", ceiling: ceiling, setup: setup, run: func(context.Context) (float64, error) {
		var tokens, rows, targets []int32
		for s := range sequences {
			ids := b.tokens(uint64(s), length+1)
			for i := length / 2; i < length; i++ {
				rows = append(rows, int32(s*length+i))
				targets = append(targets, ids[i+1])
			}
			tokens = append(tokens, ids[:length]...)
		}
		lengths := make([]int, sequences)
		for i := range lengths {
			lengths[i] = length
		}
		layout := tensor.Packed(lengths...)
		p := &nn.Pass{Dev: b.o.Device, Layout: &layout, Positions: layout.Positions()}
		if _, err := model.Backward(b.decoder, p, tokens, rows, targets, 1/float32(len(rows))); err != nil {
			return 0, err
		}
		opt.Clip(b.o.Device, 1)
		opt.Step(b.o.Device, 1e-4)
		adapter.Pack(b.o.Device)
		return sequences * length, nil
	}}
}

// translate searches with five beams, as many sentences together as given;
// random weights never end a sentence, so every output has its full length.
func (b *bench) translate(sentences int) work {
	const source, target, beams = 32, 40, 5
	_, layers := b.o.Shape.Parameters()
	rows := float64(sentences * beams)
	weights := float64(layers)*0.57 + b.headFLOPs()/2 // the decoder's share, and the head
	step := max(weights*float64(b.o.DType.Size())/b.c.Read, 2*weights*rows/b.peakFLOPs())
	return work{name: "translate", variant: fmt.Sprintf("beam %d, %d sentences", beams, sentences), unit: "tokens/s", ceiling: float64(sentences) / step, setup: b.open,
		run: func(ctx context.Context) (float64, error) {
			var sources [][]int32
			for i := range sentences {
				sources = append(sources, append(b.tokens(uint64(i), source-1), 2))
			}
			o := generate.BeamOptions{Beams: beams, MaxLength: target, LengthPenalty: 1, Start: 2, EOS: 2, Forced: 5}
			_, err := generate.BeamSearch(ctx, b.seq2seq, sources, o, nil)
			return float64(sentences * (target - 1)), err
		}}
}
