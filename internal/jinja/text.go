package jinja

import (
	"sort"
	"strings"
	"unicode/utf8"

	"barka/internal/pytext"
)

// Origin identifies who wrote a stretch of text: 0 is the template, any other number a
// variable. The caller chooses the numbers.
type Origin int32

// Text is a string that knows the origin of each of its bytes. String operations keep
// origins: a slice of a message still belongs to the message.
type Text struct {
	s    string
	runs []run // in order; nil: all of it is from the template
	safe bool  // the result of |safe
}

// run is a stretch of one origin. It starts where the previous run ends. It may be
// empty, so that the position of an empty message is known.
type run struct {
	end    int
	origin Origin
}

// NewText returns the string of a variable.
func NewText(s string, origin Origin) Text {
	if origin == 0 {
		return Text{s: s}
	}
	return Text{s: s, runs: []run{{len(s), origin}}}
}

// String returns the text.
func (t Text) String() string { return t.s }

// Runs calls f for each stretch of one origin, in order. A stretch may be empty.
func (t Text) Runs(f func(start, end int, origin Origin)) {
	if t.runs == nil {
		f(0, len(t.s), 0)
		return
	}
	start := 0
	for _, r := range t.runs {
		f(start, r.end, r.origin)
		start = r.end
	}
}

// slice returns the bytes [a, b).
func (t Text) slice(a, b int) Text {
	if t.runs == nil {
		return Text{s: t.s[a:b], safe: t.safe}
	}
	var w builder
	first := sort.Search(len(t.runs), func(i int) bool { return t.runs[i].end >= a })
	start := 0
	if first > 0 {
		start = t.runs[first-1].end
	}
	for _, r := range t.runs[first:] {
		if start > b {
			break
		}
		if lo, hi := max(start, a), min(r.end, b); lo < hi || lo == hi && a == b {
			w.add(t.s[lo:hi], r.origin)
		}
		start = r.end
	}
	out := w.text()
	out.safe = t.safe
	return out
}

// origin returns the origin of the whole text, or of its first variable.
func (t Text) origin() Origin {
	for _, r := range t.runs {
		if r.origin != 0 {
			return r.origin
		}
	}
	return 0
}

// each maps every stretch by f and keeps their origins.
func (t Text) each(f func(string) string) Text {
	if t.runs == nil {
		return Text{s: f(t.s), safe: t.safe}
	}
	var w builder
	t.Runs(func(start, end int, origin Origin) { w.add(f(t.s[start:end]), origin) })
	out := w.text()
	out.safe = t.safe
	return out
}

// stripped removes characters at the ends for which cut reports true.
func (t Text) stripped(left, right bool, cut func(rune) bool) Text {
	a, b := 0, len(t.s)
	if left {
		a = b - len(strings.TrimLeftFunc(t.s, cut))
	}
	if right {
		b = a + len(strings.TrimRightFunc(t.s[a:], cut))
	}
	return t.slice(a, b)
}

// runes returns the number of characters, as Python counts them.
func (t Text) runes() int { return utf8.RuneCountInString(t.s) }

// offset returns the byte offset of character i.
func (t Text) offset(i int) int {
	for at := range t.s {
		if i == 0 {
			return at
		}
		i--
	}
	return len(t.s)
}

// builder concatenates texts.
type builder struct {
	b    strings.Builder
	runs []run
}

func (w *builder) add(s string, origin Origin) {
	if s == "" && origin == 0 {
		return
	}
	w.b.WriteString(s)
	if n := len(w.runs); n > 0 && w.runs[n-1].origin == origin {
		w.runs[n-1].end = w.b.Len()
		return
	}
	w.runs = append(w.runs, run{w.b.Len(), origin})
}

// write adds text from the template.
func (w *builder) write(s string) { w.add(s, 0) }

func (w *builder) put(t Text) {
	t.Runs(func(start, end int, origin Origin) { w.add(t.s[start:end], origin) })
}

func (w *builder) text() Text {
	t := Text{s: w.b.String()}
	if len(w.runs) > 1 || len(w.runs) == 1 && w.runs[0].origin != 0 {
		t.runs = w.runs
	}
	return t
}

func concat(ts ...Text) Text {
	var w builder
	for _, t := range ts {
		w.put(t)
	}
	return w.text()
}

// replaced is str.replace.
func (t Text) replaced(old, with Text, count int) Text {
	if old.s == "" {
		return t.interleaved(with, count)
	}
	var w builder
	at := 0
	for count != 0 {
		i := strings.Index(t.s[at:], old.s)
		if i < 0 {
			break
		}
		w.put(t.slice(at, at+i))
		w.put(with)
		at += i + len(old.s)
		count--
	}
	w.put(t.slice(at, len(t.s)))
	return w.text()
}

// interleaved puts a text before every character and at the end.
func (t Text) interleaved(with Text, count int) Text {
	var w builder
	for at := 0; at < len(t.s); {
		_, n := utf8.DecodeRuneInString(t.s[at:])
		if count != 0 {
			w.put(with)
			count--
		}
		w.put(t.slice(at, at+n))
		at += n
	}
	if count != 0 {
		w.put(with)
	}
	return w.text()
}

// split is str.split with a separator. A negative limit means no limit.
func (t Text) split(sep string, limit int) []Text {
	var out []Text
	at := 0
	for limit != 0 {
		i := strings.Index(t.s[at:], sep)
		if i < 0 {
			break
		}
		out = append(out, t.slice(at, at+i))
		at += i + len(sep)
		limit--
	}
	return append(out, t.slice(at, len(t.s)))
}

// rsplit is str.rsplit with a separator.
func (t Text) rsplit(sep string, limit int) []Text {
	var out []Text
	end := len(t.s)
	for limit != 0 {
		i := strings.LastIndex(t.s[:end], sep)
		if i < 0 {
			break
		}
		out = append(out, t.slice(i+len(sep), end))
		end = i
		limit--
	}
	out = append(out, t.slice(0, end))
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// fields is str.split without a separator.
func (t Text) fields(limit int) []Text {
	var out []Text
	rest := t.stripped(true, false, pytext.IsSpace)
	for rest.s != "" && limit != 0 {
		i := strings.IndexFunc(rest.s, pytext.IsSpace)
		if i < 0 {
			break
		}
		out = append(out, rest.slice(0, i))
		rest = rest.slice(i, len(rest.s)).stripped(true, false, pytext.IsSpace)
		limit--
	}
	if rest.s != "" {
		if limit == 0 {
			rest = rest.stripped(false, false, pytext.IsSpace)
		}
		out = append(out, rest)
	}
	return out
}

// lines is str.splitlines.
func (t Text) lines(keep bool) []Text {
	var out []Text
	at := 0
	for i := 0; i < len(t.s); {
		r, n := utf8.DecodeRuneInString(t.s[i:])
		if !lineBreak(r) {
			i += n
			continue
		}
		end := i + n
		if r == '\r' && strings.HasPrefix(t.s[end:], "\n") {
			end++
		}
		if keep {
			out = append(out, t.slice(at, end))
		} else {
			out = append(out, t.slice(at, i))
		}
		at, i = end, end
	}
	if at < len(t.s) {
		out = append(out, t.slice(at, len(t.s)))
	}
	return out
}

func lineBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}
