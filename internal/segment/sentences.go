package segment

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/sentences"
)

// Options bound the segments.
type Options struct {
	// MaxTokens is the most tokens, by Count, of a segment that is translated;
	// longer sentences are cut at clauses, then at words. 0: no bound.
	MaxTokens int
	Count     func(string) int
	// MinWords: shorter sentences are joined with the next of their line.
	MinWords int
	// Target is the script of the target language; text already in it is
	// kept. nil: none.
	Target *unicode.RangeTable
	// Form is the placeholder of protected spans that Count reads.
	Form Form
}

// prose cuts running text into sentences.
func (w *splitter) prose(s stretch, kind Kind) {
	begin, end := 0, 0
	for seg := sentences.FromString(s.mask); seg.Next(); {
		end += len(seg.Value())
		if w.unfinished(s.text[begin:end], s.text[end:]) {
			continue
		}
		w.sentence(s.slice(begin, end), kind)
		begin = end
	}
	w.sentence(s.slice(begin, len(s.text)), kind)
}

var (
	// always end in a full stop without ending a sentence.
	always = regexp.MustCompile(`(?:^|[\s("'«])(?:Mr|Mrs|Ms|Messrs|Dr|Drs|Prof|St|vs|e\.g|i\.e|cf|ca|approx|` +
		`Gen|Col|Capt|Cmdr|Adm|Lt|Maj|Sgt|Cpl|` +
		`Rev|Fr|Hon|Gov|Sen|Rep|Pres|Supt|Mt|Ft|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|esp|viz|incl|Mme|Mlle)\.\s*$`)
	// counted do so before a number.
	counted = regexp.MustCompile(`(?:^|[\s("'«])(?:[Nn]os?|[Vv]ols?|[Ff]igs?|[Ss]ec|[Cc]h|[Ee]qs?|[Aa]rt|[Tt]ab|pp?|[Cc]hap|[Rr]ef)\.\s*$`)
	// often may end a sentence too.
	often = regexp.MustCompile(`(?:^|[\s("'«.])(?:etc|al|Inc|Ltd|Co|Corp|Bros|Jr|Sr|Esq|Ave|` +
		`Blvd|Rd|Dept|Univ|Assn|ed|eds|Ph\.D|M\.D|B\.A|B\.Sc|M\.Sc|` +
		`a\.m|p\.m|A\.M|P\.M|[A-Z](?:\.[A-Z])*)\.\s*$`)
)

// opener are words that begin a sentence more often than they follow an abbreviation.
var opener = set(`The A An It Its He His She Her They Their We Our You Your This That These Those There Then So But And Or If When While
	Where Why How What Which Who In On At As For From To With By After Before However Is Are Was Were Do Does Did Can Could Would Will
	Not No Yes All Some Many Most Each Every Because Since Although Thus Therefore Also Let Use Find Please`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// longestAbbreviation bounds, in bytes, what is looked at for an abbreviation.
const longestAbbreviation = 32

// unfinished reports whether a sentence so far must take in the next one: it ends in an
// abbreviation, or is too short to stand alone. It looks at both ends alone: a sentence
// may take in many others.
func (w *splitter) unfinished(s, rest string) bool {
	core := strings.TrimRight(s, " \t\n\f\r")
	if strings.HasSuffix(core, ".") && abbreviated(core[max(0, len(core)-longestAbbreviation):], rest) {
		return true
	}
	if len(s) > longestShort {
		return false
	}
	words := 0
	for range strings.FieldsSeq(s) {
		if words++; words >= w.o.MinWords {
			break
		}
	}
	return words < w.o.MinWords
}

// abbreviated reports whether the full stop that s ends in belongs to an abbreviation and
// the sentence goes on with rest.
func abbreviated(s, rest string) bool {
	rest = strings.TrimLeft(rest[:min(len(rest), 2*longestAbbreviation)], " \t\"'(«“*_[")
	switch {
	case always.MatchString(s):
		return true
	case counted.MatchString(s):
		r, _ := utf8.DecodeRuneInString(rest)
		return unicode.IsDigit(r)
	case often.MatchString(s):
		end := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) })
		if end < 0 {
			end = len(rest)
		}
		return !opener[rest[:end]]
	}
	return false
}

// sentence adds one. The white space around it is kept apart, and so is markup that
// surrounds all of it. Quotation marks that span several sentences stay where they are.
func (w *splitter) sentence(s stretch, kind Kind) {
	for _, edge := range w.edges(s) {
		if edge.kind == Sentence {
			w.translate(s.slice(edge.start, edge.end), kind)
		} else {
			w.keep(s.text[edge.start:edge.end], edge.kind)
		}
	}
}

// alone marks a span of markup without a partner.
const alone = -1

// partners returns for each opening span the closing one, and the reverse; for content its
// own index.
func partners(spans []Protected) []int {
	partner, open := make([]int, len(spans)), []int{}
	for i, p := range spans {
		partner[i] = alone
		switch p.Role {
		case Content:
			partner[i] = i
		case Open:
			open = append(open, i)
		case Close:
			if n := len(open); n > 0 {
				partner[i], partner[open[n-1]] = open[n-1], i
				open = open[:n-1]
			}
		}
	}
	return partner
}

// edge is a stretch at the edge of a sentence, or the sentence between the edges.
type edge struct {
	start, end int
	kind       Kind
}

// edges finds what to keep around a sentence.
func (w *splitter) edges(s stretch) []edge {
	var before, after []edge
	start, end := 0, len(s.text)
	opens, closes := strings.Count(s.mask, "«"), strings.Count(s.mask, "»")
	partner, lo, hi := partners(s.spans), 0, len(s.spans)-1
	cutFront := func(n int, kind Kind) { before = append(before, edge{start, start + n, kind}); start += n }
	cutBack := func(n int, kind Kind) { after = append(after, edge{end - n, end, kind}); end -= n }
	for start < end {
		core := s.mask[start:end]
		if n := len(core) - len(strings.TrimLeftFunc(core, unicode.IsSpace)); n > 0 {
			cutFront(n, Blank)
			continue
		}
		if n := len(core) - len(strings.TrimRightFunc(core, unicode.IsSpace)); n > 0 {
			cutBack(n, Blank)
			continue
		}
		front := lo <= hi && s.spans[lo].Start == start
		back := lo <= hi && s.spans[hi].End == end
		switch {
		case front && back && lo < hi && partner[lo] == hi:
			cutFront(s.spans[lo].End-start, Span)
			cutBack(end-s.spans[hi].Start, Span)
			lo, hi = lo+1, hi-1
		case front && partner[lo] == alone:
			cutFront(s.spans[lo].End-start, Span)
			lo++
		case back && partner[hi] == alone:
			cutBack(end-s.spans[hi].Start, Span)
			hi--
		case opens != closes && strings.HasPrefix(core, "«"):
			cutFront(len("«"), Symbol)
			opens--
		case opens != closes && strings.HasPrefix(core, "»"):
			cutFront(len("»"), Symbol)
			closes--
		case opens != closes && strings.HasSuffix(core, "«"):
			cutBack(len("«"), Symbol)
			opens--
		case opens != closes && strings.HasSuffix(core, "»"):
			cutBack(len("»"), Symbol)
			closes--
		default:
			before = append(before, edge{start, end, Sentence})
			start = end
		}
	}
	for i := len(after) - 1; i >= 0; i-- {
		before = append(before, after[i])
	}
	return before
}
