package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// precompiled is SentencePiece's character map: a double-array trie (Darts)
// from byte strings to offsets in a block of NUL-terminated replacements.
type precompiled struct {
	trie         []uint32
	replacements string
}

// newPrecompiled reads precompiled_charsmap: the trie's length in bytes, the
// trie, the replacements.
func newPrecompiled(data []byte) (*precompiled, error) {
	if len(data) == 0 {
		return &precompiled{}, nil
	}
	if len(data) < 4 {
		return nil, errors.New("precompiled_charsmap is too short")
	}
	n := binary.LittleEndian.Uint32(data)
	if uint64(n) > uint64(len(data)-4) || n%4 != 0 {
		return nil, fmt.Errorf("precompiled_charsmap: a trie of %d bytes in %d", n, len(data)-4)
	}
	p := &precompiled{trie: make([]uint32, n/4), replacements: string(data[4+n:])}
	for i := range p.trie {
		p.trie[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	return p, nil
}

// normalize looks up grapheme by grapheme if it is short, else character by
// character, as the reference does.
func (p *precompiled) normalize(s string) string {
	if len(p.trie) == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for g := graphemes.FromString(s); g.Next(); {
		v := g.Value()
		if len(v) < 6 {
			if r, ok := p.lookup(v); ok {
				b.WriteString(r)
				continue
			}
		}
		for i, c := range v {
			end := i + runeLen(v[i:], c)
			if r, ok := p.lookup(v[i:end]); ok {
				b.WriteString(r)
			} else {
				b.WriteString(v[i:end])
			}
		}
	}
	return b.String()
}

// runeLen is the length of the rune at the start of s, one for a byte that
// is no UTF-8.
func runeLen(s string, c rune) int {
	if c == 0xfffd && !strings.HasPrefix(s, "\uFFFD") {
		return 1
	}
	return len(string(c))
}

// lookup returns the replacement of the shortest prefix of key in the trie:
// the reference's choice, even where that drops the rest of a grapheme.
func (p *precompiled) lookup(key string) (string, bool) {
	at := p.offset(0)
	for i := 0; i < len(key); i++ {
		c := uint32(key[i])
		if c == 0 {
			break
		}
		at ^= c
		if int(at) >= len(p.trie) {
			return "", false
		}
		unit := p.trie[at]
		if unit&(1<<31|0xff) != c {
			return "", false
		}
		leaf := unit>>8&1 == 1
		at ^= p.offset(at)
		if leaf {
			if int(at) >= len(p.trie) {
				return "", false
			}
			return p.replacement(p.trie[at] & (1<<31 - 1))
		}
	}
	return "", false
}

func (p *precompiled) offset(at uint32) uint32 {
	unit := p.trie[at]
	return unit >> 10 << (unit & (1 << 9) >> 6)
}

func (p *precompiled) replacement(start uint32) (string, bool) {
	if int(start) > len(p.replacements) {
		return "", false
	}
	s := p.replacements[start:]
	if end := strings.IndexByte(s, 0); end >= 0 {
		s = s[:end]
	}
	return s, true
}
