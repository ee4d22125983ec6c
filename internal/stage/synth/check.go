package synth

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"barka/internal/chat"
	"barka/internal/prose"
)

const (
	minScript   = 0.75 // least share of a text's letters that are of the language's script
	minAsked    = 0.5  // least share of a question's content words that passage and title have
	minGrounded = 0.5  // least share of an answer's content words that passage, title or question have
	minEcho     = 0.7  // an answer with this share of the passage, word for word, repeats it
	maxMessage  = 1000 // characters of a question
	maxRepeated = 0.1  // largest share of an answer's sequences of gramWords words that repeat earlier ones
	gramWords   = 4
	maxSaid     = 0.5 // largest share of them that an earlier answer of the conversation has
	echoWords   = 8   // an answer that has so many words in a row of the instruction repeats it
)

// text is a text of the model that is checked.
type text struct {
	string
	record   *record
	question string // what an answer answers; "" if the text is a question
	prompt   string // what was asked for, without passage and question
	source   source // what an answer may say: passage, title, section and question
}

// check is one rule about questions or answers. Its name is the reason against the text.
type check struct {
	name  string
	fails func(t text) bool
}

// questionChecks and answerChecks run in this order; the first that fails is the reason.
var questionChecks = []check{
	{"empty_question", func(t text) bool { return t.string == "" }},
	{"encoding_question", broken},
	{"long_question", func(t text) bool {
		return strings.Contains(t.string, "\n\n") && t.shape() != shapeChoice || len([]rune(t.string)) > maxMessage
	}},
	{"no_question_mark", func(t text) bool { return asksBy[t.shape()] && !strings.ContainsAny(t.string, questionMarks) }},
	{"leak_question", func(t text) bool { return leak.MatchString(t.string) }},
	{"script_question", func(t text) bool { return script.MatchString(t.string) }},
	{"meta_question", func(t text) bool { return meta.MatchString(t.string) }},
	{"degenerate_question", func(t text) bool { return degenerate.MatchString(t.string) }},
	{"language_question", otherScript},
	{"several_questions", func(t text) bool {
		n := 0
		for _, r := range t.string {
			if strings.ContainsRune(questionMarks, r) {
				n++
			}
		}
		return n > 1 || joined.MatchString(t.string)
	}},
	{"text_after_question", func(t text) bool { return t.shape() == shapeQuestion && !ends.MatchString(t.string) }},
	{"kind_question", func(t text) bool { return !t.record.drawn.kind.fits(t.string) }},
	{"circular_question", func(t text) bool {
		a, b, ok := compared(t.string)
		return ok && a == b || named.MatchString(t.string)
	}},
	{"options_question", func(t text) bool { return t.shape() == shapeChoice && len(listedOptions(t.string)) < 3 }},
	{"statement_question", func(t text) bool { return t.shape() == shapeStatement && strings.ContainsAny(t.string, questionMarks) }},
	{"unrelated_question", func(t text) bool {
		words := contentWords(t.string)
		return t.lexical() && (len(words) == 0 || t.source.share(t.string) < minAsked)
	}},
	{"repeated_question", func(t text) bool {
		return slices.ContainsFunc(t.record.row.Messages, func(m chat.Message) bool {
			return m.Role == "user" && strings.EqualFold(m.Content, t.string)
		})
	}},
}

