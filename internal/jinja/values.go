package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"barka/internal/pytext"
)

// Value is the value of an expression: nil, bool, int64, float64, Text, *List, *Dict,
// *generator, undefined, *namespace, *loopState or *function.
type Value any

// List is a Python list or another sequence.
type List struct {
	Items []Value
	kind  kindOfList
}

type kindOfList int

const (
	lists kindOfList = iota
	tuples
	ranges // range(n)
	views  // of a dict's keys, values or items
)

// generator is the result of filters such as map and select. It is true even if it is
// empty, has no length, and can be read only once.
type generator struct{ items []Value }

// NewList returns a list.
func NewList(items ...Value) *List { return &List{Items: items} }

// Dict is a Python dictionary, which keeps the order of its keys.
type Dict struct {
	keys, values []Value
	index        map[string]int
}

// NewDict returns an empty dictionary.
func NewDict() *Dict { return &Dict{index: map[string]int{}} }

// Set adds or changes the entry of a text key.
func (d *Dict) Set(key string, v Value) *Dict { d.set(Text{s: key}, v); return d }

func (d *Dict) set(key, v Value) bool {
	h, ok := hash(key)
	if !ok {
		return false
	}
	if i, ok := d.index[h]; ok {
		d.values[i] = v
		return true
	}
	d.index[h] = len(d.keys)
	d.keys, d.values = append(d.keys, key), append(d.values, v)
	return true
}

func (d *Dict) get(key Value) (Value, bool) {
	h, ok := hash(key)
	if !ok {
		return nil, false
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// hash returns a string that is equal for equal keys. Lists and dictionaries are not
// hashable.
func hash(v Value) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "none", true
	case Text:
		return "s" + v.s, true
	case bool, int64, float64:
		return "n" + strconv.FormatFloat(number(v), 'g', -1, 64), true
	case *List:
		if v.kind != tuples {
			return "", false
		}
		var b strings.Builder
		for _, x := range v.Items {
			h, ok := hash(x)
			if _, nested := x.(*List); !ok || nested { // its text could double with each level
				return "", false
			}
			b.WriteString(strconv.Itoa(len(h)) + ":" + h)
		}
		return "t" + b.String(), true
	}
	return "", false
}

// undefined is the value of a name that does not exist. It prints as nothing, is false
// and empty, and fails in any other use.
type undefined struct{ what string }

// function is something that can be called.
type function struct {
	name string
	call func(m *machine, line int, a args) Value
}

// namespace is the result of namespace(), the only object whose attributes can be set.
type namespace struct{ d *Dict }

func number(v Value) float64 {
	switch v := v.(type) {
	case bool:
		if v {
			return 1
		}
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// integral returns the value of an int or a bool.
func integral(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		return int64(number(v)), true
	case int64:
		return v, true
	}
	return 0, false
}

func numeric(v Value) bool {
	switch v.(type) {
	case bool, int64, float64:
		return true
	}
	return false
}

func truth(v Value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case Text:
		return v.s != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}

// typeName returns the name of a value's Python type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case Text:
		return "str"
	case *List:
		return [...]string{"list", "tuple", "range", "dict view"}[v.kind]
	case *Dict:
		return "dict"
	case undefined:
		return "Undefined"
	case *namespace:
		return "namespace"
	case *loopState:
		return "loop"
	case *generator:
		return "generator"
	}
	return "function"
}

// equal is Python's ==.
func (m *machine) equal(a, b Value) bool {
	defer m.deeper()()
	if numeric(a) && numeric(b) {
		x, xi := integral(a)
		y, yi := integral(b)
		if xi && yi {
			return x == y
		}
		return number(a) == number(b)
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case Text:
		b, ok := b.(Text)
		return ok && a.s == b.s
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *List:
		b, ok := b.(*List)
		if !ok || a.kind != b.kind || len(a.Items) != len(b.Items) {
			return false
		}
		for i := range a.Items {
			if !m.equal(a.Items[i], b.Items[i]) {
				return false
			}
		}
		return true
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for i, k := range a.keys {
			v, ok := b.get(k)
			if !ok || !m.equal(a.values[i], v) {
				return false
			}
		}
		return true
	case *function, *namespace, *loopState, *generator:
		return a == b
	}
	return false
}

