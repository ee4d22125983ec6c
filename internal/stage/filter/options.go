package filter

import (
	"encoding/json"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// Rules are the bounds for the rows of one form. A bound of zero is not
// applied.
type Rules struct {
	// MinScriptShare is the least share of the target script among letters,
	// code, formulas and addresses aside.
	MinScriptShare float64 `json:"min_script_share"`
	// MinAnswerWords and MaxChars bound answers and messages.
	MinAnswerWords int `json:"min_answer_words"`
	MaxChars       int `json:"max_chars"`
	// MinLengthRatio and MaxLengthRatio bound a message's characters over its
	// English source's.
	MinLengthRatio float64 `json:"min_length_ratio"`
	MaxLengthRatio float64 `json:"max_length_ratio"`
	// MinScore bounds the mean score of a row's translated sentences.
	MinScore float64 `json:"min_score,omitempty"`
	// Repetition drops messages in which a model went round in circles: its
	// answers, and translations that repeat what their source does not.
	Repetition bool `json:"repetition"`
	// Leaks drops rows that speak of "the text" they were made from.
	Leaks bool `json:"leaks"`
	// Truncated drops rows whose generation was cut.
	Truncated bool `json:"truncated"`
	// SameOptions drops translations whose answer no longer names one of the
	// options, or that lost an option.
	SameOptions bool `json:"same_options"`
	// SameResult drops translations that end in another number.
	SameResult bool `json:"same_result"`
}

// Options are everything that changes what filter writes. In JSON, as in
// recipes, the keys of Rules that stand beside those of Options are for the
// rows of every form, and those under a form's name for its rows.
type Options struct {
	// Preset, in JSON, is what the other settings start from: PresetDefault
	// or PresetSeed.
	Preset string `json:"preset,omitempty"`
	// SeedRules applies the original's rules. In questions and answers about
	// passages: no " text " in the question, more than 10 words in the answer.
	// In every translation: no <unk>, no Latin letter at the beginning.
	SeedRules bool `json:"seed_rules"`
	// Duplicates drops rows whose conversation, normalised, came before.
	Duplicates bool `json:"duplicates"`
	// NearDuplicates drops rows whose runs of three words have at least this Jaccard
	// similarity to those of an earlier row that is kept; 0 keeps them. Permutations is
	// the number of hashes by which pairs are found.
	NearDuplicates float64 `json:"near_duplicates"`
	Permutations   int     `json:"permutations"`

	*Rules // of every form, in JSON alone

	Question     Rules `json:"question"`
	Conversation Rules `json:"conversation"`
	Choice       Rules `json:"choice"`
	Reading      Rules `json:"reading"`
	Arithmetic   Rules `json:"arithmetic"`
	Instruction  Rules `json:"instruction"`
}

// minNear is the least threshold of near-duplicates. Below it most rows of one form would be
// compared with each other.
const minNear = 0.4

// Presets.
const (
	PresetDefault = "default" // Defaults
	PresetSeed    = "seed"    // Seed
)

// Defaults are our own rules. What a model wrote about a passage that the row
// does not show must not speak of the passage, and is long by its task. What
// people wrote for a benchmark is kept as it is, however short, and so is a
// passage in the question: only what translation does to it is a defect.
func Defaults() Options {
	all := Rules{MinScriptShare: 0.75, MaxChars: 20000, MinLengthRatio: 0.3, MaxLengthRatio: 3, Repetition: true, Truncated: true}
	written, choice, sum := all, all, all
	written.MinAnswerWords, written.Leaks = 3, true
	choice.SameOptions = true
	sum.SameResult = true
	return Options{Duplicates: true, NearDuplicates: 0.8, Permutations: 128,
		Question: written, Conversation: written, Choice: choice, Reading: choice, Arithmetic: sum, Instruction: all}
}

// Seed are the original's rules.
func Seed() Options { return Options{SeedRules: true} }

// forms lists the rules by form.
func (o *Options) forms() map[string]*Rules {
	return map[string]*Rules{
		dataset.FormQuestion: &o.Question, dataset.FormConversation: &o.Conversation, dataset.FormChoice: &o.Choice,
		dataset.FormReading: &o.Reading, dataset.FormArithmetic: &o.Arithmetic, dataset.FormInstruction: &o.Instruction,
	}
}

// Each changes the rules of every form.
func (o *Options) Each(change func(*Rules)) {
	for _, r := range o.forms() {
		change(r)
	}
}

// UnmarshalJSON reads settings over those that o has, or over a preset's.
func (o *Options) UnmarshalJSON(data []byte) error {
	var start struct {
		Preset string `json:"preset"`
	}
	if err := json.Unmarshal(data, &start); err != nil {
		return err
	}
	switch start.Preset {
	case PresetDefault:
		*o = Defaults()
	case PresetSeed:
		*o = Seed()
	case "":
	default:
		return badinput.Errorf("filter: preset is %q, expected %s or %s", start.Preset, PresetDefault, PresetSeed)
	}
	for _, r := range o.forms() {
		if err := json.Unmarshal(data, r); err != nil {
			return err
		}
	}
	type plain Options
	if err := json.Unmarshal(data, (*plain)(o)); err != nil {
		return err
	}
	o.Preset, o.Rules = "", nil
	return nil
}

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	switch {
	case !(o.NearDuplicates == 0 || o.NearDuplicates >= minNear && o.NearDuplicates <= 1):
		return badinput.Errorf("filter: near_duplicates is %g, expected a similarity from %g to 1, or 0 to keep near-duplicates",
			o.NearDuplicates, minNear)
	case o.NearDuplicates > 0 && (o.Permutations < 16 || o.Permutations > 1024):
		return badinput.Errorf("filter: permutations is %d, expected 16 to 1024; 128 find nearly all pairs", o.Permutations)
	}
	for _, form := range dataset.Forms() {
		r := o.forms()[form]
		switch {
		case r.MinScriptShare < 0 || r.MinScriptShare > 1:
			return badinput.Errorf("filter: min_script_share of %s is %g, expected a number from 0 to 1", form, r.MinScriptShare)
		case r.MinAnswerWords < 0 || r.MaxChars < 0:
			return badinput.Errorf("filter: min_answer_words and max_chars of %s must not be negative", form)
		case r.MinLengthRatio < 0 || r.MaxLengthRatio < 0 || r.MaxLengthRatio > 0 && r.MaxLengthRatio < r.MinLengthRatio:
			return badinput.Errorf("filter: length ratios of %s from %g to %g: expected two positive numbers, the smaller first", form,
				r.MinLengthRatio, r.MaxLengthRatio)
		case r.MinScore > 0:
			return badinput.Errorf("filter: min_score of %s is %g, expected a log-probability, which is negative", form, r.MinScore)
		}
	}
	return nil
}
