package filter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/prose"
	"barka/internal/wordhash"
)

var pass = dataset.Reject{}

func drop(reason, format string, args ...any) dataset.Reject {
	return dataset.Reject{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Check returns the first reason against a row by itself, with an empty Reason if it passes. A form
// that is none is an error. Blocklist is read by Run alone.
func (o *Options) Check(r dataset.Instruction) (dataset.Reject, error) {
	form, err := formOf(r)
	if err != nil {
		return pass, err
	}
	if reason := dataset.CheckTurns(r.Messages); reason != nil {
		return *reason, nil
	}
	if o.SeedRules {
		if reason := seedRules(form, r); reason.Reason != "" {
			return reason, nil
		}
	}
	x := examine(o, r, form)
	defer x.done()
	for i := range rules {
		if found := x.run(&rules[i]); found.dropped {
			return dataset.Reject{Reason: rules[i].name, Detail: found.detail()}, nil
		}
	}
	return pass, nil
}

// formOf is the row's form. Rows without one come from other programs, or from
// a version of this one that did not write it yet: those with a passage were
// written about it, the others may be anything.
func formOf(r dataset.Instruction) (string, error) {
	switch {
	case slices.Contains(dataset.Forms(), r.Form):
		return r.Form, nil
	case r.Form != "":
		return "", badinput.Errorf("row %s is of the form %q, expected one of %s, or none", r.ID, r.Form,
			strings.Join(dataset.Forms(), ", "))
	case r.PassageID == "":
		return dataset.FormInstruction, nil
	case len(r.Messages) > 3: // a system message may be one of them
		return dataset.FormConversation, nil
	}
	return dataset.FormQuestion, nil
}

// seedRules are the original's. Those of questions and answers it applied to
// its single questions about Wikipedia alone; that their passage has more than
// 50 characters, its other rule for them, is left to the wiki stage.
func seedRules(form string, r dataset.Instruction) dataset.Reject {
	for i, m := range english(&r) {
		if form != dataset.FormQuestion {
			break
		}
		if m.Role == "user" && strings.Contains(m.Content, " text ") {
			return drop("seed_text_in_question", "message %d", i+1)
		}
		if words := len(strings.Split(m.Content, " ")); m.Role == "assistant" && words <= 10 {
			return drop("seed_short_answer", "message %d has %d words", i+1, words)
		}
	}
	if len(r.MessagesEN) == 0 {
		return pass
	}
	for i, m := range r.Messages {
		switch {
		case strings.Contains(m.Content, "<unk>"):
			return drop("seed_unk", "message %d", i+1)
		case latinStart(m.Content):
			return drop("seed_latin_start", "message %d", i+1)
		}
	}
	return pass
}

func latinStart(s string) bool {
	for _, r := range s {
		return unicode.Is(unicode.Latin, r)
	}
	return false
}

func truncated(r *examined) finding {
	switch {
	case !r.o.Truncated:
		return skip(off)
	case r.FinishReason == "":
		return skip("not known")
	case r.FinishReason == "stop":
		return finding{}
	}
	return finding{value: 1, what: fmt.Sprintf("finish reason %q", r.FinishReason), dropped: true}
}

// flagged reads the flags that translate gave to the row's sentences.
func flagged(r *examined) finding {
	if len(r.all.RejectFlags) == 0 {
		return skip(off)
	}
	if len(r.Segments) == 0 {
		return skip(noSource)
	}
	f := finding{}
	for _, s := range r.Segments {
		for _, flag := range s.Flags {
			if !slices.Contains(r.all.RejectFlags, flag) {
				continue
			}
			if f.value++; f.value == 1 {
				f.message, f.what, f.dropped = int(s.Message)+1, fmt.Sprintf("%s: %.80q", flag, s.Target), true
			}
		}
	}
	return f
}

func score(r *examined) finding {
	if r.o.MinScore == 0 {
		return skip(off)
	}
	if len(r.Segments) == 0 {
		return skip(noSource)
	}
	sum := 0.0
	for _, s := range r.Segments {
		sum += float64(s.Score)
	}
	mean := sum / float64(len(r.Segments))
	return finding{value: mean, bound: r.o.MinScore, least: true, dropped: mean < r.o.MinScore}
}

func tooLong(r *examined) finding {
	if r.o.MaxChars == 0 {
		return skip(off)
	}
	return r.most(float64(r.o.MaxChars), every, func(_ int, t *text) (float64, string) {
		if len(t.string) <= r.o.MaxChars && !r.explain {
			return 0, "" // it has no more characters than bytes
		}
		return float64(utf8.RuneCountInString(t.string)), ""
	})
}

func shortAnswer(r *examined) finding {
	if r.o.MinAnswerWords == 0 {
		return skip(off)
	}
	return r.least(float64(r.o.MinAnswerWords), answers, func(_ int, t *text) (float64, string) {
		return float64(prose.CountWords(t.string)), ""
	})
}

func ratio(r *examined) finding {
	if r.o.MinLengthRatio == 0 && r.o.MaxLengthRatio == 0 {
		return skip(off)
	}
	if !r.translated() {
		return skip(noSource)
	}
	over := func(i int, t *text) (float64, string) {
		source := prose.Width(r.MessagesEN[i].Content)
		if source < 20 {
			return math.NaN(), ""
		}
		return float64(prose.Width(t.string)) / float64(source), ""
	}
	if r.o.MinLengthRatio > 0 {
		if f := r.least(r.o.MinLengthRatio, every, over); f.dropped || r.o.MaxLengthRatio == 0 {
			return f
		}
	}
	return r.most(r.o.MaxLengthRatio, every, over)
}

// maxRepeated is the largest share of a text's words that may lie in phrases
// that come again and again. People reach 0.3 in lists and options; a model
// that goes round in circles comes near 1.
const maxRepeated = 0.3

// repetition looks at what models wrote: translations, beside their source,
// and the answers of rows that no benchmark's authors wrote.
func repetition(r *examined) finding {
	switch {
	case !r.o.Repetition:
		return skip(off)
	case !r.translated() && !r.written():
		return skip(otherForm)
	}
	of := answers
	if r.translated() {
		of = every
	}
	return r.most(maxRepeated, of, func(i int, t *text) (float64, string) {
		share, phrase := r.counters.repeated(t)
		if share > maxRepeated && r.translated() { // what the source repeats is allowed
			source, _ := r.counters.repeated(r.source(i))
			share -= source
		}
		if phrase != "" {
			phrase = strconv.Quote(phrase)
		}
		return share, phrase
	})
}

// repeated is the share of a text's words that lie in phrases of four words
// which occur four times or more, and the commonest of these. Numbers and
// signs between words do not count: lists and sums repeat them.
func (c *counters) repeated(t *text) (share float64, phrase string) {
	if !c.mayRepeat(t.string) {
		return 0, ""
	}
	words := strings.FieldsFunc(strings.ToLower(t.words()),
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' })
	if len(words) < 16 {
		return 0, ""
	}
	count := map[string]int{}
	at := func(i int) string { return strings.Join(words[i:i+4], " ") }
	for i := range len(words) - 3 {
		count[at(i)]++
	}
	covered, end := 0, 0
	for i := range len(words) - 3 {
		p := at(i)
		if count[p] < 4 {
			continue
		}
		if count[p] > count[phrase] {
			phrase = p
		}
		covered += i + 4 - max(i, end)
		end = i + 4
	}
	return float64(covered) / float64(len(words)), phrase
}

// counters count hashes of runs of words.
type counters [1 << 13]uint8

// mayRepeat reports whether a run of four words may occur four times: whether as many runs share
// a counter. It is many times as fast as repeated and says no for nearly all texts.
func (c *counters) mayRepeat(s string) bool {
	mask := 255
	for mask < len(s) && mask < len(c)-1 {
		mask = 2*mask + 1
	}
	clear(c[:mask+1])
	var last [4]uint64 // hashes of words
	h, inside := uint64(0), false
	ends := func() bool {
		last = [4]uint64{last[1], last[2], last[3], h}
		h, inside = 0, false
		run := ((last[0]*31+last[1])*31+last[2])*31 + last[3]
		at := int(run*0x9E3779B97F4A7C15>>32) & mask
		c[at]++
		return c[at] >= 4
	}
	for _, r := range s {
		inWord := 'a' <= r|0x20 && r|0x20 <= 'z' || r == '\'' || r >= 0x621 && r <= 0x652
		if inWord && r < 0x80 {
			r |= 0x20
		} else if !inWord && r >= 0x80 && (unicode.IsLetter(r) || unicode.IsMark(r)) {
			r, inWord = unicode.ToLower(r), true
		}
		if inWord {
			h, inside = (h^uint64(r))*0x100000001B3, true
		} else if inside && ends() {
			return true
		}
	}
	return inside && ends()
}

// Key is a conversation's normalised text: compatibility forms folded,
// vowel marks and tatweel gone, alef, ya and ta marbuta in one form, letters
// and digits alone, in lower case.
func Key(messages []chat.Message) string {
	var b strings.Builder
	for _, m := range messages {
		text := m.Content
		if !wordhash.Plain(text) {
			text = norm.NFKC.String(text)
		}
		b.Grow(len(text) + 1)
		for _, r := range text {
			if int(r) < len(keyLetters) {
				r = keyLetters[r]
			} else {
				r = keyLetter(r)
			}
			if r > 0 {
				b.WriteRune(r)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// keyLetters are the results of keyLetter for the Latin, Greek, Cyrillic and Arabic blocks.
var keyLetters = func() (t [0x700]rune) {
	for r := range t {
		t[r] = keyLetter(rune(r))
	}
	return t
}()

// keyLetter returns a character as Key has it, 0 if it is left out.
func keyLetter(r rune) rune {
	switch {
	case r == 'أ' || r == 'إ' || r == 'آ' || r == 'ٱ':
		return 'ا'
	case r == 'ى':
		return 'ي'
	case r == 'ة':
		return 'ه'
	case r != 'ـ' && (unicode.IsLetter(r) || unicode.IsDigit(r)):
		return unicode.ToLower(r)
	}
	return 0
}
