package local

import (
	"context"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/eval"
	"barka/internal/eval/lighteval"
	"barka/internal/model"
	"barka/internal/score"
	"barka/internal/tokenizer"
)

// Evaluated is an eval.Model on a local model.
type Evaluated struct {
	templater
	// NoPrefixSharing scores every request by itself; see score.Scorer.
	NoPrefixSharing bool
	// Longest bounds an input in tokens; 0 means the model's own limit.
	Longest int

	d    *Decoder
	info eval.ModelInfo
}

// Evaluated returns the model as evaluation sees it.
func (d *Decoder) Evaluated() (*Evaluated, error) {
	digest, err := d.Digest()
	if err != nil {
		return nil, err
	}
	i := d.Model.Info()
	torch := torchDType(i)
	size := int64(4)
	if torch == "bfloat16" || torch == "float16" {
		size = 2
	}
	info := eval.ModelInfo{DType: "torch." + torch, Size: lighteval.FormatBytes(i.Parameters * size), Digest: digest + "-" + string(i.DType)}
	if d.adapter != "" {
		if info.AdapterDigest, err = d.engine.digest(d.adapter); err != nil {
			return nil, err
		}
	}
	if d.Tokenizer.Special().EOS < 0 {
		return nil, badinput.Errorf("model %s: tokenizer_config.json names no eos_token, which evaluation pads with", d.Name)
	}
	return &Evaluated{templater: newTemplater(d.Tokenizer), d: d, info: info}, nil
}

// torchDType is the type that the reference would report: that of the weights
// in memory. Half precision, which is widened here, keeps its name.
func torchDType(i model.Info) string {
	switch {
	case i.DType == dtype.BF16:
		return "bfloat16"
	case i.DType == dtype.F32 && i.TorchDType != "float16" || i.TorchDType == "":
		return "float32"
	}
	return i.TorchDType
}

// Name implements eval.Model. A directory's slashes are underscores.
func (e *Evaluated) Name() string { return lighteval.ModelName(e.d.Name) }

// Info implements eval.Model.
func (e *Evaluated) Info() eval.ModelInfo { return e.info }

// MaxLength implements eval.Model.
func (e *Evaluated) MaxLength() int { return longest(e.Longest, e.d.Model.Info()) }

// longest is what is asked for, or what the model reads.
func longest(asked int, i model.Info) int {
	if asked > 0 {
		return asked
	}
	if i.MaxPositions > 0 {
		return i.MaxPositions
	}
	return 2048
}

// Tokenizer implements eval.Model.
func (e *Evaluated) Tokenizer() eval.Tokenizer { return evalTokenizer{e.d.Tokenizer} }

type evalTokenizer struct{ *tokenizer.Tokenizer }

// EOS implements eval.Tokenizer.
func (t evalTokenizer) EOS() int32 { return t.Special().EOS }

// ScoreOptions implements eval.Planner.
func (e *Evaluated) ScoreOptions() score.Options {
	cache := e.d.Model.NewCache()
	return score.Options{MaxLength: e.MaxLength(), NoPrefixSharing: e.NoPrefixSharing}.Default(e.d.Model.Info(), cache.RowBytes())
}

// Score implements eval.Model.
func (e *Evaluated) Score(ctx context.Context, reqs []eval.Request, done func(i int, s eval.Score) error) error {
	options := score.Options{MaxLength: e.MaxLength(), NoPrefixSharing: e.NoPrefixSharing}
	s := score.Scorer{Model: e.d.Model, Options: options}
	return s.Each(ctx, reqs, func(i int, r score.Result) error {
		out := eval.Score{LogProb: r.LogProb, Greedy: r.Greedy}
		for _, t := range r.Tokens {
			out.PerToken = append(out.PerToken, float64(t))
		}
		return done(i, out)
	})
}
