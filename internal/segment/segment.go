// Package segment cuts a text into pieces that a sentence-level translation
// model can take, and into the structure between them that must survive:
// line breaks, list markers, option numbers, code, formulas, addresses.
// The pieces' texts, put together, are the text again, whatever it is.
package segment

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/sentences"
)

// Piece is a stretch of the text: to be translated, or kept as it is.
type Piece struct {
	Text      string
	Translate bool
}

// Options bound the pieces.
type Options struct {
	// MaxTokens is the most tokens, by Count, of a piece to be translated;
	// longer sentences are cut at clauses, then at words. 0: no bound.
	MaxTokens int
	Count     func(string) int
	// MinWords: shorter sentences are joined with the next of their line.
	MinWords int
	// Target is the script of the target language; text already in it is
	// kept. nil: none.
	Target *unicode.RangeTable
}

// Split cuts a text. Join(Split(s)) == s for every string.
func Split(s string, o Options) []Piece {
	w := &splitter{o: o, text: s}
	fenced := false
	for len(s) > 0 {
		end := strings.IndexByte(s, '\n') + 1
		if end == 0 {
			end = len(s)
		}
		line := s[:end]
		s = s[end:]
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fence {
			fenced = !fenced
		}
		if fence || fenced {
			w.keep(line)
			continue
		}
		w.line(line)
	}
	return w.pieces
}

// Join puts pieces together.
func Join(pieces []Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.Text)
	}
	return b.String()
}

// splitter cuts a text from its beginning to its end: what it keeps and what it
// translates follow each other, so that every piece is a slice of the text.
type splitter struct {
	o      Options
	text   string
	pieces []Piece
	begin  int // of the last piece in the text
	end    int // of the last piece
}

// keep adds verbatim text, joined with verbatim text before it.
func (w *splitter) keep(s string) {
	if s == "" {
		return
	}
	if n := len(w.pieces); n == 0 || w.pieces[n-1].Translate {
		w.add(s, false)
		return
	}
	w.end += len(s)
	w.pieces[len(w.pieces)-1].Text = w.text[w.begin:w.end]
}

// add adds a piece.
func (w *splitter) add(s string, translate bool) {
	w.pieces = append(w.pieces, Piece{s, translate})
	w.begin, w.end = w.end, w.end+len(s)
}

// marker begins a list item, an option, a heading or a quotation.
var marker = regexp.MustCompile(`^\s*(?:(?:[-*•–‣]|#{1,6}|>|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.)]|####)\s+)+`)

// verbatim is what no translation should touch inside a line: code,
// formulas, GSM8K's calculator notes, addresses, tags.
var verbatim = regexp.MustCompile("`[^`\n]+`|\\$\\$[^$\n]+\\$\\$|\\$[^$\n]{0,80}[\\\\^_={}][^$\n]{0,80}\\$" +
	"|<<[^<>\n]*>>|https?://[^\\s<>\"»]+|www\\.[^\\s<>\"»]+|</?[a-zA-Z][^<>\n]{0,60}>")

func (w *splitter) line(line string) {
	if m := marker.FindString(line); m != "" {
		w.keep(m)
		line = line[len(m):]
	}
	if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "|") && strings.HasSuffix(trimmed, "|") && len(trimmed) > 1 {
		w.row(line)
		return
	}
	done := 0
	for _, v := range Verbatim(line) {
		w.prose(line[done:v[0]])
		w.keep(line[v[0]:v[1]])
		done = v[1]
	}
	w.prose(line[done:])
}

// Verbatim returns the beginnings and ends, in bytes, of what no translation should touch
// in a line: code, formulas, addresses, tags.
func Verbatim(line string) (stretches [][2]int) {
	v := verbatimFinder{line: line}
	for from := 0; ; {
		start, end := v.next(from)
		switch {
		case start < 0:
			return stretches
		case prices(line, start, end):
			from = start + 1
		default:
			stretches = append(stretches, [2]int{start, end})
			from = end
		}
	}
}

// verbatimFinder finds what no translation should touch in a line, from left to
// right. A formula in \( \) may be of any length: it is looked for apart, since
// the pattern would look to the line's end for each \( without an end.
type verbatimFinder struct {
	line           string
	match, formula span
}

// span is a stretch of a line; the zero value is one that is not looked for yet,
// and a negative start means none.
type span struct{ start, end int }

// next returns the first stretch that begins at from or after it; -1 if there
// is none.
func (v *verbatimFinder) next(from int) (start, end int) {
	if v.match.start >= 0 && (v.match.end == 0 || v.match.start < from) {
		v.match = span{-1, 0}
		if at := verbatim.FindStringIndex(v.line[from:]); at != nil {
			v.match = span{from + at[0], from + at[1]}
		}
	}
	if v.formula.start >= 0 && (v.formula.end == 0 || v.formula.start < from) {
		v.formula = v.nextFormula(from)
	}
	if m, f := v.match, v.formula; m.start < 0 || f.start >= 0 && f.start < m.start {
		return f.start, f.end
	}
	return v.match.start, v.match.end
}

