package filter

import (
	"strings"

	"barka/internal/dataset"
	"barka/internal/minhash"
	"barka/internal/wordhash"
)

const (
	// shingle is the number of words of an element.
	shingle = 3
	// nearAnswers is the least similarity of the answers of near-duplicates. Questions of
	// one template may differ in one word of thirty and in the whole of a short answer.
	nearAnswers = 0.5
	// looser is the share of the threshold from which rows are of one cluster.
	looser = 0.75
	// passageWords is the number of words from which a line of a generated row's question
	// is a passage that the row shows.
	passageWords = 25
)

// wordsOf returns the elements of a row: its runs of three words. A passage that a question
// shows is one element, because many rows ask about it.
func wordsOf(r dataset.Instruction) (w words) {
	form, _ := formOf(r)
	shows := form == dataset.FormReading || r.PassageID != ""
	var buffer, elements []uint64
	for _, m := range r.Messages {
		elements = elements[:0]
		text := m.Content
		if shows && m.Role == "user" {
			var passages []string
			passages, text = split(text)
			for _, p := range passages {
				buffer = wordhash.Words(buffer[:0], p)
				elements = minhash.Shingles(elements, buffer, max(len(buffer), 1))
			}
		}
		buffer = wordhash.Words(buffer[:0], text)
		elements = minhash.Shingles(elements, buffer, shingle)
		to := &w.prompts
		if m.Role == "assistant" {
			to = &w.answers
		}
		for _, e := range elements {
			*to = append(*to, uint32(wordhash.Spread(e)>>32))
		}
	}
	return words{minhash.Set(w.prompts), minhash.Set(w.answers)}
}

// split separates the passages in a question from the rest: what is between the first and
// the last angle quotation mark, if the text begins with one, and long lines.
func split(text string) (passages []string, rest string) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "«"); ok {
		if end := strings.LastIndex(inner, "»"); end >= 0 {
			return []string{inner[:end]}, inner[end+len("»"):]
		}
	}
	var others []string
	for line := range strings.Lines(text) {
		if len(strings.Fields(line)) >= passageWords {
			passages = append(passages, line)
		} else {
			others = append(others, line)
		}
	}
	return passages, strings.Join(others, "")
}

// similarity returns the Jaccard similarity of two rows: that of all elements and that of
// the answers.
func similarity(a, b words) (all, answers float64) {
	common := minhash.Common(a.answers, b.answers)
	answers = minhash.Jaccard(len(a.answers), len(b.answers), common)
	common += minhash.Common(a.prompts, b.prompts)
	return minhash.Jaccard(len(a.answers)+len(a.prompts), len(b.answers)+len(b.prompts), common), answers
}

// sign sets a signature to that of a row, and reports whether the row has words.
func (w words) sign(s minhash.Scheme, signature []uint32, buffer *[]uint64) bool {
	all := (*buffer)[:0]
	for _, e := range w.prompts {
		all = append(all, wordhash.Spread(uint64(e)))
	}
	for _, e := range w.answers {
		all = append(all, wordhash.Spread(uint64(e)|1<<32))
	}
	*buffer = all
	s.Sign(signature, all)
	return len(all) > 0
}
