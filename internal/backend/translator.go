package backend

import (
	"context"
	"errors"
	"slices"

	"barka/internal/badinput"
	"barka/internal/generate"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/resident"
	"barka/internal/stage/translate"
	"barka/internal/tokenizer"
)

// Translator translates plain text with an NLLB or another M2M-100 model, by the beam
// search of transformers.
type Translator struct {
	name      string
	model     model.Seq2Seq
	source    sourceTokenizer
	base      *tokenizer.Tokenizer
	search    generate.BeamOptions
	target    int32 // token of the target language
	restrict  bool  // the search has the vocabulary of the target language
	unk       int32
	special   map[int32]bool // tokens of a source that are no text: its language and end
	maxSource int
	unlimit   func() // of garbage
	// searches are the models of a stream's searches, which run side by side.
	searches      []model.Seq2Seq
	closeSearches func()
}

// garbage is its share of the heap, in percent, while a translator is open: most of the heap is
// weights that live as long.
const garbage = 20

// TranslatorOptions holds the languages and the settings of beam search.
type TranslatorOptions struct {
	From, To string // language codes such as eng_Latn
	translate.Decoding
	NumReturn int   // outputs per text, best first; at least 1 is returned
	Seed      int64 // of outputs that are drawn
	// Attention finds out which source tokens the outputs ignore.
	Attention bool
	// ParseSpecial encodes text that spells a special token, such as </s> or a
	// language code, as that token, as transformers does. Otherwise it is
	// encoded as text.
	ParseSpecial bool
}

// sourceTokenizer encodes texts for a model's encoder.
type sourceTokenizer struct {
	*tokenizer.Tokenizer
	parse bool
}

// sourceOf returns the tokenizer of sources and the model's own tokenizer.
func (o TranslatorOptions) sourceOf(dir string) (sourceTokenizer, *tokenizer.Tokenizer, error) {
	base, err := tokenizer.Load(dir)
	if err == nil && o.Vocabulary == translate.RestrictedVocabulary {
		_, err = scriptsOf(o.To)
	}
	if err != nil {
		return sourceTokenizer{}, nil, err
	}
	tok, err := base.ForTranslation(o.From)
	return sourceTokenizer{tok, o.ParseSpecial}, base, err
}

// Tokens returns a text's source tokens, including the language and end tokens.
func (t sourceTokenizer) Tokens(text string) []int32 {
	return t.EncodeOptions(text, tokenizer.EncodeOptions{AddSpecial: true, NoParseSpecial: !t.parse})
}

// CountTokens counts a text's source tokens.
func (t sourceTokenizer) CountTokens(text string) int { return len(t.Tokens(text)) }

// RoundTrip returns what a text is after encoding and decoding.
func (t sourceTokenizer) RoundTrip(text string) string { return t.DecodeTranslation(t.Tokens(text)) }

// generation reads the tokens that begin and end an output.
func generation(dir string) (model.Generation, error) {
	g, err := model.ReadGeneration(dir)
	if err == nil && (len(g.EOS) == 0 || g.Start < 0) {
		err = badinput.Errorf("%s/config.json: decoder_start_token_id or eos_token_id is missing", dir)
	}
	return g, err
}

