package jinja

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"barka/internal/pytext"
)

func upper(s string) string { return cases.Upper(language.Und).String(s) }
func lower(s string) string { return cases.Lower(language.Und).String(s) }

// escaped reports whether Markup would change the text.
func escaped(s string) bool { return strings.ContainsAny(s, `&<>'"`) }

// headTail maps the first character of a text by head and the others by tail.
func headTail(t Text, head, tail func(string) string) Text {
	_, n := utf8.DecodeRuneInString(t.s)
	return concat(t.slice(0, n).each(head), t.slice(n, len(t.s)).each(tail))
}

func titleRune(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	if t := unicode.ToTitle(r); t != r {
		return string(t)
	}
	u := upper(s) // ß becomes SS, of which only the first letter stays a capital
	_, n := utf8.DecodeRuneInString(u)
	return u[:n] + lower(u[n:])
}

func capitalized(t Text) Text { return headTail(t, titleRune, lower) }

// titled is str.title: every letter that does not follow a letter is a capital.
func titled(t Text) Text {
	inside := false
	return t.each(func(s string) string {
		var b strings.Builder
		for _, r := range s {
			switch {
			case inside:
				b.WriteString(lower(string(r)))
			default:
				b.WriteString(titleRune(string(r)))
			}
			inside = unicode.IsLetter(r)
		}
		return b.String()
	})
}

// titleFilter is Jinja's title, in which words start after white space, hyphens and
// opening brackets.
func titleFilter(t Text) Text {
	var w builder
	start := 0
	for i, r := range t.s + " " {
		if i < len(t.s) && !pytext.IsSpace(r) && !strings.ContainsRune("-({[<", r) {
			continue
		}
		w.put(headTail(t.slice(start, i), upper, lower))
		if i == len(t.s) {
			break
		}
		w.put(t.slice(i, i+utf8.RuneLen(r)))
		start = i + utf8.RuneLen(r)
	}
	return w.text()
}

// percent is Python's % on a text: %s, %d, %r and %%.
func (m *machine) percent(line int, t Text, v Value) Value {
	values := []Value{v}
	if l, ok := v.(*List); ok && l.kind == tuples {
		values = l.Items
	}
	var w builder
	next := func() Value {
		if len(values) == 0 {
			fail(line, "too few values for the %% format")
		}
		x := values[0]
		values = values[1:]
		return x
	}
	at := 0
	for {
		i := strings.IndexByte(t.s[at:], '%')
		if i < 0 || at+i+1 >= len(t.s) {
			break
		}
		w.put(t.slice(at, at+i))
		switch c := t.s[at+i+1]; c {
		case '%':
			w.write("%")
		case 's':
			w.put(m.str(line, next()))
		case 'd', 'i':
			n, ok := integral(next())
			if !ok {
				fail(line, "%%d of something that is no integer")
			}
			w.write(strconv.FormatInt(n, 10))
		case 'r':
			m.repr(line, &w, next(), 0)
		default:
			fail(line, "%%%c in a format is not supported", c)
		}
		m.copied(w.b.Len() / 4)
		at += i + 2
	}
	w.put(t.slice(at, len(t.s)))
	if _, ok := v.(*Dict); len(values) > 0 && !ok {
		fail(line, "too many values for the %% format")
	}
	return w.text()
}

// format is str.format with plain fields: {}, {0} and {name}.
func (m *machine) format(line int, t Text, a args) Value {
	var w builder
	next, at := 0, 0
	for at < len(t.s) {
		i := strings.IndexAny(t.s[at:], "{}")
		if i < 0 {
			break
		}
		w.put(t.slice(at, at+i))
		at += i
		if strings.HasPrefix(t.s[at:], "{{") || strings.HasPrefix(t.s[at:], "}}") {
			w.put(t.slice(at, at+1))
			at += 2
			continue
		}
		n := strings.IndexByte(t.s[at:], '}')
		if t.s[at] == '}' || n < 0 {
			fail(line, "format: a brace without its partner")
		}
		v := a.field(line, t.s[at+1:at+n], &next)
		s := m.str(line, v)
		m.copied(w.b.Len()/4 + len(s.s))
		w.put(s)
		at += n + 1
	}
	w.put(t.slice(at, len(t.s)))
	return w.text()
}

func (a args) field(line int, field string, next *int) Value {
	i, err := *next, error(nil)
	if field == "" {
		*next++
	} else if i, err = strconv.Atoi(field); err != nil {
		for _, n := range a.named {
			if n.name == field {
				return n.value
			}
		}
		fail(line, "format: the field {%s} is not supported or has no value", field)
	}
	if i < 0 || i >= len(a.positional) {
		fail(line, "format: no value for a field")
	}
	return a.positional[i]
}

var dateLayouts = map[byte]string{'d': "02", 'm': "01", 'Y': "2006", 'y': "06", 'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06",
	'R': "15:04", 'h': "Jan"}

// strftime writes a time with English names, as in Python's C locale.
func strftime(line int, now time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		plain := i < len(format) && format[i] == '-' // GNU: no leading zeros
		if plain {
			i++
		}
		if i >= len(format) {
			fail(line, "strftime_now: the format ends with %%")
		}
		layout, ok := dateLayouts[format[i]]
		switch {
		case format[i] == '%' && !plain:
			b.WriteByte('%')
		case !ok:
			fail(line, "strftime_now: %%%c is not supported", format[i])
		case plain:
			s := strings.TrimLeft(now.Format(layout), "0")
			if s == "" {
				s = "0"
			}
			b.WriteString(s)
		default:
			b.WriteString(now.Format(layout))
		}
	}
	return b.String()
}
