package synth

import (
	"regexp"
	"strings"
)

// leak finds wording that gives away that there was a text to read.
var leak = regexp.MustCompile(`(?i)\b(?:(?:the|this|that|given|provided|above) (?:text|passage|article|excerpt|paragraph|author|document)|according to the (?:text|passage|article)|as (?:mentioned|stated|described) (?:above|in the))\b`)

// label is what models like to put before a text.
var label = regexp.MustCompile(`(?i)^(?:\*\*)?(?:question|answer|q|a|assistant|user)(?: ?\d+)?(?:\*\*)? ?:(?:\*\*)?\s*`)

// clean removes a leading label and quotation marks around the whole.
func clean(s string) string {
	s = strings.TrimSpace(s)
	s = strings.TrimSpace(label.ReplaceAllString(s, ""))
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' && strings.Count(s, `"`) == 2 {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

func (r *record) checkQuestion(text string) (string, string) {
	q := clean(text)
	switch {
	case q == "":
		return "", "empty_question"
	case strings.Contains(q, "\n\n") || len([]rune(q)) > 1000:
		return "", "long_question"
	case !strings.Contains(q, "?"):
		return "", "no_question_mark"
	case leak.MatchString(q):
		return "", "leak_question"
	}
	for _, m := range r.row.Messages {
		if m.Role == "user" && strings.EqualFold(m.Content, q) {
			return "", "repeated_question"
		}
	}
	return q, ""
}

func (r *record) checkAnswer(text string) (string, string) {
	a := clean(text)
	switch {
	case a == "":
		return "", "empty_answer"
	case len(strings.Fields(a)) < r.w.o.MinAnswerWords:
		return "", "short_answer"
	case leak.MatchString(a):
		return "", "leak_answer"
	}
	return a, ""
}

// tagged returns the texts between <tag> and </tag>.
func tagged(s, tag string) []string {
	var out []string
	open, end := "<"+tag+">", "</"+tag+">"
	for {
		i := strings.Index(s, open)
		if i < 0 {
			return out
		}
		s = s[i+len(open):]
		j := strings.Index(s, end)
		if j < 0 {
			return out
		}
		out = append(out, s[:j])
		s = s[j+len(end):]
	}
}
