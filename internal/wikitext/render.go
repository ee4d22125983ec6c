package wikitext

import (
	"html"
	"strings"
	"unicode/utf8"
)

// Control bytes of the rendered text, which no source has: render writes no others,
// and tidy leaves none. A line break of the source is a line break.
const (
	dropMark   = 0x01 // something was dropped here, whose punctuation is to be repaired
	blockMark  = 0x02 // begins a line of its own: the byte behind it is its kind
	endMark    = 0x03 // ends the marks of a list item
	refMark    = 0x04 // a reference was here
	boldMark   = 0x05 // three apostrophes
	italicMark = 0x06 // two apostrophes
	clauseMark = 0x07 // something was dropped without which its brackets say nothing
	hardBreak  = 0x0b // a line break that stays
	idMark     = 0x0e // begins the number of a dropped template, in digits
	idEnd      = 0x0f
)

// maxDepth bounds nesting; what lies deeper is dropped.
const maxDepth = 40

// parser renders one page after another.
type parser struct {
	w         *Wiki
	title     string
	s         string
	end       []uint32 // where the construct ends that opens at a position, and its kind; 0: none
	touched   []int    // the positions with a construct
	stack     []opened
	closers   map[string]closer
	out       []byte
	key       []byte
	depth     int
	verse     int     // of <poem>
	inFormula int     // of {{math}}
	noBracket stretch // no ] is in it
	ids       map[string]int
	names     []string // of unknown templates
	dropped   []Dropped
	rows      int
	disambig  bool
	steps     int // bytes looked at, for tests
}

func (p *parser) page(title, source string) *Page {
	p.reset(title, source)
	p.mark()
	p.render(p.lineStart(0, len(source)), len(source))
	page := &Page{Root: p.tidy(), Disambiguation: p.disambig, Rows: p.rows}
	for _, d := range p.dropped {
		if d.Count > 0 {
			page.Dropped = append(page.Dropped, d)
		}
	}
	p.s, p.title = "", ""
	return page
}

func (p *parser) reset(title, source string) {
	for _, i := range p.touched {
		p.end[i] = 0
	}
	p.touched = p.touched[:0]
	if n := len(source); n > len(p.end) {
		p.end = make([]uint32, n+n/4)
	}
	p.title, p.s, p.out = title, source, p.out[:0]
	p.closers = map[string]closer{}
	p.depth, p.verse, p.inFormula, p.noBracket = 0, 0, 0, stretch{}
	clear(p.ids)
	p.names, p.dropped, p.rows, p.disambig, p.steps = nil, nil, 0, false, 0
}

func (p *parser) set(at, end int, what kind) {
	p.end[at] = uint32(end)<<kindBits | uint32(what)
	p.touched = append(p.touched, at)
}

// opens returns what opens at i and where it ends.
func (p *parser) opens(i int) (kind, int) {
	e := p.end[i]
	return kind(e & (1<<kindBits - 1)), int(e >> kindBits)
}

// special are the bytes that render must look at.
var special = set("\n{}[]<'&_\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16" +
	"\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")

// render writes the text of s[lo:hi].
func (p *parser) render(lo, hi int) {
	p.steps += hi - lo
	for i := lo; i < hi; {
		j := i
		for j < hi && !special[p.s[j]] {
			j++
		}
		p.out = append(p.out, p.s[i:j]...)
		if j == hi {
			return
		}
		i = p.sign(j, hi)
	}
}

