package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// spmNormalizer is SentencePiece's normalizer. It replaces the longest match of the
// character map at each position, leaves user-defined pieces unchanged, and trims,
// collapses and marks spaces.
type spmNormalizer struct {
	chars                       *precompiled
	user                        *prefixes
	dummy, suffix, trim, escape bool
}

func (n *spmNormalizer) normalize(s string) string {
	if n.trim {
		for s != "" {
			p, size := n.prefix(s)
			if p != " " {
				break
			}
			s = s[size:]
		}
	}
	if s == "" {
		return ""
	}
	mark := " "
	if n.escape {
		mark = spaceMark
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/4 + len(mark))
	if n.dummy && !n.suffix {
		b.WriteString(mark)
	}
	after := n.trim // the last character was a space that swallows others
	for s != "" {
		p, size := n.prefix(s)
		s = s[size:]
		for after && strings.HasPrefix(p, " ") {
			p = p[1:]
		}
		if p == "" {
			continue
		}
		after = n.trim && p[len(p)-1] == ' '
		for i := range len(p) {
			if p[i] == ' ' {
				b.WriteString(mark)
			} else {
				b.WriteByte(p[i])
			}
		}
	}
	out := b.String()
	for n.trim && strings.HasSuffix(out, mark) {
		out = strings.TrimSuffix(out, mark)
	}
	if n.dummy && n.suffix {
		out += mark
	}
	return out
}

// prefix returns the normal form of a prefix of s, and the prefix's length.
func (n *spmNormalizer) prefix(s string) (string, int) {
	if size := n.user.match(s); size > 0 {
		return s[:size], size
	}
	if p, size := n.chars.longest(s); size > 0 {
		return p, size
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		return "\uFFFD", 1
	}
	return s[:size], size
}

// longest returns the replacement of the longest key that is a prefix of s, and the
// key's length, or 0.
func (p *precompiled) longest(s string) (string, int) {
	if len(p.trie) == 0 {
		return "", 0
	}
	found, size := uint32(0), 0
	at := p.offset(0)
	for i := 0; i < len(s); i++ {
		c := uint32(s[i])
		at ^= c
		if int(at) >= len(p.trie) || p.trie[at]&(1<<31|0xff) != c {
			break
		}
		leaf := p.trie[at]>>8&1 == 1
		at ^= p.offset(at)
		if leaf {
			if int(at) >= len(p.trie) {
				break
			}
			found, size = p.trie[at]&(1<<31-1), i+1
		}
	}
	if size == 0 {
		return "", 0
	}
	r, ok := p.replacement(found)
	if !ok {
		return "", 0
	}
	return r, size
}

// prefixes finds the longest of a set of strings that is a prefix of a text.
type prefixes struct {
	byFirst [256][]string // sorted
}

func (p *prefixes) match(s string) int {
	if w := longestPrefix(p.byFirst[s[0]], itself, s); w != nil {
		return len(*w)
	}
	return 0
}

// spmDecoder is SentencePiece's decoder. It joins bytes, replaces marks by spaces, and
// drops the marks at the start that encoding added.
type spmDecoder struct {
	unk, unkSurface    string
	dropFirst, dropAll bool // the first mark; every mark before text
}

func (d *spmDecoder) start(next sink) sink { return &spmText{sink: next, spmDecoder: d} }

// spmText receives whole tokens.
type spmText struct {
	sink
	*spmDecoder
	run     []byte // bytes of an incomplete character
	begun   bool   // text has been passed on
	dropped bool   // the first mark has been dropped
}

func (d *spmText) text(t string) {
	if b, ok := byteToken(t); ok {
		d.run = append(d.run, b)
		for utf8.FullRune(d.run) {
			d.character()
		}
		return
	}
	d.endRun()
	if t == d.unk {
		d.dropped = false
		d.add(d.unkSurface)
		return
	}
	if d.dropFirst && !d.begun && !d.dropped {
		rest := strings.TrimPrefix(t, spaceMark)
		d.dropped = rest != t && !d.dropAll
		t = rest
	}
	d.add(strings.ReplaceAll(t, spaceMark, " "))
}

func (d *spmText) add(s string) {
	d.begun = d.begun || s != ""
	d.sink.text(s)
}

// character removes a character from the run. A byte that is not UTF-8 is U+FFFD.
func (d *spmText) character() {
	r, n := utf8.DecodeRune(d.run)
	d.add(string(r))
	d.run = append(d.run[:0], d.run[n:]...)
}

func (d *spmText) endRun() {
	for len(d.run) > 0 {
		d.character()
	}
}

func (d *spmText) close() {
	d.endRun()
	d.sink.close()
}
