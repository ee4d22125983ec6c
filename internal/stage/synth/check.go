package synth

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
)

// leak finds wording that gives away that there was a text to read. Authors
// and documents are often the subject itself: they count only where they are
// pointed at.
var leak = regexp.MustCompile(`(?i)\b(?:(?:the|this|that|given|provided|above|following) ` +
	`(?:text|passage|article|excerpt|paragraph)|(?:this|given|provided|above) (?:author|document)|` +
	`the author (?:says?|states?|mentions?|writes?|argues?|describes?|explains?)|as (?:mentioned|stated|described) (?:above|in the))\b`)

// meta finds texts about the task in place of the subject, as small models write
// them.
var meta = regexp.MustCompile(`(?i)\bwhat is (?:the|a|your) (?:short )?answer\s*\?|\b(?:answer to|asked in) ` +
	`(?:this|that|the) question\b|\bthis question (?:is|requires|asks|cannot)\b|\bwhat question is this\b`)

// script finds a conversation that a model wrote into one of its messages.
var script = regexp.MustCompile(`(?im)^(?:\*\*)?(?:user|assistant|human)(?:\*\*)? ?:`)

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

// asksBy has the shapes whose message is a question. A statement and a task ask
// in the words of the set of prompts.
var asksBy = map[string]bool{shapeQuestion: true, shapeChoice: true}

func (r *record) checkQuestion(text string) (string, string) {
	q := clean(text)
	shape := r.drawn.kind.Shape
	switch {
	case q == "":
		return "", "empty_question"
	case strings.Contains(q, "\n\n") || len([]rune(q)) > 1000:
		return "", "long_question"
	case asksBy[shape] && !strings.ContainsAny(q, "?؟？"):
		return "", "no_question_mark"
	case leak.MatchString(q):
		return "", "leak_question"
	case script.MatchString(q):
		return "", "script_question"
	case meta.MatchString(q):
		return "", "meta_question"
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
	least := cmp.Or(r.drawn.kind.MinAnswerWords, r.w.o.MinAnswerWords)
	switch {
	case a == "":
		return "", "empty_answer"
	case len(strings.Fields(a)) < least:
		return "", "short_answer"
	case leak.MatchString(a):
		return "", "leak_answer"
	case script.MatchString(a):
		return "", "script_answer"
	case meta.MatchString(a):
		return "", "meta_answer"
	}
	return a, ""
}

func (o Options) questionsPrompt() string {
	if o.JSON {
		return questionsJSON
	}
	return questionsTags
}

// questionsSchema is the form that questionsJSON asks for.
func questionsSchema(n int) map[string]any {
	return map[string]any{
		"type": "object", "required": []string{"questions"}, "additionalProperties": false,
		"properties": map[string]any{"questions": map[string]any{
			"type": "array", "minItems": n, "maxItems": n, "items": map[string]any{"type": "string"},
		}},
	}
}

var (
	tag    = regexp.MustCompile(`(?is)<question[^<>]{0,40}>(.*?)</question[^<>]{0,40}>`)
	listed = regexp.MustCompile(`(?m)^\s*(?:\*\*)?(?:question )?\d[.):]\s*(.+)$`)
)

// parseQuestions reads a model's questions whatever form it chose: tags, JSON
// (alone, in a fence, behind a word of introduction), or a numbered list.
func parseQuestions(s string) []string {
	var out []string
	for _, m := range tag.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		out = jsonTexts(s)
	}
	if len(out) == 0 {
		for _, m := range listed.FindAllStringSubmatch(s, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// jsonTexts finds the first array of texts, in an object or alone.
func jsonTexts(s string) []string {
	for at, r := range s {
		if r != '[' {
			continue
		}
		var texts []string
		if json.NewDecoder(strings.NewReader(s[at:])).Decode(&texts) == nil && len(texts) > 0 {
			return texts
		}
	}
	return nil
}