// sign renders what begins at i with a special byte and returns where to go on.
func (p *parser) sign(i, hi int) int {
	s := p.s
	if what, end := p.opens(i); what != none {
		if end > hi { // cut by the bar of a template around it
			return i + 1
		}
		p.construct(what, i, end)
		return end
	}
	switch c := s[i]; c {
	case '\n':
		if p.verse > 0 {
			p.out = append(p.out, hardBreak)
			return i + 1
		}
		if n := len(p.out); n == 0 || p.out[n-1] != hardBreak { // <br> at the end of a line
			p.out = append(p.out, '\n')
		}
		return p.lineStart(i+1, hi)
	case '{', '}', ']': // one is text, more have no partner
		if n := run(s[:hi], i, c); n > 1 {
			return i + n
		}
		p.out = append(p.out, c)
	case '[':
		if n := run(s[:hi], i, c); n > 1 {
			return i + n
		}
		return p.external(i, hi)
	case '<':
		return p.html(i, hi)
	case '\'':
		return p.apostrophes(i, hi)
	case '&':
		return i + p.entity(s[i:hi])
	case '_':
		return p.underscores(i, hi)
	default: // tabs and control bytes
		p.out = append(p.out, ' ')
	}
	return i + 1
}

func (p *parser) construct(what kind, lo, end int) {
	if what == comment {
		return
	}
	if what == element {
		p.element(lo, end)
		return
	}
	if p.depth >= maxDepth {
		p.out = append(p.out, dropMark)
		return
	}
	p.depth++
	switch what {
	case template:
		p.template(lo+2, end-2)
	case parameter: // has no value in a page: its default
		if parts := p.split(lo+3, end-3); len(parts) > 1 {
			p.render(parts[1].lo, parts[1].hi)
		}
	case link:
		p.link(lo+2, end-2)
	case table:
		p.table(lo, end)
	}
	p.depth--
}

// capture renders s[lo:hi] apart from the text so far.
func (p *parser) capture(lo, hi int) string {
	at := len(p.out)
	p.depth++
	p.render(lo, hi)
	p.depth--
	text := string(p.out[at:])
	p.out = p.out[:at]
	return text
}

// stretch is s[lo:hi].
type stretch struct{ lo, hi int }

// split cuts s[lo:hi] at the bars that belong to no construct inside.
func (p *parser) split(lo, hi int) []stretch {
	var parts []stretch
	start := lo
	for i := lo; i < hi; i++ {
		p.steps++
		if !marks[p.s[i]] {
			continue
		}
		if what, end := p.opens(i); what != none && end <= hi {
			i = end - 1
		} else if p.s[i] == '|' {
			parts = append(parts, stretch{start, i})
			start = i + 1
		}
	}
	return append(parts, stretch{start, hi})
}

// apostrophes writes the marks of bold and italic text; others are text.
func (p *parser) apostrophes(i, hi int) int {
	n := run(p.s[:hi], i, '\'')
	for k := n; k > 5 || k == 4 || k == 1; k-- {
		p.out = append(p.out, '\'')
	}
	switch {
	case n == 2:
		p.out = append(p.out, italicMark)
	case n == 3 || n == 4:
		p.out = append(p.out, boldMark)
	case n >= 5:
		p.out = append(p.out, boldMark, italicMark)
	}
	return i + n
}

// longestEntity bounds a character reference, in bytes; HTML's longest name has 33.
const longestEntity = 34

// entity writes the character that a reference at the beginning of text stands for,
// and returns the length of the reference; a lone & is one.
func (p *parser) entity(text string) int {
	n := strings.IndexByte(text[:min(len(text), longestEntity)], ';')
	if n < 2 {
		p.out = append(p.out, '&')
		return 1
	}
	decoded := html.UnescapeString(text[:n+1])
	if decoded == text[:n+1] {
		p.out = append(p.out, '&')
		return 1
	}
	p.out = append(p.out, strings.Map(printable, decoded)...)
	return n + 1
}

// longestSwitch bounds a behaviour switch, in bytes.
const longestSwitch = 60

