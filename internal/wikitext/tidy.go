package wikitext

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lineKind is what a line of text is.
type lineKind int

// The kinds of lines.
const (
	blank lineKind = iota
	plainLine
	brokenLine // plain, and the next line does not join it
	itemLine
	termLine // of a definition list, which waits for its definition
	rowLine
	literalLine
)

// tidier makes sections of rendered text.
type tidier struct {
	*parser
	outline
	body    []byte // of the section
	last    lineKind
	gap     bool   // an empty line came since the last one
	marks   []byte // of the last list item
	numbers [maxMarks + 1]int
}

// tidy makes the sections of the page.
func (p *parser) tidy() *Section {
	t := tidier{parser: p, outline: outline{root: &Section{Level: 1}}}
	t.path = []*Section{t.root}
	p.steps += len(p.out)
	for rest := p.out; len(rest) > 0; {
		var unit []byte
		var broken bool
		unit, rest, broken = nextUnit(rest)
		t.unit(unit, broken)
	}
	t.flush()
	return t.root
}

// nextUnit cuts off the first line with its end: a line break, or before a mark that
// begins a line of its own. broken reports a break that stays.
func nextUnit(b []byte) (unit, rest []byte, broken bool) {
	for i, c := range b {
		switch {
		case c == '\n' || c == hardBreak:
			return b[:i], b[i+1:], c == hardBreak
		case c == blockMark && i > 0:
			return b[:i], b[i:], false
		}
	}
	return b, nil, false
}

func (t *tidier) flush() {
	t.text(string(bytes.TrimSpace(t.body)))
	t.body, t.last, t.gap, t.marks = t.body[:0], blank, false, nil
}

// unit adds a line to the section.
func (t *tidier) unit(unit []byte, broken bool) {
	if len(unit) >= 2 && unit[0] == blockMark {
		switch unit[1] {
		case 'H':
			title := t.parser.clean(nil, unit[3:], nil)
			t.flush()
			if len(title) > 0 {
				t.open(int(unit[2]-'0'), string(title))
			}
		case 'L':
			marks, text, _ := bytes.Cut(unit[2:], []byte{endMark})
			t.item(marks, text)
		case 'R':
			t.own("- ", unit[2:], rowLine)
		case 'P':
			code := bytes.TrimLeft(unit[2:], " ")
			t.own(strings.Repeat(" ", min(len(unit)-2-len(code), maxIndent)), code, literalLine)
		}
		return
	}
	t.plain(unit, broken)
}

// plain adds running text: lines of one paragraph are one line.
func (t *tidier) plain(unit []byte, broken bool) {
	at := len(t.body)
	join := t.last == plainLine && !t.gap
	switch {
	case join:
		t.body = append(t.body, ' ')
	default:
		t.separate(plainLine)
	}
	begin := len(t.body)
	t.body = t.parser.clean(t.body, unit, t.report)
	if len(t.body) == begin {
		t.body = t.body[:at]
		t.gap = t.gap || !broken || len(bytes.TrimSpace(unit)) > 0 || t.last == brokenLine
		if broken && t.last == plainLine { // <br> alone in its line
			t.last = brokenLine
		}
		return
	}
	t.gap, t.last = false, plainLine
	if broken {
		t.last = brokenLine
	}
}

// separate begins a new line, behind an empty one between paragraphs.
func (t *tidier) separate(next lineKind) {
	switch {
	case len(t.body) == 0:
	case list(t.last) && list(next), t.last == next && next != plainLine, t.last == brokenLine && !t.gap,
		t.last == plainLine && next != plainLine && !t.gap:
		t.body = append(t.body, '\n')
	default:
		t.body = append(t.body, '\n', '\n')
	}
}

func list(k lineKind) bool { return k == itemLine || k == termLine }

// maxIndent bounds the blanks before a line of code.
const maxIndent = 40

// own adds a line that joins no other.
func (t *tidier) own(mark string, unit []byte, as lineKind) {
	at := len(t.body)
	t.separate(as)
	t.body = append(t.body, mark...)
	begin := len(t.body)
	t.body = t.parser.clean(t.body, unit, t.report)
	if len(t.body) == begin {
		t.body = t.body[:at]
		return
	}
	t.last, t.gap = as, false
}

// item adds an item of a list: "- a", "1. a", with two blanks for each list around
// it; a definition stands behind its term.
func (t *tidier) item(marks, text []byte) {
	kind := byte(':')
	if n := len(marks); n > 0 {
		kind = marks[n-1]
	}
	if t.gap && len(t.marks) > 0 && (len(marks) == 0 || marks[0] != t.marks[0]) && list(t.last) { // another list
		t.last = literalLine
	}
	number := t.count(marks)
	indent := strings.Repeat("  ", bytes.Count(marks, []byte{'*'})+bytes.Count(marks, []byte{'#'}))
	switch kind {
	case '*', '#':
		mark := indent[2:] + "- "
		if kind == '#' {
			mark = indent[2:] + strconv.Itoa(number) + ". "
		}
		t.own(mark, text, itemLine)
	case ';':
		if i := bytes.Index(text, []byte(" :")); i >= 0 {
			t.own(indent, slicesJoin(text[:i], ": ", text[i+2:]), itemLine)
			return
		}
		t.own(indent, text, termLine)
	default:
		if t.last == termLine && !t.gap && t.define(text) {
			return
		}
		t.own(indent, text, itemLine)
	}
}

func slicesJoin(a []byte, sep string, b []byte) []byte {
	return append(append(bytes.Clone(a), sep...), b...)
}

// define puts a definition behind its term.
func (t *tidier) define(text []byte) bool {
	at := len(t.body)
	if t.body[at-1] != ':' {
		t.body = append(t.body, ':')
	}
	t.body = append(t.body, ' ')
	begin := len(t.body)
	t.body = t.parser.clean(t.body, text, t.report)
	if len(t.body) == begin {
		t.body = t.body[:at]
		return false
	}
	t.last = itemLine
	return true
}

// count returns the number of an item in its list. Lists end where the marks of the
// next item no longer begin with theirs.
func (t *tidier) count(marks []byte) int {
	if t.last != itemLine && t.last != termLine {
		t.marks = t.marks[:0]
	}
	same := 0
	for same < len(marks) && same < len(t.marks) && marks[same] == t.marks[same] {
		same++
	}
	clear(t.numbers[min(same+1, len(t.numbers)):])
	t.marks = append(t.marks[:0], marks...)
	n := len(marks)
	if n == 0 || n >= len(t.numbers) {
		return 0
	}
	if marks[n-1] == '#' {
		t.numbers[n]++
	}
	return t.numbers[n]
}

// report notes a template that was dropped at a position in a line.
func (t *tidier) report(line []byte, at, id int) {
	if id >= len(t.dropped) || len(bytes.Trim(line, " .,:;-–()[]،؛")) == 0 {
		return
	}
	d := &t.dropped[id]
	if d.Count++; d.Count == 1 {
		d.Example = around(line, at, "{{"+d.Name+"}}")
	}
}

// around is the text around a position, with what was there.
func around(line []byte, at int, what string) string {
	const width = 60
	lo, hi := max(0, at-width), min(len(line), at+width)
	for lo > 0 && !utf8.RuneStart(line[lo]) {
		lo--
	}
	for hi < len(line) && !utf8.RuneStart(line[hi]) {
		hi++
	}
	at = max(lo, min(at, hi))
	return strings.TrimSpace(string(line[lo:at]) + " " + what + " " + strings.TrimLeft(string(line[at:hi]), " "))
}
