// Package overlap finds rows that hold the text of benchmark questions: runs of words, in
// the spelling of package wordhash. Audits and decontamination compare rows by it.
package overlap

import (
	"cmp"
	"math/bits"
	"regexp"
	"slices"
	"strings"

	"barka/internal/wordhash"
)

// Shortest is the smallest number of words by which texts can be compared.
const Shortest = 4

// common is the largest number of questions that may hold a sequence of words. A
// sequence in more questions is a common phrase and is not compared. Equal questions
// count once.
const common = 20

// Question is a text to look for. The zero Question is found nowhere.
type Question struct {
	// Text has parts on separate lines, such as a passage and the question about it.
	Text string
	// Proof is the text that a row must hold beside a short question: the right answer or,
	// if that is unknown, one of the options. Fixed is set if the options are the same for
	// every question of the benchmark, such as true and false, and prove nothing.
	Proof []string
	Fixed bool
}

// occurrence is a sequence of words of one question.
type occurrence struct {
	hash uint64
	item int32
}

// Index finds the questions that hold a sequence. Most lookups miss; a table of bits
// answers most of them.
type Index struct {
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

// NewIndex returns an index of questions by sequences of n words.
func NewIndex(n int, questions []Question) *Index {
	x := &Index{n: n, sizes: make([]int32, len(questions)), lengths: make([]bool, n+1), proofs: map[int32][][]uint64{},
		first: map[uint64]int32{}, same: map[int32][]int32{}}
	for i := range questions {
		x.add(int32(i), &questions[i])
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
func (x *Index) add(i int32, q *Question) {
	var parts [][]uint64
	total, longest := 0, 0
	for part := range strings.SplitSeq(q.Text, "\n") {
		if w := wordhash.Words(nil, part); len(w) >= Shortest {
			parts = append(parts, w)
			total, longest = total+len(w), max(longest, len(w))
		}
	}
	if len(parts) == 0 {
		return
	}
	if total < 2*x.n && !q.Fixed && len(q.Proof) > 0 {
		proof := proofs(q.Proof)
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
func (x *Index) forgetCommon() {
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
func (x *Index) find(hash uint64) []occurrence {
	lo, _ := slices.BinarySearchFunc(x.occurrences, hash, func(o occurrence, h uint64) int { return cmp.Compare(o.hash, h) })
	hi := lo
	for hi < len(x.occurrences) && x.occurrences[hi].hash == hash {
		hi++
	}
	return x.occurrences[lo:hi]
}

// Size returns the number of sequences by which a question is found; 0 if it is too short or
// consists of common phrases.
func (x *Index) Size(question int) int { return int(x.sizes[question]) }

// Equal lists questions with the same text as one that Matches returns, by the latter.
func (x *Index) Equal() map[int32][]int32 { return x.same }

// Searcher looks for questions in rows. It holds one worker's buffers.
type Searcher struct {
	x     *Index
	words []uint64
	ends  []int // end of each text's words
	hits  []uint64
}

// NewSearcher returns a Searcher for one goroutine.
func (x *Index) NewSearcher() *Searcher { return &Searcher{x: x} }

// Match is a question with the number of its sequences that a row holds. Of equal
// questions it names the first.
type Match struct{ Question, Sequences int32 }

// Matches returns the questions that share sequences with the texts, in order. A single
// shared sequence of a short question, or several but not all of them, may be a common
// phrase, such as "which of the following is an example of a". They count only if the texts
// also hold the answer, or an option if the answer is unknown; in the second case it must
// have two words or more.
func (s *Searcher) Matches(texts []string) []Match {
	s.words, s.ends, s.hits = s.words[:0], s.ends[:0], s.hits[:0]
	for _, t := range texts {
		start := len(s.words)
		s.words = wordhash.Words(s.words, t)
		s.ends = append(s.ends, len(s.words))
		s.look(s.words[start:])
	}
	slices.Sort(s.hits)
	var found []Match
	for _, h := range slices.Compact(s.hits) {
		for _, o := range s.x.find(h) {
			found = append(found, Match{o.item, 1})
		}
	}
	slices.SortFunc(found, func(a, b Match) int { return cmp.Compare(a.Question, b.Question) })
	out := found[:0]
	for _, m := range found {
		if last := len(out) - 1; last >= 0 && out[last].Question == m.Question {
			out[last].Sequences++
		} else {
			out = append(out, m)
		}
	}
	return slices.DeleteFunc(out, func(m Match) bool {
		proof := s.x.proofs[m.Question]
		least := 1 // words of the proof
		if m.Sequences < s.x.sizes[m.Question] {
			least = 2 // a template and one word are no question
		} else if m.Sequences > 1 {
			return false
		}
		proven := func(words []uint64) bool { return len(words) >= least && s.holds(words) }
		return len(proof) > 0 && !slices.ContainsFunc(proof, proven)
	})
}

// look records the sequences of a text that a question may hold.
func (s *Searcher) look(w []uint64) {
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

// Mark returns a text with before and after around the words that lie in sequences of a
// question, which Matches has returned.
func (x *Index) Mark(question int32, text, before, after string) string {
	var words []uint64
	var fields [][]int // of each word: start and end of the run of characters without blanks
	for _, at := range unbroken.FindAllStringIndex(text, -1) {
		words = wordhash.Words(words, text[at[0]:at[1]])
		for len(fields) < len(words) {
			fields = append(fields, at)
		}
	}
	marked := make([]bool, len(words))
	for i := range words {
		h := uint64(0)
		for k, word := range words[i:min(i+x.n, len(words))] {
			h = extend(h, word)
			if x.lengths[k+1] && slices.ContainsFunc(x.find(h), func(o occurrence) bool { return o.item == question }) {
				for j := range k + 1 {
					marked[i+j] = true
				}
			}
		}
	}
	var b strings.Builder
	end := 0
	for i := 0; i < len(words); i++ {
		if !marked[i] {
			continue
		}
		first := i
		for i+1 < len(words) && marked[i+1] {
			i++
		}
		from, to := max(end, fields[first][0]), fields[i][1]
		if from < to { // two words of one field may both be marked
			b.WriteString(text[end:from] + before + text[from:to] + after)
			end = to
		}
	}
	return b.String() + text[end:]
}

// unbroken is a run of characters without white space.
var unbroken = regexp.MustCompile(`\S+`)

// holds reports whether one of the texts has these words in sequence.
func (s *Searcher) holds(words []uint64) bool {
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