// underscores leaves out behaviour switches, as __NOTOC__ or __لاتحرير_قسم__: letters
// that are not in lower case between two underscores on both sides.
func (p *parser) underscores(i, hi int) int {
	s := p.s[:hi]
	n := run(s, i, '_')
	if n == 2 {
		word := s[i+2 : min(len(s), i+2+longestSwitch)]
		if k := strings.Index(word, "__"); k >= 4 && switchName(word[:k]) {
			p.disambig = p.disambig || word[:k] == "DISAMBIG"
			return i + 2 + k + 2
		}
	}
	p.out = append(p.out, s[i:i+n]...)
	return i + n
}

func switchName(word string) bool {
	for i := range len(word) {
		c := word[i]
		if c < utf8.RuneSelf && (c < 'A' || c > 'Z') && c != '_' {
			return false
		}
	}
	return true
}

// lineStart writes what the marks at the beginning of a source line mean, and
// returns where its text begins.
func (p *parser) lineStart(i, hi int) int {
	s := p.s
	for i < hi && s[i] == '<' {
		what, end := p.opens(i)
		if what != comment || end > hi {
			return i
		}
		i = end
	}
	if i >= hi || p.verse > 0 {
		return i
	}
	switch s[i] {
	case '=':
		if p.depth == 0 {
			return p.heading(i, hi)
		}
	case '*', '#', ':', ';':
		return p.listItem(i, hi)
	case ' ':
		return p.indented(i, hi)
	case '-':
		if n := run(s[:hi], i, '-'); n >= 4 {
			p.out = append(p.out, '\n')
			return i + n
		}
	case '|', '!', '{':
		return p.strayRow(i, hi)
	}
	return i
}

// lineEnd is the end of the line in which i lies.
func (p *parser) lineEnd(i, hi int) int {
	if n := strings.IndexByte(p.s[i:hi], '\n'); n >= 0 {
		hi = i + n
	}
	p.steps += hi - i
	return hi
}

func (p *parser) heading(i, hi int) int {
	end := p.lineEnd(i, hi)
	line := strings.TrimRight(p.s[i:end], " \t")
	for strings.HasSuffix(line, "-->") {
		k := strings.LastIndex(line, "<!--")
		if k < 0 {
			break
		}
		line = strings.TrimRight(line[:k], " \t")
	}
	level := min(run(line, 0, '='), 6)
	trailing := len(line) - len(strings.TrimRight(line, "="))
	level = min(level, trailing)
	if level == 0 || len(line) < 2*level+1 || strings.Trim(line, "= ") == "" {
		return i
	}
	p.out = append(p.out, blockMark, 'H', byte('0'+level))
	p.render(i+level, i+len(line)-level)
	return end
}

// maxMarks bounds the marks of a list item.
const maxMarks = 20

func (p *parser) listItem(i, hi int) int {
	j := i
	for j < hi && j-i < maxMarks && strings.IndexByte("*#:;", p.s[j]) >= 0 {
		j++
	}
	text := j
	for text < hi && p.s[text] == ' ' {
		text++
	}
	if text < hi {
		if what, _ := p.opens(text); what == table {
			return text
		}
	}
	p.out = append(append(append(p.out, blockMark, 'L'), p.s[i:j]...), endMark)
	return text
}

// indented is a line that begins with a blank: preformatted text.
func (p *parser) indented(i, hi int) int {
	j := i
	for j < hi && p.s[j] == ' ' {
		j++
	}
	if j == hi || p.s[j] == '\n' || p.depth > 0 {
		return j
	}
	if what, _ := p.opens(j); what == table || p.s[j] == '|' || p.s[j] == '!' {
		return p.lineStart(j, hi)
	}
	p.out = append(p.out, blockMark, 'P')
	return j
}

// strayRow leaves out the markup of tables that are in no table.
func (p *parser) strayRow(i, hi int) int {
	if what, _ := p.opens(i); what != none || p.depth > 0 || i+1 >= hi {
		return i
	}
	switch two := p.s[i : i+2]; {
	case two == "|-", two == "|}", two == "{|", two == "|+":
		return p.lineEnd(i, hi)
	case two[0] == '|':
		return i + 1
	}
	return i
}
