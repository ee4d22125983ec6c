package jinja

import "strings"

func (t *test) eval(s *scope) Value {
	return s.m.test(t.line, t.name, t.input.eval(s), t.args.values(s, t.line))
}

// operatorTests maps the names of tests to the operators that they apply.
var operatorTests = map[string]string{"==": "==", "eq": "==", "equalto": "==", "!=": "!=", "ne": "!=",
	">": ">", "gt": ">", "greaterthan": ">", ">=": ">=", "ge": ">=", "<": "<", "lt": "<", "lessthan": "<", "<=": "<=", "le": "<=", "in": "in"}

func (m *machine) test(line int, name string, v Value, a args) bool {
	m.step(1)
	if op, ok := operatorTests[name]; ok {
		x, _ := a.take(line, name, "other")
		return m.compare(line, op, v, x[0])
	}
	if name == "divisibleby" {
		x, _ := a.take(line, name, "num")
		return !truth((&binary{line, "%", constant{v}, constant{x[0]}}).eval(&scope{m: m}))
	}
	if name == "sameas" {
		x, _ := a.take(line, name, "other")
		return m.same(line, v, x[0])
	}
	f, ok := tests[name]
	if !ok {
		fail(line, "no test is named %q", name)
	}
	a.take(line, name)
	return f(m, line, v)
}

// same is Python's "is" for None and booleans. Other values are refused, because
// whether they are the same object depends on how Python stores them.
func (m *machine) same(line int, a, b Value) bool {
	for _, v := range []Value{a, b} {
		switch v.(type) {
		case nil, bool:
			return a == b
		}
	}
	fail(line, "sameas is supported for true, false and none")
	return false
}

var tests = map[string]func(m *machine, line int, v Value) bool{
	"defined":   func(_ *machine, _ int, v Value) bool { _, is := v.(undefined); return !is },
	"undefined": func(_ *machine, _ int, v Value) bool { _, is := v.(undefined); return is },
	"none":      func(_ *machine, _ int, v Value) bool { return v == nil },
	"true":      func(_ *machine, _ int, v Value) bool { return v == true },
	"false":     func(_ *machine, _ int, v Value) bool { return v == false },
	"boolean":   func(_ *machine, _ int, v Value) bool { _, is := v.(bool); return is },
	"integer":   func(_ *machine, _ int, v Value) bool { _, is := v.(int64); return is },
	"float":     func(_ *machine, _ int, v Value) bool { _, is := v.(float64); return is },
	"number":    func(_ *machine, _ int, v Value) bool { return numeric(v) },
	"string":    func(_ *machine, _ int, v Value) bool { _, is := v.(Text); return is },
	"mapping":   func(_ *machine, _ int, v Value) bool { _, is := v.(*Dict); return is },
	"callable": func(_ *machine, _ int, v Value) bool {
		switch v.(type) {
		case *function, *loopState:
			return true
		}
		return false
	},
	"iterable": func(_ *machine, _ int, v Value) bool {
		switch v.(type) {
		case Text, *List, *Dict, *generator, undefined, *loopState:
			return true
		}
		return false
	},
	"sequence": func(_ *machine, _ int, v Value) bool {
		switch v := v.(type) {
		case Text, *Dict, undefined:
			return true
		case *List:
			return v.kind != views
		}
		return false
	},
	"odd":  func(m *machine, line int, v Value) bool { return m.remainder(line, v) == 1 },
	"even": func(m *machine, line int, v Value) bool { return m.remainder(line, v) == 0 },
	"lower": func(m *machine, line int, v Value) bool {
		s := m.str(line, v).s
		return lower(s) == s && upper(s) != s
	},
	"upper": func(m *machine, line int, v Value) bool {
		s := m.str(line, v).s
		return upper(s) == s && lower(s) != s
	},
}

func (m *machine) remainder(line int, v Value) float64 {
	return number((&binary{line, "%", constant{v}, constant{int64(2)}}).eval(&scope{m: m}))
}

// contains is Python's operator in.
func (m *machine) contains(line int, in, v Value) bool {
	switch c := in.(type) {
	case Text:
		m.step(len(c.s) / 16)
		return strings.Contains(c.s, asText(line, "in", v).s)
	case *Dict:
		if _, ok := hash(v); !ok {
			fail(line, "a %s is no key", typeName(v))
		}
		_, ok := c.get(v)
		return ok
	}
	for _, x := range m.elements(line, in) {
		if m.equal(x, v) {
			return true
		}
	}
	return false
}
