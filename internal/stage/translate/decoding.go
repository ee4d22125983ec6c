package translate

import (
	"encoding/json"
	"math"

	"barka/internal/badinput"
	"barka/internal/generate"
)

// Decoding holds the settings of the search for a translation. They have these names on
// the command line, in recipes and in a dataset's manifest. Those that transformers has
// mean the same as there. No value stands for another: 0 is 0.
type Decoding struct {
	// Beam is the number of beams (num_beams); 1 is greedy search, or sampling.
	Beam int `json:"beam" alias:"beams"`
	// LengthPenalty is the power of the length that a hypothesis's
	// log-probability is divided by: above 0 it favours long outputs, below 0
	// short ones.
	LengthPenalty float64 `json:"length_penalty"`
	// MaxLength is the most tokens of an output, with the start, language and
	// end tokens.
	MaxLength int `json:"max_length"`
	// MaxLengthRatio, if positive, also limits an output to this multiple of the source
	// tokens plus generate.MaxLengthExtra. The source's language and end token count.
	MaxLengthRatio float64 `json:"max_length_ratio"`
	// MinLength is the number of tokens, the start and language tokens among them, that an
	// output has before the end token may follow; 0 sets no limit.
	MinLength int `json:"min_length"`
	// NoRepeatNGram forbids that this many tokens in a row occur twice
	// (no_repeat_ngram_size); 0 forbids nothing.
	NoRepeatNGram int `json:"no_repeat_ngram"`
	// RepetitionPenalty lowers the scores of tokens that an output contains, start and
	// language among them. In beam search it multiplies their log-probabilities; with
	// one beam it divides positive logits and multiplies negative ones. 1 is off.
	RepetitionPenalty float64                `json:"repetition_penalty"`
	EarlyStopping     generate.EarlyStopping `json:"early_stopping"` // when beam search ends: see docs/translation.md
	// Patience times Beam is the number of complete hypotheses that end the search with
	// early stopping ctranslate2.
	Patience float64 `json:"patience"`
	// Temperature, if positive, draws outputs (do_sample), with one beam. TopK, TopP and
	// MinP filter what is drawn from; TopK 0, TopP 1 and MinP 0 filter nothing.
	Temperature float64 `json:"temperature"`
	TopK        int     `json:"top_k"`
	TopP        float64 `json:"top_p"`
	MinP        float64 `json:"min_p"`
	// Vocabulary is what tokens are chosen from: "" for all, RestrictedVocabulary or
	// ScreenedVocabulary.
	Vocabulary string `json:"vocabulary,omitempty"`
}

// The values that users write for Decoding.Vocabulary.
const (
	WholeVocabulary = "all" // the default, stored as ""
	// RestrictedVocabulary is the tokens of the target language's scripts, digits, punctuation,
	// short Latin pieces, and the source's own tokens.
	RestrictedVocabulary = "restricted"
	// ScreenedVocabulary is all tokens. Those whose logits are computed with the weights' own
	// type are chosen by logits of 8-bit integers.
	ScreenedVocabulary = "screened"
)

// DefaultDecoding returns the settings that the BARKA models were made with.
func DefaultDecoding() Decoding {
	return Decoding{Beam: 5, LengthPenalty: 1, MaxLength: 512, RepetitionPenalty: 1, Patience: 1, TopP: 1}
}