var answerChecks = []check{
	{"empty_answer", func(t text) bool { return t.string == "" }},
	{"encoding_answer", broken},
	{"short_answer", func(t text) bool {
		return len(strings.Fields(t.string)) < cmp.Or(t.record.drawn.kind.MinAnswerWords, t.record.w.o.MinAnswerWords)
	}},
	{"leak_answer", func(t text) bool { return leak.MatchString(t.string) }},
	{"script_answer", func(t text) bool { return script.MatchString(t.string) }},
	{"meta_answer", func(t text) bool { return meta.MatchString(t.string) }},
	{"refusal_answer", func(t text) bool { return refusal.MatchString(t.string) }},
	{"assistant_answer", func(t text) bool { return assistant.MatchString(t.string) }},
	{"language_answer", otherScript},
	{"option_answer", func(t text) bool { return t.shape() == shapeChoice && !namesOption(t.string, t.question) }},
	{"verdict_answer", func(t text) bool { return t.shape() == shapeStatement && !trueFalse.MatchString(t.string) }},
	{"echo_question", func(t text) bool {
		if t.shape() == shapeStatement {
			return same(trueFalse.ReplaceAllString(t.string, "")) == same(statement(t))
		}
		return t.shape() == shapeQuestion && (same(t.string) == same(t.question) ||
			t.lexical() && newSource(t.question).share(t.string) == 1)
	}},
	{"echo_prompt", func(t text) bool { return repeatsPrompt(t.string, t.prompt) || t.beginsWithHeading() }},
	{"circular_answer", func(t text) bool { return circular(t.string) }},
	{"repeated_answer", func(t text) bool { return repeated(t.string) > maxRepeated || t.saidBefore() }},
	{"echo_passage", func(t text) bool {
		passage := same(t.record.passage.Text)
		return len(t.string) > 200 && float64(len(same(t.string))) > minEcho*float64(len(passage)) &&
			strings.Contains(passage, same(t.string))
	}},
	{"unknown_number", func(t text) bool { return t.source.unknownNumber(t.string) != "" }},
	{"unknown_name", func(t text) bool {
		return t.lexical() && t.source.unknownName(t.string) != ""
	}},
	{"ungrounded_answer", func(t text) bool {
		return t.lexical() && t.source.share(t.string) < minGrounded
	}},
}

// Checks returns the names of all checks.
func Checks() (names []string) {
	for _, c := range append(slices.Clone(questionChecks), answerChecks...) {
		names = append(names, c.name)
	}
	return names
}

func (r *record) checkQuestion(raw string) (string, string) {
	return r.check(text{string: clean(raw), record: r, source: r.source}, questionChecks)
}

func (r *record) checkAnswer(d data) checker {
	instruction := d.Answer + " " + d.Length
	source := r.source.with(d.Question)
	return func(raw string) (string, string) {
		return r.check(text{clean(raw), r, d.Question, instruction, source}, answerChecks)
	}
}

// check returns the text, or the first reason against it.
func (r *record) check(t text, checks []check) (cleaned, reason string) {
	for _, c := range checks {
		if !slices.Contains(r.w.o.SkipChecks, c.name) && c.fails(t) {
			return "", c.name
		}
	}
	return t.string, ""
}

func (t text) shape() string { return t.record.drawn.kind.Shape }

// lexical reports whether word lists and stems apply.
func (t text) lexical() bool { return lexical(t.record.w.prompts.Language) }

func broken(t text) bool { return strings.ContainsRune(t.string, '\ufffd') }

func otherScript(t text) bool {
	letters, own := prose.Letters(t.string, t.record.w.prompts.Language)
	return float64(own) < minScript*float64(letters)
}

// same is a text for comparisons: lower case, without what is not a word.
func same(s string) string { return strings.Join(strings.FieldsFunc(prose.Fold(s), notWord), " ") }

// option finds an option of a question with a choice.
var option = regexp.MustCompile(`(?m)^\s*(?:[-*]\s*)?\(?([A-Fa-f]|[أابجدهو]ـ?)[).:]\s*(\S.*?)\s*$`)

// listedOptions returns the options of a question by their letters, or nil if two are the same.
func listedOptions(s string) map[string]string {
	found, texts := map[string]string{}, map[string]bool{}
	for _, m := range option.FindAllStringSubmatch(s, -1) {
		letter, words := prose.Fold(m[1]), same(m[2])
		if found[letter] != "" || texts[words] || words == "" {
			return nil
		}
		found[letter], texts[words] = words, true
	}
	return found
}

// namesOption reports whether an answer begins with the letter and the words of an option.
func namesOption(answer, question string) bool {
	first, rest, _ := strings.Cut(answer, "\n")
	m := option.FindStringSubmatch(first)
	if m == nil {
		return false
	}
	words := listedOptions(question)[prose.Fold(m[1])]
	return words != "" && strings.HasPrefix(same(m[2]+" "+rest), words)
}
