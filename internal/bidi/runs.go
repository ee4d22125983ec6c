package bidi

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/segment"

	unibidi "golang.org/x/text/unicode/bidi"
)

// Span is a stretch of a text, in bytes.
type Span struct{ Start, End int }

// RightToLeft reports whether most of the letters of s belong to scripts that are written
// from right to left. Code, formulas and addresses do not count.
func RightToLeft(s string) bool {
	right, left := 0, 0
	count := func(s string) {
		for _, r := range s {
			switch class(r) {
			case unibidi.R, unibidi.AL:
				right++
			case unibidi.L:
				left++
			}
		}
	}
	for line := range strings.Lines(s) {
		done := 0
		for _, v := range segment.Verbatim(line) {
			count(line[done:v[0]])
			done = v[1]
		}
		count(line[done:])
	}
	return right > left
}

func class(r rune) unibidi.Class {
	p, _ := unibidi.LookupRune(r)
	return p.Class()
}

// LeftToRight returns the stretches of a line of right-to-left text that are read from
// left to right: code, formulas, addresses, and runs of Latin words and numbers. They are
// in order and do not overlap.
func LeftToRight(line string) (spans []Span) {
	done := 0
	for _, v := range segment.Verbatim(line) {
		spans = appendRuns(spans, line, done, v[0])
		spans = append(spans, Span{v[0], v[1]})
		done = v[1]
	}
	return appendRuns(spans, line, done, len(line))
}

// Isolated returns the direction of a text and, if that is right to left, the stretches
// that are read from left to right: those of LeftToRight in its lines, and whole lines of
// code or of left-to-right text.
func Isolated(text string) (rtl bool, spans []Span) {
	if rtl = RightToLeft(text); !rtl {
		return false, nil
	}
	fenced, at := false, 0
	for line := range strings.Lines(text) {
		start, bare := at, strings.TrimSuffix(line, "\n")
		at += len(line)
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		code := fence || fenced
		fenced = fenced != fence
		switch {
		case bare == "":
		case code, strings.ContainsFunc(bare, unicode.IsLetter) && !RightToLeft(bare):
			spans = append(spans, Span{start, start + len(bare)})
		default:
			for _, s := range LeftToRight(bare) {
				spans = append(spans, Span{s.Start + start, s.End + start})
			}
		}
	}
	return true, spans
}

// longestGap bounds, in bytes, the punctuation and blanks between two words of a run.
const longestGap = 12

// word is a stretch of letters and digits without anything between them.
type word struct {
	Span
	number bool // of digits alone
}

// appendRuns adds the runs of words in line[from:to].
func appendRuns(spans []Span, line string, from, to int) []Span {
	var run Span
	var last word
	flush := func() {
		if run.End > run.Start {
			spans = append(spans, trimmed(line, run, from, to))
			from = spans[len(spans)-1].End
		}
		run = Span{}
	}
	for at := from; at < to; {
		w, next, found := nextWord(line, at, to)
		if !found {
			break
		}
		if run.End > run.Start && joins(line[last.End:w.Start], last, w) {
			run.End = w.End
		} else {
			flush()
			run = w.Span
		}
		last, at = w, next
	}
	flush()
	return spans
}

// nextWord finds the first word of left-to-right letters and digits from at on.
func nextWord(line string, at, to int) (w word, next int, found bool) {
	w.number = true
	for at < to {
		r, n := utf8.DecodeRuneInString(line[at:])
		c := class(r)
		strong := c == unibidi.L || c == unibidi.EN
		if c == unibidi.NSM && found {
			strong = true
		}
		switch {
		case strong && !found:
			w.Start, found = at, true
		case !strong && found:
			return w, at, true
		}
		if strong {
			w.number = w.number && c != unibidi.L
			w.End = at + n
		}
		at += n
	}
	return w, at, found
}

// joins reports whether two words with gap between them belong to one run. The numbers of
// a list are separate, because they follow each other from right to left; those of a sum
// are not.
func joins(gap string, a, b word) bool {
	if len(gap) > longestGap || strings.ContainsAny(gap, "،؛؟«»\n") {
		return false
	}
	for _, r := range gap {
		if c := class(r); c == unibidi.R || c == unibidi.AL || c == unibidi.AN {
			return false
		}
	}
	if !a.number || !b.number {
		return true
	}
	core := strings.TrimSpace(gap)
	if core == gap {
		return !strings.ContainsFunc(gap, unicode.IsSpace)
	}
	return core != "" && strings.Trim(core, "=+*/×÷<>≤≥^−-") == ""
}

// trimmed ends a run where a bracket would be separated from its partner, and takes in the
// signs that belong to its first and last word.
func trimmed(line string, run Span, from, to int) Span {
	depth, open := 0, -1
	for i := run.Start; i < run.End; i++ {
		switch line[i] {
		case '(', '[', '{':
			if depth == 0 {
				open = i
			}
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				run.End = i
			}
		}
	}
	for depth > 0 && run.End < to && strings.IndexByte(")]}", line[run.End]) >= 0 {
		run.End++
		depth--
	}
	if depth > 0 && open > run.Start {
		run.End = open
	}
	run.End = run.Start + len(strings.TrimRight(line[run.Start:run.End], " "))
	for _, sign := range []string{"%", "°", "$", "€", "£"} {
		if strings.HasPrefix(line[run.End:to], sign) {
			run.End += len(sign)
			break
		}
	}
	for _, sign := range []string{"$", "€", "£", "-", "−", "+", "#", "@", `\`} {
		before := strings.TrimSuffix(line[from:run.Start], sign)
		if len(before) < run.Start-from && (before == "" || sign == `\` || strings.HasSuffix(before, " ")) {
			run.Start -= len(sign)
			break
		}
	}
	return run
}
