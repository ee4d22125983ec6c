package audit

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"barka/internal/wordhash"
)

// shortest is the smallest number of words by which texts can be compared.
const shortest = 4

// common is the largest number of questions that may hold a sequence of words. A
// sequence in more questions is a common phrase and is not compared. Equal questions
// count once.
const common = 20

// occurrence is a sequence of words of one question.
type occurrence struct {
	hash uint64
	item int32
}

// index finds the questions that hold a sequence. Most lookups miss; a table of bits
// answers most of them.
type index struct {
	n           int
	occurrences []occurrence // by hash
	bits        []uint64
	shift       int     // right shift that turns a hash into the number of its bit
	sizes       []int32 // number of sequences of each question; 0 if it is not compared
	// lengths[k] is set if there are sequences of k words. k is n, or the length of a
	// shorter question, which is one sequence.
	lengths []bool
	// proofs holds the right answers, or the options, of questions of fewer than
	// 2n words, if these differ from row to row.
	proofs map[int32][][]uint64
	// first finds the question that represents all equal ones, and same lists the
	// others. If each of them counted, their sequences would seem common.
	first map[uint64]int32
	same  map[int32][]int32
}

func newIndex(n int, items []item) *index {
	x := &index{n: n, sizes: make([]int32, len(items)), lengths: make([]bool, n+1), proofs: map[int32][][]uint64{},
		first: map[uint64]int32{}, same: map[int32][]int32{}}
	for i := range items {
		if items[i].test {
			x.add(int32(i), &items[i])
		}
	}
	slices.SortFunc(x.occurrences, func(a, b occurrence) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.item, b.item))
	})
	x.forgetCommon()
	// Sixteen bits per occurrence: one lookup in sixteen is a false hit.
	width := max(10, bits.Len(uint(16*len(x.occurrences))))
	x.shift, x.bits = 64-width, make([]uint64, 1<<(width-6))
	for _, o := range x.occurrences {
		b := o.hash >> x.shift
		x.bits[b/64] |= 1 << (b % 64)
	}
	return x
}

// add indexes each of a question's sequences once. A sequence does not span two parts of
// a question, such as a passage and the question about it, because training rows may
// arrange them differently.
func (x *index) add(i int32, it *item) {
	var parts [][]uint64
	total, longest := 0, 0
	for part := range strings.SplitSeq(it.question, "\n") {
		if w := wordhash.Words(nil, part); len(w) >= shortest {
			parts = append(parts, w)
			total, longest = total+len(w), max(longest, len(w))
		}
	}
	if len(parts) == 0 {
		return
	}
	if total < 2*x.n && !it.fixed && len(it.proof) > 0 {
		proof := proofs(it.proof)
		if longest < x.n && len(proof) == 0 {
			return
		}
		x.proofs[i] = proof
	}
	key := uint64(0)
	for _, p := range append(parts, x.proofs[i]...) {
		key = extend(key, sequence(p))
	}
	if first, known := x.first[key]; known {
		x.same[first] = append(x.same[first], i)
		return
	}
	x.first[key] = i
	start := len(x.occurrences)
	for _, w := range parts {
		length := min(x.n, len(w))
		x.lengths[length] = true
		for k := range len(w) - length + 1 {
			x.occurrences = append(x.occurrences, occurrence{sequence(w[k : k+length]), i})
		}
	}
	added := x.occurrences[start:]
	slices.SortFunc(added, func(a, b occurrence) int { return cmp.Compare(a.hash, b.hash) })
	x.occurrences = x.occurrences[:start+len(slices.Compact(added))]
	x.sizes[i] = int32(len(x.occurrences) - start)
}

// proofs returns the words of texts. If there are texts of two or more words, it
// returns only those.
func proofs(texts []string) (out [][]uint64) {
	least := 1
	for _, t := range texts {
		w := wordhash.Words(nil, t)
		if least == 1 && len(w) > 1 {
			out, least = nil, 2
		}
		if len(w) >= least {
			out = append(out, w)
		}
	}
	return out
}

