package translate

import (
	"encoding/json"
	"math"

	"barka/internal/badinput"
	"barka/internal/generate"
)

// Decoding holds the settings of beam search. They have these names on the
// command line, in recipes and in a dataset's manifest, and the meaning that
// they have in transformers. No value stands for another: 0 is 0.
type Decoding struct {
	// Beam is the number of beams (num_beams); 1 is greedy search.
	Beam int `json:"beam" alias:"beams"`
	// LengthPenalty is the power of the length that a hypothesis's
	// log-probability is divided by: above 0 it favours long outputs, below 0
	// short ones.
	LengthPenalty float64 `json:"length_penalty"`
	// MaxLength is the most tokens of an output, with the start, language and
	// end tokens.
	MaxLength int `json:"max_length"`
	// NoRepeatNGram forbids that this many tokens in a row occur twice
	// (no_repeat_ngram_size); 0 forbids nothing.
	NoRepeatNGram int                    `json:"no_repeat_ngram"`
	EarlyStopping generate.EarlyStopping `json:"early_stopping"`
}

// DefaultDecoding returns the settings that the BARKA models were made with.
func DefaultDecoding() Decoding { return Decoding{Beam: 5, LengthPenalty: 1, MaxLength: 512} }

// Validate reports the first setting that makes no sense.
func (d Decoding) Validate() error {
	switch {
	case d.Beam < 1:
		return badinput.Errorf("translate: beam is %d, expected at least 1", d.Beam)
	case math.IsNaN(d.LengthPenalty) || math.IsInf(d.LengthPenalty, 0):
		return badinput.Errorf("translate: length_penalty is %g, expected a finite number", d.LengthPenalty)
	case d.MaxLength < 3:
		return badinput.Errorf("translate: max_length is %d, expected at least 3: the start token, the language and one token more",
			d.MaxLength)
	case d.NoRepeatNGram < 0:
		return badinput.Errorf("translate: no_repeat_ngram is %d, expected 0 (off) or more", d.NoRepeatNGram)
	}
	return nil
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
	switch {
	case names.Beam != nil && names.Beams != nil:
		return badinput.Errorf("translate: beam is given twice, once as beams: leave beams out")
	case names.Beams != nil:
		o.Beam = *names.Beams
	}
	return nil
}
