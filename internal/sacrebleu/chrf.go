package sacrebleu

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"barka/internal/pytext"
)

// charOrder is the largest number of characters of chrF's n-grams, and beta how much more
// recall weighs than precision.
const (
	charOrder = 6
	beta      = 2
)

// ChrF is the metric of sacrebleu.CHRF: chrF over characters, chrF++ over words too.
type ChrF struct {
	words     int // the largest number of words of an n-gram: 0, or 2 for chrF++
	lowercase bool

	references int
	sum        []chrfOrder
}

// chrfOrder counts the n-grams of one order: those of the hypothesis and of the
// reference, and the matches.
type chrfOrder struct{ hypothesis, reference, match int }

// NewChrF returns chrF, or chrF++ if words is 2. lowercase ignores case.
func NewChrF(words int, lowercase bool) *ChrF {
	return &ChrF{words: words, lowercase: lowercase, sum: make([]chrfOrder, charOrder+words)}
}

// Add implements Metric.
func (m *ChrF) Add(hypothesis string, references []string) {
	m.references = len(references)
	for i, o := range m.best(hypothesis, references) {
		m.sum[i].hypothesis += o.hypothesis
		m.sum[i].reference += o.reference
		m.sum[i].match += o.match
	}
}

// Score implements Metric.
func (m *ChrF) Score() Score { return m.score(m.sum, m.references) }

// Sentence implements Metric.
func (m *ChrF) Sentence(hypothesis string, references []string) Score {
	return m.score(m.best(hypothesis, references), len(references))
}

func (m *ChrF) score(orders []chrfOrder, references int) Score {
	return Score{
		Name: fmt.Sprintf("chrF%d%s", beta, strings.Repeat("+", m.words)), Value: fScore(orders),
		Signature: signature(references, caseOf(m.lowercase), "eff:yes", fmt.Sprintf("nc:%d", charOrder), fmt.Sprintf("nw:%d", m.words),
			"space:no"),
	}
}

// best returns the counts with the reference that gives the highest score, the first of
// several.
func (m *ChrF) best(hypothesis string, references []string) []chrfOrder {
	ours, best, top := m.counts(hypothesis), []chrfOrder(nil), -1.0
	for _, r := range references {
		theirs := m.counts(r)
		orders := make([]chrfOrder, len(ours))
		for i, c := range ours {
			o := chrfOrder{hypothesis: c.total(), reference: theirs[i].total(), match: c.matches(theirs[i])}
			if o.reference == 0 { // an order that the reference lacks does not count against the hypothesis
				o.hypothesis = 0
			}
			orders[i] = o
		}
		if f := fScore(orders); f > top {
			best, top = orders, f
		}
	}
	return best
}

// counts returns the n-grams of characters, without white space, and of words.
func (m *ChrF) counts(sentence string) []counts {
	if m.lowercase {
		sentence = pytext.Lower(sentence)
	}
	words := fields(sentence)
	text := strings.Join(words, "")
	at := make([]int, 0, len(text)+1) // where characters start
	for i := range text {
		at = append(at, i)
	}
	at = append(at, len(text))
	all := make([]counts, 0, charOrder+m.words)
	for n := 1; n <= charOrder; n++ {
		c := counts{}
		for i := 0; i+n < len(at); i++ {
			c[text[at[i]:at[i+n]]]++
		}
		all = append(all, c)
	}
	if m.words > 0 {
		words = splitPunctuation(words)
		for n := 1; n <= m.words; n++ {
			all = append(all, wordCounts(words, n))
		}
	}
	return all
}

// splitPunctuation separates one ASCII punctuation character from a word: its last one or
// else its first.
func splitPunctuation(words []string) []string {
	const marks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	var out []string
	for _, w := range words {
		switch last := len(w) - 1; {
		case utf8.RuneCountInString(w) == 1:
			out = append(out, w)
		case strings.IndexByte(marks, w[last]) >= 0:
			out = append(out, w[:last], w[last:])
		case strings.IndexByte(marks, w[0]) >= 0:
			out = append(out, w[:1], w[1:])
		default:
			out = append(out, w)
		}
	}
	return out
}

// fScore is the F-score of the mean precision and recall of the orders that both sides
// have.
func fScore(orders []chrfOrder) float64 {
	const factor = beta * beta
	var precision, recall float64
	n := 0
	for _, o := range orders {
		if o.hypothesis > 0 && o.reference > 0 {
			precision += float64(o.match) / float64(o.hypothesis)
			recall += float64(o.match) / float64(o.reference)
			n++
		}
	}
	if precision+recall == 0 {
		return 0
	}
	precision, recall = precision/float64(n), recall/float64(n)
	return 100 * ((1 + factor) * precision * recall / (factor*precision + recall))
}
