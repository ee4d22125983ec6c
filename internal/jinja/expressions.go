package jinja

import (
	"math"
	"math/big"
)

func (c constant) eval(s *scope) Value { s.m.step(1); return c.value }
func (v variable) eval(s *scope) Value { s.m.step(1); return s.get(v.name) }
func (n negation) eval(s *scope) Value { return !truth(n.operand.eval(s)) }

func (l logical) eval(s *scope) Value {
	v := l.left.eval(s)
	if truth(v) != l.and {
		return v
	}
	return l.right.eval(s)
}

func (c *conditional) eval(s *scope) Value {
	switch {
	case truth(c.cond.eval(s)):
		return c.then.eval(s)
	case c.except != nil:
		return c.except.eval(s)
	}
	return undefined{"the value of an if without else"}
}

func (j joined) eval(s *scope) Value {
	s.m.step(1)
	var w builder
	for _, p := range j.parts {
		t := s.m.str(0, p.eval(s))
		s.m.copied(w.b.Len() + len(t.s))
		s.m.step(len(t.runs))
		w.put(t)
	}
	return w.text()
}

func (q sequence) eval(s *scope) Value {
	s.m.step(1)
	l := &List{kind: q.kind, Items: make([]Value, len(q.items))}
	for i, e := range q.items {
		l.Items[i] = e.eval(s)
	}
	return l
}

func (q *mapping) eval(s *scope) Value {
	s.m.step(1)
	d := NewDict()
	for i, k := range q.keys {
		key := k.eval(s)
		if !d.set(key, q.values[i].eval(s)) {
			fail(q.line, "a %s is no key", typeName(key))
		}
	}
	return d
}

// eval looks for an attribute first and then for an entry, as Jinja does.
func (a *attribute) eval(s *scope) Value {
	s.m.step(1)
	o := a.object.eval(s)
	a.check(o)
	if v, ok := s.m.attribute(o, a.name); ok {
		return v
	}
	if v, ok := s.m.entry(o, Text{s: a.name}); ok {
		return v
	}
	return undefined{a.name}
}

func (a *attribute) check(o Value) {
	if u, ok := o.(undefined); ok {
		fail(a.line, "%q is undefined, it has no %q", u.what, a.name)
	}
	if len(a.name) > 0 && a.name[0] == '_' {
		fail(a.line, "the attribute %q is not accessible in chat templates", a.name)
	}
}

// attribute returns what getattr finds: methods, and the attributes of loop and of
// namespaces.
func (m *machine) attribute(o Value, name string) (Value, bool) {
	switch o := o.(type) {
	case *loopState:
		return o.attribute(m, name)
	case *namespace:
		return o.d.get(Text{s: name})
	}
	return method(o, name)
}

// entry returns what a subscript finds.
func (m *machine) entry(o, key Value) (Value, bool) {
	switch o := o.(type) {
	case *Dict:
		return o.get(key)
	case *List:
		i, ok := integral(key)
		if ok = ok && o.kind != views; ok && i < 0 {
			i += int64(len(o.Items))
		}
		if ok && i >= 0 && i < int64(len(o.Items)) {
			return o.Items[i], true
		}
	case Text:
		i, ok := integral(key)
		if !ok {
			return nil, false
		}
		m.touch(o)
		n := int64(o.runes())
		if i < 0 {
			i += n
		}
		if i >= 0 && i < n {
			return o.slice(o.offset(int(i)), o.offset(int(i)+1)), true
		}
	}
	return nil, false
}

// eval looks for an entry first and then, if the key is a text, for an attribute.
func (i *item) eval(s *scope) Value {
	s.m.step(1)
	o, key := i.object.eval(s), i.index.eval(s)
	if u, ok := o.(undefined); ok {
		fail(i.line, "%q is undefined, it has no entries", u.what)
	}
	if v, ok := s.m.entry(o, key); ok {
		return v
	}
	if t, ok := key.(Text); ok {
		if v, ok := s.m.attribute(o, t.s); ok {
			return v
		}
	}
	return undefined{s.m.str(i.line, key).s}
}

