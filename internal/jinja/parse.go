package jinja

import "slices"

// parser reads statements; expressions are in parse_expr.go.
type parser struct {
	tokens []token
	at     int
	depth  int
	loops  int // number of enclosing loops, for break and continue
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

func (p *parser) is(k kind, value string) bool {
	t := p.peek()
	return t.kind == k && t.value == value
}

func (p *parser) skip(k kind, value string) bool {
	if !p.is(k, value) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(k kind, value string) token {
	t := p.next()
	if t.kind != k || value != "" && t.value != value {
		want := map[kind]string{name: "a name", blockEnd: "the end of the block", variableEnd: "the end of the expression"}[k]
		if value != "" && (k == operator || k == name) {
			want = `"` + value + `"`
		}
		fail(t.line, "expected %s, found %s", want, t)
	}
	return t
}

// deeper bounds nesting, because it takes stack. The result leaves the level.
func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxNesting {
		fail(p.peek().line, "the template is nested more than %d deep", maxNesting)
	}
	return func() { p.depth-- }
}

// statements reads up to and including a block name that is one of ends, or up to the
// end of the template if there are no ends.
func (p *parser) statements(ends ...string) []stmt {
	defer p.deeper()()
	var out []stmt
	for {
		t := p.next()
		switch t.kind {
		case data:
			out = append(out, literal{t.value})
		case variableBegin:
			out = append(out, print{t.line, p.tuple(true, nil)})
			p.expect(variableEnd, "")
		case blockBegin:
			if word := p.peek(); word.kind == name && slices.Contains(ends, word.value) {
				return out
			}
			out = append(out, p.statement())
		default:
			if len(ends) > 0 {
				fail(t.line, "the template ends where {%% %s %%} was expected", ends[len(ends)-1])
			}
			return out
		}
	}
}

// block reads a body and the tag that ends it.
func (p *parser) block(ends ...string) []stmt {
	p.expect(blockEnd, "")
	return p.statements(ends...)
}

func (p *parser) close() { p.next(); p.expect(blockEnd, "") }

// statement reads a block after its "{%".
func (p *parser) statement() stmt {
	t := p.expect(name, "")
	switch t.value {
	case "if":
		return p.ifBlock()
	case "for":
		return p.forBlock(t.line)
	case "break", "continue":
		if p.loops == 0 {
			fail(t.line, "{%% %s %%} is outside of a loop", t.value)
		}
		p.expect(blockEnd, "")
		return jump{map[string]flow{"break": breaking, "continue": continuing}[t.value]}
	case "set":
		return p.set(t.line)
	case "macro":
		return p.macro(t.line)
	case "call":
		return p.callBlock(t.line)
	case "filter":
		fs := p.filterChain()
		body := p.block("endfilter")
		p.close()
		return filterBlock{t.line, fs, body}
	case "with":
		return p.with(t.line)
	case "generation":
		body := p.block("endgeneration")
		p.close()
		return generation{t.line, body}
	}
	fail(t.line, "{%% %s %%} is not supported in chat templates", t.value)
	return nil
}

func (p *parser) ifBlock() stmt {
	var b conditionalBlock
	for {
		b.conds = append(b.conds, p.tuple(false, nil))
		b.bodies = append(b.bodies, p.block("elif", "else", "endif"))
		switch p.next().value {
		case "elif":
			continue
		case "else":
			b.except = p.block("endif")
			p.next()
		}
		p.expect(blockEnd, "")
		return b
	}
}

func (p *parser) forBlock(line int) stmt {
	l := loop{line: line, target: p.target(false, "in")}
	p.expect(name, "in")
	l.over = p.tuple(false, []string{"recursive"})
	if p.skip(name, "if") {
		l.test = p.expression()
	}
	l.recursive = p.skip(name, "recursive")
	p.loops++
	l.body = p.block("else", "endfor")
	p.loops--
	if p.next().value == "else" {
		l.except = p.block("endfor")
		p.next()
	}
	p.expect(blockEnd, "")
	return &l
}

func (p *parser) set(line int) stmt {
	t := p.target(true)
	if p.skip(operator, "=") {
		a := assignment{line, t, p.tuple(true, nil)}
		p.expect(blockEnd, "")
		return a
	}
	a := assignedBlock{line: line, target: t}
	if p.skip(operator, "|") {
		a.filters = p.filterChain()
	}
	a.body = p.block("endset")
	p.close()
	return a
}

// target reads the target of an assignment. A tuple ends before one of ends.
func (p *parser) target(namespace bool, ends ...string) target {
	line := p.peek().line
	one := func() target {
		if p.skip(operator, "(") {
			t := p.target(namespace)
			p.expect(operator, ")")
			return t
		}
		t := target{line: line, name: p.expect(name, "").value}
		if keywords[t.name] {
			fail(line, "%q cannot be assigned to", t.name)
		}
		if namespace && p.skip(operator, ".") {
			t.attribute = p.expect(name, "").value
		}
		return t
	}
	first := one()
	if !p.is(operator, ",") {
		return first
	}
	out := target{line: line, tuple: []target{first}}
	for p.skip(operator, ",") {
		if t := p.peek(); t.kind != name && t.value != "(" || t.kind == name && slices.Contains(ends, t.value) {
			break
		}
		out.tuple = append(out.tuple, one())
	}
	return out
}

// signature reads the parameters of a macro.
func (p *parser) signature(m *macroDefinition) {
	p.expect(operator, "(")
	for !p.skip(operator, ")") {
		if len(m.params) > 0 {
			p.expect(operator, ",")
		}
		m.params = append(m.params, p.expect(name, "").value)
		switch {
		case p.skip(operator, "="):
			m.defaults = append(m.defaults, p.expression())
		case len(m.defaults) > 0:
			fail(p.peek().line, "a parameter without a default follows one with a default")
		}
	}
}

func (p *parser) macro(line int) stmt {
	m := &macroDefinition{line: line, name: p.expect(name, "").value}
	p.signature(m)
	p.macroBody(m, "endmacro")
	return m
}

// macroBody reads the body, which cannot leave loops outside the macro.
func (p *parser) macroBody(m *macroDefinition, end string) {
	loops := p.loops
	p.loops = 0
	from := p.at
	m.body = p.block(end)
	for _, t := range p.tokens[from:p.at] {
		if t.kind == name {
			m.takes.caller = m.takes.caller || t.value == "caller"
			m.takes.varargs = m.takes.varargs || t.value == "varargs"
			m.takes.kwargs = m.takes.kwargs || t.value == "kwargs"
		}
	}
	p.close()
	p.loops = loops
}

func (p *parser) callBlock(line int) stmt {
	b := callBlock{line: line, body: &macroDefinition{line: line}}
	if p.is(operator, "(") {
		p.signature(b.body)
	}
	c, ok := p.expression().(*call)
	if !ok {
		fail(line, "{%% call %%} needs a call of a macro")
	}
	b.call = c
	p.macroBody(b.body, "endcall")
	return b
}

func (p *parser) with(line int) stmt {
	b := withBlock{line: line}
	for p.peek().kind != blockEnd {
		if len(b.targets) > 0 {
			p.expect(operator, ",")
		}
		b.targets = append(b.targets, p.target(false, ""))
		p.expect(operator, "=")
		b.values = append(b.values, p.expression())
	}
	b.body = p.block("endwith")
	p.close()
	return b
}

// filterChain reads the filters of a block: name|name(…).
func (p *parser) filterChain() []*filter {
	fs := []*filter{p.filter(nil)}
	for p.skip(operator, "|") {
		fs = append(fs, p.filter(nil))
	}
	return fs
}
