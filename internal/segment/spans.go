package segment

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Role is what a protected span does in its sentence.
type Role uint8

const (
	// Content takes the place of a word: code, a formula, an address, a file name.
	Content Role = iota
	// Open and Close surround words of the sentence: tags, emphasis, links.
	Open
	Close
	// Single is markup or a control character that surrounds nothing: <br>, a bidi mark.
	Single
	// cut is a character at which a line is cut: a tab, a control character.
	cut
)

// Protected is a span, in bytes, that a translation must return as it is.
type Protected struct {
	Start, End int
	Role       Role
}

// Verbatim returns the beginnings and ends, in bytes, of what no translation should touch
// in a line: code, formulas, addresses, tags.
func Verbatim(line string) (stretches [][2]int) {
	f := finder{line: line}
	f.scan()
	for _, p := range f.spans {
		if p.Role == Content || line[p.Start] == '<' {
			stretches = append(stretches, [2]int{p.Start, p.End})
		}
	}
	return stretches
}

// protect returns a line with its spans. Spans that touch each other are one.
func (w *splitter) protect(line string) stretch {
	f := finder{line: line, closes: w.closes}
	if w.code.open != "" {
		f.ends(w.code.open)
	}
	f.scan()
	w.code.open = f.open
	f.pairEmphasis()
	slices.SortFunc(f.spans, func(a, b Protected) int { return cmp.Compare(a.Start, b.Start) })
	s := stretch{text: line, mask: line}
	mask, done := make([]byte, 0, len(line)), 0
	for _, p := range f.spans {
		if p.Start < done {
			continue // markup in an address or a formula
		}
		mask = append(mask, line[done:p.Start]...)
		mask = append(mask, strings.Repeat(p.neutral(), p.End-p.Start)...)
		done = p.End
		if n := len(s.spans) - 1; n >= 0 && s.spans[n].End == p.Start && joined(s.spans[n].Role, p.Role) {
			s.spans[n].End = p.End
			if p.Role != Single {
				s.spans[n].Role = Content
			}
			continue
		}
		s.spans = append(s.spans, p)
	}
	if done > 0 {
		s.mask = string(append(mask, line[done:]...))
	}
	return s
}

// joined reports whether two spans without anything between them are one placeholder. An
// opening and the words after it stay apart from what precedes them.
func joined(a, b Role) bool {
	switch {
	case a == cut || b == cut:
		return false
	case a == b:
		return true
	}
	return (a == Content || a == Single) && (b == Content || b == Single)
}

// neutral is what stands for a byte of the span where sentences are looked for: a letter,
// or a quotation mark, which belongs to the sentence that it ends.
func (p Protected) neutral() string {
	if p.Role == Content {
		return "X"
	}
	return `"`
}

// finder finds the spans of a line, from left to right and in linear time: what looks for
// an end notes that there is none.
type finder struct {
	line     string
	spans    []Protected
	brackets []int      // open square brackets
	emphasis []emphasis // runs of * and _
	tokenEnd int        // of the token that was looked at last
	missing  map[string]bool
	from     int                     // where to begin
	closes   func(ticks string) bool // whether a later line ends a span of code; nil if there is none
	open     string                  // backticks of the span of code that goes on in the next line
}

func (f *finder) add(start, end int, role Role) int {
	f.spans = append(f.spans, Protected{start, end, role})
	return end
}

// after returns the position of s at from or after it, -1 for none.
func (f *finder) after(from int, s string) int {
	if f.missing[s] || from > len(f.line) {
		return -1
	}
	at := strings.Index(f.line[from:], s)
	if at < 0 {
		f.lacks(s)
		return -1
	}
	return from + at
}

// lacks notes that the rest of the line has no s.
func (f *finder) lacks(s string) {
	if f.missing == nil {
		f.missing = map[string]bool{}
	}
	f.missing[s] = true
}

func (f *finder) scan() {
	for i := f.from; i < len(f.line); {
		if end := f.at(i); end > i {
			i = end
			continue
		}
		i++
	}
}

// at adds the span that begins at i, if there is one, and returns where to go on; i for
// the next byte.
func (f *finder) at(i int) int {
	c := f.line[i]
	if end := f.word(i); end > i {
		return end
	}
	switch {
	case c == '`':
		return f.code(i)
	case c == '$':
		return f.formula(i)
	case c == '\\':
		return f.command(i)
	case c == '<':
		return f.angle(i)
	case c == '{':
		return f.braces(i)
	case c == '%' || c == '&':
		return f.percent(i)
	case c == '[' || c == ']' || c == '!':
		return f.bracket(i)
	case c == '*' || c == '_' || c == '~':
		return f.run(i)
	case c < ' ' && c != '\n' || c == 0x7f:
		return f.add(i, i+1, cut)
	case c >= utf8.RuneSelf:
		return f.control(i)
	}
	return i
}