func (e *slice) eval(s *scope) Value {
	s.m.step(1)
	o := e.object.eval(s)
	var n int
	switch o := o.(type) {
	case Text:
		n = o.runes()
	case *List:
		if o.kind == views {
			return undefined{"a slice of a " + typeName(o)}
		}
		n = len(o.Items)
	case undefined:
		fail(e.line, "%q is undefined, it cannot be sliced", o.what)
	default:
		return undefined{"a slice of a " + typeName(o)}
	}
	first, last, step := e.bounds(s, n)
	if t, ok := o.(Text); ok {
		s.m.touch(t)
		if step == 1 {
			return t.slice(t.offset(first), t.offset(max(first, last)))
		}
		var w builder
		for _, v := range pick(s.m.elements(e.line, t), first, last, step) {
			w.put(v.(Text))
		}
		return w.text()
	}
	l := o.(*List)
	s.m.step(len(l.Items))
	return &List{Items: pick(l.Items, first, last, step), kind: l.kind}
}

func pick(items []Value, first, last, step int) []Value {
	var out []Value
	for i := first; step > 0 && i < last || step < 0 && i > last; i += step {
		out = append(out, items[i])
	}
	return out
}

// bounds returns Python's slice.indices(n).
func (e *slice) bounds(s *scope, n int) (first, last, step int) {
	number := func(x expr) (int, bool) {
		if x == nil {
			return 0, false
		}
		v := x.eval(s)
		i, ok := integral(v)
		if !ok && v != nil {
			fail(e.line, "a slice by a %s, expected an integer", typeName(v))
		}
		return int(max(min(i, math.MaxInt32), math.MinInt32)), ok
	}
	step, ok := number(e.step)
	if !ok {
		step = 1
	}
	low, high, first, last := 0, n, 0, n
	switch {
	case step == 0:
		fail(e.line, "a slice's step is 0")
	case step < 0:
		low, high, first, last = -1, n-1, n-1, -1
	}
	clamp := func(x expr, absent int) int {
		i, ok := number(x)
		if !ok {
			return absent
		}
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	return clamp(e.start, first), clamp(e.end, last), step
}

func (u *unary) eval(s *scope) Value {
	s.m.step(1)
	v := u.operand.eval(s)
	if !numeric(v) {
		fail(u.line, "%s of a %s", u.op, typeName(v))
	}
	if i, ok := integral(v); ok {
		if u.op == "+" {
			return i
		}
		return bounded(u.line, new(big.Int).Neg(big.NewInt(i)))
	}
	if u.op == "+" {
		return v
	}
	return -v.(float64)
}

func (b *binary) eval(s *scope) Value {
	s.m.step(1)
	l, r := b.left.eval(s), b.right.eval(s)
	if v, ok := s.m.sequences(b, l, r); ok {
		return v
	}
	for _, v := range []Value{l, r} {
		if u, ok := v.(undefined); ok {
			fail(b.line, "%q is undefined, %s cannot be applied", u.what, b.op)
		}
	}
	if !numeric(l) || !numeric(r) {
		fail(b.line, "%s of a %s and a %s", b.op, typeName(l), typeName(r))
	}
	x, xi := integral(l)
	y, yi := integral(r)
	if xi && yi && b.op != "/" && !(b.op == "**" && y < 0) {
		return b.integers(x, y)
	}
	return b.floats(number(l), number(r))
}

// sequences evaluates + of texts and lists, * of one of them and a number, and % of a
// text.
func (m *machine) sequences(b *binary, l, r Value) (Value, bool) {
	switch x := l.(type) {
	case Text:
		if y, ok := r.(Text); ok && b.op == "+" {
			return m.plus(b.line, x, y), true
		}
		if b.op == "%" {
			return m.percent(b.line, x, r), true
		}
	case *List:
		if y, ok := r.(*List); ok && b.op == "+" && x.kind == y.kind && x.kind <= tuples {
			m.step(len(x.Items) + len(y.Items))
			return &List{Items: append(append([]Value{}, x.Items...), y.Items...), kind: x.kind}, true
		}
	}
	if b.op != "*" {
		return nil, false
	}
	if _, ok := integral(l); ok {
		l, r = r, l
	}
	n, ok := integral(r)
	if !ok {
		return nil, false
	}
	n = max(n, 0)
	switch x := l.(type) {
	case Text:
		m.repeated(len(x.s)+16*len(x.runs), n)
		var w builder
		for range n {
			w.put(x)
		}
		return w.text(), true
	case *List:
		if x.kind > tuples {
			return nil, false
		}
		m.repeated(16*len(x.Items), n)
		out := &List{kind: x.kind}
		for range n {
			out.Items = append(out.Items, x.Items...)
		}
		return out, true
	}
	return nil, false
}

// repeated counts n copies of size bytes.
func (m *machine) repeated(size int, n int64) {
	if n > maxSteps || int64(size)*n > maxText {
		fail(0, "the chat template makes a text of more than %d bytes", maxText)
	}
	m.copied(size * int(n))
	m.step(int(n))
}

// plus concatenates texts. Markup would escape the other one.
func (m *machine) plus(line int, a, b Text) Text {
	m.copied(len(a.s) + len(b.s))
	m.step(len(a.runs) + len(b.runs))
	if a.safe != b.safe && (!a.safe && escaped(a.s) || !b.safe && escaped(b.s)) {
		fail(line, "+ beside |safe, which escapes the other text, is not supported")
	}
	t := concat(a, b)
	t.safe = a.safe || b.safe
	return t
}

func (b *binary) integers(x, y int64) Value {
	l, r, z := big.NewInt(x), big.NewInt(y), new(big.Int)
	switch b.op {
	case "+":
		z.Add(l, r)
	case "-":
		z.Sub(l, r)
	case "*":
		z.Mul(l, r)
	case "**":
		if x > 1 && y > 63 || x < -1 && y > 63 || y > 1<<20 {
			fail(b.line, "a number is too large")
		}
		z.Exp(l, r, nil)
	default:
		if y == 0 {
			fail(b.line, "division by zero")
		}
		// Python rounds towards minus infinity.
		rest := new(big.Int)
		z.DivMod(l, r, rest)
		if rest.Sign() != 0 && y < 0 {
			z.Sub(z, big.NewInt(1))
			rest.Add(rest, r)
		}
		if b.op == "%" {
			z = rest
		}
	}
	return bounded(b.line, z)
}

func bounded(line int, z *big.Int) Value {
	if !z.IsInt64() {
		fail(line, "a number is too large")
	}
	return z.Int64()
}

func (b *binary) floats(x, y float64) Value {
	switch b.op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		return math.Pow(x, y)
	}
	if y == 0 {
		fail(b.line, "division by zero")
	}
	mod := math.Mod(x, y)
	if mod != 0 && (mod < 0) != (y < 0) {
		mod += y
	}
	switch b.op {
	case "%":
		return mod
	case "//":
		return math.Floor((x - mod) / y)
	}
	return x / y
}

func (c *comparison) eval(s *scope) Value {
	s.m.step(1)
	l := c.first.eval(s)
	for i, op := range c.ops {
		r := c.rest[i].eval(s)
		if !s.m.compare(c.line, op, l, r) {
			return false
		}
		l = r
	}
	return true
}

func (m *machine) compare(line int, op string, l, r Value) bool {
	switch op {
	case "==":
		return m.equal(l, r)
	case "!=":
		return !m.equal(l, r)
	case "in":
		return m.contains(line, r, l)
	case "not in":
		return !m.contains(line, r, l)
	case ">", "<=":
		l, r = r, l
	}
	is, ok := m.less(l, r)
	if !ok {
		fail(line, "a %s and a %s have no order", typeName(l), typeName(r))
	}
	if op == "<=" || op == ">=" {
		return !is && !nan(l) && !nan(r)
	}
	return is
}

func nan(v Value) bool { f, ok := v.(float64); return ok && math.IsNaN(f) }