// Validate reports the first setting that makes no sense.
func (d Decoding) Validate() error {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	switch {
	case d.Beam < 1:
		return badinput.Errorf("translate: beam is %d, expected at least 1", d.Beam)
	case !finite(d.LengthPenalty):
		return badinput.Errorf("translate: length_penalty is %g, expected a finite number", d.LengthPenalty)
	case d.MaxLength < 3:
		return badinput.Errorf("translate: max_length is %d, expected at least 3: the start token, the language and one token more",
			d.MaxLength)
	case !finite(d.MaxLengthRatio) || d.MaxLengthRatio < 0:
		return badinput.Errorf("translate: max_length_ratio is %g, expected 0 (off) or a positive number", d.MaxLengthRatio)
	case d.MinLength < 0 || d.MinLength >= d.MaxLength:
		return badinput.Errorf("translate: min_length is %d, expected 0 (off) or less than max_length, %d", d.MinLength, d.MaxLength)
	case d.NoRepeatNGram < 0:
		return badinput.Errorf("translate: no_repeat_ngram is %d, expected 0 (off) or more", d.NoRepeatNGram)
	case !finite(d.RepetitionPenalty) || d.RepetitionPenalty <= 0 || d.RepetitionPenalty < 1 && d.Beam > 1:
		return badinput.Errorf("translate: repetition_penalty is %g, expected at least 1 (off), or a positive number with one beam",
			d.RepetitionPenalty)
	case !finite(d.Patience) || math.Round(d.Patience*float64(d.Beam)) < 1:
		return badinput.Errorf("translate: patience is %g, expected at least one hypothesis of %d beams", d.Patience, d.Beam)
	case d.Vocabulary != "" && d.Vocabulary != RestrictedVocabulary && d.Vocabulary != ScreenedVocabulary:
		return badinput.Errorf("translate: vocabulary is %q, expected %s, %s or %s", d.Vocabulary, WholeVocabulary, RestrictedVocabulary,
			ScreenedVocabulary)
	case d.Vocabulary != "" && d.Beam == 1 && (d.Temperature > 0 || d.RepetitionPenalty != 1):
		return badinput.Errorf("translate: vocabulary is %s, which works with several beams, and with one beam without temperature"+
			" and repetition_penalty", d.Vocabulary)
	case d.Patience != 1 && d.EarlyStopping != generate.StopCTranslate2:
		return badinput.Errorf("translate: patience is %g, which has an effect only with early_stopping ctranslate2", d.Patience)
	}
	return d.validateSampling()
}

func (d Decoding) validateSampling() error {
	switch {
	case d.Temperature == 0 && (d.TopK != 0 || d.TopP != 1 || d.MinP != 0):
		return badinput.Errorf("translate: top_k, top_p and min_p have an effect only with a temperature above 0, which draws outputs")
	case d.Temperature > 0 && d.Beam != 1:
		return badinput.Errorf("translate: temperature is %g, which draws outputs and needs beam 1; beam is %d", d.Temperature, d.Beam)
	case d.TopP == 0:
		return badinput.Errorf("translate: top_p is 0, expected a number above 0 and at most 1 (off)")
	}
	if err := d.sampling().Validate(); err != nil {
		return badinput.Errorf("translate: %w", err)
	}
	return nil
}

func (d Decoding) sampling() generate.Sampling {
	return generate.Sampling{Temperature: d.Temperature, TopK: d.TopK, TopP: d.TopP, MinP: d.MinP, RepetitionPenalty: d.RepetitionPenalty}
}

// Search returns the options of the search for the given number of hypotheses per text.
// seed is that of the random numbers.
func (d Decoding) Search(outputs int, seed int64) generate.BeamOptions {
	o := generate.BeamOptions{
		Beams: d.Beam, MaxLength: d.MaxLength, MaxLengthRatio: d.MaxLengthRatio, MinLength: d.MinLength,
		LengthPenalty: d.LengthPenalty, EarlyStopping: d.EarlyStopping, Patience: d.Patience, NoRepeatNGram: d.NoRepeatNGram,
		Sampling: d.sampling(), NumReturn: max(outputs, 1),
	}
	o.Sampling.Seed = seed
	return o
}

// Most returns the most outputs that a search gives for a text.
func (d Decoding) Most() int {
	switch {
	case d.Temperature > 0:
		return math.MaxInt
	case d.EarlyStopping == generate.StopCTranslate2:
		return min(d.Beam, int(math.Round(d.Patience*float64(d.Beam))))
	}
	return d.Beam
}

// UnmarshalJSON reads settings over those of o. The setting beam may also be
// written beams, its earlier name.
func (o *Options) UnmarshalJSON(data []byte) error {
	type plain Options
	var names struct{ Beam, Beams *int }
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	if err := json.Unmarshal(data, (*plain)(o)); err != nil {
		return err
	}
	if o.Vocabulary == WholeVocabulary {
		o.Vocabulary = ""
	}
	switch {
	case names.Beam != nil && names.Beams != nil:
		return badinput.Errorf("translate: beam is given twice, once as beams: leave beams out")
	case names.Beams != nil:
		o.Beam = *names.Beams
	}
	return nil
}

// Hypotheses returns how many hypotheses the search gives: all it has for the checks, and
// those that are kept.
func (o Options) Hypotheses() int { return max(min(o.Beam, o.Most()), o.NumReturn) }
