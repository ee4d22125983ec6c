package segment

import "strings"

// codeSpans is what a line has to know of spans of code that go over ends of lines.
type codeSpans struct {
	open      string          // the backticks of a span that began in an earlier line
	following []string        // lines after this one
	missing   map[string]bool // backticks that the rest of the paragraph lacks
}

// closes reports whether a later line of the paragraph has a run of just these backticks. That
// there is none is noted, so that the rest of a paragraph is looked through once.
func (w *splitter) closes(ticks string) bool {
	if w.code.missing[ticks] {
		return false
	}
	for _, line := range w.code.following {
		if strings.TrimSpace(line) == "" || fence.MatchString(strings.TrimRight(line, "\r\n")) || w.marker(line).end > 0 {
			break
		}
		if ticksAt(line, 0, len(ticks)) >= 0 {
			return true
		}
	}
	if w.code.missing == nil {
		w.code.missing = map[string]bool{}
	}
	w.code.missing[ticks] = true
	return false
}

// ends adds what a line has of a span of code that an earlier line began.
func (f *finder) ends(ticks string) {
	start := len(f.line) - len(strings.TrimLeft(f.line, " \t"))
	if at := ticksAt(f.line, 0, len(ticks)); at >= 0 {
		f.from = f.add(start, at+len(ticks), Content)
		return
	}
	f.open, f.from = ticks, len(f.line)
	if end := len(strings.TrimRight(f.line, " \t\r\n")); end > start {
		f.add(start, end, Content)
	}
}

// ticksAt returns the position of a run of n backticks, no more and no fewer, from a position on;
// -1 for none.
func ticksAt(s string, from, n int) int {
	for from < len(s) {
		next := strings.IndexByte(s[from:], '`')
		if next < 0 {
			return -1
		}
		from += next
		m := len(s[from:]) - len(strings.TrimLeft(s[from:], "`"))
		if m == n {
			return from
		}
		from += m
	}
	return -1
}