// less is Python's <. ok is false for values that have no order.
func (m *machine) less(a, b Value) (is, ok bool) {
	defer m.deeper()()
	if numeric(a) && numeric(b) {
		x, xi := integral(a)
		y, yi := integral(b)
		if xi && yi {
			return x < y, true
		}
		return number(a) < number(b), true
	}
	switch a := a.(type) {
	case Text:
		b, ok := b.(Text)
		return ok && a.s < b.s, ok // the order of UTF-8 is that of code points
	case *List:
		b, ok := b.(*List)
		if !ok || a.kind != b.kind {
			return false, false
		}
		for i := range min(len(a.Items), len(b.Items)) {
			if !m.equal(a.Items[i], b.Items[i]) {
				return m.less(a.Items[i], b.Items[i])
			}
		}
		return len(a.Items) < len(b.Items), true
	}
	return false, false
}

// str is Python's str() of a value, as Jinja prints it.
func (m *machine) str(line int, v Value) Text {
	switch v := v.(type) {
	case Text:
		return v
	case undefined:
		return Text{}
	}
	var w builder
	m.repr(line, &w, v, 0)
	return w.text()
}

// repr writes Python's repr() of a value.
func (m *machine) repr(line int, w *builder, v Value, depth int) {
	m.step(1)
	if depth > maxNesting {
		fail(line, "a value is nested more than %d deep", maxNesting)
	}
	list := func(open, close string, n int, one func(i int)) {
		w.write(open)
		for i := range n {
			if i > 0 {
				w.write(", ")
			}
			one(i)
		}
		w.write(close)
	}
	switch v := v.(type) {
	case nil:
		w.write("None")
	case bool:
		w.write(pytext.Bool(v))
	case int64:
		w.write(strconv.FormatInt(v, 10))
	case float64:
		w.write(pytext.Float(v))
	case Text:
		// The quotes depend on all of the text, so that its origins merge.
		m.copied(len(v.s))
		w.add(pytext.Quote(v.s), v.origin())
	case undefined:
		w.write("Undefined")
	case *List:
		if v.kind > tuples {
			fail(line, "a %s cannot be printed, use |list", typeName(v))
		}
		open, close := "[", "]"
		if v.kind == tuples {
			open, close = "(", ")"
			if len(v.Items) == 1 {
				close = ",)"
			}
		}
		list(open, close, len(v.Items), func(i int) { m.repr(line, w, v.Items[i], depth+1) })
	case *Dict:
		list("{", "}", len(v.keys), func(i int) {
			m.repr(line, w, v.keys[i], depth+1)
			w.write(": ")
			m.repr(line, w, v.values[i], depth+1)
		})
	default:
		fail(line, "a %s cannot be printed", typeName(v))
	}
}

// elements returns the elements of an iteration over a value.
func (m *machine) elements(line int, v Value) []Value {
	switch v := v.(type) {
	case *List:
		m.step(len(v.Items))
		return v.Items
	case *Dict:
		m.step(len(v.keys))
		return v.keys
	case undefined:
		return nil
	case *generator:
		items := v.items
		v.items = nil
		return items
	case *namespace:
		fail(line, "a namespace cannot be iterated over")
	case Text:
		m.step(len(v.s))
		m.touch(v)
		out := make([]Value, 0, len(v.s))
		v.Runs(func(i, end int, origin Origin) {
			for i < end {
				_, n := utf8.DecodeRuneInString(v.s[i:end])
				out = append(out, NewText(v.s[i:i+n], origin))
				i += n
			}
		})
		return out
	}
	fail(line, "a %s cannot be iterated over", typeName(v))
	return nil
}
