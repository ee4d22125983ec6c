package generate

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"

	"barka/internal/badinput"
)

// BeamOptions holds the settings of a search. Those with a name of transformers'
// generation settings mean the same.
type BeamOptions struct {
	Beams     int // 1 is greedy search, or sampling
	MaxLength int // of the output, including the start and end tokens
	// MaxLengthRatio, if positive, also limits an output to this multiple of the source
	// tokens, plus MaxLengthExtra.
	MaxLengthRatio float64
	// MinLength is the number of tokens, including the start token, that an output has
	// before an end token may follow; 0: off.
	MinLength     int
	LengthPenalty float64 // scores are divided by length^LengthPenalty
	EarlyStopping EarlyStopping
	Patience      float64 // of StopCTranslate2; 0 means 1
	NoRepeatNGram int     // 0: off
	// Sampling draws outputs if its temperature is positive, one token after the other.
	// Its repetition penalty also counts in beam search, where it multiplies the
	// log-probabilities of tokens that an output contains.
	Sampling Sampling
	// Vocabulary, if not nil, is what tokens are chosen from. Outputs that are continued from
	// their logits need all tokens.
	Vocabulary        *Vocabulary
	Start             int32
	EOS               []int32 // tokens that end an output
	NumReturn         int     // hypotheses returned per sentence, at most Beams unless they are drawn; 0 means 1
	MaxActive         int     // sentences decoded together; 0 means 16
	EncodeBatchTokens int     // source tokens encoded together; 0 means 1,024, or what model.PassTokens returns
	// Attention sets that of the hypotheses, if the model is a model.Aligner.
	Attention bool
}

// encodeTokens is the default of EncodeBatchTokens on the CPU.
const encodeTokens = 1024

// MaxLengthExtra is added to the limit by MaxLengthRatio, so that it leaves room for the
// start, language and end tokens of short sources.
const MaxLengthExtra = 10

// Limit returns the most tokens that an output of a source of n tokens may have.
func (o *BeamOptions) Limit(n int) int {
	if o.MaxLengthRatio > 0 {
		return int(min(float64(o.MaxLength), o.MaxLengthRatio*float64(n)+MaxLengthExtra))
	}
	return o.MaxLength
}

// SourcesOf returns sources that share their first output token.
func SourcesOf(tokens [][]int32, forcedBOS int32) []Source {
	sources := make([]Source, len(tokens))
	for i, t := range tokens {
		sources[i] = Source{Tokens: t, ForcedBOS: forcedBOS}
	}
	return sources
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
	// StopCTranslate2 searches as CTranslate2 4.8 does ("ctranslate2"). It ends once
	// Beams·Patience hypotheses are complete, and with the length penalty 0 once the best
	// continuation ends and NumReturn are complete. An end token right after ForcedBOS
	// counts only if it is the best continuation; otherwise the step keeps one beam less.
	StopCTranslate2
)

// earlyStopping holds the spellings of the setting, by value.
var earlyStopping = []string{StopHeuristic: "false", StopFull: "true", StopNever: "never", StopCTranslate2: "ctranslate2"}

// EarlyStoppings returns the spellings of the setting.
func EarlyStoppings() []string { return slices.Clone(earlyStopping) }

// String returns the setting's spelling.
func (e EarlyStopping) String() string { return earlyStopping[e] }

// UnmarshalText reads a spelling of the setting.
func (e *EarlyStopping) UnmarshalText(text []byte) error {
	i := slices.Index(earlyStopping, string(text))
	if i < 0 {
		return badinput.Errorf("early_stopping is %q, expected false, true, never or ctranslate2", text)
	}
	*e = EarlyStopping(i)
	return nil
}

// MarshalJSON writes false, true or a spelling in quotes.
func (e EarlyStopping) MarshalJSON() ([]byte, error) {
	if e == StopHeuristic || e == StopFull {
		return []byte(e.String()), nil
	}
	return strconv.AppendQuote(nil, e.String()), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *EarlyStopping) UnmarshalJSON(data []byte) error {
	return e.UnmarshalText(bytes.Trim(data, `"`))
}

// check completes the options and reports the first that makes no sense.
func (o *BeamOptions) check() error {
	if o.NumReturn == 0 {
		o.NumReturn = 1
	}
	if o.Patience == 0 {
		o.Patience = 1
	}
	if o.Beams == 1 {
		o.EarlyStopping = StopFull // greedy search ends at the first end token
	}
	if o.MaxActive <= 0 {
		o.MaxActive = 16
	}
	if o.EncodeBatchTokens <= 0 {
		o.EncodeBatchTokens = encodeTokens
	}
	switch {
	case o.Beams <= 0 || o.MaxLength < 2:
		return fmt.Errorf("beam search needs at least one beam and a maximum length of 2, got %d and %d", o.Beams, o.MaxLength)
	case o.samples() && o.Beams != 1:
		return fmt.Errorf("sampling needs exactly 1 beam, got %d", o.Beams)
	case !o.samples() && o.NumReturn > o.Beams:
		return fmt.Errorf("%d hypotheses are requested, more than the %d beams of the search", o.NumReturn, o.Beams)
	case o.EarlyStopping == StopCTranslate2 && o.complete() < o.NumReturn:
		return fmt.Errorf("the search ends after %d hypotheses (%d beams, patience %g), fewer than the %d requested",
			o.complete(), o.Beams, o.Patience, o.NumReturn)
	case o.Vocabulary != nil && o.oneByOne():
		return fmt.Errorf("a part of the vocabulary needs beam search or greedy search without a repetition penalty")
	case o.Beams > 1 && o.Sampling.penalised() && o.Sampling.RepetitionPenalty < 1:
		return fmt.Errorf("the repetition penalty of beam search is %g, expected at least 1", o.Sampling.RepetitionPenalty)
	}
	return o.Sampling.Validate()
}

// samples reports whether tokens are drawn.
func (o *BeamOptions) samples() bool { return o.Sampling.Temperature > 0 }

// oneByOne reports whether each output is continued by itself, from its logits. Greedy
// search with a repetition penalty needs them, because the penalty depends on their signs.
func (o *BeamOptions) oneByOne() bool { return o.Beams == 1 && !o.Sampling.greedy() }

// complete returns after how many complete hypotheses CTranslate2 ends.
func (o *BeamOptions) complete() int { return int(math.Round(float64(o.Beams) * o.Patience)) }

// candidates returns how many continuations of a sentence's beams are
// considered (the reference's beams_to_keep). They suffice for Beams running
// beams even if the best tokens of each are all the end tokens.
func (o *BeamOptions) candidates() int { return max(2, 1+len(o.EOS)) * o.Beams }