func (v *verbatimFinder) nextFormula(from int) span {
	open := strings.Index(v.line[from:], `\(`)
	if open < 0 {
		return span{-1, 0}
	}
	open += from
	end := strings.Index(v.line[open+2:], `\)`)
	if end < 0 {
		return span{-1, 0}
	}
	return span{open, open + 2 + end + 2}
}

// prices reports whether the text between two dollar signs is no formula but
// what stands between two prices. As in pandoc, a formula has no blank inside
// its signs and no digit behind them.
func prices(line string, start, end int) bool {
	inner, single := strings.CutPrefix(line[start:end], "$")
	inner = strings.TrimSuffix(inner, "$")
	if !single || strings.HasPrefix(inner, "$") {
		return false
	}
	return strings.TrimSpace(inner) != inner || end < len(line) && line[end] >= '0' && line[end] <= '9'
}

// row is a table row: cells between bars.
func (w *splitter) row(line string) {
	for len(line) > 0 {
		end := strings.IndexByte(line, '|')
		if end < 0 {
			w.prose(line)
			return
		}
		w.prose(line[:end])
		w.keep("|")
		line = line[end+1:]
	}
}

// prose cuts running text into sentences.
func (w *splitter) prose(s string) {
	begin, end := 0, 0
	for seg := sentences.FromString(s); seg.Next(); {
		end += len(seg.Value())
		if w.unfinished(s[begin:end]) {
			continue
		}
		w.sentence(s[begin:end])
		begin = end
	}
	w.sentence(s[begin:])
}

// abbreviations end in a full stop without ending a sentence.
var abbreviation = regexp.MustCompile(`(?:^|[\s("'«])(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|ca|` +
	`No|Vol|Fig|al|approx|Inc|Ltd|Co|Gen|Col|Capt|Lt|Rev|Hon|U\.S|U\.K|[A-Z])\.\s*$`)

// longestAbbreviation bounds, in bytes, what abbreviation looks at.
const longestAbbreviation = 32

// unfinished reports whether a sentence so far must take in the next one: it
// ends in an abbreviation, or is too short to stand alone. It looks at both ends
// alone: a sentence may take in many others.
func (w *splitter) unfinished(s string) bool {
	core := strings.TrimRight(s, " \t\n\f\r")
	if abbreviation.MatchString(core[max(0, len(core)-longestAbbreviation):]) {
		return true
	}
	words := 0
	for range strings.FieldsSeq(s) {
		if words++; words >= w.o.MinWords {
			break
		}
	}
	return words < w.o.MinWords
}

// sentence adds one, the white space around it kept apart. Quotation marks that
// span several sentences stay where they are.
func (w *splitter) sentence(s string) {
	end := len(strings.TrimRightFunc(s, unicode.IsSpace))
	marks := map[string]int{"«": strings.Count(s, "«"), "»": strings.Count(s, "»")}
	for {
		lead := len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
		w.keep(s[:lead])
		s, end = s[lead:], max(0, end-lead)
		opens, closes, core := marks["«"], marks["»"], s[:end]
		first := ""
		for _, q := range []string{"«", "»"} {
			if opens == closes {
				break
			}
			if strings.HasPrefix(core, q) {
				first = q
				break
			}
			if strings.HasSuffix(core, q) {
				core = core[:len(core)-len(q)]
				if q == "«" {
					opens--
				} else {
					closes--
				}
			}
		}
		if first == "" {
			if core != "" {
				w.translate(core)
			}
			w.keep(s[len(core):])
			return
		}
		w.keep(first)
		s, end = s[len(first):], end-len(first)
		marks[first]--
	}
}

// translate adds text to be translated, cut to the bound.
func (w *splitter) translate(s string) {
	if !w.wants(s) {
		w.keep(s)
		return
	}
	if w.o.MaxTokens > 0 && w.o.Count != nil && w.o.Count(s) > w.o.MaxTokens {
		if at := cut(s); at > 0 && at < len(s) {
			w.sentence(s[:at])
			w.sentence(s[at:])
			return
		}
	}
	w.add(s, true)
}

// wants reports whether there is anything to translate: letters, and not
// mostly of the target's script.
func (w *splitter) wants(s string) bool {
	letters, target := 0, 0
	for _, r := range s {
		if !unicode.IsLetter(r) {
			continue
		}
		letters++
		if w.o.Target != nil && unicode.Is(w.o.Target, r) {
			target++
		}
	}
	return letters > 0 && 10*target < 9*letters
}

// cut finds the best place to cut a long sentence: the clause mark nearest
// the middle, else the space nearest to it.
func cut(s string) int {
	for _, marks := range []string{";:", ",،؛–—", " "} {
		best, middle := -1, len(s)/2
		for i, r := range s {
			end := i + utf8.RuneLen(r)
			if r == utf8.RuneError || !strings.ContainsRune(marks, r) || end >= len(s) {
				continue
			}
			if marks != " " && !unicode.IsSpace(rune(s[end])) {
				continue // inside a number or a word
			}
			if best < 0 || abs(end-middle) < abs(best-middle) {
				best = end
			}
		}
		// A cut near the edge would not help.
		if best > len(s)/8 && best < len(s)-len(s)/8 {
			return best
		}
	}
	return -1
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}
