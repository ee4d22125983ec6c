package filter

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"barka/internal/pipeline"
)

// filter holds the rows seen so far: normalised conversation to id.
type filter struct {
	o    Options
	seen map[string]string
}

// rule returns a reason against a row, or nothing.
type rule func(o Options, r pipeline.Instruction) pipeline.Reject

// rules run in this order; the first reason counts.
var rules = []rule{structure, seedRules, truncated, lengths, script, ratio, score, repetition, leaks}

var pass = pipeline.Reject{}

func drop(reason, format string, args ...any) pipeline.Reject {
	return pipeline.Reject{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func (f *filter) check(r pipeline.Instruction) pipeline.Reject {
	for _, rule := range rules {
		if reason := rule(f.o, r); reason.Reason != "" {
			return reason
		}
	}
	if !f.o.Duplicates {
		return pass
	}
	key := Key(r.Messages)
	if id, ok := f.seen[key]; ok {
		return drop("duplicate", "of %s", id)
	}
	f.seen[key] = r.ID
	return pass
}

// structure always applies: a conversation alternates and has an answer.
func structure(_ Options, r pipeline.Instruction) pipeline.Reject {
	if len(r.Messages) < 2 || len(r.Messages)%2 == 1 {
		return drop("no_answer", "%d messages", len(r.Messages))
	}
	for i, m := range r.Messages {
		if want := []string{"user", "assistant"}[i%2]; m.Role != want {
			return drop("role_order", "message %d is of %q, expected %s", i, m.Role, want)
		}
		if strings.TrimSpace(m.Content) == "" {
			return drop("empty_message", "message %d", i)
		}
	}
	return pass
}

// english returns the row's messages in English.
func english(r pipeline.Instruction) []pipeline.Message {
	if len(r.MessagesEN) > 0 {
		return r.MessagesEN
	}
	return r.Messages
}

// seedRules are the original's, which look at the English questions and
// answers and at the translated text.
func seedRules(o Options, r pipeline.Instruction) pipeline.Reject {
	if !o.SeedRules {
		return pass
	}
	for i, m := range english(r) {
		if m.Role == "user" && strings.Contains(m.Content, " text ") {
			return drop("seed_text_in_question", "message %d", i)
		}
		if words := len(strings.Split(m.Content, " ")); m.Role == "assistant" && words <= 10 {
			return drop("seed_short_answer", "message %d has %d words", i, words)
		}
	}
	if len(r.MessagesEN) == 0 {
		return pass
	}
	for i, m := range r.Messages {
		switch {
		case strings.Contains(m.Content, "<unk>"):
			return drop("seed_unk", "message %d", i)
		case latinStart(m.Content):
			return drop("seed_latin_start", "message %d", i)
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

func truncated(o Options, r pipeline.Instruction) pipeline.Reject {
	if o.Truncated && r.FinishReason != "" && r.FinishReason != "stop" {
		return drop("truncated", "finish reason %q", r.FinishReason)
	}
	return pass
}

func lengths(o Options, r pipeline.Instruction) pipeline.Reject {
	for i, m := range r.Messages {
		if n := len([]rune(m.Content)); o.MaxChars > 0 && n > o.MaxChars {
			return drop("too_long", "message %d has %d characters", i, n)
		}
		if n := len(strings.Fields(m.Content)); m.Role == "assistant" && n < o.MinAnswerWords {
			return drop("short_answer", "message %d has %d words", i, n)
		}
	}
	return pass
}

// scripts of the languages' codes.
func scriptOf(language string) *unicode.RangeTable {
	if strings.HasSuffix(language, "_Arab") {
		return unicode.Arabic
	}
	if strings.HasSuffix(language, "_Latn") {
		return unicode.Latin
	}
	return nil
}

func script(o Options, r pipeline.Instruction) pipeline.Reject {
	table := scriptOf(r.Language)
	if o.MinScriptShare == 0 || table == nil {
		return pass
	}
	for i, m := range r.Messages {
		letters, own := 0, 0
		for _, c := range m.Content {
			if unicode.IsLetter(c) {
				letters++
				if unicode.Is(table, c) {
					own++
				}
			}
		}
		// Formulas and option letters alone are no prose.
		if letters >= 20 && float64(own) < o.MinScriptShare*float64(letters) {
			return drop("script", "message %d: %d of %d letters are of %s", i, own, letters, r.Language)
		}
	}
	return pass
}

func ratio(o Options, r pipeline.Instruction) pipeline.Reject {
	if len(r.MessagesEN) != len(r.Messages) {
		return pass
	}
	for i, m := range r.Messages {
		a, b := float64(len([]rune(r.MessagesEN[i].Content))), float64(len([]rune(m.Content)))
		if a < 20 {
			continue
		}
		if o.MinLengthRatio > 0 && b < o.MinLengthRatio*a || o.MaxLengthRatio > 0 && b > o.MaxLengthRatio*a {
			return drop("length_ratio", "message %d: %.2f", i, b/a)
		}
	}
	return pass
}

func score(o Options, r pipeline.Instruction) pipeline.Reject {
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

func repetition(o Options, r pipeline.Instruction) pipeline.Reject {
	if !o.Repetition {
		return pass
	}
	for i, m := range r.Messages {
		words := strings.Fields(m.Content)
		seen := map[string]int{}
		for j := 0; j+4 <= len(words); j++ {
			k := strings.Join(words[j:j+4], " ")
			if seen[k]++; seen[k] >= 4 {
				return drop("repetition", "message %d: %q", i, k)
			}
		}
	}
	return pass
}

// leakEnglish and leakArabic find wording that presumes a text at hand.
var (
	leakEnglish = regexp.MustCompile(`(?i)\b(?:the|this|given|above|provided) (?:text|passage|article|excerpt|paragraph)\b|\baccording to the (?:text|passage|article)\b`)
	leakArabic  = regexp.MustCompile(`(?:النص|الفقرة|المقال|المقطع) (?:أعلاه|المذكور|السابق|التالي|المعطى)|(?:وفقا|وفقًا|طبقا|بحسب|حسب) (?:ل)?(?:لنص|للفقرة|للمقال|للمقطع|النص|الفقرة|المقال|المقطع)|كما ورد في (?:النص|الفقرة|المقال|المقطع)`)
)

func leaks(o Options, r pipeline.Instruction) pipeline.Reject {
	if !o.Leaks {
		return pass
	}
	for _, set := range []struct {
		messages []pipeline.Message
		pattern  *regexp.Regexp
	}{{english(r), leakEnglish}, {r.Messages, leakArabic}} {
		for i, m := range set.messages {
			if at := set.pattern.FindString(m.Content); at != "" {
				return drop("leak", "message %d: %q", i, at)
			}
		}
	}
	return pass
}

// Key is a conversation's normalised text: compatibility forms folded,
// vowel marks and tatweel gone, alef, ya and ta marbuta in one form, letters
// and digits alone, in lower case.
func Key(messages []pipeline.Message) string {
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
