package tokenizer

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// alignment finds the bytes of a raw text that became given bytes of its
// normalized text.
//
// Normalizers do not say it, so that it is found by normalizing prefixes. To do
// so for the whole text would take time with the square of its length. The text
// is therefore cut into blocks whose normalized texts, one after the other, are
// the normalized text; prefixes of one block are tried at a time.
type alignment struct {
	norm            normalizer
	raw, normalized string
	blocks          []alignedBlock // made at the first question
	open            *openBlock
}

// alignedBlock ends before these bytes.
type alignedBlock struct{ raw, normalized int }

// alignedBytes is the least length of a block.
const alignedBytes = 256

// cut makes the blocks. Where the normalized text of a block is not what comes
// next, a longer one is tried, up to the rest of the text.
func (a *alignment) cut() {
	var at alignedBlock
	for at.raw < len(a.raw) {
		next := alignedBlock{len(a.raw), len(a.normalized)}
		for size := alignedBytes; ; size *= 2 {
			end := boundary(a.raw, at.raw+size)
			if end == len(a.raw) {
				break
			}
			text := inside(a.norm, at.raw == 0, false).normalize(a.raw[at.raw:end])
			if strings.HasPrefix(a.normalized[at.normalized:], text) {
				next = alignedBlock{end, at.normalized + len(text)}
				break
			}
		}
		a.blocks, at = append(a.blocks, next), next
	}
}

// boundary returns the first place at or after i between two characters that
// normalizers seldom join: neither is a space, and the second is not a mark. If
// there is none nearby, it is between any two.
func boundary(s string, i int) int {
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	if i >= len(s) {
		return len(s)
	}
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	for most := i + alignedBytes; i < min(most, len(s)); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsSpace(before) && !unicode.IsSpace(r) && !unicode.IsMark(r) {
			return i
		}
		before = r
		i += n
	}
	return i
}

// inside returns a normalizer for a part of a text: what it puts at or takes from
// the ends of a text is for the first and the last part alone.
func inside(n normalizer, first, last bool) normalizer {
	switch n := n.(type) {
	case prepend:
		if !first {
			return normalizers{}
		}
	case strip:
		return strip{n.left && first, n.right && last}
	case normalizers:
		out := make(normalizers, len(n))
		for i := range n {
			out[i] = inside(n[i], first, last)
		}
		return out
	}
	return n
}

// place returns the shortest stretch of raw whose normalized text covers the
// bytes [from, to) of the normalized one.
func (a *alignment) place(from, to int) (start, end int) {
	switch {
	case a.raw == a.normalized:
		return from, to
	case from == 0 && to == len(a.normalized):
		return 0, len(a.raw)
	}
	if a.blocks == nil {
		a.cut()
	}
	start, _ = a.character(func(length int) bool { return length > from })
	_, end = a.character(func(length int) bool { return length >= to })
	return min(start, end), end
}

// character returns the first character of raw up to whose end enough has been
// normalized; what lies behind the last one if none is.
func (a *alignment) character(enough func(length int) bool) (start, end int) {
	i := sort.Search(len(a.blocks), func(i int) bool { return enough(a.blocks[i].normalized) })
	if i == len(a.blocks) {
		return len(a.raw), len(a.raw)
	}
	if a.open == nil || a.open.index != i {
		a.open = a.look(i)
	}
	b := a.open
	c := sort.Search(len(b.ends)-1, func(c int) bool { return enough(b.from.normalized + b.length(c)) })
	if c > 0 {
		start = b.ends[c-1]
	}
	return b.from.raw + start, b.from.raw + b.ends[c]
}

// openBlock is the block of the last question: the next one is often of the same.
type openBlock struct {
	index   int
	from    alignedBlock
	raw     string
	norm    normalizer
	ends    []int // of its characters
	lengths []int // of the normalized text up to these; 0: not known, or none
}

func (a *alignment) look(i int) *openBlock {
	b := &openBlock{index: i}
	if i > 0 {
		b.from = a.blocks[i-1]
	}
	b.raw = a.raw[b.from.raw:a.blocks[i].raw]
	b.norm = inside(a.norm, i == 0, i == len(a.blocks)-1)
	for at := 0; at < len(b.raw); {
		_, n := utf8.DecodeRuneInString(b.raw[at:])
		at += n
		b.ends = append(b.ends, at)
	}
	b.lengths = make([]int, len(b.ends))
	return b
}

func (b *openBlock) length(c int) int {
	if b.lengths[c] == 0 {
		b.lengths[c] = len(b.norm.normalize(b.raw[:b.ends[c]]))
	}
	return b.lengths[c]
}
