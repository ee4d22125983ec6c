package filter

import (
	"encoding/json"
	"math"
	"slices"

	"barka/internal/badinput"
	"barka/internal/fineweb"
	"barka/internal/prose"
)

// FineWeb has the thresholds of FineWeb-2. They are made for pages, and apply to messages of
// MinWords words in Arabic. A threshold of zero is not applied.
type FineWeb struct {
	MinWords int `json:"min_words"`
	// MaxDuplicateLines is the largest share of lines that repeat an earlier one.
	MaxDuplicateLines float64 `json:"max_duplicate_lines"`
	// MaxTopNGrams bounds the share of characters in the commonest run of 2, 3 and 4 words.
	MaxTopNGrams Top `json:"max_top_ngrams"`
	// MaxDuplicateNGrams bounds the share of characters in repeated runs of 5 to 10 words.
	MaxDuplicateNGrams Repeats `json:"max_duplicate_ngrams"`
	// MinLinePunctuation is the least share of lines that end in a mark.
	MinLinePunctuation float64 `json:"min_line_punctuation"`
	// MaxNewLines is the largest number of new lines per word.
	MaxNewLines float64 `json:"max_new_lines"`
	// MinWordLength and MaxWordLength bound the mean number of characters of words.
	MinWordLength float64 `json:"min_word_length"`
	MaxWordLength float64 `json:"max_word_length"`
	// MinAlphaWords is the least share of words with a letter.
	MinAlphaWords float64 `json:"min_alpha_words"`
	// MinStopWords is the least number of different stop words.
	MinStopWords int `json:"min_stop_words"`
}

// Top has a threshold for runs of 2, 3 and 4 words, Repeats for runs of 5 to 10.
type (
	Top     [3]float64
	Repeats [6]float64
)

// UnmarshalJSON refuses lists of another length.
func (t *Top) UnmarshalJSON(data []byte) error {
	return thresholds(t[:], data, "max_top_ngrams", "2, 3 and 4")
}

// UnmarshalJSON refuses lists of another length.
func (t *Repeats) UnmarshalJSON(data []byte) error {
	return thresholds(t[:], data, "max_duplicate_ngrams", "5 to 10")
}

func thresholds(to []float64, data []byte, key, runs string) error {
	var list []float64
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	if len(list) != len(to) {
		return badinput.Errorf("filter: fineweb: %s has %d numbers, expected %d, for runs of %s words", key, len(list), len(to), runs)
	}
	copy(to, list)
	return nil
}

func (f FineWeb) validate(form string) error {
	for name, x := range map[string]float64{"max_duplicate_lines": f.MaxDuplicateLines, "min_line_punctuation": f.MinLinePunctuation,
		"max_new_lines": f.MaxNewLines, "min_alpha_words": f.MinAlphaWords, "max_top_ngrams": slices.Max(f.MaxTopNGrams[:]),
		"max_duplicate_ngrams": slices.Max(f.MaxDuplicateNGrams[:])} {
		if !(x >= 0 && x <= 1) {
			return badinput.Errorf("filter: fineweb: %s of %s is %g, expected a share from 0 to 1", name, form, x)
		}
	}
	if f.MinWords < 0 || f.MinStopWords < 0 || f.MinWordLength < 0 || f.MaxWordLength < 0 {
		return badinput.Errorf("filter: fineweb: min_words, min_stop_words and word lengths of %s must not be negative", form)
	}
	return nil
}

// statistic measures a text and returns its threshold.
type statistic func(t *fineweb.Text, f *FineWeb) (value, bound float64)

func duplicateLines(t *fineweb.Text, f *FineWeb) (float64, float64) {
	return measured(t.DuplicateLines, f.MaxDuplicateLines)
}

// measured leaves out what has no threshold.
func measured(f func() float64, bound float64) (float64, float64) {
	if bound == 0 {
		return math.NaN(), 0
	}
	return f(), bound
}

// topNGrams returns the share that is furthest above its threshold.
func topNGrams(t *fineweb.Text, f *FineWeb) (value, bound float64) {
	return furthest(t.TopNGram, 2, f.MaxTopNGrams[:])
}

func duplicateNGrams(t *fineweb.Text, f *FineWeb) (value, bound float64) {
	return furthest(t.DuplicateNGrams, 5, f.MaxDuplicateNGrams[:])
}

func furthest(share func(n int) float64, n int, bounds []float64) (value, bound float64) {
	value = math.NaN()
	for i, b := range bounds {
		if b == 0 {
			continue
		}
		if v := share(n + i); !(v-b <= value-bound) {
			value, bound = v, b
		}
	}
	return value, bound
}

// The statistics whose threshold is the least value return both negated.

func linePunctuation(t *fineweb.Text, f *FineWeb) (float64, float64) {
	return least(t.LinePunctuation, f.MinLinePunctuation)
}

func newLines(t *fineweb.Text, f *FineWeb) (float64, float64) {
	return measured(t.NewLines, f.MaxNewLines)
}

func alphaWords(t *fineweb.Text, f *FineWeb) (float64, float64) {
	return least(t.AlphaWords, f.MinAlphaWords)
}

func stopWords(t *fineweb.Text, f *FineWeb) (float64, float64) {
	return least(func() float64 { return float64(t.StopWords()) }, float64(f.MinStopWords))
}

func wordLength(t *fineweb.Text, f *FineWeb) (float64, float64) {
	if x := t.WordLength(); x < f.MinWordLength {
		return -x, -f.MinWordLength
	}
	return measured(t.WordLength, f.MaxWordLength)
}

func least(f func() float64, bound float64) (float64, float64) {
	v, b := measured(f, bound)
	return -v, -b
}

// fineWeb makes a rule of a statistic.
func fineWeb(s statistic) func(*examined) finding {
	return func(r *examined) finding {
		f := &r.o.FineWeb
		if *f == (FineWeb{MinWords: f.MinWords}) {
			return skip(off)
		}
		if r.Language != "arb_Arab" && modelled[r.Language] != "arb_Arab" {
			return skip(notThisOne)
		}
		found := finding{skipped: tooShort}
		for i := range r.Messages {
			t := r.long(i)
			if t == nil {
				continue
			}
			value, bound := s(t, f)
			if math.IsNaN(value) {
				return skip(off)
			}
			if found.skipped == "" && value-bound <= found.excess() {
				continue
			}
			found = finding{value: value, bound: bound, message: i + 1, dropped: value > bound}
			if value < 0 || bound < 0 {
				found.value, found.bound, found.least = -value, -bound, true
			}
			if found.dropped && !r.explain {
				break
			}
		}
		return found
	}
}

// excess returns by how much a value is beyond its bound.
func (f finding) excess() float64 {
	if f.least {
		return f.bound - f.value
	}
	return f.value - f.bound
}

// long returns a message as FineWeb's filters see it, without code, nil if it is too short for them.
func (r *examined) long(i int) *fineweb.Text {
	t := r.message(i)
	if !t.known.fineweb {
		t.known.fineweb = true
		// A word and the blank behind it have 3 bytes at least.
		if least := r.o.FineWeb.MinWords; len(t.string) >= 3*least && prose.CountWords(t.words()) >= least {
			t.fineweb = fineweb.New(t.words())
		}
	}
	return t.fineweb
}
