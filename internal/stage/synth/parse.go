package synth

import (
	"encoding/json"
	"regexp"
	"strings"
)

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