// OpenTranslator opens an encoder-decoder translation model. The caller closes it.
func (e *Engine) OpenTranslator(name string, o TranslatorOptions) (*Translator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if most := o.Most(); o.NumReturn > most {
		return nil, badinput.Errorf("translate: num_return is %d, expected at most the number of hypotheses of the search, %d", o.NumReturn, most)
	}
	dir, mo, err := e.locate(name)
	if err != nil {
		return nil, err
	}
	source, base, err := o.sourceOf(dir)
	if err != nil {
		return nil, err
	}
	if _, err := base.Language(o.To); err != nil {
		return nil, err
	}
	g, err := generation(dir)
	if err != nil {
		return nil, err
	}
	m, err := model.OpenSeq2Seq(dir, mo)
	if err != nil {
		return nil, err
	}
	err = checkVocabulary(name, base, m.Info().Vocab)
	if err == nil {
		err = e.watch.check(dir)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	search := o.Search(o.NumReturn, o.Seed)
	search.Start, search.EOS, search.Attention = g.Start, g.EOS, o.Attention
	t := &Translator{name: name, model: m, base: base, search: search,
		restrict: o.Vocabulary == translate.RestrictedVocabulary,
		unk:      base.Special().Unk, maxSource: m.Info().MaxPositions}
	if o.Vocabulary == translate.ScreenedVocabulary {
		t.search.Vocabulary = generate.ScreenedVocabulary(m)
	}
	t.from(source)
	if err := t.into(o.To); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	t.unlimit = resident.LimitGarbage(garbage)
	t.searches, t.closeSearches = sideBySide(m)
	return t, nil
}

// from sets the source language, by its tokenizer.
func (t *Translator) from(source sourceTokenizer) {
	t.source, t.special = source, map[int32]bool{}
	for _, id := range source.Tokens("") {
		t.special[id] = true
	}
}

// into sets the target language.
func (t *Translator) into(code string) (err error) {
	if t.target, err = t.base.Language(code); err != nil || !t.restrict {
		return err
	}
	tokens, err := restricted(t.base, code, t.search.EOS)
	if err == nil {
		t.search.Vocabulary = generate.NewVocabulary(t.model, tokens)
	}
	return err
}

// Close closes the model's files.
func (t *Translator) Close() error {
	t.unlimit()
	t.closeSearches()
	return t.model.Close()
}

// Name identifies the model in provenance.
func (t *Translator) Name() string { return t.name }

// Tokens returns a text's source tokens, including the language and end tokens.
func (t *Translator) Tokens(text string) []int32 { return t.source.Tokens(text) }

// CountTokens counts a text's source tokens.
func (t *Translator) CountTokens(text string) int { return t.source.CountTokens(text) }

// RoundTrip implements translate.Translator.
func (t *Translator) RoundTrip(text string) string { return t.source.RoundTrip(text) }

// Output is the result for one text.
type Output struct {
	Hypothesis              // the best output
	Others     []Hypothesis // the next best ones, if the options ask for them
	HitMax     bool         // the length limit ended the best output
	Unknown    int          // source tokens that are unknown to the model
	Cut        int          // source tokens that did not fit
	limit      int          // largest number of output tokens
	source     []int32
}

// Hypothesis is a translation.
type Hypothesis struct {
	Text  string  `json:"text"`
	IDs   []int32 `json:"ids"`   // start, language, text and end tokens
	Score float32 `json:"score"` // log-probability divided by a power of the length
	// Ignored is the share of source tokens that get less attention than leastAttention.
	Ignored float32 `json:"-"`
}

// leastAttention is the attention below which a source token counts as ignored, of the sum over
// the output's steps. It is the threshold of Berard et al., "Naver Labs Europe's Systems for the
// WMT19 Machine Translation Robustness Task", 2019.
const leastAttention = 0.2

// ignored returns the share of a source's tokens, the language and end tokens left out, that
// got next to no attention.
func (t *Translator) ignored(source []int32, attention []float32) float32 {
	few, all := 0, 0
	for i, a := range attention {
		if t.special[source[i]] {
			continue
		}
		if all++; a < leastAttention {
			few++
		}
	}
	return float32(few) / float32(max(all, 1))
}

// encode returns the source of a text and an Output that counts what the model
// cannot read of it.
func (t *Translator) encode(text string) (s generate.Source, o Output) {
	ids := t.Tokens(text)
	if t.maxSource > 0 && len(ids) > t.maxSource {
		o.Cut = len(ids) - t.maxSource
		ids = t.source.Truncate(ids, t.maxSource)
	}
	for _, id := range ids {
		if id == t.unk {
			o.Unknown++
		}
	}
	o.limit, o.source = t.search.Limit(len(ids)), ids
	return generate.Source{Tokens: ids, ForcedBOS: t.target}, o
}

// complete sets the hypotheses of an Output.
func (t *Translator) complete(o *Output, best []generate.Hypothesis) {
	o.Hypothesis = t.hypothesis(best[0], o.source)
	o.HitMax = t.unfinished(o.Hypothesis, o.limit)
	for _, h := range best[1:] {
		o.Others = append(o.Others, t.hypothesis(h, o.source))
	}
}

// unfinished reports whether the length limit ended an output.
func (t *Translator) unfinished(h Hypothesis, limit int) bool {
	return !slices.Contains(t.search.EOS, h.IDs[len(h.IDs)-1]) || len(h.IDs) >= limit
}

// Run translates texts, one model input each.
func (t *Translator) Run(ctx context.Context, texts []string, onDone func()) ([]Output, error) {
	sources := make([]generate.Source, len(texts))
	out := make([]Output, len(texts))
	for i, s := range texts {
		sources[i], out[i] = t.encode(s)
	}
	results, err := generate.BeamSearch(ctx, t.model, sources, t.search, func(int, []generate.Hypothesis) {
		if onDone != nil {
			onDone()
		}
	})
	if err != nil {
		return nil, err
	}
	for i, hyps := range results {
		t.complete(&out[i], hyps)
	}
	return out, nil
}

// Into returns the translator into another language, by its code. It shares the model and
// is not closed.
func (t *Translator) Into(code string) (*Translator, error) {
	other := *t
	return &other, other.into(code)
}

// Between returns the translator between two other languages, by their codes. It shares the
// model and is not closed.
func (t *Translator) Between(from, to string) (*Translator, error) {
	tok, err := t.base.ForTranslation(from)
	if err != nil {
		return nil, err
	}
	other := *t
	other.from(sourceTokenizer{tok, t.source.parse})
	return &other, other.into(to)
}

// hypothesis decodes the text of an output.
func (t *Translator) hypothesis(h generate.Hypothesis, source []int32) Hypothesis {
	return Hypothesis{Text: t.source.DecodeTranslation(h.Tokens), IDs: h.Tokens, Score: h.Score, Ignored: t.ignored(source, h.Attention)}
}

// Translate implements translate.Translator.
func (t *Translator) Translate(ctx context.Context, texts []string, onDone func()) ([]translate.Translation, error) {
	outputs, err := t.Run(ctx, texts, onDone)
	if err != nil {
		return nil, err
	}
	result := make([]translate.Translation, len(outputs))
	for i, o := range outputs {
		result[i] = t.translation(o)
	}
	return result, nil
}

func (t *Translator) translation(o Output) translate.Translation {
	tr := translate.Translation{Text: o.Text, Score: o.Score, HitMax: o.HitMax, Cut: o.Cut, Unknown: o.Unknown, Ignored: o.Ignored,
		Tokens: len(o.IDs)}
	for _, h := range o.Others {
		tr.Alternatives = append(tr.Alternatives, translate.Alternative{Text: h.Text, Score: h.Score, HitMax: t.unfinished(h, o.limit),
			Ignored: h.Ignored})
	}
	return tr
}

// CheckTarget implements translate.Targeting.
func (t *Translator) CheckTarget(code string) error {
	_, err := t.base.Language(code)
	return err
}

// LazyTranslator is a translate.Translator that loads its tokenizer at once and its
// model with the first request.
type LazyTranslator struct {
	lazy[*Translator]
	name   string
	source sourceTokenizer
	base   *tokenizer.Tokenizer
}

// CheckTarget implements translate.Targeting.
func (l *LazyTranslator) CheckTarget(code string) error {
	_, err := l.base.Language(code)
	return err
}

// LazyTranslator returns a LazyTranslator of the model in dir. name is the model's name
// in provenance.
func (e *Engine) LazyTranslator(name, dir string, o TranslatorOptions) (*LazyTranslator, error) {
	path, err := hub.Resolve(dir)
	if err != nil {
		return nil, err
	}
	source, base, err := o.sourceOf(path)
	if err != nil {
		return nil, err
	}
	return &LazyTranslator{newLazy(func() (*Translator, error) { return e.quiet().OpenTranslator(path, o) }), name, source, base}, nil
}

// Name implements translate.Translator.
func (l *LazyTranslator) Name() string { return l.name }

// CountTokens implements translate.Translator.
func (l *LazyTranslator) CountTokens(text string) int { return l.source.CountTokens(text) }

// RoundTrip implements translate.Translator.
func (l *LazyTranslator) RoundTrip(text string) string { return l.source.RoundTrip(text) }

// Translate implements translate.Translator.
func (l *LazyTranslator) Translate(ctx context.Context, texts []string, onDone func()) ([]translate.Translation, error) {
	t, err := l.open()
	if err != nil {
		return nil, err
	}
	return t.Translate(ctx, texts, onDone)
}

// Stream implements translate.Streamer.
func (l *LazyTranslator) Stream(ctx context.Context, next translate.Next,
	done func(int, translate.Translation) error) error {
	t, err := l.open()
	if err != nil {
		return err
	}
	return t.Stream(ctx, next, done)
}
