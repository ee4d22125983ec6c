package segment

import (
	"regexp"
	"strings"
)

// longestShort bounds, in bytes, the spans that are looked for with a pattern.
const longestShort = 512

// longestElement bounds, in bytes, how far behind an opening tag its end is looked for.
const longestElement = 8 << 10

// near returns the line from i on, to a bound.
func (f *finder) near(i int) string { return f.line[i:min(len(f.line), i+longestShort)] }

var (
	note       = regexp.MustCompile(`^<<[^<>\n]*>>`)
	reference  = regexp.MustCompile(`^\[(?:\^?\d{1,4}|\^[\w-]{1,32}|\[[^\[\]\n]{1,80}\])\]`)
	linkTarget = regexp.MustCompile(`^\](?:\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"\n]*")?\)|\[[^\[\]\n]{1,80}\])`)
	tag        = regexp.MustCompile(`^<(?:/?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*|/)?|[A-Za-z][\w.+-]*:[^\s<>]+|[\w.+-]+@[\w.-]+)>`)
	printf     = regexp.MustCompile(`^%(?:\(\w+\))?(?:\d+\$)?[-+#0]?\d*(?:\.\d+)?[sdiufgGxXcr](?:\b|$)`)
	entity     = regexp.MustCompile(`^&(?:[A-Za-z]{2,8}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});`)
	field      = regexp.MustCompile(`^\{\{?\s*[\w.\-:!%]{0,64}\s*\}\}?`)
	object     = regexp.MustCompile(`^\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}`)
	command    = regexp.MustCompile(`^\\[A-Za-z]+\*?(?:\[[^\[\]]*\])?(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})*`)
)

// angle adds GSM8K's calculator notes, with their sum, and tags.
func (f *finder) angle(i int) int {
	if strings.HasPrefix(f.line[i:], "<<") {
		if m := note.FindString(f.near(i)); m != "" {
			return f.sum(i, i+len(m))
		}
		return i
	}
	if strings.HasPrefix(f.line[i:], "<!--") {
		if end := f.after(i+4, "-->"); end >= 0 {
			return f.add(i, end+3, Single)
		}
	}
	m := tag.FindString(f.near(i))
	switch {
	case m == "":
		return i
	case strings.ContainsAny(m, "@") && !strings.ContainsAny(m, " ="), strings.Contains(m, "://") && !strings.Contains(m, " "):
		return f.add(i, i+len(m), Content)
	case strings.HasPrefix(m, "</"):
		return f.add(i, i+len(m), Close)
	case strings.HasSuffix(m, "/>"), void[strings.ToLower(strings.Trim(m, "<>"))]:
		return f.add(i, i+len(m), Single)
	case !strings.Contains(f.line[i:min(len(f.line), i+longestElement)], "</"+name(m)):
		return f.add(i, i+len(m), Content) // <name>, to be filled in
	}
	return f.add(i, i+len(m), Open)
}

// name returns the name in an opening tag.
func name(tag string) string {
	n := strings.IndexAny(tag[1:], " \t/>")
	return tag[1 : 1+n]
}

// void are the tags without an end.
var void = map[string]bool{"br": true, "hr": true, "img": true, "wbr": true, "p": true, "li": true}

// percent adds placeholders such as %s and %(name)s, and entities such as &amp;.
func (f *finder) percent(i int) int {
	pattern := entity
	if f.line[i] == '%' {
		if pattern = printf; i > 0 && wordRune(rune(f.line[i-1])) {
			return i
		}
	}
	if m := pattern.FindString(f.near(i)); m != "" {
		return f.add(i, i+len(m), Content)
	}
	return i
}

// braces adds placeholders such as {name} and {{name}}, and objects such as {"a": 1}.
func (f *finder) braces(i int) int {
	if m := field.FindString(f.near(i)); m != "" {
		return f.add(i, i+len(m), Content)
	}
	if m := object.FindString(f.near(i)); strings.ContainsAny(m, `":=;`) {
		return f.add(i, i+len(m), Content)
	}
	return i
}

// command adds formulas in \( \) and \[ \], which may be of any length, and commands of
// LaTeX.
func (f *finder) command(i int) int {
	end := ""
	switch {
	case strings.HasPrefix(f.line[i:], `\(`):
		end = `\)`
	case strings.HasPrefix(f.line[i:], `\[`):
		end = `\]`
	}
	if end != "" {
		if at := f.after(i+2, end); at >= 0 {
			return f.add(i, at+2, Content)
		}
		return i + 2
	}
	if m := command.FindString(f.near(i)); len(m) > 2 || strings.Contains(m, "{") {
		return f.add(i, i+len(m), Content)
	}
	return min(i+2, len(f.line)) // an escaped character
}
