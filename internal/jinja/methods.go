package jinja

import (
	"strings"
	"unicode"

	"barka/internal/pytext"
)

// method returns a method of a text or dict, bound to it. Methods that modify their
// object are refused, as in Jinja's sandbox.
func method(o Value, name string) (Value, bool) {
	var call func(m *machine, line int, a args) Value
	switch o := o.(type) {
	case Text:
		f, ok := textMethods[name]
		if !ok {
			if !textUnsupported[name] {
				return nil, false
			}
			f = func(_ *machine, line int, _ Text, _ args) Value {
				fail(line, "the method %s of a text is not supported in chat templates", name)
				return nil
			}
		}
		call = func(m *machine, line int, a args) Value { m.touch(o); return f(m, line, o, a) }
	case *Dict:
		f, ok := dictMethods[name]
		if !ok {
			return nil, false
		}
		call = func(m *machine, line int, a args) Value { m.step(len(o.keys)); return f(m, line, o, a) }
	case *List:
		f, ok := listMethods[name]
		if !ok {
			return nil, false
		}
		call = func(m *machine, line int, a args) Value { m.step(len(o.Items)); return f(m, line, o, a) }
	default:
		return nil, false
	}
	return &function{name, call}, true
}

type textMethod = func(m *machine, line int, t Text, a args) Value

// stripper returns strip, lstrip or rstrip.
func stripper(name string, left, right bool) textMethod {
	return func(_ *machine, line int, t Text, a args) Value {
		v, _ := a.take(line, name, "chars")
		cut := pytext.IsSpace
		if v[0] != nil {
			chars := asText(line, name, v[0]).s
			cut = func(r rune) bool { return strings.ContainsRune(chars, r) }
		}
		return t.stripped(left, right, cut)
	}
}

// affix returns startswith or endswith, which accept a text or a tuple of texts.
func affix(name string, has func(s, affix string) bool) textMethod {
	return func(m *machine, line int, t Text, a args) Value {
		v, _ := a.take(line, name, "affix")
		options := []Value{v[0]}
		if l, ok := v[0].(*List); ok && l.kind == tuples {
			options = m.elements(line, l)
		}
		for _, o := range options {
			if has(t.s, asText(line, name, o).s) {
				return true
			}
		}
		return false
	}
}

// splitter returns split or rsplit.
func splitter(name string, by func(t Text, sep string, limit int) []Text) textMethod {
	return func(m *machine, line int, t Text, a args) Value {
		v, given := a.take(line, name, "sep", "maxsplit")
		limit := -1
		if given[1] {
			limit = asInt(line, name, v[1])
		}
		var parts []Text
		switch {
		case v[0] != nil:
			sep := asText(line, name, v[0]).s
			if sep == "" {
				fail(line, "%s: the separator is empty", name)
			}
			parts = by(t, sep, limit)
		case name == "rsplit" && limit >= 0:
			fail(line, "rsplit at white space with a limit is not supported")
		default:
			parts = t.fields(limit)
		}
		return listOf(m, parts)
	}
}

func listOf(m *machine, parts []Text) *List {
	m.step(len(parts))
	out := NewList()
	for _, p := range parts {
		out.Items = append(out.Items, p)
	}
	return out
}

func mapped(name string, f func(string) string) textMethod {
	return func(_ *machine, line int, t Text, a args) Value {
		a.take(line, name)
		return t.each(f)
	}
}

// every returns a method that tests all characters of a text that is not empty.
func every(name string, f func(rune) bool) textMethod {
	return func(_ *machine, line int, t Text, a args) Value {
		a.take(line, name)
		return t.s != "" && strings.IndexFunc(t.s, func(r rune) bool { return !f(r) }) < 0
	}
}

func finder(name string, find func(s, sub string) int) textMethod {
	return func(_ *machine, line int, t Text, a args) Value {
		v, _ := a.take(line, name, "sub")
		i := find(t.s, asText(line, name, v[0]).s)
		if i < 0 {
			return int64(-1)
		}
		return int64(t.slice(0, i).runes())
	}
}

