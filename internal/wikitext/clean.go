package wikitext

import (
	"bytes"
	"unicode/utf8"
)

// cleaner makes clean text of one rendered line: it collapses white space, leaves out
// control bytes, and repairs the punctuation around what was dropped.
type cleaner struct {
	out   []byte
	begin int // of the line in out
	in    []byte
	at    int // in in
	// After a dropped thing: whether white space stood beside it, and whether it was
	// more than a reference.
	pending, space, strong bool
	quote                  int // position of the ''' that is an apostrophe and ''
	drops                  []drop
}

// drop is a dropped template and where it was in the line.
type drop struct{ at, id int }

// ordinary are the bytes that need no look while nothing is pending.
var ordinary = func() (t [256]bool) {
	for c := range t {
		t[c] = c > ' ' && c != '(' && c != '[' && c != 0xc2 && c != 0xe2 && c != 0xef
	}
	return t
}()

// clean appends the clean text of a line. It calls report, unless that is nil, for
// each dropped template in a line with text.
func (p *parser) clean(out, line []byte, report func(line []byte, at, id int)) []byte {
	p.steps += len(line)
	c := cleaner{out: out, begin: len(out), in: line, quote: -1}
	if bytes.IndexByte(line, boldMark) >= 0 {
		c.quote = unbalanced(line)
	}
	for c.at < len(c.in) {
		c.step()
	}
	c.finish()
	if report != nil {
		for _, d := range c.drops {
			report(c.out[c.begin:], min(d.at-c.begin, len(c.out)-c.begin), d.id)
		}
	}
	return c.out
}

// step takes the next run of ordinary bytes, or the next other one.
func (c *cleaner) step() {
	if !c.pending {
		from := c.at
		for c.at < len(c.in) && ordinary[c.in[c.at]] {
			c.at++
		}
		c.out = append(c.out, c.in[from:c.at]...)
		if c.at == len(c.in) {
			return
		}
	}
	switch b := c.in[c.at]; {
	case b < ' ':
		c.control(b)
	case b == ' ':
		c.at++
		c.blank()
	case b >= utf8.RuneSelf && c.invisible():
	case c.pending:
		c.repair()
	case b == '(' || b == '[':
		c.open(b)
	default:
		c.copyRune()
	}
}

func (c *cleaner) blank() {
	if c.pending {
		c.space = true
		return
	}
	n := len(c.out)
	switch unwanted := c.unwanted(); {
	case n == c.begin || c.afterOpening():
	case unwanted && c.out[n-1] == ' ':
		c.out = c.out[:n-1]
	case !unwanted && c.out[n-1] != ' ':
		c.out = append(c.out, ' ')
	}
}

// unwanted reports whether the next character has no white space before it in any
// language: a comma, a full stop at a word's end, a closing bracket.
func (c *cleaner) unwanted() bool {
	rest := c.in[c.at:]
	for len(rest) > 0 && (rest[0] == boldMark || rest[0] == italicMark) {
		rest = rest[1:]
	}
	if len(rest) == 0 || rest[0] != ',' && rest[0] != '.' && rest[0] != ')' && !bytes.HasPrefix(rest, []byte("،")) {
		return false
	}
	_, size := utf8.DecodeRune(rest)
	return rest[0] == ')' || len(rest) == size || rest[size] == ' ' || rest[size] == '\n'
}

// invisible skips blanks of Unicode that become one, and characters without width.
func (c *cleaner) invisible() bool {
	rest := c.in[c.at:]
	switch {
	case bytes.HasPrefix(rest, []byte("\u00a0")):
		c.at += 2
		c.blank()
	case bytes.HasPrefix(rest, []byte("\u00ad")):
		c.at += 2
	case len(rest) >= 3 && rest[0] == 0xe2 && rest[1] == 0x80 && (rest[2] >= 0x80 && rest[2] <= 0x8a || rest[2] == 0xaf):
		c.at += 3 // U+2000 to U+200A, U+202F
		c.blank()
	case bytes.HasPrefix(rest, []byte("\u200b")), bytes.HasPrefix(rest, []byte("\ufeff")), bytes.HasPrefix(rest, []byte("\u2060")):
		c.at += 3
	default:
		return false
	}
	return true
}

