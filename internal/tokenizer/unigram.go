package tokenizer

import (
	"errors"
	"math"
	"unicode/utf8"
)

// unigram is the unigram language model (Kudo, 2018). It returns the segmentation with
// the highest total score.
type unigram struct {
	vocab        map[string]int32
	pieces       []string
	scores       []float64
	unk          int32
	unkScore     float64
	byteFallback bool
	bytes        [256]int32
	trie         *trie
}

// node is the best segmentation up to a byte of the piece.
type node struct {
	score float64
	from  int32
	id    int32
}

// unkPenalty is subtracted from the lowest score to score an unknown character.
const unkPenalty = 10

func newUnigram(pieces []string, scores []float64, unk int32) (*unigram, error) {
	if unk < 0 || int(unk) >= len(pieces) {
		return nil, errors.New("model.unk_id is not in model.vocab")
	}
	m := &unigram{vocab: make(map[string]int32, len(pieces)), pieces: pieces, scores: scores, unk: unk}
	lowest := math.Inf(1)
	for b := range m.bytes {
		m.bytes[b] = -1
	}
	for i, p := range pieces {
		m.vocab[p] = int32(i)
		lowest = min(lowest, scores[i])
		if b, ok := byteToken(p); ok {
			m.bytes[b] = int32(i)
		}
	}
	m.unkScore = lowest - unkPenalty
	m.trie = newTrie(m.vocab)
	return m, nil
}

// byteToken parses <0xAB>.
func byteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	hi, ok1 := hexDigit(s[3])
	lo, ok2 := hexDigit(s[4])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

func (m *unigram) id(token string) (int32, bool) { id, ok := m.vocab[token]; return id, ok }

func (m *unigram) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(m.pieces) {
		return "", false
	}
	return m.pieces[id], true
}

func (m *unigram) size() int { return len(m.pieces) }

// encode runs the Viterbi algorithm over the bytes of a piece. Consecutive unknown
// characters become one unknown token, or their bytes.
func (m *unigram) encode(e *encoder, s string, ids []int32) []int32 {
	best := e.lattice[:0]
	for range len(s) + 1 {
		best = append(best, node{math.Inf(-1), -1, -1})
	}
	e.lattice = best
	best[0].score = 0
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		single := false
		for k, n := int32(0), 1; i+n <= len(s); n++ {
			if k = m.trie.child(k, s[i+n-1]); k == 0 {
				break
			}
			id := m.trie.nodes[k].value
			if id < 0 {
				continue
			}
			single = single || n == size
			if sc := best[i].score + m.scores[id]; sc > best[i+n].score || best[i+n].from < 0 {
				best[i+n] = node{sc, int32(i), id}
			}
		}
		if !single {
			if sc := best[i].score + m.unkScore; sc > best[i+size].score || best[i+size].from < 0 {
				best[i+size] = node{sc, int32(i), m.unk}
			}
		}
		i += size
	}
	path := e.path[:0]
	for at := int32(len(s)); at > 0; at = best[at].from {
		path = append(path, at)
	}
	e.path = path
	for k := len(path) - 1; k >= 0; k-- {
		b := best[path[k]]
		if b.id != m.unk {
			ids = append(ids, b.id)
			continue
		}
		// A run of unknown characters is looked up as a whole, because it can be the
		// text of the unknown token.
		for k > 0 && best[path[k-1]].id == m.unk {
			k--
		}
		ids = m.unknown(s[b.from:path[k]], ids)
	}
	return ids
}

func (m *unigram) unknown(text string, ids []int32) []int32 {
	if id, ok := m.vocab[text]; ok {
		return append(ids, id)
	}
	if !m.byteFallback || !m.allBytes(text) {
		return append(ids, m.unk)
	}
	for i := range len(text) {
		ids = append(ids, m.bytes[text[i]])
	}
	return ids
}

func (m *unigram) allBytes(s string) bool {
	for i := range len(s) {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	return true
}
