package bench

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/score"
	"barka/internal/tensor"
)

// bench holds what the works share: the machine's ceilings and the model, which is
// opened once.
type bench struct {
	o       Options
	c       Ceilings
	decoder model.Decoder
	seq2seq model.Seq2Seq
	weights []tensor.Weight // operands of product, until a model is opened
	tuning  *tuning         // of the works that train, once one has run
	// vocabulary is that of translate, if it is not simply all tokens, once it has been used.
	vocabulary *generate.Vocabulary
}

func (b *bench) works() []work {
	ws := append(b.kernels(), b.load())
	in := b.o.inputs()
	if in.Translate != nil {
		for _, n := range in.Translate.Batches {
			ws = append(ws, b.translate(in.Translate, n))
		}
	} else {
		ws = append(ws, b.prefill(in.Prefill))
		for _, d := range []*Decode{in.Decode, in.LongDecode} {
			ws = append(ws, b.decodes(d)...)
		}
		for _, c := range in.Choice {
			ws = append(ws, b.choice(c))
		}
		for _, l := range []*LoRA{in.LoRA, in.LargeLoRA} {
			ws = append(ws, b.training(l)...)
		}
	}
	return append(ws, b.tokenize(), b.quality())
}

// peakFLOPs returns the arithmetic ceiling for the weights' type.
func (b *bench) peakFLOPs() float64 {
	switch b.o.DType {
	case dtype.BF16:
		return b.c.BF16
	case dtype.I8:
		return b.c.I8
	}
	return b.c.F32
}

// flops returns the operations of one token in the layers: two per multiply-add.
func (b *bench) flops() float64 {
	_, layers := b.o.Shape.Parameters()
	return 2 * float64(layers)
}

// headFLOPs returns the operations of one row of logits.
func (b *bench) headFLOPs() float64 {
	return 2 * float64(b.o.Shape.dim("vocab_size")) * float64(b.o.Shape.width())
}

func (s *Shape) width() int {
	if s.Seq2Seq() {
		return s.dim("d_model")
	}
	return s.dim("hidden_size")
}

func (b *bench) options() model.Options { return model.Options{Device: b.o.Device, DType: b.o.DType} }

// open opens the model unless it is open.
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

// forget closes the model and returns its memory to the system.
func (b *bench) forget() (err error) {
	if b.decoder != nil {
		err = b.decoder.Close()
	}
	if b.seq2seq != nil {
		err = b.seq2seq.Close()
	}
	b.decoder, b.seq2seq, b.tuning, b.vocabulary = nil, nil, nil, nil
	runtime.GC()
	debug.FreeOSMemory()
	return err
}

func (b *bench) load() work {
	all, _ := b.o.Shape.Parameters()
	return work{name: "load", variant: string(b.o.DType), unit: "GB/s", ceiling: b.c.Read / 1e9, reset: b.forget,
		run: func(context.Context) (tally, error) { return tally{units: float64(2*all) / 1e9}, b.open() }}
}

func (b *bench) prefill(in *Prefill) work {
	n := float64(len(in.Prompt))
	ceiling := b.peakFLOPs() / (b.flops() + b.headFLOPs()/n)
	return work{name: "prefill", variant: fmt.Sprintf("%d tokens", len(in.Prompt)), unit: "tokens/s", ceiling: ceiling, setup: b.open,
		run: func(ctx context.Context) (tally, error) {
			out, err := b.generate(ctx, [][]int32{in.Prompt}, 1)
			return tally{units: n, outcome: out}, err
		}}
}

// generate continues prompts greedily and returns the sum of the new tokens'
// log-probabilities.
func (b *bench) generate(ctx context.Context, prompts [][]int32, tokens int) (sum float64, err error) {
	var reqs []generate.Request
	for _, p := range prompts {
		reqs = append(reqs, generate.Request{Prompt: p, MaxNewTokens: tokens})
	}
	results, err := (&generate.Generator{Model: b.decoder}).Run(ctx, reqs, nil)
	for _, r := range results {
		for _, p := range r.LogProbs {
			sum += float64(p)
		}
	}
	return sum, err
}

