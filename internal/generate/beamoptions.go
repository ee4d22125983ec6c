package generate

import (
	"bytes"
	"fmt"
	"slices"

	"barka/internal/badinput"
)

// BeamOptions holds transformers' generation settings for beam search.
type BeamOptions struct {
	Beams             int     // 1 is greedy search
	MaxLength         int     // of the output, including the start and end tokens
	LengthPenalty     float64 // scores are divided by length^LengthPenalty
	EarlyStopping     EarlyStopping
	NoRepeatNGram     int // 0: off
	Start             int32
	EOS               []int32 // tokens that end an output
	ForcedBOS         int32   // first token after Start, such as a language; -1: none
	NumReturn         int     // hypotheses returned per sentence; 0 means 1
	MaxActive         int     // sentences decoded together; 0 means 16
	EncodeBatchTokens int     // source tokens encoded together; 0 means 1,024
}

// EarlyStopping decides when the search for a sentence with Beams finished
// hypotheses ends. Its values are those of transformers' setting
// early_stopping; the zero value is StopHeuristic.
type EarlyStopping int8

const (
	// StopHeuristic ends the search once the best running beam, scored at its
	// current length, is no better than the worst finished hypothesis ("false").
	StopHeuristic EarlyStopping = iota
	// StopFull ends the search at once ("true").
	StopFull
	// StopNever is StopHeuristic with the best running beam scored at MaxLength
	// if the length penalty is positive ("never").
	StopNever
)

// earlyStopping holds the spellings of the setting, by value.
var earlyStopping = []string{StopHeuristic: "false", StopFull: "true", StopNever: "never"}

// String returns the setting's spelling: false, true or never.
func (e EarlyStopping) String() string { return earlyStopping[e] }

// UnmarshalText reads false, true or never.
func (e *EarlyStopping) UnmarshalText(text []byte) error {
	i := slices.Index(earlyStopping, string(text))
	if i < 0 {
		return badinput.Errorf("early_stopping is %q, expected false, true or never", text)
	}
	*e = EarlyStopping(i)
	return nil
}

// MarshalJSON writes false, true or "never".
func (e EarlyStopping) MarshalJSON() ([]byte, error) {
	if e == StopNever {
		return []byte(`"never"`), nil
	}
	return []byte(e.String()), nil
}

// UnmarshalJSON reads false, true or "never".
func (e *EarlyStopping) UnmarshalJSON(data []byte) error {
	return e.UnmarshalText(bytes.Trim(data, `"`))
}

func (o *BeamOptions) check() error {
	if o.Beams <= 0 || o.MaxLength < 2 {
		return fmt.Errorf("beam search needs at least one beam and a maximum length of 2, got %d and %d", o.Beams, o.MaxLength)
	}
	if o.NumReturn == 0 {
		o.NumReturn = 1
	}
	if o.Beams == 1 {
		o.EarlyStopping = StopFull // greedy search ends at the first end token
	}
	if o.NumReturn > o.Beams {
		return fmt.Errorf("%d hypotheses are requested, more than the %d beams of the search", o.NumReturn, o.Beams)
	}
	if o.MaxActive <= 0 {
		o.MaxActive = 16
	}
	if o.EncodeBatchTokens <= 0 {
		o.EncodeBatchTokens = 1024
	}
	return nil
}

// candidates returns how many continuations of a sentence's beams are
// considered (the reference's beams_to_keep). They suffice for Beams running
// beams even if the best tokens of each are all the end tokens.
func (o *BeamOptions) candidates() int { return max(2, 1+len(o.EOS)) * o.Beams }
