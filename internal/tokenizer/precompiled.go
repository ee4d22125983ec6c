package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// precompiled is SentencePiece's character map: a double-array trie (Darts) from byte
// strings to offsets in a block of NUL-terminated replacements.
type precompiled struct {
	trie         []uint32
	replacements string
	kept         [0x800]bool // simple characters of one or two bytes that the map does not change
}

// newPrecompiled reads precompiled_charsmap: the length of the trie in bytes, the
// trie, and the replacements.
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
	for r := range p.kept {
		c := string(rune(r))
		_, changed := p.lookup(c)
		p.kept[r] = simple(c) > 0 && !changed
	}
	return p, nil
}

// normalize looks up short graphemes as a whole and long ones character by character,
// as the reference does. Between two simple characters there is always a grapheme
// border, so the slow search for borders is needed only between other characters.
func (p *precompiled) normalize(s string) string {
	if len(p.trie) == 0 {
		return s
	}
	done := p.keptPrefix(s) // s[:done] is processed; done is a border
	if done == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:done])
	for i := done; i < len(s); {
		if i == done {
			if n := p.keptPrefix(s[i:]); n > 0 {
				b.WriteString(s[i : i+n])
				i += n
				done = i
				continue
			}
		}
		n := simple(s[i:])
		if n == 0 {
			_, n = utf8.DecodeRuneInString(s[i:])
			i += n
			continue
		}
		if i+n < len(s) && simple(s[i+n:]) == 0 {
			i += n
			continue
		}
		// A simple character before a border: either alone, or the end of a stretch
		// in which borders must be searched.
		if i == done {
			p.grapheme(&b, s[i:i+n])
		} else {
			p.graphemes(&b, s[done:i+n])
		}
		i += n
		done = i
	}
	p.graphemes(&b, s[done:])
	return b.String()
}

// keptPrefix returns the length of the longest prefix of s that consists of kept characters
// and ends at a grapheme border.
func (p *precompiled) keptPrefix(s string) int {
	end, last := 0, 0 // of the prefix, and the start of its last character
	for end < len(s) {
		n, r := 1, rune(s[end])
		if r >= utf8.RuneSelf {
			if end+1 == len(s) || r < 0xc2 || r > 0xdf || s[end+1]&0xc0 != 0x80 {
				break
			}
			n, r = 2, (r&0x1f)<<6|rune(s[end+1]&0x3f)
		}
		if !p.kept[r] {
			break
		}
		last, end = end, end+n
	}
	if end < len(s) && end > 0 && simple(s[end:]) == 0 {
		return last
	}
	return end
}

// simple returns the length of the character at the start of s if it is one of the
// common characters with grapheme break property Other that are not emoji: printable
// ASCII, Latin, Cyrillic and Arabic letters, Han. Otherwise it returns 0.
func simple(s string) int {
	c := s[0]
	switch {
	case c < utf8.RuneSelf:
		if c >= ' ' && c < 0x7f {
			return 1
		}
	case c < 0xe0:
		r, n := utf8.DecodeRuneInString(s)
		if n == 2 && (r >= 0xc0 && r < 0x250 || r >= 0x400 && r < 0x480 || r >= 0x620 && r < 0x64b || r >= 0x660 && r < 0x670) {
			return 2
		}
	case c < 0xf0:
		r, n := utf8.DecodeRuneInString(s)
		if n == 3 && (r >= 0x4e00 && r < 0xa000 || r == '▁') {
			return 3
		}
	}
	return 0
}

func (p *precompiled) graphemes(b *strings.Builder, s string) {
	if s == "" {
		return
	}
	for g := graphemes.FromString(s); g.Next(); {
		p.grapheme(b, g.Value())
	}
}

func (p *precompiled) grapheme(b *strings.Builder, v string) {
	if len(v) < 6 {
		if r, ok := p.lookup(v); ok {
			b.WriteString(r)
			return
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

// runeLen returns the length of the rune at the start of s, 1 for a byte that is not
// UTF-8.
func runeLen(s string, c rune) int {
	if c == 0xfffd && !strings.HasPrefix(s, "\uFFFD") {
		return 1
	}
	return len(string(c))
}

// lookup returns the replacement of the shortest prefix of key in the trie. This is
// the reference's choice, even if it drops the rest of a grapheme.
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
