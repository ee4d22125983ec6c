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
	w := &splitter{o: o}
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

type splitter struct {
	o      Options
	pieces []Piece
}

// keep adds verbatim text, joined with verbatim text before it.
func (w *splitter) keep(s string) {
	if s == "" {
		return
	}
	if n := len(w.pieces); n > 0 && !w.pieces[n-1].Translate {
		w.pieces[n-1].Text += s
		return
	}
	w.pieces = append(w.pieces, Piece{Text: s})
}

// marker begins a list item, an option, a heading or a quotation.
var marker = regexp.MustCompile(`^\s*(?:(?:[-*•–‣]|#{1,6}|>|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.)]|####)\s+)+`)

// verbatim is what no translation should touch inside a line: code,
// formulas, GSM8K's calculator notes, addresses, tags.
var verbatim = regexp.MustCompile("`[^`\n]+`|\\$\\$[^$\n]+\\$\\$|\\$[^$\n]{0,80}[\\\\^_={}][^$\n]{0,80}\\$|\\\\\\([^\n]*?\\\\\\)|<<[^<>\n]*>>|https?://[^\\s<>\"»]+|www\\.[^\\s<>\"»]+|</?[a-zA-Z][^<>\n]{0,60}>")

func (w *splitter) line(line string) {
	if m := marker.FindString(line); m != "" {
		w.keep(m)
		line = line[len(m):]
	}
	if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "|") && strings.HasSuffix(trimmed, "|") && len(trimmed) > 1 {
		w.row(line)
		return
	}
	for from := 0; len(line) > 0; {
		at := verbatim.FindStringIndex(line[from:])
		if at == nil {
			w.prose(line)
			return
		}
		start, end := from+at[0], from+at[1]
		if prices(line, start, end) {
			from = start + 1
			continue
		}
		w.prose(line[:start])
		w.keep(line[start:end])
		line, from = line[end:], 0
	}
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
	var pending string
	for seg := sentences.FromString(s); seg.Next(); {
		pending += seg.Value()
		if w.unfinished(pending) {
			continue
		}
		w.sentence(pending)
		pending = ""
	}
	w.sentence(pending)
}

// abbreviations end in a full stop without ending a sentence.
var abbreviation = regexp.MustCompile(`(?:^|[\s("'«])(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|ca|No|Vol|Fig|al|approx|Inc|Ltd|Co|Gen|Col|Capt|Lt|Rev|Hon|U\.S|U\.K|[A-Z])\.\s*$`)

// unfinished reports whether a sentence so far must take in the next one: it
// ends in an abbreviation, or is too short to stand alone.
func (w *splitter) unfinished(s string) bool {
	if abbreviation.MatchString(s) {
		return true
	}
	return w.o.MinWords > 0 && len(strings.Fields(s)) < w.o.MinWords
}

// sentence adds one, the white space around it kept apart.
func (w *splitter) sentence(s string) {
	lead := len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
	w.keep(s[:lead])
	s = s[lead:]
	core := strings.TrimRightFunc(s, unicode.IsSpace)
	tail := s[len(core):]
	// Quotation marks that span several sentences stay where they are.
	for _, q := range []string{"«", "»"} {
		if strings.Count(core, "«") == strings.Count(core, "»") {
			break
		}
		if strings.HasPrefix(core, q) {
			w.keep(q)
			core = core[len(q):]
			w.sentence(core + tail)
			return
		}
		if strings.HasSuffix(core, q) {
			tail = q + tail
			core = core[:len(core)-len(q)]
		}
	}
	if core != "" {
		w.translate(core)
	}
	w.keep(tail)
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
	w.pieces = append(w.pieces, Piece{Text: s, Translate: true})
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
