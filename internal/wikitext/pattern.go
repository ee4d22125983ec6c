package wikitext

import (
	"errors"
	"fmt"
	"strings"
)

// pattern is the text of a template in the data: words, {fields}, and [groups] that
// are left out if a field in them is empty. {a|b} is the first of its arguments that
// is not empty; a number is a positional argument, {-1} the last of them, {*} all of
// them behind commas and {+} all of them together. A backslash makes the next
// character text.
type pattern []node

type node struct {
	text  string
	keys  []string
	group pattern
}

// maxFields bounds the fields of a pattern: a template's output may only be so much
// longer than its arguments.
const maxFields = 12

func parsePattern(s string) (pattern, error) {
	p, rest, err := parseNodes(s, false)
	if err == nil && rest != "" {
		err = errors.New("] without [")
	}
	if err == nil && p.fields() > maxFields {
		err = fmt.Errorf("more than %d fields", maxFields)
	}
	return p, err
}

func (p pattern) fields() (n int) {
	for _, node := range p {
		if node.keys != nil {
			n++
		}
		n += node.group.fields()
	}
	return n
}

func parseNodes(s string, inGroup bool) (p pattern, rest string, err error) {
	for s != "" {
		i := strings.IndexAny(s, `{[]\`)
		if i < 0 {
			i = len(s)
		}
		if i > 0 {
			p = append(p, node{text: s[:i]})
			s = s[i:]
			continue
		}
		switch s[0] {
		case '\\':
			if len(s) < 2 {
				return nil, "", errors.New("a backslash at the end")
			}
			size := 1
			for size+1 < len(s) && s[size+1]&0xc0 == 0x80 { // the rest of a character
				size++
			}
			p = append(p, node{text: s[1 : size+1]})
			s = s[size+1:]
		case '{':
			key, after, ok := strings.Cut(s[1:], "}")
			if !ok || key == "" {
				return nil, "", errors.New("{ without a name and }")
			}
			p = append(p, node{keys: strings.Split(key, "|")})
			s = after
		case '[':
			var group pattern
			if group, s, err = parseNodes(s[1:], true); err != nil {
				return nil, "", err
			}
			p = append(p, node{group: group})
		case ']':
			if !inGroup {
				return p, s, nil
			}
			return p, s[1:], nil
		}
	}
	if inGroup {
		return nil, "", errors.New("[ without ]")
	}
	return p, "", nil
}

// expand appends the text for a template's arguments; ok is false if a field that
// is in no group is empty: then the template stands for nothing.
func (p pattern) expand(b []byte, a *arguments) (out []byte, ok bool) {
	ok = true
	for _, n := range p {
		switch {
		case n.keys != nil:
			text := field(n.keys, a)
			ok = ok && text != ""
			b = append(b, text...)
		case n.group != nil:
			at := len(b)
			var whole bool
			if b, whole = n.group.expand(b, a); !whole {
				b = b[:at]
			}
		default:
			b = append(b, n.text...)
		}
	}
	return b, ok
}

// field is the first argument of the keys that is not empty.
func field(keys []string, a *arguments) string {
	for _, key := range keys {
		text := ""
		switch n, number := digits(key); {
		case number:
			text = a.get(n)
		case key == "-1":
			text = a.get(a.count)
		case key == "*":
			text = a.join(", ")
		case key == "+":
			text = a.join("")
		default:
			text = a.name(key)
		}
		if text != "" {
			return text
		}
	}
	return ""
}

// join renders all positional arguments that are not empty.
func (a *arguments) join(separator string) string {
	var items []string
	for i := range a.list {
		if arg := &a.list[i]; arg.position > 0 {
			if text := a.text(arg); text != "" {
				items = append(items, text)
			}
		}
	}
	return strings.Join(items, separator)
}
