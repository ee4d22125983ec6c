package jinja

import "time"

// machine is the state of one rendering: its clock and its bounds.
type machine struct {
	now   time.Time
	steps int
	calls int
	depth int // nesting of values
}

// step counts work.
func (m *machine) step(n int) {
	if m.steps += n; m.steps > maxSteps {
		fail(0, "the chat template takes more than %d steps", maxSteps)
	}
}

// copied counts bytes that are about to be written.
func (m *machine) copied(n int) {
	if n > maxText {
		fail(0, "the chat template makes a text of more than %d bytes", maxText)
	}
	m.step(n / 16)
}

// touch counts reading a text.
func (m *machine) touch(t Text) { m.step(len(t.s)/16 + len(t.runs)) }

// deeper enters a value that contains others. The result leaves it.
func (m *machine) deeper() func() {
	m.step(1)
	if m.depth++; m.depth > maxNesting {
		fail(0, "a value is nested more than %d deep", maxNesting)
	}
	return func() { m.depth-- }
}

// enter bounds the depth of calls. The result leaves the call.
func (m *machine) enter(line int) func() {
	if m.calls++; m.calls > maxCalls {
		fail(line, "macros call each other more than %d deep", maxCalls)
	}
	return func() { m.calls-- }
}

// scope holds the variables of a block that has its own: a loop body, a macro, an
// assigned block. Other variables are looked up in the enclosing scope.
type scope struct {
	m      *machine
	parent *scope
	vars   map[string]Value
}

func (s *scope) inner() *scope { return &scope{m: s.m, parent: s} }

func (s *scope) set(name string, v Value) {
	if s.vars == nil {
		s.vars = map[string]Value{}
	}
	s.vars[name] = v
}

func (s *scope) get(name string) Value {
	for at := s; at != nil; at = at.parent {
		if v, ok := at.vars[name]; ok {
			return v
		}
	}
	if f, ok := globals[name]; ok {
		return f
	}
	return undefined{name}
}

// output receives what statements write: the rendered text, or the text of a block
// that is assigned or returned.
type output struct {
	m           *machine
	b           builder
	root        bool
	generations [][2]int
}

func (w *output) text(t Text) {
	w.m.copied(len(t.s))
	w.m.step(len(t.runs))
	if w.b.b.Len()+len(t.s) > maxText {
		fail(0, "the chat template writes more than %d bytes", maxText)
	}
	w.b.put(t)
}

// run executes statements until one leaves a loop.
func (s *scope) run(body []stmt, w *output) flow {
	for _, b := range body {
		s.m.step(1)
		if f := b.exec(s, w); f != onward {
			return f
		}
	}
	return onward
}

// captured runs statements in their own scope and returns the text that they write.
func (s *scope) captured(body []stmt) Text {
	w := &output{m: s.m}
	s.inner().run(body, w)
	return w.b.text()
}

func (l literal) exec(_ *scope, w *output) flow { w.text(Text{s: l.text}); return onward }

func (p print) exec(s *scope, w *output) flow {
	w.text(s.m.str(p.line, p.value.eval(s)))
	return onward
}

func (c conditionalBlock) exec(s *scope, w *output) flow {
	for i, cond := range c.conds {
		if truth(cond.eval(s)) {
			return s.run(c.bodies[i], w)
		}
	}
	return s.run(c.except, w)
}

func (j jump) exec(*scope, *output) flow { return j.how }

func (a assignment) exec(s *scope, _ *output) flow {
	s.assign(a.target, a.value.eval(s))
	return onward
}

func (a assignedBlock) exec(s *scope, _ *output) flow {
	s.assign(a.target, s.filtered(a.filters, s.captured(a.body)))
	return onward
}

func (s *scope) filtered(filters []*filter, v Value) Value {
	for _, f := range filters {
		v = f.apply(s, v)
	}
	return v
}

// assign binds a target.
func (s *scope) assign(t target, v Value) {
	switch {
	case t.tuple != nil:
		items := s.m.elements(t.line, v)
		if len(items) != len(t.tuple) {
			fail(t.line, "%d values for %d names", len(items), len(t.tuple))
		}
		for i, item := range items {
			s.assign(t.tuple[i], item)
		}
	case t.attribute != "":
		ns, ok := s.get(t.name).(*namespace)
		if !ok {
			fail(t.line, "%s is no namespace, its attributes cannot be set", t.name)
		}
		ns.d.Set(t.attribute, v)
	default:
		s.set(t.name, v)
	}
}

func (f filterBlock) exec(s *scope, w *output) flow {
	w.text(s.m.str(f.line, s.filtered(f.filters, s.captured(f.body))))
	return onward
}

func (b withBlock) exec(s *scope, w *output) flow {
	in := s.inner()
	for i, t := range b.targets {
		in.assign(t, b.values[i].eval(s))
	}
	return in.run(b.body, w)
}

func (g generation) exec(s *scope, w *output) flow {
	if !w.root {
		fail(g.line, "{%% generation %%} inside a macro, a filter or an assigned block is not supported")
	}
	start := w.b.b.Len()
	f := s.inner().run(g.body, w)
	w.generations = append(w.generations, [2]int{start, w.b.b.Len()})
	return f
}

