package filter

import (
	"fmt"
	"math"
	"strconv"

	"barka/internal/chat"
)

// rule is one reason to drop a row.
type rule struct {
	name     string // the reason in rejected/ and in the manifest
	measures string // what its value is, for --explain
	check    func(*examined) finding
}

// rules run in this order; the first reason counts. Cheap ones come first.
var rules = []rule{
	{"truncated", "finish reason", truncated},
	{"translation_flag", "flags of translated sentences", flagged},
	{"translation_score", "mean score of translated sentences", score},
	{"too_long", "characters", tooLong},
	{"short_answer", "words of the answer", shortAnswer},
	{"empty_answer", "letters and digits of the answer", emptyAnswer},
	{"encoding", "damaged characters", encoding},
	{"bidi_controls", "overrides and unclosed marks", bidi},
	{"elongation", "longest run of a letter", elongation},
	{"markup", "HTML tags and entities", markup},
	{"script", "share of letters of the script", script},
	{"wrong_language", "probability of the language", language},
	{"length_ratio", "characters over the source's", ratio},
	{"options", "options and answer as in the source", sameOptions},
	{"result", "last number as in the source", sameResult},
	{"leak", "mentions of the text", leaks},
	{"numbers", "numbers lost in translation", sameNumbers},
	{"repetition", "share of words in repeated phrases", repetition},
	{"echo", "likeness of answer and question", echo},
	{"refusal", "refusing phrases", refusal},
	{"assistant_phrase", "phrases of an assistant", assistantPhrase},
	{"unfinished", "answers that break off", unfinished},
	{"toxicity", "words of the lists", toxicity},
	{"scripture", "words misquoted as the Quran", scripture},
	{"fineweb_duplicate_lines", "share of lines that repeat", fineWeb(duplicateLines)},
	{"fineweb_top_ngrams", "share of the commonest n-gram, n 2 to 4", fineWeb(topNGrams)},
	{"fineweb_duplicate_ngrams", "share of repeated n-grams, n 5 to 10", fineWeb(duplicateNGrams)},
	{"fineweb_line_punctuation", "share of lines that end in punctuation", fineWeb(linePunctuation)},
	{"fineweb_new_lines", "new lines per word", fineWeb(newLines)},
	{"fineweb_word_length", "mean length of words", fineWeb(wordLength)},
	{"fineweb_alpha_words", "share of words with letters", fineWeb(alphaWords)},
	{"fineweb_stop_words", "different stop words", fineWeb(stopWords)},
}

// RuleNames returns the names of the rules that skip_rules may leave out, in their order.
func RuleNames() []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return names
}

// finding is what a rule measured.
type finding struct {
	skipped string  // why the rule does not apply, "" if it does
	value   float64 // of the worst message
	bound   float64
	least   bool   // bound is the least value allowed, not the largest
	message int    // the number of the worst message, 0 if it is of the whole row
	what    string // what was found there
	dropped bool
}

const (
	off        = "off"
	noSource   = "no translation"
	noAnswer   = "no message of this kind"
	otherForm  = "not for this form"
	tooShort   = "too short"
	notThisOne = "not for this language"
)

func skip(why string) finding { return finding{skipped: why} }

func answers(m chat.Message) bool { return m.Role == "assistant" }
func every(chat.Message) bool     { return true }

// most measures messages and drops the row if one has more than bound.
func (r *examined) most(bound float64, of func(chat.Message) bool, measure func(i int, t *text) (float64, string)) finding {
	return r.worst(finding{bound: bound}, of, measure)
}

// least measures messages and drops the row if one has less than bound. A NaN is no measurement.
func (r *examined) least(bound float64, of func(chat.Message) bool, measure func(i int, t *text) (float64, string)) finding {
	return r.worst(finding{bound: bound, least: true}, of, measure)
}

func (r *examined) worst(f finding, of func(chat.Message) bool, measure func(i int, t *text) (float64, string)) finding {
	f.skipped = noAnswer
	for i, m := range r.Messages {
		if !of(m) {
			continue
		}
		value, what := measure(i, r.message(i))
		if math.IsNaN(value) {
			if f.skipped == noAnswer {
				f.skipped = tooShort
			}
			continue
		}
		if f.skipped != "" || f.least && value < f.value || !f.least && value > f.value {
			f.skipped, f.value, f.message, f.what = "", value, i+1, what
		}
		if f.dropped = f.least && f.value < f.bound || !f.least && f.value > f.bound; f.dropped && !r.explain {
			return f
		}
	}
	return f
}

// detail says what the rule found, for rejected/.
func (f finding) detail() string {
	s := ""
	if f.message > 0 {
		s = fmt.Sprintf("message %d: ", f.message)
	}
	bound := "at most"
	if f.least {
		bound = "at least"
	}
	s += fmt.Sprintf("%s, %s %s", short(f.value), bound, short(f.bound))
	if f.what != "" {
		s += ": " + f.what
	}
	return s
}

func short(x float64) string {
	if x == math.Trunc(x) {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
