package tokenizer

import (
	"fmt"
	"runtime"
	"slices"
	"unicode/utf8"

	"barka/internal/panics"
)

// bpe is byte-pair encoding (Sennrich et al., 2016) with the options of Hugging
// Face's model.
type bpe struct {
	vocab        map[string]int32
	tokens       []string // by id; "" for ids without a token
	pairs        *pairTable
	unk          int32 // -1: none
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool
	prefix       string           // of all characters of a piece but the first
	suffix       string           // of the last character
	bytes        [256]int32       // ids of <0x00> … <0xFF>, -1 where missing
	ascii        [128]int32       // ids of single ASCII characters, -1 where missing
	inner        map[string]bool  // characters that precede spaceMark inside a token
	level        *[256]int32      // byte level: ids of single bytes, -1 where missing
	levelVocab   map[string]int32 // byte level with ignore_merges: the vocabulary as bytes
}

// symbol is a node of the linked list of a piece being merged.
type symbol struct {
	id         int32
	prev, next int32 // -1: none
	dead       bool
}

// merge is a candidate pair at a position.
type merge struct{ rank, at, id int32 }

const spaceMark = "▁"

// maxID bounds token ids, and thereby the memory that a broken file can make us
// allocate. The largest vocabulary known to us is XLM-V's, with 901,629 tokens.
const maxID = 1 << 20

// newBPE returns a model without merges; setMerges adds them.
func newBPE(vocab map[string]int32, unk, prefix, suffix string) (*bpe, error) {
	m := &bpe{vocab: vocab, unk: -1, prefix: prefix, suffix: suffix}
	size := int32(0)
	for tok, id := range vocab {
		if id < 0 || id > maxID {
			return nil, fmt.Errorf("model.vocab: token %q has id %d, expected 0 to %d", tok, id, maxID)
		}
		size = max(size, id+1)
	}
	m.tokens = make([]string, size)
	for tok, id := range vocab {
		m.tokens[id] = tok
	}
	if unk != "" {
		id, ok := vocab[unk]
		if !ok {
			return nil, fmt.Errorf("model.unk_token %q is not in model.vocab", unk)
		}
		m.unk = id
	}
	for b := range m.bytes {
		m.bytes[b] = idOr(vocab, fmt.Sprintf("<0x%02X>", b))
	}
	for c := range m.ascii {
		m.ascii[c] = idOr(vocab, string(rune(c)))
	}
	m.inner = beforeMark(vocab)
	return m, nil
}

// idOr returns the id of a token, or -1.
func idOr(vocab map[string]int32, token string) int32 {
	if id, ok := vocab[token]; ok {
		return id
	}
	return -1
}

// mergeTexts holds the pairs of a file in the order of their ranks. The two strings
// of pair i are adjacent in text and end at mid[i] and end[i].
type mergeTexts struct {
	text     []byte
	mid, end []int
}

func (p *mergeTexts) add(a, b []byte) {
	p.text = append(p.text, a...)
	p.mid = append(p.mid, len(p.text))
	p.text = append(p.text, b...)
	p.end = append(p.end, len(p.text))
}

// setMerges looks up the tokens of all pairs. This is the slow part of loading, so
// it runs on every processor. A pair with an unknown token is an error.
func (m *bpe) setMerges(p *mergeTexts) error {
	slots := make([]pairSlot, len(p.end))
	workers := runtime.GOMAXPROCS(0)
	bad := make([]int, workers) // per worker: the first pair with an unknown token, plus 1
	var wait panics.Group
	for w := range workers {
		wait.Go(func() {
			for i := len(slots) * w / workers; i < len(slots)*(w+1)/workers; i++ {
				a, b := p.pair(i)
				joined := p.text[p.mid[i]-len(a) : p.end[i]]
				if m.prefix != "" {
					joined = slices.Concat(a, b[min(len(m.prefix), len(b)):])
				}
				left, okA := m.vocab[string(a)]
				right, okB := m.vocab[string(b)]
				id, okC := m.vocab[string(joined)]
				if !(okA && okB && okC) {
					bad[w] = i + 1
					return
				}
				slots[i] = pairSlot{left, right, merged{int32(i), id}}
			}
		})
	}
	wait.Wait()
	for _, i := range bad {
		if i > 0 {
			a, b := p.pair(i - 1)
			return fmt.Errorf("model.merges[%d]: %q and %q cannot be merged: one of them, or their concatenation, is not in model.vocab",
				i-1, a, b)
		}
	}
	m.pairs = newPairTable(len(slots))
	for _, s := range slots {
		m.pairs.set(s.a, s.b, s.merged)
	}
	return nil
}

