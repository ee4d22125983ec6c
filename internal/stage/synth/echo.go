package synth

import (
	"regexp"
	"strings"
)

// wordsOf returns the words of a text for comparisons.
func wordsOf(s string) []string { return strings.FieldsFunc(fold(s), notWord) }

// repeated returns the share of a text's sequences of gramWords words that it had before.
// Whole lines that differ in one word only, as in a list, have few such sequences.
func repeated(s string) float64 {
	words := wordsOf(s)
	n := len(words) - gramWords + 1
	if n < 2 {
		return 0
	}
	seen := map[string]bool{}
	for i := range n {
		seen[strings.Join(words[i:i+gramWords], " ")] = true
	}
	return 1 - float64(len(seen))/float64(n)
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
	return found && p.Section != "" && strings.HasPrefix(same(head), same(p.Title)) && strings.Contains(same(p.Title+" "+p.Section), same(head)) &&
		same(head) != same(p.Title)
}

// is finds the subject of a sentence and what it is said to be.
var is = regexp.MustCompile(`(?i)^(?:the |an? )?(.{2,80}?) (?:is|are|was|were|means|refers to) ` +
	`(?:(?:the|an?|simply|just|called|name|(?:\w+ )?(?:branch|field|type|kind|form|part|study|country|city|place) of) )*` +
	`(.{2,80}?)(?:,|$| that\b| which\b| who\b| where\b)`)

var sentence = regexp.MustCompile(`[^.!?\n]+`)

// circular reports whether a sentence says of its subject only that it is itself.
func circular(s string) bool {
	for _, one := range sentence.FindAllString(s, -1) {
		if m := is.FindStringSubmatch(strings.TrimSpace(one)); m != nil && same(m[1]) == same(m[2]) && same(m[1]) != "" {
			return true
		}
	}
	return false
}
