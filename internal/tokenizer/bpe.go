package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// bpe is byte-pair encoding (Sennrich et al., 2016) with the options of the
// Hugging Face model.
type bpe struct {
	vocab        map[string]int32
	tokens       []string // by id; "" where there is none
	merges       map[uint64]merged
	unk          int32 // -1: none
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool
	prefix       string          // of every character of a piece but the first
	suffix       string          // of the last
	bytes        [256]int32      // ids of <0x00> … <0xFF>, -1 where missing
	ascii        [128]int32      // ids of single ASCII characters, -1 where missing
	inner        map[string]bool // characters that precede spaceMark inside a token
}

// merged is the result of a pair: its rank (lower first) and its id.
type merged struct{ rank, id int32 }

// symbol is a node of the linked list of a piece being merged.
type symbol struct {
	id         int32
	prev, next int32 // -1: none
	dead       bool
}

// merge is a candidate pair at a position.
type merge struct{ rank, at, id int32 }

const spaceMark = "▁"

// maxCached is the longest piece worth caching.
const maxCached = 64

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

func newBPE(vocab map[string]int32, merges [][2]string, unk, prefix, suffix string) (*bpe, error) {
	m := &bpe{vocab: vocab, merges: make(map[uint64]merged, len(merges)), unk: -1, prefix: prefix, suffix: suffix}
	size := int32(0)
	for tok, id := range vocab {
		if id < 0 || id > 1<<26 {
			return nil, fmt.Errorf("model.vocab: token %q has id %d", tok, id)
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
	for rank, p := range merges {
		a, okA := vocab[p[0]]
		b, okB := vocab[p[1]]
		c, okC := vocab[p[0]+p[1][min(len(prefix), len(p[1])):]]
		if !okA || !okB || !okC {
			return nil, fmt.Errorf("model.merges[%d]: %q and %q, or their merge, are not in model.vocab", rank, p[0], p[1])
		}
		// The last of equal pairs counts, as in the reference's map.
		m.merges[pairKey(a, b)] = merged{int32(rank), c}
	}
	for b := range m.bytes {
		m.bytes[b] = -1
		if id, ok := vocab[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.bytes[b] = id
		}
	}
	for c := range m.ascii {
		m.ascii[c] = -1
		if id, ok := vocab[string(rune(c))]; ok {
			m.ascii[c] = id
		}
	}
	m.inner = beforeMark(vocab)
	return m, nil
}

func (m *bpe) id(token string) (int32, bool) { id, ok := m.vocab[token]; return id, ok }

func (m *bpe) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(m.tokens) || m.tokens[id] == "" {
		return "", false
	}
	return m.tokens[id], true
}

func (m *bpe) size() int { return len(m.tokens) }

// encode cuts a piece before each space mark that no token can reach across,
// which changes nothing and makes pieces short enough to cache. Whole pieces
// matter where unknown characters fuse, or where a vocabulary is consulted
// before the merges.
func (m *bpe) encode(e *encoder, piece string, ids []int32) []int32 {
	if m.ignoreMerges || m.unk >= 0 && !m.byteFallback || m.prefix != "" || m.suffix != "" {
		return m.encodeWord(e, piece, ids)
	}
	eachWord(piece, m.inner, func(word string) { ids = m.encodeWord(e, word, ids) })
	return ids
}

func (m *bpe) encodeWord(e *encoder, word string, ids []int32) []int32 {
	if m.ignoreMerges {
		if id, ok := m.vocab[word]; ok {
			return append(ids, id)
		}
	}
	if len(word) > maxCached {
		return m.mergeWord(e, word, ids)
	}
	if cached, ok := e.cache[word]; ok {
		return append(ids, cached...)
	}
	from := len(ids)
	ids = m.mergeWord(e, word, ids)
	e.remember(word, ids[from:])
	return ids
}

// remember caches the ids of a word.
func (e *encoder) remember(word string, ids []int32) {
	if len(word) > maxCached {
		return
	}
	if len(e.cache) >= cacheLimit {
		clear(e.cache)
	}
	e.cache[strings.Clone(word)] = slices.Clone(ids)
}

// mergeWord starts from characters and applies the merge of lowest rank,
// leftmost first, until none applies.
func (m *bpe) mergeWord(e *encoder, word string, ids []int32) []int32 {
	m.characters(e, word)
	syms := e.symbols
	e.heap = e.heap[:0]
	for i := range syms {
		syms[i].prev, syms[i].next = int32(i)-1, int32(i)+1
	}
	if len(syms) > 0 {
		syms[len(syms)-1].next = -1
	}
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
		if r, ok := m.merges[pairKey(s.id, right.id)]; !ok || r.id != top.id {
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
	for i := range syms {
		if !syms[i].dead {
			ids = append(ids, syms[i].id)
		}
	}
	return ids
}

// characters fills e.symbols with the ids of a word's characters: the bytes of
// an unknown one if the vocabulary has them, else the unknown token.
func (m *bpe) characters(e *encoder, word string) {
	e.symbols = e.symbols[:0]
	unknown := false // an unknown token is pending, to be fused with the next
	flush := func() {
		if unknown {
			e.symbols = append(e.symbols, symbol{id: m.unk})
			unknown = false
		}
	}
	for i := 0; i < len(word); {
		id, n := int32(-1), 1
		if c := word[i]; c < utf8.RuneSelf {
			id = m.ascii[c]
		} else {
			_, n = utf8.DecodeRuneInString(word[i:])
			if v, ok := m.vocab[word[i:i+n]]; ok {
				id = v
			}
		}
		char := word[i : i+n]
		if m.prefix != "" || m.suffix != "" {
			char, id = m.marked(word, i, i+n)
		}
		i += n
		switch {
		case id >= 0:
			flush()
			e.symbols = append(e.symbols, symbol{id: id})
		case m.byteFallback && m.hasBytes(char):
			for j := range len(char) {
				e.symbols = append(e.symbols, symbol{id: m.bytes[char[j]]})
			}
		case m.unk >= 0:
			if !m.fuseUnk {
				flush()
			}
			unknown = true
		}
	}
	flush()
}

// marked returns a character with the marks of its place in the word, and its
// id or -1.
func (m *bpe) marked(word string, start, end int) (string, int32) {
	char := word[start:end]
	if start > 0 {
		char = m.prefix + char
	}
	if end == len(word) {
		char += m.suffix
	}
	if id, ok := m.vocab[char]; ok {
		return char, id
	}
	return char, -1
}

func (m *bpe) hasBytes(s string) bool {
	for i := range len(s) {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	return true
}

// offer pushes the pair at a position if it can merge.
func (m *bpe) offer(e *encoder, at int32) {
	s := &e.symbols[at]
	if r, ok := m.merges[pairKey(s.id, e.symbols[s.next].id)]; ok {
		push(&e.heap, merge{r.rank, at, r.id})
	}
}

func less(a, b merge) bool { return a.rank < b.rank || a.rank == b.rank && a.at < b.at }

// push and pop keep a binary heap; container/heap would allocate.
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
