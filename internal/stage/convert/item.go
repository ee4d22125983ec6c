package convert

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// item is one question with its answer, before it is laid out.
type item struct {
	title    string
	subject  string
	context  string // what is read first; "" if nothing is
	question string
	ask      string   // what is asked for behind the question, a key of wordings.yaml
	options  []string // none: answer or verdict is the reply
	gold     int      // index into options; -1: not known
	verdict  *bool    // of a statement, or of a question that is answered by yes or no
	answer   string
	reason   string // a sentence behind the answer
	licence  string // where it differs from the benchmark's
	turns    []chat.Message
}

// form is the row's form: the benchmark's, or what the item is made of.
func (it *item) form(b benchmark) string {
	switch {
	case b.form != "":
		return b.form
	case it.context != "":
		return dataset.FormReading
	}
	return dataset.FormChoice
}

var ordinals = []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}

// tidy cleans the texts: the sets have runs of blanks, blanks before full
// stops where formatting was removed, and gaps of many lengths.
func (it *item) tidy() {
	it.title, it.subject = tidy(it.title), tidy(it.subject)
	it.context, it.question = tidy(it.context), tidy(it.question)
	it.answer, it.reason = tidy(it.answer), tidy(it.reason)
	for i, o := range it.options {
		it.options[i] = strings.Join(strings.Fields(tidy(o)), " ")
	}
	for i := range it.turns {
		it.turns[i].Content = strings.TrimSpace(it.turns[i].Content)
	}
}

var (
	blanks      = regexp.MustCompile(`[ \t\x{a0}]+`)
	beforePoint = regexp.MustCompile(`([\p{L}\p{N}_"'’”)]) ([.,;?!])(\s|$)`)
	gap         = regexp.MustCompile(`_(?: ?_)*`)
	edges       = regexp.MustCompile(` *\n *`)
	manyLines   = regexp.MustCompile(`\n{3,}`)
)

// tidy looks for what an expression replaces before it applies the expression, because most
// texts have nothing of the kind.
func tidy(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if strings.ContainsAny(s, "\t\u00a0") || strings.Contains(s, "  ") {
		s = blanks.ReplaceAllString(s, " ")
	}
	if strings.Contains(s, "_") {
		s = gaps(s)
	}
	if blankBeforePoint(s) {
		s = beforePoint.ReplaceAllString(s, "$1$2$3")
	}
	if strings.Contains(s, "\n") {
		s = manyLines.ReplaceAllString(edges.ReplaceAllString(s, "\n"), "\n\n")
	}
	return strings.TrimSpace(s)
}

func blankBeforePoint(s string) bool {
	for i := 1; i < len(s); i++ {
		if s[i-1] == ' ' && strings.IndexByte(".,;?!", s[i]) >= 0 {
			return true
		}
	}
	return false
}

// gaps gives all gaps one length. Underscores inside words are none, nor are the marks of
// subscripts: CO_{2}.
func gaps(s string) string {
	var b strings.Builder
	end := 0
	for _, at := range gap.FindAllStringIndex(s, -1) {
		before, _ := utf8.DecodeLastRuneInString(s[:at[0]])
		after, _ := utf8.DecodeRuneInString(s[at[1]:])
		b.WriteString(s[end:at[0]])
		if word(before) && word(after) || after == '{' {
			b.WriteString(s[at[0]:at[1]])
		} else {
			b.WriteString("____")
		}
		end = at[1]
	}
	return b.String() + s[end:]
}

func word(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// check says why an item cannot be used.
func (it *item) check() *dataset.Reject {
	if len(it.turns) > 0 {
		return dataset.CheckTurns(it.turns)
	}
	if it.question == "" {
		return &dataset.Reject{Reason: "empty_question"}
	}
	if len(it.options) == 0 {
		if it.answer == "" && it.verdict == nil {
			return &dataset.Reject{Reason: "empty_answer"}
		}
		return nil
	}
	if it.gold < 0 || it.gold >= len(it.options) {
		return &dataset.Reject{Reason: "no_label", Detail: fmt.Sprintf("label %d of %d options", it.gold, len(it.options))}
	}
	if len(it.options) < 2 || len(it.options) > len(ordinals) {
		return &dataset.Reject{Reason: "options", Detail: fmt.Sprintf("%d options", len(it.options))}
	}
	seen := map[string]bool{}
	for i, o := range it.options {
		if o == "" {
			return &dataset.Reject{Reason: "empty_option", Detail: fmt.Sprintf("option %d", i+1)}
		}
		if seen[o] {
			return &dataset.Reject{Reason: "equal_options", Detail: o}
		}
		seen[o] = true
	}
	return nil
}

// id names the item by its content, so that a question has one id in whatever
// layout its set was read.
func (it *item) id(benchmark string) string {
	answer := it.answer
	if it.verdict != nil {
		answer = fmt.Sprint(*it.verdict)
	}
	parts := []string{"convert", benchmark, it.context, it.question, answer, fmt.Sprint(it.gold)}
	for _, m := range it.turns {
		parts = append(parts, m.Role, m.Content)
	}
	return dataset.ContentID(append(parts, it.options...)...)
}

// passageID names the passage by its content, so that its questions have it in common, whatever
// set they are from; "" without a passage.
func (it *item) passageID() string {
	if it.context == "" {
		return ""
	}
	return dataset.ContentID("passage", it.context)
}

// shuffle puts the options into an order that the seed decides, for sets that
// state the right one first.
func (it *item) shuffle(seed int64) {
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	rng.Shuffle(len(it.options), func(i, j int) {
		it.options[i], it.options[j] = it.options[j], it.options[i]
		switch it.gold {
		case i:
			it.gold = j
		case j:
			it.gold = i
		}
	})
}
