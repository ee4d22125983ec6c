package fineweb

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Text is a text with its words.
type Text struct {
	text   string
	words  []string
	chars  int      // of the text
	hashes []uint64 // of the words' characters
	powers []uint64 // base to the number of their characters
	sizes  []int    // their characters

	unique int // no n-gram of so many words or more occurs twice; 0 if not known
}

// base of the polynomial hash. The hash of joined words follows from theirs.
const base = 0x9E3779B97F4A7C15

// New splits a text into words.
func New(text string) *Text {
	t := &Text{text: text, words: Words(text), chars: utf8.RuneCountInString(text)}
	n := len(t.words)
	t.hashes, t.powers, t.sizes = make([]uint64, n), make([]uint64, n), make([]int, n)
	for i, w := range t.words {
		h, p, k := uint64(0), uint64(1), 0
		for _, r := range w {
			h = h*base + uint64(r)
			p *= base
			k++
		}
		t.hashes[i], t.powers[i], t.sizes[i] = h, p, k
	}
	return t
}

// Len returns the number of words.
func (t *Text) Len() int { return len(t.words) }

// DuplicateLines returns the share of lines that an earlier line repeats.
func (t *Text) DuplicateLines() float64 {
	seen, lines, duplicates := map[string]bool{}, 0, 0
	rest := t.text
	for more := true; more; lines++ {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		for strings.HasPrefix(rest, "\n") {
			rest = rest[1:]
		}
		if seen[line] {
			duplicates++
		}
		seen[line] = true
	}
	return float64(duplicates) / float64(lines)
}

// TopNGram returns the share of the text's characters in the commonest run of n words, blanks
// between them counted.
func (t *Text) TopNGram(n int) float64 {
	grams := len(t.words) - n + 1
	if grams <= 0 {
		return 0
	}
	best, count := 0, int32(1)
	if t.unique == 0 || n < t.unique {
		set := newTable(grams)
		defer set.free()
		repeated := false
		for i := range grams {
			h := t.hashes[i]
			for j := i + 1; j < i+n; j++ {
				h = (h*base+' ')*t.powers[j] + t.hashes[j]
			}
			set.add(h, int32(i))
		}
		for _, e := range set.entries {
			if e.count == 0 {
				continue
			}
			repeated = repeated || e.count > 1
			if e.count > count || e.count == count && int(e.first) < best {
				best, count = int(e.first), e.count
			}
		}
		if !repeated {
			t.unique, best = n, 0
		}
	}
	size := n - 1
	for i := best; i < best+n; i++ {
		size += t.sizes[i]
	}
	return float64(size*int(count)) / float64(t.chars)
}

// DuplicateNGrams returns the share of the text's characters in runs of n words that occurred
// before.
func (t *Text) DuplicateNGrams(n int) float64 {
	grams := len(t.words) - n + 1
	if grams <= 0 || t.unique > 0 && n >= t.unique {
		return 0
	}
	set := newTable(grams)
	defer set.free()
	repeated := 0
	for i := 0; i < grams; {
		h, size := t.hashes[i], t.sizes[i]
		for j := i + 1; j < i+n; j++ {
			h = h*t.powers[j] + t.hashes[j]
			size += t.sizes[j]
		}
		if set.add(h, int32(i)) > 1 {
			repeated += size
			i += n
		} else {
			i++
		}
	}
	if repeated == 0 {
		t.unique = n
	}
	return float64(repeated) / float64(t.chars)
}

// table counts hashes.
type table struct {
	entries []entry
	used    int
}

type entry struct {
	hash  uint64
	first int32 // index of the first
	count int32
}

var tables = sync.Pool{New: func() any { return new(table) }}

// newTable returns an empty table for n hashes.
func newTable(n int) *table {
	size := 16
	for size < 2*n {
		size *= 2
	}
	t := tables.Get().(*table)
	if cap(t.entries) < size {
		t.entries = make([]entry, size)
	}
	t.entries = t.entries[:size]
	clear(t.entries)
	return t
}

func (t *table) free() { tables.Put(t) }

// add returns how often a hash was added.
func (t *table) add(hash uint64, i int32) int32 {
	mask := len(t.entries) - 1
	for at := int(hash*base>>32) & mask; ; at = (at + 1) & mask {
		switch e := &t.entries[at]; {
		case e.count == 0:
			*e = entry{hash, i, 1}
			return 1
		case e.hash == hash:
			e.count++
			return e.count
		}
	}
}

// LinePunctuation returns the share of lines with text that end in a mark of punctuation.
func (t *Text) LinePunctuation() float64 {
	lines, good := 0, 0
	for line := range strings.SplitSeq(t.text, "\n") {
		if strings.TrimFunc(line, space) == "" {
			continue
		}
		lines++
		if r, _ := utf8.DecodeLastRuneInString(line); strings.ContainsRune(terminal, r) {
			good++
		}
	}
	return float64(good) / float64(max(lines, 1))
}

// NewLines returns the number of new lines per word.
func (t *Text) NewLines() float64 {
	return float64(strings.Count(t.text, "\n")) / float64(max(len(t.words), 1))
}

// isPunctuation has a bit for each character of punctuation below its length.
var isPunctuation = func() (set [0x10000]bool) {
	for _, r := range punctuation {
		if int(r) < len(set) {
			set[r] = true
		}
	}
	return set
}()

// WordLength returns the mean number of characters of the words that are no symbols, 0 without
// any.
func (t *Text) WordLength() float64 {
	sum, n := 0, 0
	for i, w := range t.words {
		for _, r := range w {
			if int(r) < len(isPunctuation) && !isPunctuation[r] || int(r) >= len(isPunctuation) && !strings.ContainsRune(punctuation, r) {
				sum += t.sizes[i]
				n++
				break
			}
		}
	}
	return float64(sum) / float64(max(n, 1))
}

// AlphaWords returns the share of words with a letter.
func (t *Text) AlphaWords() float64 {
	n := 0
	for _, w := range t.words {
		if strings.IndexFunc(w, unicode.IsLetter) >= 0 {
			n++
		}
	}
	return float64(n) / float64(max(len(t.words), 1))
}

// stops are FineWeb-2's for Arabic.
var stops = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq("، في من على إلى عام أن مع أو هو عن التي كان بين ما كانت هي المتحدة بعد") {
		m[w] = true
	}
	return m
}()

// StopWords returns how many different stop words of Arabic occur.
func (t *Text) StopWords() int {
	seen := map[string]bool{}
	for _, w := range t.words {
		if stops[w] {
			seen[w] = true
		}
	}
	return len(seen)
}