// loopState is the variable loop.
type loopState struct {
	items   []Value
	at      int
	depth   int
	again   func(v Value) Value // loop(v) of a recursive loop
	changed []Value
	seen    bool
}

func (l *loop) exec(s *scope, w *output) flow {
	l.iterate(s, w, l.over.eval(s), 0)
	return onward
}

// iterate runs the loop over a value. depth is 0 unless it is recursive.
func (l *loop) iterate(s *scope, w *output, over Value, depth int) {
	defer s.m.enter(l.line)()
	items := l.kept(s, s.m.elements(l.line, over))
	state := &loopState{items: items, depth: depth}
	if l.recursive {
		state.again = func(v Value) Value {
			out := &output{m: s.m}
			l.iterate(s, out, v, depth+1)
			return out.b.text()
		}
	}
	for i, v := range items {
		in := s.inner()
		state.at = i
		in.assign(l.target, v)
		in.set("loop", state)
		if in.run(l.body, w) == breaking {
			break
		}
	}
	if len(items) == 0 {
		s.inner().run(l.except, w)
	}
}

// kept returns the items for which the loop's condition holds.
func (l *loop) kept(s *scope, items []Value) []Value {
	if l.test == nil {
		return items
	}
	var out []Value
	for _, v := range items {
		in := s.inner()
		in.assign(l.target, v)
		if truth(l.test.eval(in)) {
			out = append(out, v)
		}
	}
	return out
}

// attribute is loop.NAME.
func (l *loopState) attribute(m *machine, name string) (Value, bool) {
	n := int64(len(l.items))
	at := int64(l.at)
	neighbour := func(i int, what string) Value {
		if i < 0 || i >= len(l.items) {
			return undefined{what}
		}
		return l.items[i]
	}
	switch name {
	case "index":
		return at + 1, true
	case "index0":
		return at, true
	case "revindex":
		return n - at, true
	case "revindex0":
		return n - at - 1, true
	case "first":
		return at == 0, true
	case "last":
		return at == n-1, true
	case "length":
		return n, true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		return neighbour(l.at-1, "there is no previous item"), true
	case "nextitem":
		return neighbour(l.at+1, "there is no next item"), true
	case "cycle":
		return &function{"loop.cycle", func(_ *machine, line int, a args) Value {
			if len(a.positional) == 0 {
				fail(line, "loop.cycle needs a value")
			}
			return a.positional[l.at%len(a.positional)]
		}}, true
	case "changed":
		return &function{"loop.changed", func(m *machine, _ int, a args) Value {
			same := l.seen && m.equal(NewList(l.changed...), NewList(a.positional...))
			l.changed, l.seen = a.positional, true
			return !same
		}}, true
	}
	return nil, false
}

func (d *macroDefinition) exec(s *scope, _ *output) flow {
	s.set(d.name, d.function(s))
	return onward
}

func (c callBlock) exec(s *scope, w *output) flow {
	f, a := c.call.prepare(s)
	a.named = append(a.named, namedValue{"caller", c.body.function(s)})
	w.text(s.m.str(c.line, s.m.invoke(c.line, f, a)))
	return onward
}

// function returns the macro, bound to the scope in which it is defined.
func (d *macroDefinition) function(s *scope) *function {
	return &function{d.name, func(m *machine, line int, a args) Value {
		defer m.enter(line)()
		in := s.inner()
		d.bind(in, line, a)
		w := &output{m: m}
		in.run(d.body, w)
		return w.b.text()
	}}
}

// bind sets the parameters of a macro.
func (d *macroDefinition) bind(in *scope, line int, a args) {
	given := map[string]Value{}
	extra := NewDict()
	for _, n := range a.named {
		given[n.name] = n.value
	}
	for i, p := range d.params {
		v, named := given[p]
		delete(given, p)
		switch d0 := i - (len(d.params) - len(d.defaults)); {
		case i < len(a.positional):
			if named {
				fail(line, "the macro %s got two values for %s", d.name, p)
			}
			v = a.positional[i]
		case named:
		case d0 >= 0:
			v = d.defaults[d0].eval(in)
		default:
			v = undefined{p}
		}
		in.set(p, v)
	}
	if d.takes.caller {
		v, ok := given["caller"]
		if !ok {
			v = undefined{"caller"}
		}
		in.set("caller", v)
		delete(given, "caller")
	}
	for _, n := range a.named {
		if v, left := given[n.name]; left {
			extra.Set(n.name, v)
		}
	}
	rest := a.positional[min(len(d.params), len(a.positional)):]
	switch {
	case len(rest) > 0 && !d.takes.varargs:
		fail(line, "the macro %s takes %d arguments, not %d", d.name, len(d.params), len(a.positional))
	case len(extra.keys) > 0 && !d.takes.kwargs:
		fail(line, "the macro %s has no parameter %s", d.name, extra.keys[0].(Text).s)
	}
	if d.takes.varargs {
		in.set("varargs", &List{Items: rest, kind: tuples})
	}
	if d.takes.kwargs {
		in.set("kwargs", extra)
	}
}
