// Package sacrebleu scores translations against references as sacrebleu 2.6.0 does: BLEU
// (Papineni et al., 2002), chrF (Popović, 2015) and chrF++ (Popović, 2017), with its
// tokenizers, its names and its signatures. The figures are the same to the last digit
// that it prints.
package sacrebleu

import (
	"fmt"
	"strings"

	"barka/internal/pytext"
)

// Version is the version of sacrebleu whose results the metrics give. Signatures name it.
const Version = "2.6.0"

// Metric accumulates sentences.
type Metric interface {
	// Add adds a sentence with its references, of which every sentence has as many.
	Add(hypothesis string, references []string)
	// Score returns the score of all sentences added so far.
	Score() Score
	// Sentence returns the score of one sentence alone.
	Sentence(hypothesis string, references []string) Score
}

// Score is a result as sacrebleu reports it.
type Score struct {
	Name      string  `json:"name"`
	Value     float64 `json:"score"` // 0 to 100
	Signature string  `json:"signature"`
	Detail    string  `json:"verbose_score,omitempty"` // BLEU's precisions, penalty and lengths
}

// String is the line that sacrebleu prints with --format text and the given number of decimals.
func (s Score) String(decimals int) string {
	line := fmt.Sprintf("%s|%s = %.*f", s.Name, s.Signature, decimals, s.Value)
	if s.Detail != "" {
		line += " " + s.Detail
	}
	return line
}

// ByName returns the metric of sacrebleu's -m option: bleu, chrf or chrf++.
func ByName(name string, t Tokenizer, lowercase bool) (Metric, error) {
	switch name {
	case "bleu":
		return NewBLEU(t, lowercase), nil
	case "chrf":
		return NewChrF(0, lowercase), nil
	case "chrf++":
		return NewChrF(2, lowercase), nil
	}
	return nil, fmt.Errorf("metric is %q, expected bleu, chrf or chrf++", name)
}

// signature joins key:value pairs. nrefs comes first, the version last.
func signature(references int, pairs ...string) string {
	return fmt.Sprintf("nrefs:%d|%s|version:%s", references, strings.Join(pairs, "|"), Version)
}

// caseOf is the signature's word for lower-casing.
func caseOf(lower bool) string {
	if lower {
		return "case:lc"
	}
	return "case:mixed"
}

// counts holds how often each n-gram of one order occurs.
type counts map[string]int

// total returns the number of n-grams.
func (c counts) total() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// matches returns how many n-grams of c occur in other, each at most as often as there.
func (c counts) matches(other counts) (n int) {
	for g, k := range c {
		n += min(k, other[g])
	}
	return n
}

// wordCounts counts the n-grams of words, which have no spaces in them.
func wordCounts(words []string, n int) counts {
	c := counts{}
	for i := 0; i+n <= len(words); i++ {
		c[strings.Join(words[i:i+n], " ")]++
	}
	return c
}

// fields is str.split without arguments.
func fields(s string) []string { return strings.FieldsFunc(s, pytext.IsSpace) }

// trimRight is str.rstrip without arguments.
func trimRight(s string) string { return strings.TrimRightFunc(s, pytext.IsSpace) }
