package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"barka/internal/pytext"
)

// unsupportedFilters and unsupportedTests are those of Jinja that this package lacks.
// Names that Jinja lacks too fail only when they are used, as in Jinja.
var (
	unsupportedFilters = words("attr batch center e escape filesizeformat forceescape groupby pprint random slice " +
		"striptags truncate urlencode urlize wordcount wordwrap xmlattr")
	unsupportedTests = words("escaped filter test")
)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(s) {
		out[w] = true
	}
	return out
}

func (f *filter) eval(s *scope) Value { return f.apply(s, f.input.eval(s)) }

func (f *filter) apply(s *scope, v Value) Value {
	return s.m.filter(f.line, f.name, v, f.args.values(s, f.line))
}

func (m *machine) filter(line int, name string, v Value, a args) Value {
	m.step(1)
	f, ok := filters[name]
	if !ok {
		fail(line, "no filter is named %q", name)
	}
	if t, ok := v.(Text); ok {
		m.touch(t)
	}
	return f(m, line, v, a)
}

type filterFunc = func(m *machine, line int, v Value, a args) Value

var filters map[string]filterFunc

func init() { // map and select look up other filters and tests by name
	filters = map[string]filterFunc{
		"default": filterDefault, "d": filterDefault,
		"length": filterLength, "count": filterLength,
		"string": func(m *machine, line int, v Value, _ args) Value { return m.str(line, v) },
		"safe": func(m *machine, line int, v Value, _ args) Value {
			t := m.str(line, v)
			t.safe = true
			return t
		},
		"trim": func(m *machine, line int, v Value, a args) Value {
			return stripper("trim", true, true)(m, line, m.str(line, v), a)
		},
		"upper": onText("upper"), "lower": onText("lower"), "capitalize": onText("capitalize"),
		"title":   func(m *machine, line int, v Value, _ args) Value { return titleFilter(m.str(line, v)) },
		"replace": filterReplace,
		"indent":  filterIndent,
		"format": func(m *machine, line int, v Value, a args) Value {
			if len(a.named) > 0 {
				return m.percent(line, m.str(line, v), dict(m, line, args{named: a.named}))
			}
			return m.percent(line, m.str(line, v), &List{Items: a.positional, kind: tuples})
		},
		"tojson": filterJSON,
		"join":   filterJoin,
		"list": func(m *machine, line int, v Value, _ args) Value {
			return NewList(slices.Clone(m.elements(line, v))...)
		},
		"first": func(m *machine, line int, v Value, _ args) Value { return edge(m.elements(line, v), 0) },
		"last": func(m *machine, line int, v Value, _ args) Value {
			items := m.elements(line, v)
			return edge(items, len(items)-1)
		},
		"reverse":  filterReverse,
		"items":    filterItems,
		"dictsort": filterDictSort,
		"sort":     filterSort,
		"unique":   filterUnique,
		"min":      extreme(-1), "max": extreme(1),
		"sum": filterSum,
		"map": filterMap,
		"int": filterInt, "float": filterFloat, "abs": filterAbs, "round": filterRound,
		"select": selector("select", false, true), "reject": selector("reject", false, false),
		"selectattr": selector("selectattr", true, true), "rejectattr": selector("rejectattr", true, false),
	}
}

// onText returns a filter that calls a method of str.
func onText(name string) filterFunc {
	return func(m *machine, line int, v Value, a args) Value {
		return textMethods[name](m, line, m.str(line, v), a)
	}
}

func edge(items []Value, i int) Value {
	if len(items) == 0 {
		return undefined{"the element of an empty sequence"}
	}
	return items[i]
}

func filterDefault(_ *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "default", "default_value", "boolean")
	if !given[0] {
		x[0] = Text{}
	}
	if _, none := v.(undefined); none || truth(x[1]) && !truth(v) {
		return x[0]
	}
	return v
}

func filterLength(m *machine, line int, v Value, _ args) Value {
	switch v := v.(type) {
	case Text:
		return int64(v.runes())
	case *List:
		return int64(len(v.Items))
	case *Dict:
		return int64(len(v.keys))
	case undefined:
		return int64(0)
	case *loopState:
		return int64(len(v.items))
	}
	fail(line, "a %s has no length", typeName(v))
	return nil
}

func filterReplace(m *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "replace", "old", "new", "count")
	count := -1
	if given[2] && x[2] != nil {
		count = asInt(line, "replace", x[2])
	}
	return m.replace(line, m.str(line, v), m.str(line, x[0]), m.str(line, x[1]), count)
}

// filterIndent is Jinja's indent. It appends a newline before it splits lines, so that
// a newline at the end is kept.
func filterIndent(m *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "indent", "width", "first", "blank")
	by := Text{s: "    "}
	if given[0] {
		if t, ok := x[0].(Text); ok {
			by = t
		} else {
			by = Text{s: strings.Repeat(" ", min(max(asInt(line, "indent", x[0]), 0), 1000))}
		}
	}
	t := m.str(line, v)
	m.repeated(len(by.s), int64(strings.Count(t.s, "\n")+1))
	m.copied(len(t.s))
	var w builder
	if truth(x[1]) {
		w.put(by)
	}
	for i, l := range concat(t, Text{s: "\n"}).lines(false) {
		if i > 0 {
			w.write("\n")
			if l.s != "" || truth(x[2]) {
				w.put(by)
			}
		}
		w.put(l)
	}
	return w.text()
}

