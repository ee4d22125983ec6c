package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
)

// listed returns the style in which a message lists the options, all of them in order and
// word for word; "" if it does not.
func listed(user string, options []string) string {
	for _, style := range styles {
		if strings.Contains("\n"+user+"\n", "\n"+list(options, style)+"\n") {
			return style
		}
	}
	return ""
}

// names returns an error unless a line of the answer names the right option, and none names
// another: by its text, by a mark of the kind that the list has, by both, or by "The second
// option". A number that is both a mark and the text of another option is ambiguous.
func names(answer string, options []string, gold int, style string) error {
	named := false
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		for i, o := range options {
			switch {
			case !namesOption(line, o, i, style):
			case i != gold:
				return fmt.Errorf("the line %q of the answer names option %d (%s), the right one is option %d (%s)",
					line, i+1, o, gold+1, options[gold])
			default:
				named = true
			}
		}
	}
	if !named {
		return fmt.Errorf("the answer %q does not name the right option, %s, on a line of its own", answer, options[gold])
	}
	return nil
}

func namesOption(line, option string, i int, style string) bool {
	if line == option || strings.HasPrefix(line, "The "+ordinals[i]+" option") {
		return true
	}
	for _, s := range styles {
		if style != "-" && strings.Contains(s, style[:1]) && (line == mark(s, i) || line == mark(s[:1], i) || line == mark(s, i)+" "+option) {
			return true
		}
	}
	return false
}

// verifier compares a row's messages with the row they were made of.
type verifier struct {
	row   *row
	clean func(string) string // what the set removes from its texts; nil for nothing
}

// piece is a text of an item as it was read, before it was cleaned.
type piece struct{ name, text string }

// pieces are the texts of an item that its messages must show.
func (it *item) pieces() []piece {
	all := []piece{{"passage", it.context}, {"question", it.question}}
	for i, o := range it.options {
		all = append(all, piece{fmt.Sprintf("option %d", i+1), o})
	}
	return all
}

// check returns a badinput error that names row and field if a piece is no text of the row,
// or if the messages lack one. rewritten says that a model worded the question.
func (v *verifier) check(pieces []piece, it item, messages []chat.Message, template string, rewritten bool) error {
	user, assistant := messages[len(messages)-2].Content, messages[len(messages)-1].Content
	flat := words(user)
	for _, p := range pieces {
		want := words(p.text)
		field := v.field(want)
		switch {
		case field == "":
			return badinput.Errorf("%s: %s (%q) is not a text of the row: a defect of convert; please report it", v.row.where, p.name, p.text)
		case rewritten && p.name == "question":
		case !strings.Contains(flat, want):
			return badinput.Errorf("%s: field %s (%s) is not whole in the user's message of template %s: %q is missing from %q",
				v.row.where, field, p.name, template, p.text, user)
		}
	}
	if answer := words(it.answer); !strings.Contains(words(assistant), answer) {
		return badinput.Errorf("%s: the row's answer is not whole in the assistant's message of template %s: %q is missing from %q",
			v.row.where, template, it.answer, assistant)
	}
	if len(it.options) == 0 {
		return nil
	}
	style := listed(user, it.options)
	if style == "" {
		return badinput.Errorf("%s: the options are not word for word and in order in the user's message of template %s: %q",
			v.row.where, template, user)
	}
	if err := names(assistant, it.options, it.gold, style); err != nil {
		return badinput.Errorf("%s: template %s: %w", v.row.where, template, err)
	}
	return nil
}

// field returns the name of the row's field that holds a text, without blanks and marks.
// Two neighbouring fields may hold it together.
func (v *verifier) field(want string) string {
	if want == "" {
		return "(empty)"
	}
	var names, texts []string
	collect(v.row.fields, "", func(name, text string) {
		if v.clean != nil {
			text = v.clean(text)
		}
		names, texts = append(names, name), append(texts, words(text))
	})
	for i, t := range texts {
		if strings.Contains(t, want) {
			return names[i]
		}
		if i > 0 && strings.Contains(texts[i-1]+t, want) {
			return names[i-1] + " and " + names[i]
		}
	}
	return ""
}

// collect calls f for every text of a value, with its path.
func collect(v any, path string, f func(path, text string)) {
	switch v := v.(type) {
	case string:
		f(path, v)
	case []any:
		for i, e := range v {
			collect(e, fmt.Sprintf("%s[%d]", path, i), f)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			name := k
			if path != "" {
				name = path + "." + k
			}
			collect(v[k], name, f)
		}
	}
}
