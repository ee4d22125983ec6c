package jinja

import "slices"

// args are the values of the arguments of a call.
type args struct {
	positional []Value
	named      []namedValue
}

type namedValue struct {
	name  string
	value Value
}

// take binds arguments to parameters by position and by name. Missing ones are nil;
// given tells which are present.
func (a args) take(line int, of string, params ...string) (values []Value, given []bool) {
	values, given = make([]Value, len(params)), make([]bool, len(params))
	if len(a.positional) > len(params) {
		fail(line, "%s takes %d arguments, not %d", of, len(params), len(a.positional))
	}
	for i, v := range a.positional {
		values[i], given[i] = v, true
	}
	for _, n := range a.named {
		i := slices.Index(params, n.name)
		if i < 0 || given[i] {
			fail(line, "%s: unexpected argument %s", of, n.name)
		}
		values[i], given[i] = n.value, true
	}
	return values, given
}

// asText returns a value that must be a text.
func asText(line int, of string, v Value) Text {
	t, ok := v.(Text)
	if !ok {
		fail(line, "%s: a %s where a text was expected", of, typeName(v))
	}
	return t
}

// asInt returns a value that must be an integer.
func asInt(line int, of string, v Value) int {
	i, ok := integral(v)
	if !ok || i > 1<<31 || i < -1<<31 {
		fail(line, "%s: a %s where an integer was expected", of, typeName(v))
	}
	return int(i)
}

// values evaluates arguments.
func (a arguments) values(s *scope, line int) args {
	var out args
	for _, e := range a.positional {
		out.positional = append(out.positional, e.eval(s))
	}
	if a.star != nil {
		out.positional = append(out.positional, s.m.elements(line, a.star.eval(s))...)
	}
	for _, n := range a.named {
		out.named = append(out.named, namedValue{n.name, n.value.eval(s)})
	}
	if a.starStar != nil {
		d, ok := a.starStar.eval(s).(*Dict)
		if !ok {
			fail(line, "** needs a dict")
		}
		for i, k := range d.keys {
			out.named = append(out.named, namedValue{asText(line, "**", k).s, d.values[i]})
		}
	}
	return out
}

func (c *call) prepare(s *scope) (Value, args) {
	s.m.step(1)
	f := c.callee.eval(s)
	return f, c.args.values(s, c.line)
}

func (c *call) eval(s *scope) Value {
	f, a := c.prepare(s)
	return s.m.invoke(c.line, f, a)
}

func (m *machine) invoke(line int, f Value, a args) Value {
	m.step(1)
	switch f := f.(type) {
	case *function:
		return f.call(m, line, a)
	case *loopState:
		if f.again == nil || len(a.positional) != 1 {
			fail(line, "loop() needs a recursive loop and one argument")
		}
		return f.again(a.positional[0])
	case undefined:
		fail(line, "%q is undefined, it cannot be called", f.what)
	}
	fail(line, "a %s cannot be called", typeName(f))
	return nil
}

// globals are the functions that every template has.
var globals map[string]*function

func init() { // an initialiser would refer to itself through scope.get
	globals = map[string]*function{
		"raise_exception": {"raise_exception", func(m *machine, line int, a args) Value {
			v, _ := a.take(line, "raise_exception", "message")
			panic(&Error{Line: line, Message: m.str(line, v[0]).s, Raised: true})
		}},
		"strftime_now": {"strftime_now", func(m *machine, line int, a args) Value {
			v, _ := a.take(line, "strftime_now", "format")
			return Text{s: strftime(line, m.now, asText(line, "strftime_now", v[0]).s)}
		}},
		"namespace": {"namespace", func(m *machine, line int, a args) Value {
			return &namespace{dict(m, line, a)}
		}},
		"dict":  {"dict", func(m *machine, line int, a args) Value { return dict(m, line, a) }},
		"range": {"range", func(m *machine, line int, a args) Value { return integers(m, line, a) }},
		"joiner": {"joiner", func(_ *machine, line int, a args) Value {
			v, given := a.take(line, "joiner", "sep")
			if !given[0] {
				v[0] = Text{s: ", "}
			}
			used := false
			return &function{"joiner", func(*machine, int, args) Value {
				if !used {
					used = true
					return Text{}
				}
				return v[0]
			}}
		}},
	}
	for _, n := range []string{"cycler", "lipsum"} {
		globals[n] = &function{n, func(_ *machine, line int, _ args) Value {
			fail(line, "%s() is not supported in chat templates", n)
			return nil
		}}
	}
}

// dict is Python's dict(). It accepts a dict or pairs, and named arguments.
func dict(m *machine, line int, a args) *Dict {
	d := NewDict()
	if len(a.positional) > 1 {
		fail(line, "dict takes one argument and named ones")
	}
	for _, v := range a.positional {
		if from, ok := v.(*Dict); ok {
			for i, k := range from.keys {
				d.set(k, from.values[i])
			}
			continue
		}
		for _, pair := range m.elements(line, v) {
			kv := m.elements(line, pair)
			if len(kv) != 2 || !d.set(kv[0], kv[1]) {
				fail(line, "dict needs pairs of a key and a value")
			}
		}
	}
	for _, n := range a.named {
		d.Set(n.name, n.value)
	}
	return d
}

// integers is range().
func integers(m *machine, line int, a args) Value {
	var v [3]int64
	if len(a.named) > 0 || len(a.positional) < 1 || len(a.positional) > 3 {
		fail(line, "range takes one to three integers")
	}
	for i, x := range a.positional {
		v[i] = int64(asInt(line, "range", x))
	}
	first, last, step := v[0], v[1], int64(1)
	switch len(a.positional) {
	case 1:
		first, last = 0, v[0]
	case 3:
		step = v[2]
	}
	if step == 0 {
		fail(line, "range by steps of 0")
	}
	out := &List{kind: ranges}
	for i := first; step > 0 && i < last || step < 0 && i > last; i += step {
		if len(out.Items) >= maxRange {
			fail(line, "range has more than %d elements", maxRange)
		}
		out.Items = append(out.Items, i)
	}
	m.step(len(out.Items))
	return out
}