// control adds invisible characters and bytes that are no text.
func (f *finder) control(i int) int {
	r, n := utf8.DecodeRuneInString(f.line[i:])
	switch {
	case r == utf8.RuneError && n == 1:
		return f.add(i, i+n, Single)
	case r == '\u2028', r == '\u2029', r == '\u0085', unicode.Is(unicode.Cc, r):
		return f.add(i, i+n, cut)
	case r == '\u061c', r == '\u200b', r == '\u200e', r == '\u200f', r == '\ufeff',
		r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r >= 0xe000 && r <= 0xf8ff:
		return f.add(i, i+n, Single)
	}
	return i + n
}

// code adds a span between runs of the same number of backticks.
func (f *finder) code(i int) int {
	n := len(f.line[i:]) - len(strings.TrimLeft(f.line[i:], "`"))
	ticks := f.line[i : i+n]
	if n > 8 || f.missing["code"+ticks] {
		return i + n
	}
	if at := ticksAt(f.line, i+n, n); at >= 0 {
		return f.add(i, at+n, Content)
	}
	f.lacks("code" + ticks)
	if f.closes != nil && f.closes(ticks) {
		f.open = ticks
		f.add(i, len(strings.TrimRight(f.line, " \t\r\n")), Content)
		return len(f.line)
	}
	return i + n
}

// bracket adds the ends of a link or an image, [text](address), [text][name], and numbers
// and names in brackets.
func (f *finder) bracket(i int) int {
	if m := reference.FindString(f.near(i)); m != "" && !strings.HasPrefix(f.line[i+len(m):], "(") {
		return f.add(i, i+len(m), Content)
	}
	switch f.line[i] {
	case '!':
		if !strings.HasPrefix(f.line[i:], "![") {
			return i
		}
		f.brackets = append(f.brackets, i)
		return i + 2
	case '[':
		f.brackets = append(f.brackets, i)
		return i + 1
	}
	if len(f.brackets) == 0 {
		// The text of a link may begin on an earlier line.
		if m := linkTarget.FindString(f.near(i)); strings.HasPrefix(m, "](") {
			return f.add(i, i+len(m), Content)
		}
		return i
	}
	open := f.brackets[len(f.brackets)-1]
	f.brackets = f.brackets[:len(f.brackets)-1]
	target := linkTarget.FindString(f.near(i))
	if target == "" {
		return i
	}
	f.brackets = nil // a link holds no other
	n := 1
	if f.line[open] == '!' {
		n = 2
	}
	if open+n == i {
		return f.add(open, i+len(target), Content)
	}
	f.add(open, open+n, Open)
	return f.add(i, i+len(target), Close)
}

// emphasis is a run of * or _ that may begin or end emphasis.
type emphasis struct {
	start, end  int
	open, close bool
}

// run notes a run of * or _. A run of _ between spaces is a blank to fill in.
func (f *finder) run(i int) int {
	c := f.line[i]
	end := i
	for end < len(f.line) && f.line[end] == c {
		end++
	}
	before, _ := utf8.DecodeLastRuneInString(f.line[:i])
	after, _ := utf8.DecodeRuneInString(f.line[end:])
	if i == 0 {
		before = ' '
	}
	if end == len(f.line) {
		after = ' '
	}
	switch {
	case c == '_' && !wordRune(before) && !wordRune(after):
		return f.add(i, end, Content)
	case c == '_' && end-i > 2:
		return f.add(i, end, Content)
	case end-i > 3, c == '~' && end-i != 2:
		return end
	}
	e := emphasis{start: i, end: end, open: !unicode.IsSpace(after) && !wordRune(before),
		close: !unicode.IsSpace(before) && !wordRune(after)}
	if e.open || e.close {
		f.emphasis = append(f.emphasis, e)
	}
	return end
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// pairEmphasis adds the runs that surround words.
func (f *finder) pairEmphasis() {
	opened := map[string]int{}
	for i, e := range f.emphasis {
		mark := f.line[e.start:e.end]
		if from, ok := opened[mark]; ok && e.close {
			o := f.emphasis[from]
			if o.end < e.start {
				f.add(o.start, o.end, Open)
				f.add(e.start, e.end, Close)
				delete(opened, mark)
				continue
			}
		}
		if e.open {
			opened[mark] = i
		}
	}
}
