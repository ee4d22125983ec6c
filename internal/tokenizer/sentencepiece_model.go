package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// spmVocab is the vocabulary that both model types share.
type spmVocab struct {
	pieces       []spmPiece
	ids          map[string]int32 // every piece
	inText       map[string]int32 // pieces that text can become: all but control, unknown and byte pieces
	unk          int32
	byteFallback bool
	bytes        [256]int32
	user         prefixes
}

func newSPMVocab(f *spmFile) (*spmVocab, error) {
	if len(f.pieces) == 0 {
		return nil, errors.New("it has no pieces")
	}
	n := len(f.pieces)
	v := &spmVocab{
		pieces: f.pieces, ids: make(map[string]int32, n), inText: make(map[string]int32, n), unk: -1, byteFallback: f.byteFallback,
	}
	found := 0
	for i, p := range f.pieces {
		id := int32(i)
		switch {
		case p.text == "":
			return nil, fmt.Errorf("piece %d is empty", i)
		case math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0):
			return nil, fmt.Errorf("piece %d %q has score %g", i, p.text, p.score)
		}
		if _, ok := v.ids[p.text]; ok {
			return nil, fmt.Errorf("piece %d %q occurs twice", i, p.text)
		}
		v.ids[p.text] = id
		switch p.kind {
		case pieceUnknown:
			if v.unk >= 0 {
				return nil, fmt.Errorf("pieces %d and %d are both the unknown piece", v.unk, i)
			}
			v.unk = id
		case pieceByte:
			b, ok := byteToken(p.text)
			if !ok {
				return nil, fmt.Errorf("piece %d is of type byte and named %q, expected <0x00> to <0xFF>", i, p.text)
			}
			v.bytes[b] = id
			found++
		case pieceUser:
			v.user.byFirst[p.text[0]] = append(v.user.byFirst[p.text[0]], p.text)
			v.inText[p.text] = id
		case pieceNormal, pieceUnused:
			v.inText[p.text] = id
		}
	}
	for _, l := range v.user.byFirst {
		slices.Sort(l)
	}
	switch {
	case v.unk < 0:
		return nil, errors.New("it has no unknown piece")
	case v.byteFallback && found != 256:
		return nil, fmt.Errorf("byte fallback needs 256 byte pieces, found %d", found)
	}
	return v, nil
}

func (v *spmVocab) id(token string) (int32, bool) { id, ok := v.ids[token]; return id, ok }

func (v *spmVocab) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(v.pieces) {
		return "", false
	}
	return v.pieces[id].text, true
}

func (v *spmVocab) size() int { return len(v.pieces) }

// unknown appends the ids of text outside the vocabulary: its bytes, or the unknown
// piece, unless it comes after another unknown text.
func (v *spmVocab) unknown(text string, ids []int32, after bool) []int32 {
	if v.byteFallback {
		for i := range len(text) {
			ids = append(ids, v.bytes[text[i]])
		}
		return ids
	}
	if after {
		return ids
	}
	return append(ids, v.unk)
}

// spmBPE merges the adjacent pair whose concatenation is the piece with the highest
// score, leftmost first.
type spmBPE struct {
	*spmVocab
	inner map[string]bool
}

func newSPMBPE(v *spmVocab) *spmBPE { return &spmBPE{v, beforeMark(v.inText)} }

// encode works on stretches that no piece can span; see bpe.encode. Without byte
// fallback the text stays whole, because runs of unknown characters are joined.
func (m *spmBPE) encode(e *encoder, s string, ids []int32) []int32 {
	if !m.byteFallback {
		return m.encodeWord(e, s, ids)
	}
	eachWord(s, m.inner, func(word string) {
		known, slot, ok := e.cache.find(word, ids)
		ids = known
		if ok {
			return
		}
		from := len(ids)
		ids = m.encodeWord(e, word, ids)
		slot.remember(word, ids[from:])
	})
	return ids
}

// spmSymbol is a stretch of the text. An empty one has been merged into another.
type spmSymbol struct {
	start, end int32
	prev, next int32
	frozen     bool
}

// encodeWord keeps candidate pairs in an agenda, ordered by the score of their piece.
func (m *spmBPE) encodeWord(e *encoder, s string, ids []int32) []int32 {
	syms := m.symbols(e.spmSymbols[:0], s)
	if len(syms) == 0 {
		return ids
	}
	agenda := e.agenda[:0]
	defer func() { e.spmSymbols, e.agenda = syms, agenda }()
	var split map[string]int32 // unused pieces made by merges: length of their left part
	offer := func(left, right int32) {
		if left < 0 || right < 0 || syms[left].frozen || syms[right].frozen {
			return
		}
		text := s[syms[left].start:syms[right].end]
		if id, ok := m.inText[text]; ok {
			agenda.push(spmPair{m.pieces[id].score, left, right, int32(len(text))})
			if m.pieces[id].kind == pieceUnused {
				if split == nil {
					split = map[string]int32{}
				}
				split[text] = syms[left].end - syms[left].start
			}
		}
	}
	for i := 1; i < len(syms); i++ {
		offer(int32(i-1), int32(i))
	}
	for len(agenda) > 0 {
		p := agenda.pop()
		l, r := &syms[p.left], &syms[p.right]
		if l.start == l.end || r.start == r.end || l.end-l.start+r.end-r.start != p.size {
			continue
		}
		l.end, l.next = r.end, r.next
		if r.next >= 0 {
			syms[r.next].prev = p.left
		}
		r.start = r.end
		offer(l.prev, p.left)
		offer(p.left, l.next)
	}
	out := spmOutput{m: m, split: split, ids: ids}
	for i := int32(0); i >= 0; i = syms[i].next {
		out.add(s[syms[i].start:syms[i].end])
	}
	return out.ids
}