// forgetCommon removes common phrases. A sequence that many questions hold identifies
// none of them, and does not count towards a question's size.
func (x *index) forgetCommon() {
	kept := x.occurrences[:0]
	for lo, hi := 0, 0; lo < len(x.occurrences); lo = hi {
		for hi = lo; hi < len(x.occurrences) && x.occurrences[hi].hash == x.occurrences[lo].hash; hi++ {
		}
		if hi-lo <= common {
			kept = append(kept, x.occurrences[lo:hi]...)
			continue
		}
		for _, o := range x.occurrences[lo:hi] {
			x.sizes[o.item]--
		}
	}
	x.occurrences = kept
	for first, others := range x.same {
		for _, i := range others {
			x.sizes[i] = x.sizes[first]
		}
	}
}

// sequence hashes a run of words.
func sequence(words []uint64) uint64 {
	h := uint64(0)
	for _, w := range words {
		h = extend(h, w)
	}
	return h
}

// extend returns the hash of a sequence with one more word.
func extend(h, word uint64) uint64 { return wordhash.Spread(h ^ word) }

// find returns the questions that hold a sequence.
func (x *index) find(hash uint64) []occurrence {
	lo, _ := slices.BinarySearchFunc(x.occurrences, hash, func(o occurrence, h uint64) int { return cmp.Compare(o.hash, h) })
	hi := lo
	for hi < len(x.occurrences) && x.occurrences[hi].hash == hash {
		hi++
	}
	return x.occurrences[lo:hi]
}

// searcher holds one worker's buffers.
type searcher struct {
	x     *index
	words []uint64
	ends  []int // end of each text's words
	hits  []uint64
}

// match is a question with the number of its sequences that a row holds.
type match struct{ item, n int32 }

// matches returns the questions that share sequences with the texts, in order. A single
// shared sequence of a short question may be a common phrase, such as "which of the
// following is true". It counts only if the texts also hold the answer, or an option if
// the answer is unknown.
func (s *searcher) matches(texts []string) []match {
	s.words, s.ends, s.hits = s.words[:0], s.ends[:0], s.hits[:0]
	for _, t := range texts {
		start := len(s.words)
		s.words = wordhash.Words(s.words, t)
		s.ends = append(s.ends, len(s.words))
		s.look(s.words[start:])
	}
	slices.Sort(s.hits)
	var found []match
	for _, h := range slices.Compact(s.hits) {
		for _, o := range s.x.find(h) {
			found = append(found, match{o.item, 1})
		}
	}
	slices.SortFunc(found, func(a, b match) int { return cmp.Compare(a.item, b.item) })
	out := found[:0]
	for _, m := range found {
		if last := len(out) - 1; last >= 0 && out[last].item == m.item {
			out[last].n++
		} else {
			out = append(out, m)
		}
	}
	return slices.DeleteFunc(out, func(m match) bool {
		proof := s.x.proofs[m.item]
		return m.n == 1 && len(proof) > 0 && !slices.ContainsFunc(proof, s.holds)
	})
}

// look records the sequences of a text that a question may hold.
func (s *searcher) look(w []uint64) {
	for i := range w {
		h := uint64(0)
		for k, word := range w[i:min(i+s.x.n, len(w))] {
			h = extend(h, word)
			if b := h >> s.x.shift; s.x.lengths[k+1] && s.x.bits[b/64]&(1<<(b%64)) != 0 {
				s.hits = append(s.hits, h)
			}
		}
	}
}

// holds reports whether one of the texts has these words in sequence.
func (s *searcher) holds(words []uint64) bool {
	start := 0
	for _, end := range s.ends {
		for i := start; i+len(words) <= end; i++ {
			if slices.Equal(s.words[i:i+len(words)], words) {
				return true
			}
		}
		start = end
	}
	return false
}