func (c *cleaner) control(b byte) {
	at := c.at
	c.at++
	switch b {
	case boldMark:
		if at == c.quote {
			c.settle()
			c.out = append(c.out, '\'')
		}
	case '\t', '\n', hardBreak:
		c.blank()
	case dropMark:
		c.drop(true)
	case refMark:
		c.drop(false)
	case clauseMark:
		c.clause()
	case idMark:
		id := 0
		for c.at < len(c.in) && c.in[c.at] != idEnd {
			id = 10*id + int(c.in[c.at]-'0')
			c.at++
		}
		c.at++
		c.drop(true)
		c.drops = append(c.drops, drop{len(c.out), id})
	}
}

// drop notes that something was here.
func (c *cleaner) drop(strong bool) {
	if n := len(c.out); n > c.begin && c.out[n-1] == ' ' {
		c.out = c.out[:n-1]
		c.space = true
	} else if !c.pending {
		c.space = false
	}
	c.pending, c.strong = true, c.strong && c.pending || strong
}

// maxClause bounds a bracket that goes with what was in it, in bytes.
const maxClause = 300

// clause leaves out the bracket in which something was dropped.
func (c *cleaner) clause() {
	line := c.out[c.begin:]
	depth := 0
	for i := len(line) - 1; i >= max(0, len(line)-maxClause); i-- {
		switch line[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth < 0 {
				if end := closingBracket(c.in[c.at:]); end >= 0 {
					c.out = c.out[:c.begin+i]
					c.trimBlanks()
					c.at += end + 1
					c.pending, c.space, c.strong = true, true, true
				} else {
					c.drop(true)
				}
				return
			}
		}
	}
	c.drop(true)
}

// closingBracket finds the ) that closes a bracket opened before; -1 if it is far.
func closingBracket(b []byte) int {
	depth := 0
	for i := range min(len(b), maxClause) {
		switch b[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return i
			}
		}
	}
	return -1
}

// open writes an opening bracket, unless nothing but white space is in it and white
// space before it: f() is text.
func (c *cleaner) open(b byte) {
	closing := byte(')')
	if b == '[' {
		closing = ']'
	}
	k := c.at + 1
	for k < len(c.in) && (c.in[k] == ' ' || c.in[k] == boldMark || c.in[k] == italicMark) {
		k++
	}
	n := len(c.out)
	if k < len(c.in) && c.in[k] == closing && (n == c.begin || c.out[n-1] == ' ') {
		c.at = k + 1
		c.drop(true)
		c.space = true
		return
	}
	c.out = append(c.out, b)
	c.at++
}

// class is what a character is to the repair.
type class int

// The classes: separators part what was dropped from its neighbours.
const (
	letter class = iota
	separator
	stop    // ends a sentence
	closing // bracket
)

// classOf returns the class and the length of the character at the beginning of b.
func classOf(b []byte) (class, int) {
	switch b[0] {
	case ',', ';', ':':
		return separator, 1
	case '.', '!', '?':
		return stop, 1
	case ')', ']':
		return closing, 1
	case 0xd8:
		if len(b) > 1 {
			switch b[1] {
			case 0x8c, 0x9b: // ، ؛
				return separator, 2
			case 0x9f: // ؟
				return stop, 2
			}
		}
	case 0xe2:
		if len(b) > 2 && b[1] == 0x80 && (b[2] == 0x93 || b[2] == 0x94) { // – —
			return letter, 3
		}
	}
	_, size := utf8.DecodeRune(b)
	return letter, size
}

// repair writes the next character behind a dropped thing.
func (c *cleaner) repair() {
	rest := c.in[c.at:]
	kind, size := classOf(rest)
	opened := c.afterOpening()
	empty := len(c.out) == c.begin
	switch {
	case kind == separator && (opened || empty) && c.strong:
		c.at += size
		c.space = true
	case kind == closing && (c.strong || c.closes(rest[0])):
		c.label()
		c.trimSeparators()
		if c.closes(rest[0]) {
			c.out = c.out[:len(c.out)-1]
			c.trimBlanks()
			c.at++
			c.space = true
			return
		}
		c.write(size)
	case kind == separator && c.strong:
		c.label()
		if n := len(c.out); n > c.begin && c.endsWithSeparator() || c.afterOpening() {
			c.trimSeparators()
			if c.afterOpening() || len(c.out) == c.begin {
				c.at += size
				return
			}
		}
		c.write(size)
	case kind == stop && empty && c.strong && rest[0] == '.':
		c.at += size
	case kind == stop && c.strong && rest[0] == '.' && !bytes.HasPrefix(rest, []byte("...")):
		c.trimSeparators()
		c.write(size)
	case kind != letter || opened:
		c.write(size)
	default:
		c.settle()
		if rest[0] == '(' || rest[0] == '[' {
			c.open(rest[0])
			return
		}
		c.copyRune()
	}
}

