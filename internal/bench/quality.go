package bench

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tokenizer"
)

// Divergence measures how far a model's next-token distributions are from those of
// the same weights in float32.
type Divergence struct {
	Tokens int     // positions compared
	KL     float64 // mean Kullback-Leibler divergence, in nats per token
	Worst  float64 // largest divergence at one position, in nats
	Agree  float64 // share of positions with the same most likely token
	// NLL is the mean negative log-likelihood of the text, and Reference that of
	// the float32 model, in nats per token.
	NLL, Reference float64
}

// qualityTokens bounds the text that is compared, and qualityLength its sequences.
const qualityTokens, qualityLength = 4096, 512

// quality compares the model in the weights' type with float32, on a text or, if
// the weights are random, on random tokens.
func (b *bench) quality() work {
	w := work{name: "quality"}
	switch {
	case len(b.o.Works) == 0:
		w.skip = "it opens the model a second time, in float32, and runs only if it is named"
	case b.o.Shape.Seq2Seq() && b.o.Model == "":
		w.skip = "it compares causal language models"
	case b.o.Model != "" && b.o.Text == "":
		w.skip = "it needs a text, --text"
	}
	w.values = func(ctx context.Context) ([]Result, error) {
		dir, sequences, err := b.qualityText()
		if err != nil {
			return nil, err
		}
		if err := b.forget(); err != nil {
			return nil, err
		}
		host := b.o.Host
		if host == nil {
			host = b.o.Device
		}
		reference, err := model.OpenDecoder(dir, model.Options{Device: host, DType: dtype.F32})
		if err != nil {
			return nil, err
		}
		defer reference.Close()
		m, err := model.OpenDecoder(dir, b.options())
		if err != nil {
			return nil, err
		}
		defer m.Close()
		d, err := Compare(ctx, reference, m, sequences)
		if err != nil {
			return nil, err
		}
		values := func(variant, unit string, value float64) Result {
			return Result{Variant: variant, Unit: unit, Value: value, Median: value}
		}
		return []Result{
			values("tokens compared", "tokens", float64(d.Tokens)),
			values("mean KL from float32", "nats/token", d.KL),
			values("largest KL", "nats", d.Worst),
			values("same most likely token", "%", 100*d.Agree),
			values("negative log-likelihood", "nats/token", d.NLL),
			values("the same as float32", "nats/token", d.Reference),
		}, nil
	}
	return w
}

// qualityText returns the model's directory and the sequences to compare on.
func (b *bench) qualityText() (dir string, sequences [][]int32, err error) {
	if b.o.Model == "" {
		return b.o.Dir, b.o.Shape.Inputs().LoRA.Sequences, nil
	}
	lines, _, err := readLines(b.o.Text)
	if err != nil {
		return "", nil, err
	}
	tok, err := tokenizer.Load(b.o.Model)
	if err != nil {
		return "", nil, err
	}
	ids := tok.Encode(strings.Join(lines, "\n"), true)
	ids = ids[:min(len(ids), qualityTokens)]
	// Models trained with a BOS token predict badly without one, so that every sequence starts with it.
	var bos []int32
	if s := tok.Special(); len(ids) > 0 && s.BOS >= 0 && ids[0] == s.BOS {
		bos, ids = ids[:1], ids[1:]
	}
	for lo := 0; lo+1 < len(ids); lo += qualityLength {
		sequences = append(sequences, slices.Concat(bos, ids[lo:min(lo+qualityLength, len(ids))]))
	}
	if len(sequences) == 0 {
		return "", nil, badinput.Errorf("%s: only one token, expected a text", filepath.Base(b.o.Text))
	}
	return b.o.Model, sequences, nil
}

// Compare runs both models over sequences and compares their predictions at every
// position but the last of each sequence.
func Compare(ctx context.Context, reference, m model.Decoder, sequences [][]int32) (Divergence, error) {
	var d Divergence
	for _, ids := range sequences {
		if err := ctx.Err(); err != nil {
			return d, err
		}
		const rows = 32 // logits at once
		want, err := newLogits(reference, ids)
		if err != nil {
			return d, err
		}
		got, err := newLogits(m, ids)
		if err != nil {
			return d, err
		}
		for lo := 0; lo < len(ids)-1; lo += rows {
			hi := min(lo+rows, len(ids)-1)
			p, q := want.rows(lo, hi), got.rows(lo, hi)
			v := len(p) / (hi - lo)
			for i := range hi - lo {
				d.add(p[i*v:(i+1)*v], q[i*v:(i+1)*v], ids[lo+i+1])
			}
		}
		want.m.Device().Free(want.h)
		got.m.Device().Free(got.h)
	}
	n := float64(d.Tokens)
	d.KL, d.Agree, d.NLL, d.Reference = d.KL/n, d.Agree/n, d.NLL/n, d.Reference/n
	return d, nil
}

// add adds one position. p and q are the logits [V] of the reference and of the
// model, next is the token that follows.
func (d *Divergence) add(p, q []float32, next int32) {
	lp, lq := kernel.LogSumExp(p), kernel.LogSumExp(q)
	kl, best, other := 0.0, 0, 0
	for i := range p {
		a, b := float64(p[i])-lp, float64(q[i])-lq
		kl += math.Exp(a) * (a - b)
		if p[i] > p[best] {
			best = i
		}
		if q[i] > q[other] {
			other = i
		}
	}
	d.Tokens++
	d.KL += kl
	d.Worst = max(d.Worst, kl)
	if best == other {
		d.Agree++
	}
	d.Reference += lp - float64(p[next])
	d.NLL += lq - float64(q[next])
}

// logits holds the final states of a sequence, which are projected in parts.
type logits struct {
	m model.Decoder
	h tensor.Tensor
}

func newLogits(m model.Decoder, ids []int32) (logits, error) {
	layout := tensor.Packed(len(ids))
	h, _, err := m.Forward(&nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions()}, ids, nil)
	return logits{m, h}, err
}

// rows returns the logits [hi-lo, V] of positions lo ≤ i < hi.
func (l logits) rows(lo, hi int) []float32 {
	dev := l.m.Device()
	head, softcap := l.m.Head()
	v, _ := head.Dims()
	t := dev.Alloc(hi-lo, v)
	dev.MatMul(t, l.h.Slice(lo, hi), head, tensor.Tensor{}, false)
	if softcap > 0 {
		dev.Softcap(t, softcap)
	}
	defer dev.Free(t)
	values := make([]float32, t.Len())
	dev.Download(values, t)
	return values
}