func filterJoin(m *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "join", "d", "attribute")
	var sep Text
	if given[0] {
		sep = m.str(line, x[0])
	}
	var w builder
	for i, item := range m.elements(line, v) {
		if given[1] && x[1] != nil {
			item = m.path(line, item, x[1], nil)
		}
		if i > 0 {
			w.put(sep)
		}
		t := m.str(line, item)
		m.copied(len(sep.s) + len(t.s))
		w.put(t)
	}
	return w.text()
}

func filterReverse(m *machine, line int, v Value, _ args) Value {
	items := slices.Clone(m.elements(line, v))
	slices.Reverse(items)
	if _, ok := v.(Text); ok {
		var w builder
		for _, c := range items {
			w.put(c.(Text))
		}
		return w.text()
	}
	return &generator{items}
}

func filterItems(_ *machine, line int, v Value, _ args) Value {
	switch v := v.(type) {
	case *Dict:
		return &generator{v.items().Items}
	case undefined:
		return &generator{}
	}
	fail(line, "items: a %s where a dict was expected", typeName(v))
	return nil
}

// path follows a dotted attribute, as in map(attribute="function.name").
func (m *machine) path(line int, v, path, otherwise Value) Value {
	var parts []Value
	if i, ok := integral(path); ok {
		parts = []Value{i}
	} else {
		for _, p := range asText(line, "attribute", path).split(".", -1) {
			if i, err := strconv.ParseInt(p.s, 10, 64); err == nil && i >= 0 {
				parts = append(parts, i)
			} else {
				parts = append(parts, p)
			}
		}
	}
	for _, p := range parts {
		v = (&item{line, constant{v}, constant{p}}).eval(&scope{m: m})
		if _, none := v.(undefined); none && otherwise != nil {
			v = otherwise
		}
	}
	return v
}

func filterMap(m *machine, line int, v Value, a args) Value {
	if !truth(v) {
		return &generator{} // also for none, as in Jinja
	}
	items := m.elements(line, v)
	out := make([]Value, len(items))
	if len(a.positional) == 0 {
		x, _ := a.take(line, "map", "attribute", "default")
		for i, item := range items {
			out[i] = m.path(line, item, x[0], x[1])
		}
		return &generator{out}
	}
	name := asText(line, "map", a.positional[0]).s
	for i, item := range items {
		out[i] = m.filter(line, name, item, args{a.positional[1:], a.named})
	}
	return &generator{out}
}

// selector returns select, reject, selectattr or rejectattr.
func selector(of string, byAttribute, keep bool) filterFunc {
	return func(m *machine, line int, v Value, a args) Value {
		if !truth(v) {
			return &generator{}
		}
		var path Value
		if byAttribute {
			if len(a.positional) == 0 {
				fail(line, "%s needs an attribute", of)
			}
			path, a.positional = a.positional[0], a.positional[1:]
		}
		out := &generator{}
		for _, item := range m.elements(line, v) {
			x := item
			if byAttribute {
				x = m.path(line, item, path, nil)
			}
			is := truth(x)
			if len(a.positional) > 0 {
				is = m.test(line, asText(line, of, a.positional[0]).s, x, args{a.positional[1:], a.named})
			}
			if is == keep {
				out.items = append(out.items, item)
			}
		}
		return out
	}
}

func filterInt(m *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "int", "default", "base")
	if !given[0] {
		x[0] = int64(0)
	}
	base := 10
	if given[1] {
		if base = asInt(line, "int", x[1]); base < 2 || base > 36 {
			fail(line, "int: base %d is not supported", base)
		}
	}
	switch v := v.(type) {
	case bool, int64:
		i, _ := integral(v)
		return i
	case float64:
		if math.Abs(v) < 1<<62 {
			return int64(v)
		}
	case Text:
		s := strings.TrimFunc(v.s, pytext.IsSpace)
		digits := strings.ReplaceAll(s, "_", "")
		for _, prefix := range map[int][]string{2: {"0b", "0B"}, 8: {"0o", "0O"}, 16: {"0x", "0X"}}[base] {
			digits = strings.TrimPrefix(digits, prefix)
		}
		if i, err := strconv.ParseInt(digits, base, 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
			return int64(f)
		}
	}
	return x[0]
}

func filterFloat(_ *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "float", "default")
	if !given[0] {
		x[0] = 0.0
	}
	if numeric(v) {
		return number(v)
	}
	if t, ok := v.(Text); ok {
		if f, err := strconv.ParseFloat(strings.TrimFunc(t.s, pytext.IsSpace), 64); err == nil {
			return f
		}
	}
	return x[0]
}

func filterAbs(_ *machine, line int, v Value, _ args) Value {
	if i, ok := integral(v); ok && i != math.MinInt64 {
		return max(i, -i)
	}
	f, ok := v.(float64)
	if !ok {
		fail(line, "abs of a %s", typeName(v))
	}
	return math.Abs(f)
}

func filterRound(_ *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "round", "precision", "method")
	if given[0] && x[0] != int64(0) || given[1] {
		fail(line, "round with arguments is not supported in chat templates")
	}
	if !numeric(v) {
		fail(line, "round of a %s", typeName(v))
	}
	return math.RoundToEven(number(v))
}