// write ends the repair with the next character, without white space before it.
func (c *cleaner) write(size int) {
	c.pending, c.space, c.strong = false, false, false
	c.out = append(c.out, c.in[c.at:c.at+size]...)
	c.at += size
}

// settle ends the repair before a letter.
func (c *cleaner) settle() {
	if !c.pending {
		return
	}
	if n := len(c.out); c.space && n > c.begin && c.out[n-1] != ' ' && !c.afterOpening() {
		c.out = append(c.out, ' ')
	}
	c.pending, c.space, c.strong = false, false, false
}

func (c *cleaner) copyRune() {
	_, size := utf8.DecodeRune(c.in[c.at:])
	c.out = append(c.out, c.in[c.at:c.at+size]...)
	c.at += size
}

func (c *cleaner) afterOpening() bool {
	n := len(c.out)
	return n > c.begin && (c.out[n-1] == '(' || c.out[n-1] == '[')
}

// closes reports whether a bracket closes the one at the end of the text.
func (c *cleaner) closes(b byte) bool {
	return c.afterOpening() && (b == ')') == (c.out[len(c.out)-1] == '(')
}

// lastSeparator is the length of the separator at the end of the text, or 0.
func (c *cleaner) lastSeparator() int {
	line := c.out[c.begin:]
	n := len(line)
	if n == 0 {
		return 0
	}
	switch line[n-1] {
	case ',', ';', ':':
		return 1
	case 0x8c, 0x9b:
		if n > 1 && line[n-2] == 0xd8 {
			return 2
		}
	}
	return 0
}

// trimBlanks leaves out the blanks at the end of the line. Those before it belong to others.
func (c *cleaner) trimBlanks() { c.out = c.out[:max(c.begin, len(bytes.TrimRight(c.out, " ")))] }

func (c *cleaner) endsWithSeparator() bool { return c.lastSeparator() > 0 }

func (c *cleaner) trimSeparators() {
	for {
		c.trimBlanks()
		n := c.lastSeparator()
		if n == 0 {
			return
		}
		c.out = c.out[:len(c.out)-n]
	}
}

// maxLabel bounds the words before a colon that say nothing without what followed, in
// bytes.
const maxLabel = 60

// label leaves out the words between the last separator or bracket and a colon at the
// end of the text: "(Albanian: …" without its word says nothing.
func (c *cleaner) label() {
	line := c.out[c.begin:]
	if len(line) == 0 || line[len(line)-1] != ':' {
		return
	}
	for i := len(line) - 2; i >= max(0, len(line)-maxLabel); i-- {
		switch line[i] {
		case '(', '[', ',', ';':
			c.out = c.out[:c.begin+i+1]
			return
		case 0x8c, 0x9b:
			if i > 0 && line[i-1] == 0xd8 {
				c.out = c.out[:c.begin+i+1]
				return
			}
		case '.', ')', ':':
			return
		}
	}
}

// finish ends the line: white space and what waited for a dropped thing go.
func (c *cleaner) finish() {
	if c.pending && c.strong {
		for n := c.lastSeparator(); n > 0 && c.out[len(c.out)-1] != ':'; n = c.lastSeparator() {
			c.out = c.out[:len(c.out)-n]
			c.trimBlanks()
		}
		if c.afterOpening() {
			c.out = c.out[:len(c.out)-1]
		}
	}
	c.trimBlanks()
}

// unbalanced returns the position of the bold mark that is an apostrophe before
// italics, where a line has odd numbers of both marks; -1 where it has not. As in
// MediaWiki it is the first one behind a word of one letter, else behind a longer
// word, else behind a blank.
func unbalanced(line []byte) int {
	bold, italic := 0, 0
	for _, b := range line {
		switch b {
		case boldMark:
			bold++
		case italicMark:
			italic++
		}
	}
	if bold%2 == 0 || italic%2 == 0 {
		return -1
	}
	single, multi, space := -1, -1, -1
	for i, b := range line {
		if b != boldMark || i+1 < len(line) && line[i+1] == italicMark {
			continue
		}
		switch {
		case i == 0 || line[i-1] == ' ':
			if space < 0 {
				space = i
			}
		case i == 1 || line[i-2] == ' ':
			if single < 0 {
				single = i
			}
		case multi < 0:
			multi = i
		}
	}
	for _, i := range []int{single, multi, space} {
		if i >= 0 {
			return i
		}
	}
	return -1
}
