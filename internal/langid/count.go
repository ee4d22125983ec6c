package langid

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// counter adds up the weights of a text's n-grams.
type counter struct {
	sums  [lanes]int64
	total int64 // n-grams
	hits  int64 // of them in the table
	acc   [4]uint64
	since int // hits in acc
}

// maxWord bounds the buffer. Longer words are cut, as only broken text has them.
const maxWord = 256

// add counts the n-grams of a text. It reports false if the text has to be normalised first;
// normalised text never has to.
func (c *counter) add(t *table, text string) bool {
	var word [maxWord]uint32
	word[0] = ' '
	n := 1
	normalised := false
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		to := uint16(' ')
		switch {
		case int(r) < len(t.letters):
			to = t.letters[r]
			if to == unknown {
				if !normalised && !isNFKC(text) {
					return false
				}
				normalised = true
				if to = 0; inArab(r) {
					to = uint16(r)
				}
			}
		case r >= 0xFB50 && r <= 0xFDFF || r >= 0xFE70 && r <= 0xFEFC || r >= 0xFF00 && r <= 0xFFEF || r >= 0x1D400 && r <= 0x1D7FF:
			if !normalised && !isNFKC(text) {
				return false
			}
			normalised = true
		case unicode.Is(unicode.Mn, r):
			to = 0
		}
		switch {
		case to == 0:
		case to != ' ':
			word[n] = uint32(to)
			if n++; n == maxWord-1 {
				word[n] = ' '
				c.word(t, word[:n+1])
				n = 1
			}
		case n > 1:
			word[n] = ' '
			c.word(t, word[:n+1])
			n = 1
		}
	}
	if n > 1 {
		word[n] = ' '
		c.word(t, word[:n+1])
	}
	return true
}

// word counts the n-grams of a word between two blanks. The blanks alone do not count, and the
// last one begins none: it is the first of the next word.
func (c *counter) word(t *table, w []uint32) {
	mask := uint32(len(t.slots) - 1)
	for i := range len(w) - 1 {
		h := uint32(basis)
		end := min(i+maxN, len(w))
		for j := i; j < end; j++ {
			h = (h ^ w[j]) * prime
			if j == 0 {
				continue
			}
			c.total++
			m := h * mix
			if t.filter[m>>(32-filterBits)/64]>>(m>>(32-filterBits)%64)&1 == 0 {
				continue
			}
			for at := m >> t.shift; t.slots[at].row != 0; at = (at + 1) & mask {
				if s := t.slots[at]; s.key == h {
					weights := &t.weights[s.row-1]
					c.acc[0] += weights[0]
					c.acc[1] += weights[1]
					c.acc[2] += weights[2]
					c.acc[3] += weights[3]
					c.hits++
					if c.since++; c.since == 256 { // 256 · 255 fits into 16 bits, 257 would not add
						c.flush()
					}
					break
				}
			}
		}
	}
}

// flush moves the sums of the lanes into sums.
func (c *counter) flush() {
	for i := range c.sums {
		c.sums[i] += int64(c.acc[i/4] >> (16 * (i % 4)) & 0xFFFF)
	}
	c.acc, c.since = [4]uint64{}, 0
}

func isNFKC(text string) bool { return norm.NFKC.IsNormalString(text) }
