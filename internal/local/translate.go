package local

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"barka/internal/badinput"
	"barka/internal/generate"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/stage/translate"
	"barka/internal/tokenizer"
)

// Translator translates plain text with an NLLB model, beam search as
// transformers does it.
type Translator struct {
	name, dir string
	model     model.Seq2Seq
	tok       *tokenizer.Tokenizer // encodes with the source language
	beam      generate.BeamOptions
	unk       int32
	maxSource int
}

// TranslatorOptions say from where to where, and how.
type TranslatorOptions struct {
	From, To      string // language codes such as eng_Latn
	Beams         int
	MaxLength     int // of the output in tokens; 0 means 512
	LengthPenalty float64
	NoRepeatNGram int
}

// OpenTranslator opens an encoder-decoder translation model.
func (e *Engine) OpenTranslator(name string, o TranslatorOptions) (*Translator, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return nil, err
	}
	mo, err := e.options(dir)
	if err != nil {
		return nil, err
	}
	if err := fits(dir, mo); err != nil {
		return nil, err
	}
	base, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	tok, err := base.ForTranslation(o.From)
	if err != nil {
		return nil, err
	}
	target, err := base.Language(o.To)
	if err != nil {
		return nil, err
	}
	start, eos, err := startTokens(dir)
	if err != nil {
		return nil, err
	}
	m, err := model.OpenSeq2Seq(dir, mo)
	if err != nil {
		return nil, err
	}
	if v := m.Info().Vocab; tok.VocabSize() > v {
		return nil, badinput.Errorf("model %s: the tokenizer has %d tokens, the model's vocabulary %d; they do not belong together", name, tok.VocabSize(), v)
	}
	if o.Beams == 0 {
		o.Beams = 5
	}
	if o.MaxLength == 0 {
		o.MaxLength = 512
	}
	if o.LengthPenalty == 0 {
		o.LengthPenalty = 1
	}
	return &Translator{name: name, dir: dir, model: m, tok: tok, unk: base.Special().Unk, maxSource: m.Info().MaxPositions,
		beam: generate.BeamOptions{Beams: o.Beams, MaxLength: o.MaxLength, LengthPenalty: o.LengthPenalty, NoRepeatNGram: o.NoRepeatNGram,
			Start: start, EOS: eos, Forced: target}}, nil
}

// startTokens reads the tokens that begin and end an output.
func startTokens(dir string) (start, eos int32, err error) {
	c := struct {
		Start *int32 `json:"decoder_start_token_id"`
		EOS   *int32 `json:"eos_token_id"`
	}{}
	for _, name := range []string{"config.json", "generation_config.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if err := json.Unmarshal(data, &c); err != nil {
			return 0, 0, badinput.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
	}
	if c.Start == nil || c.EOS == nil {
		return 0, 0, badinput.Errorf("%s/config.json: decoder_start_token_id or eos_token_id is missing", dir)
	}
	return *c.Start, *c.EOS, nil
}

// Name identifies the model in provenance.
func (t *Translator) Name() string { return t.name }

// Tokens returns a text's source tokens, the language and end tokens included.
func (t *Translator) Tokens(text string) []int32 { return t.tok.Encode(text, true) }

// CountTokens counts them.
func (t *Translator) CountTokens(text string) int { return len(t.Tokens(text)) }

// Output is the translation of one text.
type Output struct {
	Text    string
	IDs     []int32 // start, language, text and end tokens
	Score   float32 // log-probability over length
	Tokens  int
	HitMax  bool // the output was cut at the length limit
	Unknown int  // source tokens that are unknown to the model
	Cut     int  // source tokens that did not fit
}

// Run translates texts, one model input each.
func (t *Translator) Run(ctx context.Context, texts []string, onDone func()) ([]Output, error) {
	sources := make([][]int32, len(texts))
	out := make([]Output, len(texts))
	for i, s := range texts {
		ids := t.Tokens(s)
		if t.maxSource > 0 && len(ids) > t.maxSource {
			// As the reference cuts: the language and the end token stay.
			out[i].Cut = len(ids) - t.maxSource
			ids = append(ids[:t.maxSource-1:t.maxSource-1], ids[len(ids)-1])
		}
		for _, id := range ids {
			if id == t.unk {
				out[i].Unknown++
			}
		}
		sources[i] = ids
	}
	results, err := generate.BeamSearch(ctx, t.model, sources, t.beam, func(int, []generate.Hypothesis) {
		if onDone != nil {
			onDone()
		}
	})
	if err != nil {
		return nil, err
	}
	for i, hyps := range results {
		best := hyps[0]
		out[i].IDs, out[i].Score, out[i].Tokens = best.Tokens, best.Score, len(best.Tokens)
		out[i].HitMax = best.Tokens[len(best.Tokens)-1] != t.beam.EOS || len(best.Tokens) >= t.beam.MaxLength
		out[i].Text = t.tok.Decode(best.Tokens, true)
		if t.tok.CleanUp() {
			out[i].Text = tokenizer.CleanUpSpaces(out[i].Text)
		}
	}
	return out, nil
}

// StageTranslator offers a Translator to the translate stage.
type StageTranslator struct{ *Translator }

// Translate implements translate.Translator.
func (s StageTranslator) Translate(ctx context.Context, texts []string, onDone func()) ([]translate.Translation, error) {
	outputs, err := s.Run(ctx, texts, onDone)
	if err != nil {
		return nil, err
	}
	result := make([]translate.Translation, len(outputs))
	for i, o := range outputs {
		result[i] = translate.Translation{Text: o.Text, Score: o.Score, HitMax: o.HitMax, Cut: o.Cut, Unknown: o.Unknown}
	}
	return result, nil
}
