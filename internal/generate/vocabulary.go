package generate

import (
	"slices"

	"barka/internal/model"
	"barka/internal/tensor"
)

// Vocabulary is what a search chooses tokens from, if not simply from all: some tokens and
// those of each sentence's source, or all tokens after a screen. Results depend on their
// source alone.
type Vocabulary struct {
	tokens []int32       // ascending; nil: all
	head   tensor.Weight // of tokens
	all    tensor.Weight
}

// NewVocabulary returns the vocabulary of some tokens. They include the end tokens. The others
// have no share in the softmax. It holds a copy of their part of the head, which searches
// share.
func NewVocabulary(m model.Seq2Seq, tokens []int32) *Vocabulary {
	all, _ := m.Head()
	v := &Vocabulary{tokens: distinct(tokens), all: all}
	v.head = m.Device().Select(all, v.tokens)
	return v
}

// ScreenedVocabulary returns all tokens, with a screen of 8-bit integers before the head.
func ScreenedVocabulary(m model.Seq2Seq) *Vocabulary {
	all, _ := m.Head()
	return &Vocabulary{head: m.Device().Screen(all)}
}

// Len returns the number of tokens, or 0 for all.
func (v *Vocabulary) Len() int { return len(v.tokens) }

// further returns the tokens of a source that the vocabulary lacks, ascending.
func (v *Vocabulary) further(source []int32) []int32 {
	return slices.DeleteFunc(distinct(source), func(t int32) bool {
		_, found := slices.BinarySearch(v.tokens, t)
		return found
	})
}

// number returns the place of a token among those of the vocabulary and the further ones of a
// sentence.
func (v *Vocabulary) number(t int32, further []int32) (int32, bool) {
	if i, ok := slices.BinarySearch(v.tokens, t); ok {
		return int32(i), true
	}
	i, ok := slices.BinarySearch(further, t)
	return int32(len(v.tokens) + i), ok
}

// token is the inverse of number.
func (v *Vocabulary) token(number int32, further []int32) int32 {
	if n := int(number) - len(v.tokens); n >= 0 {
		return further[n]
	}
	return v.tokens[number]
}

// best returns the k best continuations of each running beam, whose last states follow each
// other in last [beams,D].
func (b *beamSearch) best(active []*sentence, last tensor.Tensor, k int) []tensor.Candidates {
	head, softcap := b.m.Head()
	v, dev := b.o.Vocabulary, b.m.Device()
	if v == nil {
		return dev.TopK(last, head, k, softcap, b.banned, nil).Get()
	}
	if v.tokens == nil {
		return dev.TopK(last, v.head, k, softcap, b.banned, nil).Get()
	}
	clear(b.extra)
	b.extra = b.extra[:0]
	eachOf(active, func(s *sentence, lo, hi int) {
		if len(s.further) > 0 {
			b.extra = append(b.extra, tensor.Extra{W: s.head, Lo: lo, Hi: hi})
		}
		for i, banned := range b.banned[lo:hi] {
			numbers := banned[:0]
			for _, t := range banned {
				if n, ok := v.number(t, s.further); ok {
					numbers = append(numbers, n)
				}
			}
			b.banned[lo+i] = numbers
		}
	})
	top := dev.TopK(last, v.head, k, softcap, b.banned, b.extra).Get()
	eachOf(active, func(s *sentence, lo, hi int) {
		for _, c := range top[lo:hi] {
			for j, number := range c.Tokens {
				c.Tokens[j] = v.token(number, s.further)
			}
		}
	})
	return top
}

// eachOf calls f for each sentence of a step with the rows lo ≤ i < hi of its beams.
func eachOf(active []*sentence, f func(s *sentence, lo, hi int)) {
	at := 0
	for _, s := range active {
		if !s.done {
			n := len(s.running) // f may change it
			f(s, at, at+n)
			at += n
		}
	}
}
