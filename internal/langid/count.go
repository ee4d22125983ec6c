package langid

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// sums are the weights of n-grams, added up, and how many n-grams and hits there were.
type sums struct {
	lanes        [4]uint64 // four languages of 16 bits each
	grams, found uint16    // n-grams, and those in the table
}

// counter adds up the weights of a text's n-grams.
type counter struct {
	sums  [lanes]int64
	total int64 // n-grams
	hits  int64 // of them in the table
	acc   [4]uint64
	since int // hits in acc
}

const (
	// maxWord bounds the buffer. Longer words are cut, as only broken text has them.
	maxWord = 256
	// maxHits hits of weights up to 255 fit into 16 bits.
	maxHits = 257
)

// add counts the n-grams of a text. It reports false if the text has to be normalised first;
// normalised text never has to.
func (c *counter) add(t *table, text string) bool {
	known, _ := t.caches.Get().(*cache)
	if known == nil {
		known = new(cache)
	}
	defer t.caches.Put(known)
	return c.addKnown(t, known, text)
}

func (c *counter) addKnown(t *table, known *cache, text string) bool {
	var word [maxWord]uint16
	word[0] = ' '
	var k key
	n := 1
	normalised := false
	for _, r := range text {
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
			continue
		case to != ' ':
			word[n] = to
			k = key{k[0]<<16 | uint64(to), k[1]<<16 | k[0]>>48, k[2]<<16 | k[1]>>48}
			if n++; n < maxWord-1 {
				continue
			}
		case n == 1:
			continue
		}
		word[n] = ' '
		c.word(t, known, k, word[:n+1])
		n, k = 1, key{}
	}
	if n > 1 {
		word[n] = ' '
		c.word(t, known, k, word[:n+1])
	}
	return true
}

// key is a word of up to 12 letters, 16 bits each.
type key [3]uint64

const (
	keyLetters = 12
	cacheBits  = 13
)

// cache holds the sums of words, most of which occurred before in other texts: of the last word
// of each hash.
type cache [1 << cacheBits]struct {
	key key
	sums
}

// word counts the n-grams of a word between two blanks. The blanks alone do not count, and the
// last one begins none: it is the first of the next word.
func (c *counter) word(t *table, known *cache, k key, w []uint16) {
	if len(w) <= keyLetters+2 {
		h := k[0] ^ k[1]*0xFF51AFD7ED558CCD ^ k[2]*0xC4CEB9FE1A85EC53
		at := &known[h*0x9E3779B97F4A7C15>>(64-cacheBits)]
		if at.key != k {
			at.key, at.sums = k, t.sum(w, 0, len(w)-1)
		}
		c.plus(&at.sums)
		return
	}
	const step = maxHits / maxN // the n-grams from so many letters on have sums of 16 bits
	for from := 0; from < len(w)-1; from += step {
		s := t.sum(w, from, min(from+step, len(w)-1))
		c.plus(&s)
	}
}

// sum adds up the n-grams of a word that begin at the letters from from to to.
func (t *table) sum(w []uint16, from, to int) (s sums) {
	mask := uint32(len(t.slots) - 1)
	for i := from; i < to; i++ {
		h := uint32(basis)
		for j, letter := range w[i:min(i+maxN, len(w))] {
			h = (h ^ uint32(letter)) * prime
			if i+j == 0 {
				continue
			}
			s.grams++
			m := h * mix
			if t.filter[m>>(32-filterBits)/64]>>(m>>(32-filterBits)%64)&1 == 0 {
				continue
			}
			for at := m >> t.shift; t.slots[at].row != 0; at = (at + 1) & mask {
				if slot := t.slots[at]; slot.key == h {
					for lane, w := range &t.weights[slot.row-1] {
						s.lanes[lane] += w
					}
					s.found++
					break
				}
			}
		}
	}
	return s
}

// plus adds the sums of at most maxHits hits.
func (c *counter) plus(s *sums) {
	if c.since += int(s.found); c.since > maxHits {
		c.flush()
		c.since = int(s.found)
	}
	for lane, w := range &s.lanes {
		c.acc[lane] += w
	}
	c.total += int64(s.grams)
	c.hits += int64(s.found)
}

// flush moves the sums of the lanes into sums.
func (c *counter) flush() {
	for i := range c.sums {
		c.sums[i] += int64(c.acc[i/4] >> (16 * (i % 4)) & 0xFFFF)
	}
	c.acc, c.since = [4]uint64{}, 0
}

func isNFKC(text string) bool { return norm.NFKC.IsNormalString(text) }
