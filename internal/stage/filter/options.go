package filter

import (
	"encoding/json"
	"slices"
	"strings"

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
	// MinLanguage is the least probability of the row's language, as package langid finds it, for
	// messages that look more like another language.
	MinLanguage float64 `json:"min_language"`
	// Encoding drops messages with damaged characters: U+FFFD, control characters, and Arabic or
	// accented letters decoded by the wrong table.
	Encoding bool `json:"encoding"`
	// Bidi drops messages with overrides of the writing direction, or with direction marks that
	// are not closed.
	Bidi bool `json:"bidi"`
	// MaxElongation is the longest run of one letter, or of tatweel.
	MaxElongation int `json:"max_elongation"`
	// Markup drops messages with tags and entities of HTML.
	Markup bool `json:"markup"`
	// MaxEcho bounds how much an answer resembles its question, from 0 to 1.
	MaxEcho float64 `json:"max_echo"`
	// EmptyAnswers drops answers that consist of dots and other signs.
	EmptyAnswers bool `json:"empty_answers"`
	// Unfinished drops answers that break off in the middle of a sentence, unless their source
	// does, too.
	Unfinished bool `json:"unfinished"`
	// SameNumbers drops translations that lost a number of their source.
	SameNumbers bool `json:"same_numbers"`
	// Refusals drops answers that refuse or speak as an assistant, in English or Arabic.
	Refusals bool `json:"refusals"`
	// Toxicity drops messages with words of the built-in lists and of Blocklist.
	Toxicity bool `json:"toxicity"`
	// Scripture drops messages that quote as the Quran what is not in it.
	Scripture bool `json:"scripture"`
	// FineWeb has the thresholds of FineWeb-2 for long messages.
	FineWeb FineWeb `json:"fineweb"`
	// SameOptions drops translations whose answer no longer names one of the
	// options, or that lost an option.
	SameOptions bool `json:"same_options"`
	// SameResult drops translations that end in another number.
	SameResult bool `json:"same_result"`
}

// Options are everything that changes what filter writes. In JSON, as in
// recipes, a rule that stands beside the other keys is for the rows of every
// form, and one under a form's name for the rows of that form.
type Options struct {
	// Preset, in JSON, is what the other settings start from: PresetDefault,
	// PresetFineWeb or PresetSeed.
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
	// AcrossSets, in a recipe, drops rows that repeat one of an earlier set.
	AcrossSets bool `json:"across_sets,omitempty"`
	// SkipRules are names of rules that are not applied, as they stand in rejected/.
	SkipRules []string `json:"skip_rules"`
	// RejectFlags are the flags of translate that drop a row if one of its sentences has them.
	RejectFlags []string `json:"reject_flags"`
	// Blocklist is a file of words that Toxicity drops beside its own, one per line.
	Blocklist string `json:"blocklist"`
	// Normalise is what happens to the text of the rows that are kept.
	Normalise Normalise `json:"normalise"`

	words   *wordlist    // the lists of Toxicity with Blocklist's words; nil for the built-in ones
	earlier []earlierSet // sets whose rows are not repeated

	*Rules // of every form, in JSON alone

	Question     Rules `json:"question"`     // rules for this form of rows in place of the general ones
	Conversation Rules `json:"conversation"` // rules for this form of rows in place of the general ones
	Choice       Rules `json:"choice"`       // rules for this form of rows in place of the general ones
	Reading      Rules `json:"reading"`      // rules for this form of rows in place of the general ones
	Arithmetic   Rules `json:"arithmetic"`   // rules for this form of rows in place of the general ones
	Instruction  Rules `json:"instruction"`  // rules for this form of rows in place of the general ones
}

// minNear is the least threshold of near-duplicates. Below it most rows of one form would be
// compared with each other.
const minNear = 0.4

// Presets.
const (
	PresetDefault = "default"  // Defaults
	PresetSeed    = "seed"     // Seed
	PresetFineWeb = "fineweb2" // FineWeb2
)

var presets = map[string]func() Options{PresetDefault: Defaults, PresetSeed: Seed, PresetFineWeb: FineWeb2}