// symbols appends the initial symbols of s: its user-defined pieces, which do not
// merge, and its other characters.
func (m *spmBPE) symbols(syms []spmSymbol, s string) []spmSymbol {
	for i := 0; i < len(s); {
		n := m.user.match(s[i:])
		frozen := n > 0
		if !frozen {
			_, n = utf8.DecodeRuneInString(s[i:])
		}
		k := int32(len(syms))
		syms = append(syms, spmSymbol{int32(i), int32(i + n), k - 1, k + 1, frozen})
		i += n
	}
	if len(syms) > 0 {
		syms[len(syms)-1].next = -1
	}
	return syms
}

// spmOutput appends the ids of the symbols that remain after merging.
type spmOutput struct {
	m       *spmBPE
	split   map[string]int32 // unused pieces made by merges: length of their left part
	ids     []int32
	unknown bool // the last symbol was unknown
}

// add appends the ids of a symbol. Unused pieces are split again.
func (o *spmOutput) add(text string) {
	id, ok := o.m.inText[text]
	if ok && o.m.pieces[id].kind == pieceUnused {
		if n, ok := o.split[text]; ok {
			o.add(text[:n])
			o.add(text[n:])
			return
		}
	}
	if !ok {
		o.ids = o.m.unknown(text, o.ids, o.unknown)
		o.unknown = true
		return
	}
	o.unknown = false
	o.ids = append(o.ids, id)
}

// spmPair is a candidate merge. spmAgenda is a heap of them, highest score and then
// leftmost first.
type spmPair struct {
	score             float32
	left, right, size int32
}

type spmAgenda []spmPair

func (a spmAgenda) before(i, j int) bool {
	return a[i].score > a[j].score || a[i].score == a[j].score && a[i].left < a[j].left
}

func (a *spmAgenda) push(p spmPair) {
	*a = append(*a, p)
	h := *a
	for i := len(h) - 1; i > 0 && h.before(i, (i-1)/2); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

func (a *spmAgenda) pop() spmPair {
	h := *a
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && h.before(c+1, c) {
			c++
		}
		if !h.before(c, i) {
			break
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
	*a = h
	return top
}

// spmUnigram finds the segmentation with the highest score in SentencePiece's
// arithmetic, which keeps sums in single precision.
type spmUnigram struct {
	*spmVocab
	trie              *trie // of the pieces that text can become
	unkScore, highest float32
}

func newSPMUnigram(v *spmVocab) *spmUnigram {
	lowest, highest := float32(math.MaxFloat32), float32(0x1p-126)
	for _, p := range v.pieces {
		if p.kind == pieceNormal {
			lowest, highest = min(lowest, p.score), max(highest, p.score)
		}
	}
	return &spmUnigram{v, newTrie(v.inText), lowest - unkPenalty, highest}
}

func (m *spmUnigram) encode(e *encoder, s string, ids []int32) []int32 {
	best := e.lattice[:0]
	for range len(s) + 1 {
		best = append(best, node{0, -1, -1})
	}
	e.lattice = best
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		here, single := float32(best[i].score), false
		reach := func(n int, score float32, id int32) {
			if to, sum := &best[i+n], float64(here+score); to.from < 0 || sum > to.score {
				*to = node{sum, int32(i), id}
			}
		}
		for k, n := int32(0), 1; i+n <= len(s); n++ {
			if k = m.trie.child(k, s[i+n-1]); k == 0 {
				break
			}
			id := m.trie.nodes[k].value
			if id < 0 || m.pieces[id].kind == pieceUnused {
				continue
			}
			score := m.pieces[id].score
			if m.pieces[id].kind == pieceUser {
				score = float32(float64(float32(n)*m.highest) - 0.1) // always chosen
			}
			reach(n, score, id)
			single = single || n == size
		}
		if !single {
			reach(size, m.unkScore, m.unk)
		}
		i += size
	}
	path := e.path[:0]
	for at := int32(len(s)); at > 0; at = best[at].from {
		path = append(path, at)
	}
	e.path = path
	unknown := false
	for _, at := range slices.Backward(path) {
		b := best[at]
		if b.id == m.unk {
			ids = m.unknown(s[b.from:at], ids, unknown)
			unknown = true
			continue
		}
		unknown = false
		ids = append(ids, b.id)
	}
	return ids
}

// beforeMark collects the characters that precede a space mark inside a token. A
// token can span a mark only after one of them.
func beforeMark(vocab map[string]int32) map[string]bool {
	inner := map[string]bool{}
	for tok := range vocab {
		for at := 0; ; {
			i := strings.Index(tok[at:], spaceMark)
			if i < 0 {
				break
			}
			at += i
			if at > 0 {
				_, n := utf8.DecodeLastRuneInString(tok[:at])
				inner[tok[at-n:at]] = true
			}
			at += len(spaceMark)
		}
	}
	return inner
}

// eachWord cuts s before every space mark that no token can span.
func eachWord(s string, inner map[string]bool, f func(word string)) {
	start := 0
	for i := 1; i < len(s); i++ {
		if s[i] != spaceMark[0] || !strings.HasPrefix(s[i:], spaceMark) {
			continue
		}
		_, n := utf8.DecodeLastRuneInString(s[:i])
		if !inner[s[i-n:i]] {
			f(s[start:i])
			start = i
		}
	}
	f(s[start:])
}
