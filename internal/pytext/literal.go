package pytext

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// StringList reads a Python list (or tuple) literal of strings, as
// ast.literal_eval does: both quote characters, triple quotes, the usual
// escapes, adjacent strings joined, an optional trailing comma.
func StringList(text string) ([]string, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("not UTF-8 text")
	}
	p := literal{rest: text}
	items, err := p.list()
	if err != nil {
		at := utf8.RuneCountInString(text[:len(text)-len(p.rest)]) + 1
		return nil, fmt.Errorf("not a Python list of strings: %w at character %d", err, at)
	}
	return items, nil
}

type literal struct{ rest string }

func (p *literal) space() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n\f")
}

func (p *literal) list() ([]string, error) {
	p.space()
	closing := map[byte]byte{'[': ']', '(': ')'}
	if p.rest == "" || closing[p.rest[0]] == 0 {
		return nil, fmt.Errorf("expected [")
	}
	end := closing[p.rest[0]]
	p.rest = p.rest[1:]
	items := []string{}
	for {
		p.space()
		if p.rest != "" && p.rest[0] == end {
			p.rest = p.rest[1:]
			p.space()
			if p.rest != "" {
				return nil, fmt.Errorf("text after the list")
			}
			return items, nil
		}
		item, err := p.joined()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		switch {
		case p.rest == "":
			return nil, fmt.Errorf("the list is not closed")
		case p.rest[0] == ',':
			p.rest = p.rest[1:]
		case p.rest[0] != end:
			return nil, fmt.Errorf("expected a comma or %q", end)
		}
	}
}

// joined reads one or more adjacent string literals.
func (p *literal) joined() (string, error) {
	var all strings.Builder
	for n := 0; ; n++ {
		if p.rest == "" || !strings.ContainsAny(p.rest[:1], `'"`) {
			if n == 0 {
				return "", fmt.Errorf("expected a quoted string")
			}
			return all.String(), nil
		}
		s, err := p.quoted()
		if err != nil {
			return "", err
		}
		all.WriteString(s)
		p.space()
	}
}

func (p *literal) quoted() (string, error) {
	quote := p.rest[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(p.rest, triple) {
		quote = triple
	}
	p.rest = p.rest[len(quote):]
	var b strings.Builder
	for {
		switch {
		case p.rest == "":
			return "", fmt.Errorf("a string is not closed")
		case strings.HasPrefix(p.rest, quote):
			p.rest = p.rest[len(quote):]
			return b.String(), nil
		case p.rest[0] == '\n' && len(quote) == 1:
			return "", fmt.Errorf("a line break inside a string")
		case p.rest[0] == '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(p.rest[0])
			p.rest = p.rest[1:]
		}
	}
}

var simpleEscapes = map[byte]string{
	'\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f",
	'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", '\n': "",
}

func (p *literal) escape(b *strings.Builder) error {
	if len(p.rest) < 2 {
		return fmt.Errorf("a string ends in a backslash")
	}
	c := p.rest[1]
	if s, ok := simpleEscapes[c]; ok {
		b.WriteString(s)
		p.rest = p.rest[2:]
		return nil
	}
	digits, base, start := 0, 16, 2
	switch {
	case c == 'x':
		digits = 2
	case c == 'u':
		digits = 4
	case c == 'U':
		digits = 8
	case c == 'N':
		return fmt.Errorf("a character by its name (\\N), which is not supported")
	case c >= '0' && c <= '7':
		base, start = 8, 1
		for digits < 3 && start+digits < len(p.rest) && p.rest[start+digits] >= '0' && p.rest[start+digits] <= '7' {
			digits++
		}
	default: // unknown escapes keep their backslash
		b.WriteByte('\\')
		p.rest = p.rest[1:]
		return nil
	}
	if len(p.rest) < start+digits {
		return fmt.Errorf("an incomplete escape")
	}
	v, err := strconv.ParseUint(p.rest[start:start+digits], base, 32)
	if err != nil || v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
		return fmt.Errorf("an invalid escape %q", p.rest[:start+digits])
	}
	b.WriteRune(rune(v))
	p.rest = p.rest[start+digits:]
	return nil
}
