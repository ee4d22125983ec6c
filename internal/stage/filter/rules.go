package filter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/prose"
)

// rule returns a reason against a row of the form that o is for, or nothing.
type rule func(o Rules, r dataset.Instruction) dataset.Reject

// rules run in this order; the first reason counts.
var rules = []rule{truncated, lengths, script, ratio, score, repetition, leaks, sameOptions, sameResult}

var pass = dataset.Reject{}

func drop(reason, format string, args ...any) dataset.Reject {
	return dataset.Reject{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// check returns the first reason against a row. A form that is none is an
// error.
func (o Options) check(r dataset.Instruction) (dataset.Reject, error) {
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
	of := *o.forms()[form]
	for _, rule := range rules {
		if reason := rule(of, r); reason.Reason != "" {
			return reason, nil
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

// english returns the row's messages in English.
func english(r dataset.Instruction) []chat.Message {
	if len(r.MessagesEN) > 0 {
		return r.MessagesEN
	}
	return r.Messages
}

// translated reports whether every message has its source beside it.
func translated(r dataset.Instruction) bool { return len(r.MessagesEN) == len(r.Messages) }

// seedRules are the original's. Those of questions and answers it applied to
// its single questions about Wikipedia alone; that their passage has more than
// 50 characters, its other rule for them, is left to the wiki stage.
func seedRules(form string, r dataset.Instruction) dataset.Reject {
	for i, m := range english(r) {
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

func truncated(o Rules, r dataset.Instruction) dataset.Reject {
	if o.Truncated && r.FinishReason != "" && r.FinishReason != "stop" {
		return drop("truncated", "finish reason %q", r.FinishReason)
	}
	return pass
}

func lengths(o Rules, r dataset.Instruction) dataset.Reject {
	for i, m := range r.Messages {
		if n := utf8.RuneCountInString(m.Content); o.MaxChars > 0 && n > o.MaxChars {
			return drop("too_long", "message %d has %d characters", i+1, n)
		}
		if n := prose.CountWords(m.Content); m.Role == "assistant" && n < o.MinAnswerWords {
			return drop("short_answer", "message %d has %d words", i+1, n)
		}
	}
	return pass
}

func script(o Rules, r dataset.Instruction) dataset.Reject {
	if o.MinScriptShare == 0 {
		return pass
	}
	for i, m := range r.Messages {
		// A name or two in a short answer say nothing of its language.
		if letters, own := prose.Letters(m.Content, r.Language); letters >= 30 && float64(own) < o.MinScriptShare*float64(letters) {
			return drop("script", "message %d: %d of %d letters are of %s", i+1, own, letters, r.Language)
		}
	}
	return pass
}

func ratio(o Rules, r dataset.Instruction) dataset.Reject {
	if !translated(r) {
		return pass
	}
	for i, m := range r.Messages {
		a, b := float64(utf8.RuneCountInString(r.MessagesEN[i].Content)), float64(utf8.RuneCountInString(m.Content))
		if a < 20 {
			continue
		}
		if o.MinLengthRatio > 0 && b < o.MinLengthRatio*a || o.MaxLengthRatio > 0 && b > o.MaxLengthRatio*a {
			return drop("length_ratio", "message %d: %.2f", i+1, b/a)
		}
	}
	return pass
}

func score(o Rules, r dataset.Instruction) dataset.Reject {
	if o.MinScore == 0 || len(r.Segments) == 0 {
		return pass
	}
	sum := 0.0
	for _, s := range r.Segments {
		sum += float64(s.Score)
	}
	if mean := sum / float64(len(r.Segments)); mean < o.MinScore {
		return drop("translation_score", "mean %.3f", mean)
	}
	return pass
}

// maxRepeated is the largest share of a text's words that may lie in phrases
// that come again and again. People reach 0.3 in lists and options; a model
// that goes round in circles comes near 1.
const maxRepeated = 0.3

// repetition looks at what models wrote: translations, beside their source,
// and the answers of rows that no benchmark's authors wrote.
func repetition(o Rules, r dataset.Instruction) dataset.Reject {
	if !o.Repetition {
		return pass
	}
	form, _ := formOf(r)
	written := form == dataset.FormQuestion || form == dataset.FormConversation || form == dataset.FormInstruction
	for i, m := range r.Messages {
		allowed := maxRepeated
		switch {
		case translated(r):
			source, _ := repeated(r.MessagesEN[i].Content)
			allowed += source
		case !written || m.Role != "assistant":
			continue
		}
		if share, phrase := repeated(m.Content); share > allowed {
			return drop("repetition", "message %d: %.0f %% of it, such as %q", i+1, 100*share, phrase)
		}
	}
	return pass
}

// repeated is the share of a text's words that lie in phrases of four words
// which occur four times or more, and the commonest of these. Numbers and
// signs between words do not count: lists and sums repeat them.
func repeated(s string) (share float64, phrase string) {
	words := strings.FieldsFunc(strings.ToLower(prose.Words(s)),
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

// leakEnglish and leakArabic find wording that presumes a text to read.
var (
	leakEnglish = regexp.MustCompile(`(?i)\b(?:the|this|given|above|provided) (?:text|passage|article|excerpt|paragraph)\b` +
		`|\baccording to the (?:text|passage|article)\b`)
	leakArabic = regexp.MustCompile(`(?:النص|الفقرة|المقال|المقطع) (?:أعلاه|المذكور|السابق|التالي|المعطى)` +
		`|(?:وفقا|وفقًا|طبقا|بحسب|حسب) (?:ل)?(?:لنص|للفقرة|للمقال|للمقطع|النص|الفقرة|المقال|المقطع)` +
		`|كما ورد في (?:النص|الفقرة|المقال|المقطع)`)
	// The text of a treaty and the passage of time are no leaks.
	ofSomething = regexp.MustCompile(`^ of `)
)

func leaks(o Rules, r dataset.Instruction) dataset.Reject {
	if !o.Leaks {
		return pass
	}
	for _, set := range []struct {
		messages []chat.Message
		pattern  *regexp.Regexp
	}{{english(r), leakEnglish}, {r.Messages, leakArabic}} {
		for i, m := range set.messages {
			for _, at := range set.pattern.FindAllStringIndex(m.Content, -1) {
				if !ofSomething.MatchString(m.Content[at[1]:]) {
					return drop("leak", "message %d: %q", i+1, m.Content[at[0]:at[1]])
				}
			}
		}
	}
	return pass
}

// Key is a conversation's normalised text: compatibility forms folded,
// vowel marks and tatweel gone, alef, ya and ta marbuta in one form, letters
// and digits alone, in lower case.
func Key(messages []chat.Message) string {
	var b strings.Builder
	for _, m := range messages {
		for _, r := range norm.NFKC.String(m.Content) {
			switch r {
			case 'أ', 'إ', 'آ', 'ٱ':
				r = 'ا'
			case 'ى':
				r = 'ي'
			case 'ة':
				r = 'ه'
			case 'ـ':
				continue
			}
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				b.WriteRune(unicode.ToLower(r))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
