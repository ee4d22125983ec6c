package filter

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/prose"
	"barka/internal/wordhash"
)

// emptyAnswer counts letters and digits. Signs that stand for more than half of an answer make
// it empty, too: lines of dots to fill in.
func emptyAnswer(r *examined) finding {
	if !r.o.EmptyAnswers {
		return skip(off)
	}
	return r.least(1, answers, func(_ int, t *text) (float64, string) {
		content, dots := 0, 0
		for _, c := range t.string {
			switch {
			case c == '.' || c == '…' || c == '_' || c == '·' || c == '-' || c == '۔':
				dots++
			case unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.Is(unicode.Sm, c):
				if content++; content == 100 && dots < 10 {
					return 100, "" // enough
				}
			}
		}
		if dots > content && dots > 3 {
			return 0, fmt.Sprintf("%d dots and lines", dots)
		}
		return float64(content), ""
	})
}

// echo measures how much an answer resembles the question before it: the share of pairs of
// words that they have in common (Dice). Short ones have none to compare.
func echo(r *examined) finding {
	if r.o.MaxEcho == 0 {
		return skip(off)
	}
	return r.most(r.o.MaxEcho, answers, func(i int, t *text) (float64, string) {
		if i == 0 || len(t.string) > 3*len(r.Messages[i-1].Content) || 3*len(t.string) < len(r.Messages[i-1].Content) {
			return 0, "" // of such different lengths, they are less alike than 0.5
		}
		if affirms.MatchString(t.string) {
			return 0, "" // yes, and the question as a statement
		}
		w := &r.words
		w.question = pairs(wordhash.Words(w.question[:0], r.Messages[i-1].Content))
		w.answer = pairs(wordhash.Words(w.answer[:0], t.string))
		if len(w.question) < 2 || len(w.answer) < 2 {
			return math.NaN(), ""
		}
		return 2 * float64(w.common()) / float64(len(w.question)+len(w.answer)), ""
	})
}

// wordBuffers are the pairs of words of a question and its answer.
type wordBuffers struct {
	question, answer []uint64
	count            map[uint64]int
}

// common returns how many pairs the question and the answer have in common.
func (w *wordBuffers) common() (n int) {
	if w.count == nil {
		w.count = map[uint64]int{}
	}
	clear(w.count)
	for _, p := range w.question {
		w.count[p]++
	}
	for _, p := range w.answer {
		if left := w.count[p]; left > 0 {
			w.count[p] = left - 1
			n++
		}
	}
	return n
}

var affirms = regexp.MustCompile(`(?i)^[^\pL\pN]*(?:نعم|لا|كلا|بلى|أجل|صحيح|خطأ|yes|no|true|false)[\s،,.:]`)

// pairs replaces hashes of words by those of neighbouring words.
func pairs(words []uint64) []uint64 {
	for i := range max(len(words)-1, 0) {
		words[i] = words[i]*0x9E3779B97F4A7C15 + words[i+1]
	}
	return words[:max(len(words)-1, 0)]
}

// unfinished looks for answers that break off. Of a translation, only what its source finished
// is missing, and the source is asked for the same; the authors of benchmarks end as they like.
func unfinished(r *examined) finding {
	if !r.o.Unfinished {
		return skip(off)
	}
	return r.most(0, answers, func(i int, t *text) (float64, string) {
		what := breaksOff(t.string)
		switch {
		case r.translated():
			source := breaksOff(r.MessagesEN[i].Content)
			if source != "" && r.written() {
				return 1, source
			}
			if what == "" || source != "" || !ends(r.MessagesEN[i].Content) {
				return 0, ""
			}
		case what == "" || !r.written():
			return 0, ""
		}
		return 1, what
	})
}

const closing = `"'”’»)]}*_` + "`"

// ends reports whether a text ends in a mark that ends sentences.
func ends(s string) bool {
	s = strings.TrimRight(strings.TrimSpace(s), closing+" \u200f\u200e\u202c\u2069")
	last, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsRune(".!?؟…。！？۔॥।", last)
}

// dangling are words after which a sentence goes on, in Arabic and English.
var dangling = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`في من إلى على عن مع أن إن لأن التي الذي الذين اللذين أو و ثم كما حيث بين منذ حتى لكن بل سوى
		مثل بسبب خلال عند ضد نحو قد سوف كان كانت هذا هذه ذلك تلك
		the a an of and to in that is are was were with for from by or but because which who as at on into than this their its`) {
		m[w] = true
	}
	return m
}()

// breaksOff returns the end of a text that stops inside a sentence, "" if it does not: a text
// of some length whose last line is a sentence without an end, though others before it have
// one, or any whose last word cannot be the last.
func breaksOff(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || ends(s) {
		return ""
	}
	line := s[strings.LastIndexByte(s, '\n')+1:]
	words := strings.Fields(line)
	if strings.Contains(s, "```") || len(words) < 4 || strings.HasPrefix(line, "|") {
		return ""
	}
	tail := strings.Join(words[max(0, len(words)-4):], " ")
	last, _ := utf8.DecodeLastRuneInString(line)
	if strings.ContainsRune("،,", last) || strings.HasSuffix(line, " -") {
		return fmt.Sprintf("ends in %q", tail)
	}
	if dangling[strings.ToLower(words[len(words)-1])] && len(words) >= 6 {
		return fmt.Sprintf("ends in %q", tail)
	}
	if !unicode.IsLetter(last) && !unicode.IsMark(last) || item.MatchString(line) || prose.CountWords(s) < 15 {
		return ""
	}
	for _, mark := range []string{". ", "؟ ", "! ", "? ", ".\n", "؟\n"} {
		if strings.Contains(s, mark) && !item.MatchString(s[:min(len(s), 8)]) {
			return fmt.Sprintf("ends in %q", tail)
		}
	}
	return ""
}

// item is a line of a list, or a heading.
var item = regexp.MustCompile(`^\s*(?:[-*•#]|\p{Nd}{1,2}\s?[.)\-]|\p{L}[.)])`)
