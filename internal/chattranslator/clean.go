package chattranslator

import (
	"regexp"
	"strings"

	"barka/internal/modeltext"
)

var (
	// announcement says that a translation follows. A line that does not speak of a
	// translation may be one.
	announcement = regexp.MustCompile(`(?i)^(?:(?:sure|certainly|of course|absolutely|okay|بالتأكيد|بالطبع|حسنًا)\s*[,،!.:]\s*)?` +
		`(?:(?:here(?:'s|’s| is| are)|this is|below is)\b[^\n:]{0,80}\btranslat[^\n:]{0,80}:` +
		`|the (?:\pL+ )?translation\b[^\n:]{0,80}:|(?:إليكم?|هذه هي|ها هي)[^\n:]{0,60}ترجم[^\n:]{0,60}:|ترجمة (?:النص|الجملة)[^\n:]{0,60}:)\s*`)
	// courtesy is the model's, unless the source begins with the like.
	courtesy = regexp.MustCompile(`(?i)^(?:sure|certainly|absolutely|of course)\s*[,!.:]\s+`)
	label    = regexp.MustCompile(`(?i)^(?:\*\*)?(?:translation|translated text|output|(?:ال)?ترجمة)(?:\*\*)? ?:(?:\*\*)?\s*`)
	// refusal is an answer about the request instead of a translation.
	refusal = regexp.MustCompile(`(?i)^(?:i(?:'m| am|’m) (?:sorry|unable|not able)|i (?:cannot|can(?:'|’)?t|am not able to) ` +
		`|sorry, (?:but )?i |as an ai\b|as a language model\b)`)
)

// clean takes off what the model put around a translation of a source into a language.
// What the source has itself is kept: quotation marks, a label, more lines.
func clean(answer, source, to string) string {
	var forms []*regexp.Regexp
	named := regexp.MustCompile(`(?i)^(?:\*\*)?` + regexp.QuoteMeta(to) + `(?: (?:translation|text))?(?:\*\*)? ?:(?:\*\*)?\s*`)
	for _, form := range []*regexp.Regexp{announcement, courtesy, label, named} {
		if !form.MatchString(source) {
			forms = append(forms, form)
		}
	}
	quoted := strings.TrimSpace(modeltext.Unquoted(strings.TrimSpace(source))) != strings.TrimSpace(source)
	cleaned := modeltext.Clean
	if quoted {
		cleaned = modeltext.CleanQuoted
	}
	text := cleaned(answer, forms...)
	if strings.Contains(strings.TrimSpace(source), "\n") {
		return text
	}
	// A text of one line has a translation of one line, in a table or a list as well. What
	// follows is the model's: notes, other versions, the text again.
	line, _, _ := strings.Cut(text, "\n")
	return cleaned(line, forms...)
}

// refuses reports whether an answer is about the request. The source may be such a text
// itself.
func refuses(answer, source string) bool {
	return refusal.MatchString(answer) && !refusal.MatchString(strings.TrimSpace(source))
}
