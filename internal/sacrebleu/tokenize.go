package sacrebleu

import (
	"regexp"
	"strings"
)

// Tokenizer names one of sacrebleu's ways to divide a sentence into BLEU's words.
type Tokenizer string

// The tokenizers that need no model and no dictionary.
const (
	None  Tokenizer = "none" // at spaces only
	MT13a Tokenizer = "13a"  // mteval-v13a, the default
	Intl  Tokenizer = "intl" // mteval-v14 with --international: punctuation of every script
	Char  Tokenizer = "char" // every character is a word
)

// rule replaces matches of a pattern.
type rule struct {
	pattern *regexp.Regexp
	with    string
}

var (
	rules13a = []rule{
		{regexp.MustCompile(`([{-~\[-\x60 -&(-+:-@/])`), " ${1} "},
		{regexp.MustCompile(`([^0-9])([.,])`), "${1} ${2} "},
		{regexp.MustCompile(`([.,])([^0-9])`), " ${1} ${2}"},
		{regexp.MustCompile(`([0-9])(-)`), "${1} ${2} "},
	}
	rulesIntl = []rule{
		{regexp.MustCompile(`(\P{N})(\p{P})`), "${1} ${2} "},
		{regexp.MustCompile(`(\p{P})(\P{N})`), " ${1} ${2}"},
		{regexp.MustCompile(`(\p{S})`), " ${1} "},
	}
)

// split returns the sentence with spaces between words.
func (t Tokenizer) split(s string) string {
	switch t {
	case MT13a:
		s = strings.ReplaceAll(s, "<skipped>", "")
		s = strings.ReplaceAll(s, "-\n", "")
		s = strings.ReplaceAll(s, "\n", " ")
		for _, e := range [][2]string{{"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}} { // in this order: &amp;lt; becomes <
			s = strings.ReplaceAll(s, e[0], e[1])
		}
		return replace(" "+s+" ", rules13a)
	case Intl:
		return replace(s, rulesIntl)
	case Char:
		return strings.Join(strings.Split(s, ""), " ")
	}
	return s
}

func replace(s string, rules []rule) string {
	for _, r := range rules {
		s = r.pattern.ReplaceAllString(s, r.with)
	}
	return s
}