func (p *mergeTexts) pair(i int) (a, b []byte) {
	start := 0
	if i > 0 {
		start = p.end[i-1]
	}
	return p.text[start:p.mid[i]], p.text[p.mid[i]:p.end[i]]
}

// useBytes makes the model accept plain bytes although its vocabulary spells bytes as
// characters, if possible, and reports whether it did. Pieces then need no spelling.
func (m *bpe) useBytes() bool {
	if m.prefix != "" || m.suffix != "" || m.byteFallback || m.unk >= 0 {
		return false
	}
	m.level = new([256]int32)
	for b := range m.level {
		m.level[b] = idOr(m.vocab, string(byteRunes[b]))
	}
	if m.ignoreMerges {
		m.levelVocab = make(map[string]int32, len(m.vocab))
		for tok, id := range m.vocab {
			if b := textBytes(nil, tok); byteText(string(b)) == tok {
				m.levelVocab[string(b)] = id
			}
		}
	}
	return true
}

func (m *bpe) id(token string) (int32, bool) { id, ok := m.vocab[token]; return id, ok }

func (m *bpe) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(m.tokens) {
		return "", false
	}
	text := m.tokens[id]
	return text, text != "" || idOr(m.vocab, "") == id // no such id, or the empty token
}

func (m *bpe) size() int { return len(m.tokens) }

// encode cuts a piece before each space mark that no token can span. This does not
// change the result and makes words short enough to cache. The piece stays whole if
// unknown characters are fused, or if the vocabulary is consulted before the merges.
func (m *bpe) encode(e *encoder, piece string, ids []int32) []int32 {
	if m.level != nil || m.ignoreMerges || m.unk >= 0 && !m.byteFallback || m.prefix != "" || m.suffix != "" {
		return m.encodeWord(e, piece, ids)
	}
	eachWord(piece, m.inner, func(word string) { ids = m.encodeWord(e, word, ids) })
	return ids
}

func (m *bpe) encodeWord(e *encoder, word string, ids []int32) []int32 {
	ids, slot, ok := e.cache.find(word, ids)
	if ok {
		return ids
	}
	from := len(ids)
	ids = m.mergeWord(e, word, ids)
	slot.remember(word, ids[from:])
	return ids
}

func (m *bpe) mergeWord(e *encoder, word string, ids []int32) []int32 {
	if m.ignoreMerges {
		vocab := m.vocab
		if m.level != nil {
			vocab = m.levelVocab
		}
		if id, ok := vocab[word]; ok {
			return append(ids, id)
		}
	}
	from := len(ids)
	if m.level != nil {
		for i := range len(word) {
			if id := m.level[word[i]]; id >= 0 {
				ids = append(ids, id)
			}
		}
	} else {
		ids = m.characters(word, ids)
	}
	if n := len(ids) - from; n <= shortWord {
		n = m.mergeShort(ids[from:])
		return ids[:from+n]
	}
	return m.mergeLong(e, ids, from)
}

// shortWord is the number of symbols up to which scanning all pairs for the lowest
// rank is faster than a heap.
const shortWord = 32

// mergeShort applies the merge of lowest rank, leftmost first, until none applies. It
// returns the number of ids that remain, at the front of ids.
func (m *bpe) mergeShort(ids []int32) int {
	var pairs [shortWord]merged // each symbol with the next
	n := len(ids)
	for i := 0; i+1 < n; i++ {
		pairs[i] = m.pairs.get(ids[i], ids[i+1])
	}
	for n > 1 {
		at, rank := -1, unmerged
		for i := range pairs[:n-1] {
			if pairs[i].rank < rank {
				at, rank = i, pairs[i].rank
			}
		}
		if at < 0 {
			break
		}
		ids[at] = pairs[at].id
		copy(ids[at+1:n], ids[at+2:n])
		copy(pairs[at:n-1], pairs[at+1:n-1])
		n--
		if at > 0 {
			pairs[at-1] = m.pairs.get(ids[at-1], ids[at])
		}
		if at+1 < n {
			pairs[at] = m.pairs.get(ids[at], ids[at+1])
		}
	}
	return n
}