// decodes returns a work for each batch.
func (b *bench) decodes(in *Decode) (ws []work) {
	if in != nil {
		for _, n := range in.Batches {
			ws = append(ws, b.decode(in, n))
		}
	}
	return ws
}

func (b *bench) decode(in *Decode, batch int) work {
	_, layers := b.o.Shape.Parameters()
	weights := float64(layers) + b.headFLOPs()/2
	ceiling := float64(batch) * b.c.Read / (weights * float64(b.o.DType.Size()))
	variant := fmt.Sprintf("batch %d", batch)
	if _, ok := b.o.gpu(); ok {
		variant += fmt.Sprintf(", context %d", len(in.Prompts[0]))
	}
	return work{name: "decode", variant: variant, unit: "tokens/s", ceiling: ceiling, setup: b.open,
		less: func(ctx context.Context) error {
			_, err := b.generate(ctx, in.Prompts[:batch], 1)
			return err
		},
		run: func(ctx context.Context) (tally, error) {
			out, err := b.generate(ctx, in.Prompts[:batch], in.Tokens+1)
			return tally{units: float64(batch * in.Tokens), outcome: out}, err
		}}
}

// choice scores questions with several choices. The ceiling assumes that the
// context of each question runs once.
func (b *bench) choice(in Choice) work {
	var reqs []score.Request
	var positions, scored float64
	for _, q := range in.Questions {
		positions += float64(len(q.Context))
		for _, c := range q.Continuations {
			reqs = append(reqs, score.Request{Context: q.Context, Continuation: c})
			positions += float64(len(c) - 1)
			scored += float64(len(c))
		}
	}
	questions, variant := float64(len(in.Questions)), in.Name
	if _, ok := b.o.gpu(); ok {
		variant += fmt.Sprintf(", %.0f tokens a question", positions/questions)
	}
	ceiling := questions * b.peakFLOPs() / (positions*b.flops() + scored*b.headFLOPs())
	return work{name: "choice", variant: variant, unit: "questions/s", ceiling: ceiling, setup: b.open,
		run: func(ctx context.Context) (tally, error) {
			results, err := (&score.Scorer{Model: b.decoder}).LogLikelihoods(ctx, reqs, nil)
			var sum float64
			for _, r := range results {
				sum += r.LogProb
			}
			return tally{units: questions, outcome: sum}, err
		}}
}

// translate runs beam search for some sentences together.
func (b *bench) translate(in *Translate, sentences int) work {
	_, layers := b.o.Shape.Parameters()
	rows, head, variant := float64(sentences*in.Beams), b.headFLOPs()/2, fmt.Sprintf("beam %d, %d sentences", in.Beams, sentences)
	some := min(b.o.Vocabulary, b.o.Shape.dim("vocab_size"))
	switch {
	case b.o.Screened:
		variant += ", screened"
	case some > 0:
		head *= float64(some) / float64(b.o.Shape.dim("vocab_size"))
		variant += fmt.Sprintf(", %d tokens", some)
	}
	weights := float64(layers)*0.57 + head // the decoder's share, and the head
	step := max(weights*float64(b.o.DType.Size())/b.c.Read, 2*weights*rows/b.peakFLOPs())
	return work{name: "translate", variant: variant, unit: "tokens/s",
		ceiling: float64(sentences) / step, setup: b.open,
		run: func(ctx context.Context) (tally, error) {
			// No token ends an output, so that all have the full length.
			o := generate.BeamOptions{Beams: in.Beams, MaxLength: 2 + in.Tokens, LengthPenalty: 0, Start: in.Start}
			switch {
			case b.vocabulary != nil:
			case b.o.Screened:
				b.vocabulary = generate.ScreenedVocabulary(b.seq2seq)
			case some > 0:
				b.vocabulary = generate.NewVocabulary(b.seq2seq, firstTokens(some))
			}
			o.Vocabulary = b.vocabulary
			results, err := generate.BeamSearch(ctx, b.seq2seq, generate.SourcesOf(in.Sources[:sentences], in.ForcedBOS), o, nil)
			var sum float64
			for _, r := range results {
				sum += float64(r[0].Score)
			}
			return tally{units: float64(sentences * in.Tokens), outcome: sum}, err
		}}
}

// firstTokens returns the first n tokens.
func firstTokens(n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(i)
	}
	return tokens
}
