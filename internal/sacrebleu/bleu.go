package sacrebleu

import (
	"fmt"
	"math"
	"strings"

	"barka/internal/pytext"
)

// maxOrder is the largest number of words of BLEU's n-grams.
const maxOrder = 4

// BLEU is the metric of sacrebleu.BLEU with its default smoothing, exp: the precision of
// the first order without a match counts half a match, that of the second a quarter, and
// so on.
type BLEU struct {
	tokenize  Tokenizer
	lowercase bool

	references int
	sum        bleuStatistics
}

// bleuStatistics are the sums that decide BLEU.
type bleuStatistics struct {
	length, referenceLength int
	correct, total          [maxOrder]int // n-grams of 1 to 4 words
}

// NewBLEU returns the metric with a tokenizer. lowercase ignores case.
func NewBLEU(t Tokenizer, lowercase bool) *BLEU { return &BLEU{tokenize: t, lowercase: lowercase} }

// Add implements Metric.
func (m *BLEU) Add(hypothesis string, references []string) {
	m.references = len(references)
	s := m.statistics(hypothesis, references)
	m.sum.length += s.length
	m.sum.referenceLength += s.referenceLength
	for i := range maxOrder {
		m.sum.correct[i] += s.correct[i]
		m.sum.total[i] += s.total[i]
	}
}

// Score implements Metric.
func (m *BLEU) Score() Score { return m.score(m.sum, m.references, false) }

// Sentence implements Metric. As sacrebleu advises for single sentences, it uses only the
// orders that the hypothesis is long enough for.
func (m *BLEU) Sentence(hypothesis string, references []string) Score {
	return m.score(m.statistics(hypothesis, references), len(references), true)
}

// statistics counts the n-grams of a sentence. A reference n-gram counts as often as in
// the reference that has most of it; the reference length is the one closest to the hypothesis,
// the shorter of two.
func (m *BLEU) statistics(hypothesis string, references []string) (s bleuStatistics) {
	words := m.words(hypothesis)
	s.length = len(words)
	var most [maxOrder]counts
	for i, r := range references {
		theirs := m.words(r)
		distance := func(n int) int { return 2*max(n-s.length, s.length-n) - min(1, max(0, s.length-n)) }
		if i == 0 || distance(len(theirs)) < distance(s.referenceLength) {
			s.referenceLength = len(theirs)
		}
		for n := range most {
			c := wordCounts(theirs, n+1)
			if most[n] == nil {
				most[n] = c
				continue
			}
			for g, k := range c {
				most[n][g] = max(most[n][g], k)
			}
		}
	}
	for n := range most {
		ours := wordCounts(words, n+1)
		s.total[n], s.correct[n] = ours.total(), ours.matches(most[n])
	}
	return s
}

// words tokenizes a sentence.
func (m *BLEU) words(sentence string) []string {
	if m.lowercase {
		sentence = pytext.Lower(sentence)
	}
	return fields(m.tokenize.split(trimRight(sentence)))
}

// score computes BLEU. effective leaves out the orders that no n-gram has.
func (m *BLEU) score(s bleuStatistics, references int, effective bool) Score {
	penalty := 1.0
	if s.length < s.referenceLength {
		penalty = 0
		if s.length > 0 {
			penalty = math.Exp(1 - float64(s.referenceLength)/float64(s.length))
		}
	}
	precisions, value := s.precisions(effective)
	text := make([]string, maxOrder)
	for i, p := range precisions {
		text[i] = fmt.Sprintf("%.1f", p)
	}
	ratio, eff := 0.0, "eff:no"
	if s.referenceLength > 0 {
		ratio = float64(s.length) / float64(s.referenceLength)
	}
	if effective {
		eff = "eff:yes"
	}
	return Score{
		Name: "BLEU", Value: penalty * value,
		Signature: signature(references, caseOf(m.lowercase), eff, "tok:"+string(m.tokenize), "smooth:exp"),
		Detail: fmt.Sprintf("%s (BP = %.3f ratio = %.3f hyp_len = %d ref_len = %d)",
			strings.Join(text, "/"), penalty, ratio, s.length, s.referenceLength),
	}
}

// precisions returns the smoothed precisions in percent and their geometric mean.
func (s *bleuStatistics) precisions(effective bool) (precisions [maxOrder]float64, mean float64) {
	if s.correct == [maxOrder]int{} {
		return precisions, 0
	}
	orders, half := maxOrder, 1.0
	for i, total := range s.total {
		if total == 0 {
			break
		}
		if effective {
			orders = i + 1
		}
		precisions[i] = 100 * float64(s.correct[i]) / float64(total)
		if s.correct[i] == 0 {
			half *= 2
			precisions[i] = 100 / (half * float64(total))
		}
	}
	const logOfZero = -9999999999
	sum := 0.0
	for _, p := range precisions[:orders] {
		if p == 0 {
			sum += logOfZero
		} else {
			sum += math.Log(p)
		}
	}
	return precisions, math.Exp(sum / float64(orders))
}