var textMethods map[string]textMethod

// textUnsupported holds Python's other methods. They must be refused; otherwise a
// template would find them undefined and take another branch.
var textUnsupported = map[string]bool{}

func init() {
	for _, n := range strings.Fields("casefold center encode expandtabs format_map isidentifier isprintable istitle " +
		"ljust maketrans rjust swapcase translate zfill isnumeric isdecimal rindex") {
		textUnsupported[n] = true
	}
	textMethods = map[string]textMethod{
		"strip": stripper("strip", true, true), "lstrip": stripper("lstrip", true, false), "rstrip": stripper("rstrip", false, true),
		"startswith": affix("startswith", strings.HasPrefix), "endswith": affix("endswith", strings.HasSuffix),
		"split": splitter("split", Text.split), "rsplit": splitter("rsplit", Text.rsplit),
		"upper": mapped("upper", upper), "lower": mapped("lower", lower),
		"title":      func(_ *machine, line int, t Text, a args) Value { a.take(line, "title"); return titled(t) },
		"capitalize": func(_ *machine, line int, t Text, a args) Value { a.take(line, "capitalize"); return capitalized(t) },
		"isspace":    every("isspace", pytext.IsSpace), "isalpha": every("isalpha", unicode.IsLetter),
		"isdigit": every("isdigit", unicode.IsDigit), "isalnum": every("isalnum",
			func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isascii": func(_ *machine, _ int, t Text, _ args) Value {
			return strings.IndexFunc(t.s, func(r rune) bool { return r > 127 }) < 0
		},
		"isupper": func(_ *machine, _ int, t Text, _ args) Value { return upper(t.s) == t.s && lower(t.s) != t.s },
		"islower": func(_ *machine, _ int, t Text, _ args) Value { return lower(t.s) == t.s && upper(t.s) != t.s },
		"find":    finder("find", strings.Index), "rfind": finder("rfind", strings.LastIndex),
		"index":      textIndex,
		"count":      textCount,
		"replace":    textReplace,
		"join":       textJoin,
		"splitlines": textLines,
		"format":     func(m *machine, line int, t Text, a args) Value { return m.format(line, t, a) },
		"removeprefix": func(_ *machine, line int, t Text, a args) Value {
			v, _ := a.take(line, "removeprefix", "prefix")
			if p := asText(line, "removeprefix", v[0]).s; strings.HasPrefix(t.s, p) {
				return t.slice(len(p), len(t.s))
			}
			return t
		},
		"removesuffix": func(_ *machine, line int, t Text, a args) Value {
			v, _ := a.take(line, "removesuffix", "suffix")
			if p := asText(line, "removesuffix", v[0]).s; strings.HasSuffix(t.s, p) {
				return t.slice(0, len(t.s)-len(p))
			}
			return t
		},
		"partition": func(_ *machine, line int, t Text, a args) Value {
			v, _ := a.take(line, "partition", "sep")
			return partition(line, t, asText(line, "partition", v[0]), strings.Index, false)
		},
		"rpartition": func(_ *machine, line int, t Text, a args) Value {
			v, _ := a.take(line, "rpartition", "sep")
			return partition(line, t, asText(line, "rpartition", v[0]), strings.LastIndex, true)
		},
	}
}

func partition(line int, t, sep Text, find func(s, sub string) int, last bool) Value {
	if sep.s == "" {
		fail(line, "partition: the separator is empty")
	}
	parts := []Value{t, Text{}, Text{}}
	if i := find(t.s, sep.s); i >= 0 {
		parts = []Value{t.slice(0, i), sep, t.slice(i+len(sep.s), len(t.s))}
	} else if last {
		parts = []Value{Text{}, Text{}, t}
	}
	return &List{Items: parts, kind: tuples}
}

func textIndex(m *machine, line int, t Text, a args) Value {
	i := finder("index", strings.Index)(m, line, t, a)
	if i == int64(-1) {
		fail(line, "index: substring not found")
	}
	return i
}

func textCount(_ *machine, line int, t Text, a args) Value {
	v, _ := a.take(line, "count", "sub")
	return int64(strings.Count(t.s, asText(line, "count", v[0]).s))
}