// mergeLong does the same for ids[from:] with a heap, in O(n log n) steps.
func (m *bpe) mergeLong(e *encoder, ids []int32, from int) []int32 {
	syms := e.symbols[:0]
	for i, id := range ids[from:] {
		syms = append(syms, symbol{id: id, prev: int32(i) - 1, next: int32(i) + 1})
	}
	syms[len(syms)-1].next = -1
	e.symbols, e.heap = syms, e.heap[:0]
	for i := 0; i+1 < len(syms); i++ {
		m.offer(e, int32(i))
	}
	for len(e.heap) > 0 {
		top := pop(&e.heap)
		s := &syms[top.at]
		if s.dead || s.next < 0 {
			continue
		}
		right := &syms[s.next]
		if r := m.pairs.get(s.id, right.id); r.rank == unmerged || r.id != top.id {
			continue // the pair has changed since it was offered
		}
		s.id = top.id
		right.dead = true
		s.next = right.next
		if s.next >= 0 {
			syms[s.next].prev = top.at
			m.offer(e, top.at)
		}
		if s.prev >= 0 {
			m.offer(e, s.prev)
		}
	}
	ids = ids[:from]
	for i := range syms {
		if !syms[i].dead {
			ids = append(ids, syms[i].id)
		}
	}
	return ids
}

// offer adds the pair at a position to the heap if it merges.
func (m *bpe) offer(e *encoder, at int32) {
	s := &e.symbols[at]
	if r := m.pairs.get(s.id, e.symbols[s.next].id); r.rank != unmerged {
		push(&e.heap, merge{r.rank, at, r.id})
	}
}

// characters appends the ids of a word's characters. For a character that is not in
// the vocabulary it appends its bytes, if the vocabulary has them, or the unknown
// token.
func (m *bpe) characters(word string, ids []int32) []int32 {
	unknown := false // an unknown token is pending, to be fused with the next one
	flush := func() {
		if unknown {
			ids = append(ids, m.unk)
			unknown = false
		}
	}
	for i := 0; i < len(word); {
		id, n := int32(-1), 1
		if c := word[i]; c < utf8.RuneSelf {
			id = m.ascii[c]
		} else {
			_, n = utf8.DecodeRuneInString(word[i:])
			id = idOr(m.vocab, word[i:i+n])
		}
		char := word[i : i+n]
		if m.prefix != "" || m.suffix != "" {
			char, id = m.marked(word, i, i+n)
		}
		i += n
		switch {
		case id >= 0:
			flush()
			ids = append(ids, id)
		case m.byteFallback && m.hasBytes(char):
			// A pending unknown token comes after the bytes, as in the reference.
			for j := range len(char) {
				ids = append(ids, m.bytes[char[j]])
			}
		case m.unk >= 0:
			if !m.fuseUnk {
				flush()
			}
			unknown = true
		}
	}
	flush()
	return ids
}

// marked returns a character with the prefix and suffix of its position in the word,
// and its id or -1.
func (m *bpe) marked(word string, start, end int) (string, int32) {
	char := word[start:end]
	if start > 0 {
		char = m.prefix + char
	}
	if end == len(word) {
		char += m.suffix
	}
	return char, idOr(m.vocab, char)
}

func (m *bpe) hasBytes(s string) bool {
	for i := range len(s) {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	return true
}

func less(a, b merge) bool { return a.rank < b.rank || a.rank == b.rank && a.at < b.at }

// push and pop maintain a binary heap. container/heap would allocate.
func push(h *[]merge, m merge) {
	*h = append(*h, m)
	s := *h
	for i := len(s) - 1; i > 0; {
		p := (i - 1) / 2
		if !less(s[i], s[p]) {
			break
		}
		s[i], s[p] = s[p], s[i]
		i = p
	}
}

func pop(h *[]merge) merge {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && less(s[c+1], s[c]) {
			c++
		}
		if !less(s[c], s[i]) {
			break
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
	*h = s
	return top
}
