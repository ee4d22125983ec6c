package backend

import (
	"cmp"
	"context"
	"sync"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dtype"
	"barka/internal/eval"
	"barka/internal/eval/lighteval"
	"barka/internal/generate"
	"barka/internal/model"
	"barka/internal/score"
	"barka/internal/tokenizer"
)

// EvalModel is an eval.Model on a model of this machine.
type EvalModel struct {
	templater
	// NoPrefixSharing scores every request separately; see score.Options.
	NoPrefixSharing bool
	// Longest bounds an input in tokens; 0 means the model's own limit.
	Longest int

	d    *Decoder
	tok  evalTokenizer
	info eval.ModelInfo
}

// Close closes the model.
func (e *EvalModel) Close() error { return e.d.Close() }

// EvalModel returns the model as an eval.Model. Closing either closes both.
func (d *Decoder) EvalModel() (*EvalModel, error) {
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
	info := eval.ModelInfo{
		DType:  "torch." + torch,
		Size:   lighteval.FormatBytes(i.Parameters * size),
		Digest: digest + "-" + packedType(i.DType),
	}
	if d.adapter != "" {
		if info.AdapterDigest, err = d.engine.digest(d.adapter); err != nil {
			return nil, err
		}
	}
	tok, err := newEvalTokenizer("model "+d.Name, d.Tokenizer)
	if err != nil {
		return nil, err
	}
	return &EvalModel{templater: newTemplater(d.Tokenizer), d: d, tok: tok, info: info}, nil
}

// torchDType returns the type that the reference reports: that of the weights
// in memory. float16, which is widened here, keeps its name.
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
func (e *EvalModel) Name() string { return lighteval.ModelName(e.d.Name) }

// Info implements eval.Model.
func (e *EvalModel) Info() eval.ModelInfo { return e.info }

// MaxLength implements eval.Model.
func (e *EvalModel) MaxLength() int { return maxLength(e.Longest, e.d.Model.Info().MaxPositions) }

// maxLength returns the longest input in tokens: the requested one, or the model's
// number of positions, or lighteval's default.
func maxLength(asked, positions int) int {
	if n := cmp.Or(asked, positions); n > 0 {
		return n
	}
	return 2048
}

// Tokenizer implements eval.Model.
func (e *EvalModel) Tokenizer() eval.Tokenizer { return e.tok }

// evalTokenizer is an eval.Tokenizer. Its end-of-text token also pads.
type evalTokenizer struct{ *tokenizer.Tokenizer }

// newEvalTokenizer returns an error for a tokenizer without an end-of-text token. what
// names the model in the error.
func newEvalTokenizer(what string, tok *tokenizer.Tokenizer) (evalTokenizer, error) {
	if tok.Special().EOS < 0 {
		return evalTokenizer{}, badinput.Errorf("%s: tokenizer_config.json names no eos_token, with which evaluation pads; add it there", what)
	}
	return evalTokenizer{tok}, nil
}

// EOS implements eval.Tokenizer.
func (t evalTokenizer) EOS() int32 { return t.Special().EOS }

// ScoreOptions implements eval.Planner.
func (e *EvalModel) ScoreOptions() score.Options {
	cache := e.d.Model.NewCache()
	return score.Options{MaxLength: e.MaxLength(), NoPrefixSharing: e.NoPrefixSharing,
		MaxBatchTokens: model.PassTokens(e.d.Model.Device(), e.d.Model.Info(), 0)}.Default(e.d.Model.Info(), cache.RowBytes())
}

// Score implements eval.Model.
func (e *EvalModel) Score(ctx context.Context, reqs []eval.Request, done func(i int, s eval.Score) error) error {
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

var _ eval.Generator = (*EvalModel)(nil)

// Generate implements eval.Generator. An answer depends only on its own prompt, however
// many prompts are decoded in one batch.
func (e *EvalModel) Generate(ctx context.Context, prompts []string, n int, conversation bool,
	done func(prompt int, text string) error) error {
	tok := e.d.Tokenizer
	stop, err := e.d.EndTokens(tok.Special().EOS)
	if err != nil {
		return err
	}
	if conversation {
		format, err := e.format()
		if err != nil {
			return err
		}
		ends, err := format.Stop()
		if err != nil {
			return err
		}
		stop = append(stop, ends...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // after an error, ends the calls in flight
	calls := make([]*generate.Call, len(prompts))
	for i, prompt := range prompts {
		ids, limit := tok.Encode(prompt, true), e.MaxLength()
		if cut := len(ids) - (limit - 1); cut > 0 {
			ids = ids[cut:]
		}
		var err error
		calls[i], err = e.d.Generator().Submit(ctx, generate.Request{
			Prompt: ids, MaxNewTokens: min(n, limit-len(ids)), Stop: stop, Tokenizer: tok,
		})
		if err != nil {
			return err
		}
	}
	for i, call := range calls {
		r, err := call.Wait()
		if err != nil {
			return err
		}
		if err := done(i, r.Text); err != nil {
			return err
		}
	}
	return nil
}

// templater implements eval.ChatTemplater. It reads the template with the first call,
// because most evaluations do not need it.
type templater struct {
	format func() (*chat.Template, error)
}

func newTemplater(tok *tokenizer.Tokenizer) templater {
	return templater{sync.OnceValues(func() (*chat.Template, error) { return chat.For(tok) })}
}

// ApplyChatTemplate implements eval.ChatTemplater.
func (t templater) ApplyChatTemplate(messages []chat.Message) (string, error) {
	format, err := t.format()
	if err != nil {
		return "", err
	}
	return format.Render(messages, true)
}