func textReplace(m *machine, line int, t Text, a args) Value {
	v, given := a.take(line, "replace", "old", "new", "count")
	count := -1
	if given[2] {
		count = asInt(line, "replace", v[2])
	}
	return m.replace(line, t, asText(line, "replace", v[0]), asText(line, "replace", v[1]), count)
}

func (m *machine) replace(_ int, t, old, with Text, count int) Text {
	m.repeated(len(with.s), int64(strings.Count(t.s, old.s)))
	m.copied(len(t.s))
	return t.replaced(old, with, count)
}

func textJoin(m *machine, line int, t Text, a args) Value {
	v, _ := a.take(line, "join", "iterable")
	var w builder
	for i, x := range m.elements(line, v[0]) {
		if i > 0 {
			w.put(t)
		}
		s := asText(line, "join", x)
		m.copied(len(t.s) + len(s.s))
		w.put(s)
	}
	return w.text()
}

func textLines(m *machine, line int, t Text, a args) Value {
	v, _ := a.take(line, "splitlines", "keepends")
	return listOf(m, t.lines(truth(v[0])))
}

var dictMethods = map[string]func(m *machine, line int, d *Dict, a args) Value{
	"items": func(_ *machine, line int, d *Dict, a args) Value { a.take(line, "items"); return d.items() },
	"keys": func(_ *machine, line int, d *Dict, a args) Value {
		a.take(line, "keys")
		return &List{Items: d.keys, kind: views}
	},
	"values": func(_ *machine, line int, d *Dict, a args) Value {
		a.take(line, "values")
		return &List{Items: d.values, kind: views}
	},
	"get": func(_ *machine, line int, d *Dict, a args) Value {
		v, _ := a.take(line, "get", "key", "default")
		if x, ok := d.get(v[0]); ok {
			return x
		}
		return v[1]
	},
	"copy": func(_ *machine, line int, d *Dict, a args) Value {
		out := NewDict()
		for i, k := range d.keys {
			out.set(k, d.values[i])
		}
		return out
	},
	"pop": unsafe[*Dict]("pop", "dict"), "popitem": unsafe[*Dict]("popitem", "dict"), "update": unsafe[*Dict]("update", "dict"),
	"clear": unsafe[*Dict]("clear", "dict"), "setdefault": unsafe[*Dict]("setdefault", "dict"),
}

func (d *Dict) items() *List {
	out := &List{kind: views}
	for i, k := range d.keys {
		out.Items = append(out.Items, &List{Items: []Value{k, d.values[i]}, kind: tuples})
	}
	return out
}

var listMethods = map[string]func(m *machine, line int, l *List, a args) Value{
	"index": func(m *machine, line int, l *List, a args) Value {
		v, _ := a.take(line, "index", "value")
		for i, x := range l.Items {
			if m.equal(x, v[0]) {
				return int64(i)
			}
		}
		fail(line, "index: the value is not in the list")
		return nil
	},
	"count": func(m *machine, line int, l *List, a args) Value {
		v, _ := a.take(line, "count", "value")
		n := int64(0)
		for _, x := range l.Items {
			if m.equal(x, v[0]) {
				n++
			}
		}
		return n
	},
	"copy":   func(_ *machine, _ int, l *List, _ args) Value { return NewList(l.Items...) },
	"append": unsafe[*List]("append", "list"), "extend": unsafe[*List]("extend", "list"), "insert": unsafe[*List]("insert", "list"),
	"pop": unsafe[*List]("pop", "list"), "remove": unsafe[*List]("remove", "list"), "clear": unsafe[*List]("clear", "list"),
	"sort": unsafe[*List]("sort", "list"), "reverse": unsafe[*List]("reverse", "list"),
}

func unsafe[T any](name, of string) func(*machine, int, T, args) Value {
	return func(_ *machine, line int, _ T, _ args) Value {
		fail(line, "the method %s changes a %s, which the sandbox of chat templates forbids", name, of)
		return nil
	}
}
