package synth

import (
	"regexp"
	"strings"

	"barka/internal/prose"
)

// wordsOf returns the words of a text for comparisons.
func wordsOf(s string) []string { return strings.FieldsFunc(prose.Fold(s), notWord) }

// grams returns a text's sequences of gramWords words.
func grams(s string) (all []string) {
	words := wordsOf(s)
	for i := range max(len(words)-gramWords+1, 0) {
		all = append(all, strings.Join(words[i:i+gramWords], " "))
	}
	return all
}

// repeated returns the share of a text's sequences of words that it had before. None of the 102
// passages of docs/real-models.md has more than maxRepeated.
func repeated(s string) float64 {
	all, seen := grams(s), map[string]bool{}
	for _, g := range all {
		seen[g] = true
	}
	if len(all) < 2 {
		return 0
	}
	return 1 - float64(len(seen))/float64(len(all))
}

// saidBefore reports whether most of an answer is in an earlier answer of the conversation.
func (t text) saidBefore() bool {
	all := grams(t.string)
	for _, m := range t.record.row.Messages {
		if m.Role != "assistant" {
			continue
		}
		said, n := map[string]bool{}, 0
		for _, g := range grams(m.Content) {
			said[g] = true
		}
		for _, g := range all {
			if said[g] {
				n++
			}
		}
		if float64(n) > maxSaid*float64(len(all)) {
			return true
		}
	}
	return false
}

// statement returns what an answer of true or false is about, without the words of the set
// of prompts around it.
func statement(t text) string {
	for _, m := range t.record.drawn.kind.Messages {
		before, after, ok := strings.Cut(m, "{{.Question}}")
		inner, begins := strings.CutPrefix(t.question, before)
		inner, ends := strings.CutSuffix(inner, after)
		if ok && begins && ends {
			return inner
		}
	}
	return t.question
}

// repeatsPrompt reports whether a text has echoWords words in a row of the instruction.
func repeatsPrompt(s, instruction string) bool {
	words, told := strings.Join(wordsOf(s), " "), wordsOf(instruction)
	for i := range max(len(told)-echoWords+1, 0) {
		if strings.Contains(words, strings.Join(told[i:i+echoWords], " ")) {
			return true
		}
	}
	return false
}

// beginsWithHeading reports whether an answer begins with title, section and a colon, as the
// prompt shows them.
func (t text) beginsWithHeading() bool {
	head, _, found := strings.Cut(t.string, ":")
	p := t.record.passage
	head, title := same(head), same(p.Title)
	return found && p.Section != "" && head != title && strings.HasPrefix(head, title) &&
		strings.Contains(same(p.Title+" "+p.Section), head)
}

// is finds the subject of a sentence and what it is said to be.
var is = regexp.MustCompile(`(?i)^(?:the |an? )?(.{2,80}?) (?:is|are|was|were|means|refers to) ` +
	`(?:(?:the|an?|simply|just|called|name|(?:\w+ )?(?:branch|field|type|kind|form|part|study|country|city|place) of) )*` +
	`(.{2,80}?)(?:,|$| that\b| which\b| who\b| where\b)`)

var sentence = regexp.MustCompile(`[^.!?\n]+`)

var (
	// named finds questions for a name that they give.
	named = regexp.MustCompile(`(?i:\bname of the (?:city|country|town|river|region|state|person|field|term))(?: of| called| named)? \p{Lu}`)
	// branch finds what is said to be a part of something.
	branch = regexp.MustCompile(`(?i)\b(\pL+) (?:is|are|was|were) (?:the|an?) (?:\pL+ )?` +
		`(?:branch|field|type|kind|form|part|study) of (?:the )?(\pL+)`)
)

// circular reports whether a sentence says of its subject only that it is itself, or a part
// of itself.
func circular(s string) bool {
	for _, m := range branch.FindAllStringSubmatch(s, -1) {
		if same(m[1]) == same(m[2]) {
			return true
		}
	}
	for _, one := range sentence.FindAllString(s, -1) {
		if m := is.FindStringSubmatch(strings.TrimSpace(one)); m != nil && same(m[1]) == same(m[2]) && same(m[1]) != "" {
			return true
		}
	}
	return false
}