// Defaults are our own rules. What a model wrote about a passage that the row
// does not show must not speak of the passage, and is long by its task. What
// people wrote for a benchmark is kept as it is, however short, and so is a
// passage in the question: only what translation does to it is a defect.
func Defaults() Options {
	all := Rules{MinScriptShare: 0.75, MaxChars: 20000, MinLengthRatio: 0.3, MaxLengthRatio: 3, Repetition: true, Truncated: true,
		MinLanguage: 0.2, Encoding: true, Bidi: true, MaxElongation: 3, Markup: true, EmptyAnswers: true, Unfinished: true,
		SameNumbers: true, Refusals: true, Toxicity: true, Scripture: true}
	free := all // written by a model, or by anyone
	free.MaxEcho = 0.8
	free.FineWeb = FineWeb{MinWords: 100, MaxDuplicateLines: 0.304, MaxTopNGrams: Top{0.197, 0.172, 0.146},
		MaxDuplicateNGrams: Repeats{0.165, 0.153, 0.142, 0.131, 0.12, 0.109}, MinWordLength: 2, MaxWordLength: 9, MinAlphaWords: 0.787}
	written, choice, sum := free, all, all
	written.MinAnswerWords, written.Leaks = 3, true
	choice.SameOptions = true
	sum.SameResult = true
	return Options{Duplicates: true, NearDuplicates: 0.8, Permutations: 128,
		RejectFlags: []string{"empty", "hit_max", "source_cut", "unk_in_output"},
		Normalise:   Normalise{Digits: DigitsKeep, Bidi: true, Presentation: true, Persian: true},
		Question:    written, Conversation: written, Choice: choice, Reading: choice, Arithmetic: sum, Instruction: free}
}

// FineWeb2 is Defaults with all thresholds of FineWeb-2 for Arabic, for rows of every form.
func FineWeb2() Options {
	o := Defaults()
	o.Each(func(r *Rules) {
		r.FineWeb = o.Instruction.FineWeb
		r.FineWeb.MinWords = 50 // as its filter of quality
		r.FineWeb.MinLinePunctuation, r.FineWeb.MaxNewLines, r.FineWeb.MinStopWords = 0.143, 0.189, 2
		r.MinLanguage = 0.711
	})
	return o
}

// Seed are the original's rules.
func Seed() Options { return Options{SeedRules: true, Normalise: Normalise{Digits: DigitsKeep}} }

// of returns the rules of a form.
func (o *Options) of(form string) *Rules {
	switch form {
	case dataset.FormQuestion:
		return &o.Question
	case dataset.FormConversation:
		return &o.Conversation
	case dataset.FormChoice:
		return &o.Choice
	case dataset.FormReading:
		return &o.Reading
	case dataset.FormArithmetic:
		return &o.Arithmetic
	}
	return &o.Instruction
}

// Each changes the rules of every form.
func (o *Options) Each(change func(*Rules)) {
	for _, form := range dataset.Forms() {
		change(o.of(form))
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
	if preset, ok := presets[start.Preset]; ok {
		*o = preset()
	} else if start.Preset != "" {
		return badinput.Errorf("filter: preset is %q, expected %s", start.Preset, "default, fineweb2 or seed")
	}
	for _, form := range dataset.Forms() {
		if err := json.Unmarshal(data, o.of(form)); err != nil {
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
	if o.AcrossSets && !o.Duplicates && o.NearDuplicates == 0 {
		return badinput.Errorf("filter: across_sets looks for duplicates, and both duplicates and near_duplicates are off")
	}
	for _, form := range dataset.Forms() {
		r := o.of(form)
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
		case r.MinLanguage < 0 || r.MinLanguage > 1:
			return badinput.Errorf("filter: min_language of %s is %g, expected a probability from 0 to 1", form, r.MinLanguage)
		case r.MaxEcho < 0 || r.MaxEcho > 1:
			return badinput.Errorf("filter: max_echo of %s is %g, expected a number from 0 to 1", form, r.MaxEcho)
		case r.MaxElongation < 0:
			return badinput.Errorf("filter: max_elongation of %s must not be negative", form)
		}
		if err := r.FineWeb.validate(form); err != nil {
			return err
		}
	}
	for _, name := range o.SkipRules {
		if !slices.Contains(RuleNames(), name) {
			return badinput.Errorf("filter: skip_rules: %q is no rule; rules: %s", name, strings.Join(RuleNames(), ", "))
		}
	}
	for _, f := range o.RejectFlags {
		if !slices.Contains(flags, f) {
			return badinput.Errorf("filter: reject_flags: %q is no flag; flags: %s", f, strings.Join(flags, ", "))
		}
	}
	return o.Normalise.validate()
}

// flags are those that translate gives to sentences. Stages do not import each other; a test
// compares.
var flags = []string{"copied", "digits", "empty", "hit_max", "ignored", "length_ratio", "low_score", "repeated", "script", "source_cut",
	"span_crossed", "span_doubled", "span_invented", "span_lost", "unk_in_output",
	"unknown_tokens"}
