package segment

import (
	"regexp"
	"strings"
)

// blocks cuts a text into lines of code and of formulas, which are kept, and other lines.
func (w *splitter) blocks(text string) {
	lines := strings.SplitAfter(text, "\n")
	w.lone = loneLetters(lines)
	var b block
	for i, line := range lines {
		next := ""
		if i+1 < len(lines) {
			next = lines[i+1]
		}
		kind := b.next(line, lines[i+1:])
		if kind != Sentence {
			w.code = codeSpans{}
		}
		if kind == Code {
			w.keep(line, Code)
			continue
		}
		b.tabular(line, next)
		w.code.following = lines[i+1:]
		w.line(line, b.table)
	}
}

// block is the state between the lines of a text.
type block struct {
	end     string // of the block of code or formula that is open; "" for none
	prefix  bool   // lines may begin with end, and not only equal it
	indent  bool   // in indented code
	before  string // the last line
	list    bool   // in a list
	table   bool   // in a table without bars at its sides
	without map[string]bool
}

var (
	fence    = regexp.MustCompile("^ {0,3}(`{3,}[^`]*|~{3,}.*)$")
	listItem = regexp.MustCompile(`^\s*(?:[-*+•]|\d{1,3}[.)])\s`)
	codeLike = regexp.MustCompile(`[{};=\[\]]|::|->|\w\(|^\s*(?:#|//|\$ |>>> |\.\.\. |import |` +
		`from \w+ import|return\b|print |else:|try:|pass$|end$)`)
	rule       = regexp.MustCompile(`^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$`)
	formulaEnd = map[string]string{"$$": "$$", `\[`: `\]`}
)

// next takes in a line and returns Code if it is part of a block, its first and last line
// included. A fence that nothing closes goes on to the end of the text, as in CommonMark;
// a formula that nothing closes is none.
func (b *block) next(line string, rest []string) Kind {
	before := b.before
	b.before = line
	bare := strings.TrimSpace(line)
	if b.end != "" {
		if bare == b.end || b.prefix && strings.HasPrefix(bare, b.end) && strings.Trim(bare, b.end[:1]) == "" {
			b.end = ""
		}
		return Code
	}
	if m := fence.FindString(strings.TrimRight(line, "\r\n")); m != "" || b.list && fence.MatchString(bare) {
		mark := bare[:1]
		b.end, b.prefix = bare[:len(bare)-len(strings.TrimLeft(bare, mark))], true
		b.indent, b.table = false, false
		return Code
	}
	if end := formulaEnd[bare]; end != "" && b.closed(end, rest) {
		b.end, b.prefix = end, false
		return Code
	}
	indented := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")
	switch {
	case bare == "":
		return Blank
	case indented && (b.indent || strings.TrimSpace(before) == "" && !b.list && !listItem.MatchString(line) && codeLike.MatchString(bare)):
		b.indent = true
		return Code
	case !indented:
		b.list = listItem.MatchString(line)
	}
	b.indent = false
	return Sentence
}

// closed reports whether a line of the rest is end. That there is none is noted, so that
// the rest is not looked through for each line.
func (b *block) closed(end string, rest []string) bool {
	if b.without[end] {
		return false
	}
	for _, line := range rest {
		if strings.TrimSpace(line) == end {
			return true
		}
	}
	if b.without == nil {
		b.without = map[string]bool{}
	}
	b.without[end] = true
	return false
}

// tabular notes whether a line belongs to a table, which begins above its rule.
func (b *block) tabular(line, next string) {
	bars := strings.Contains(line, "|")
	b.table = bars && (b.table || rule.MatchString(next) || rule.MatchString(line))
	if bare := strings.TrimSpace(line); len(bare) > 1 && bare[0] == '|' && bare[len(bare)-1] == '|' {
		b.table = true
	}
}

// line cuts a line that is no code.
func (w *splitter) line(line string, table bool) {
	kind, mark := Sentence, w.marker(line)
	if mark.end > 0 {
		w.keep(line[:mark.end], Marker)
		line, kind = line[mark.end:], mark.kind
	}
	if mark.end > 0 || table {
		w.code = codeSpans{following: w.code.following}
	}
	if table || kind == Heading {
		w.code.following = nil
	}
	s := w.protect(line)
	switch {
	case table:
		w.row(s)
	case kind == Heading:
		w.fields(s, Heading)
	default:
		w.options(s, kind)
	}
}

// row cuts a table row into its cells.
func (w *splitter) row(s stretch) {
	from := 0
	for i := 0; i <= len(s.mask); i++ {
		if i < len(s.mask) && (s.mask[i] != '|' || i > 0 && s.mask[i-1] == '\\') {
			continue
		}
		w.fields(s.slice(from, i), Cell)
		if i < len(s.mask) {
			w.keep("|", Rule)
		}
		from = i + 1
	}
}

// fields cuts a stretch at tabs and control characters.
func (w *splitter) fields(s stretch, kind Kind) {
	from := 0
	for _, p := range s.spans {
		if p.Role != cut {
			continue
		}
		w.prose(s.slice(from, p.Start), kind)
		w.keep(s.text[p.Start:p.End], Blank)
		from = p.End
	}
	w.prose(s.slice(from, len(s.text)), kind)
}
