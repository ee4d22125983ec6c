package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// keywords are names that are not variables.
var keywords = map[string]bool{"true": true, "false": true, "none": true, "True": true, "False": true, "None": true,
	"and": true, "or": true, "not": true, "in": true, "is": true, "if": true, "else": true}

func (p *parser) expression() expr { return p.conditional() }

func (p *parser) conditional() expr {
	defer p.deeper()()
	e := p.or()
	for p.is(name, "if") {
		c := &conditional{line: p.next().line, then: e, cond: p.or()}
		if p.skip(name, "else") {
			c.except = p.conditional()
		}
		e = c
	}
	return e
}

func (p *parser) or() expr {
	e := p.and()
	for p.skip(name, "or") {
		e = logical{false, e, p.and()}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for p.skip(name, "and") {
		e = logical{true, e, p.not()}
	}
	return e
}

func (p *parser) not() expr {
	if p.skip(name, "not") {
		defer p.deeper()()
		return negation{p.not()}
	}
	return p.compare()
}

var comparisons = []string{"==", "!=", "<", "<=", ">", ">="}

func (p *parser) compare() expr {
	c := &comparison{line: p.peek().line, first: p.sum()}
	for {
		t := p.peek()
		switch {
		case t.kind == operator && slices.Contains(comparisons, t.value):
			p.next()
			c.ops = append(c.ops, t.value)
		case p.skip(name, "in"):
			c.ops = append(c.ops, "in")
		case p.is(name, "not") && p.tokens[p.at+1].kind == name && p.tokens[p.at+1].value == "in":
			p.at += 2
			c.ops = append(c.ops, "not in")
		case len(c.ops) == 0:
			return c.first
		default:
			return c
		}
		c.rest = append(c.rest, p.sum())
	}
}

// chain reads operands joined by left-associative operators.
func (p *parser) chain(operand func() expr, ops ...string) expr {
	e := operand()
	for {
		t := p.peek()
		if t.kind != operator || !slices.Contains(ops, t.value) {
			return e
		}
		p.next()
		e = &binary{t.line, t.value, e, operand()}
	}
}

func (p *parser) sum() expr     { return p.chain(p.concat, "+", "-") }
func (p *parser) product() expr { return p.chain(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr   { return p.chain(func() expr { return p.unary(true) }, "**") }

func (p *parser) concat() expr {
	parts := []expr{p.product()}
	for p.skip(operator, "~") {
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return joined{parts}
}

func (p *parser) unary(filters bool) expr {
	defer p.deeper()()
	t := p.peek()
	if t.kind == operator && (t.value == "-" || t.value == "+") {
		p.next()
		e := expr(&unary{t.line, t.value, p.unary(false)})
		if filters {
			e = p.filters(e)
		}
		return e
	}
	e := p.postfix(p.primary())
	if filters {
		e = p.filters(e)
	}
	return e
}

func (p *parser) primary() expr {
	t := p.next()
	switch t.kind {
	case name:
		switch t.value {
		case "true", "True":
			return constant{true}
		case "false", "False":
			return constant{false}
		case "none", "None":
			return constant{nil}
		}
		return variable{t.value}
	case text:
		s := t.value
		for p.peek().kind == text {
			s += p.next().value
		}
		return constant{Text{s: s}}
	case integer:
		v, err := strconv.ParseInt(t.value, 0, 64)
		if err != nil && strings.Trim(t.value, "0_") == "" {
			v, err = 0, nil
		}
		if err != nil {
			fail(t.line, "the number %s is too large", t.value)
		}
		return constant{v}
	case float:
		v, err := strconv.ParseFloat(strings.ReplaceAll(t.value, "_", ""), 64)
		if err != nil || math.IsInf(v, 0) {
			fail(t.line, "the number %s is too large", t.value)
		}
		return constant{v}
	case operator:
		switch t.value {
		case "(":
			e := p.tuple(true, nil, ")")
			p.expect(operator, ")")
			return e
		case "[":
			return p.list()
		case "{":
			return p.dict(t.line)
		}
	}
	fail(t.line, "unexpected %s", t)
	return nil
}

// tuple reads expressions separated by commas. A single expression is not a tuple.
// Parentheses may be empty.
func (p *parser) tuple(conditions bool, ends []string, closing ...string) expr {
	one := p.expression
	if !conditions {
		one = p.or
	}
	var items []expr
	comma := false
	for {
		t := p.peek()
		if t.kind == blockEnd || t.kind == variableEnd || t.kind == operator && t.value == ")" || t.kind == name &&
			slices.Contains(ends, t.value) {
			break
		}
		items = append(items, one())
		if comma = p.skip(operator, ","); !comma {
			break
		}
	}
	switch {
	case len(items) == 1 && !comma && len(items) > 0:
		return items[0]
	case len(items) == 0 && len(closing) == 0:
		fail(p.peek().line, "expected an expression, found %s", p.peek())
	}
	return sequence{items, tuples}
}

func (p *parser) list() expr {
	defer p.deeper()()
	var items []expr
	for !p.skip(operator, "]") {
		if len(items) > 0 {
			if p.expect(operator, ","); p.skip(operator, "]") {
				break
			}
		}
		items = append(items, p.expression())
	}
	return sequence{items, lists}
}

func (p *parser) dict(line int) expr {
	defer p.deeper()()
	m := &mapping{line: line}
	for !p.skip(operator, "}") {
		if len(m.keys) > 0 {
			if p.expect(operator, ","); p.skip(operator, "}") {
				break
			}
		}
		m.keys = append(m.keys, p.expression())
		p.expect(operator, ":")
		m.values = append(m.values, p.expression())
	}
	return m
}

func (p *parser) postfix(e expr) expr {
	for {
		t := p.peek()
		switch {
		case p.skip(operator, "."):
			e = p.member(e, t.line)
		case p.skip(operator, "["):
			e = p.subscript(e, t.line)
		case p.is(operator, "("):
			e = &call{t.line, e, p.arguments()}
		default:
			return e
		}
	}
}

func (p *parser) member(e expr, line int) expr {
	t := p.next()
	switch t.kind {
	case name:
		return &attribute{line, e, t.value}
	case integer:
		v, err := strconv.ParseInt(t.value, 0, 64)
		if err == nil {
			return &item{line, e, constant{v}}
		}
	}
	fail(t.line, "expected a name after the dot, found %s", t)
	return nil
}

func (p *parser) subscript(e expr, line int) expr {
	var out expr
	colon := func() bool { return p.is(operator, ":") }
	ends := func() bool { return p.is(operator, "]") || p.is(operator, ",") }
	var start expr
	if !colon() {
		start = p.expression()
	}
	if !colon() {
		out = &item{line, e, start}
	} else {
		p.next()
		s := &slice{line: line, object: e, start: start}
		if !colon() && !ends() {
			s.end = p.expression()
		}
		if p.skip(operator, ":") && !ends() {
			s.step = p.expression()
		}
		out = s
	}
	if p.is(operator, ",") {
		fail(line, "several subscripts in one pair of brackets are not supported")
	}
	p.expect(operator, "]")
	return out
}

// arguments reads the arguments of a call, with their parentheses.
func (p *parser) arguments() arguments {
	var a arguments
	p.expect(operator, "(")
	for first := true; !p.skip(operator, ")"); first = false {
		if !first {
			if p.expect(operator, ","); p.skip(operator, ")") {
				break
			}
		}
		t := p.peek()
		switch {
		case p.skip(operator, "*"):
			a.star = p.expression()
		case p.skip(operator, "**"):
			a.starStar = p.expression()
		case t.kind == name && p.tokens[p.at+1].kind == operator && p.tokens[p.at+1].value == "=":
			p.at += 2
			a.named = append(a.named, namedArgument{t.value, p.expression()})
		case len(a.named) > 0 || a.starStar != nil:
			fail(t.line, "a positional argument follows a named one")
		default:
			a.positional = append(a.positional, p.expression())
		}
	}
	return a
}

// filters reads what may follow an operand: filters, tests, and calls of their results.
func (p *parser) filters(e expr) expr {
	for {
		t := p.peek()
		switch {
		case p.skip(operator, "|"):
			e = p.filter(e)
		case p.skip(name, "is"):
			e = p.test(e)
		case p.is(operator, "("):
			e = &call{t.line, e, p.arguments()}
		default:
			return e
		}
	}
}

func (p *parser) dotted() token {
	t := p.expect(name, "")
	for p.skip(operator, ".") {
		t.value += "." + p.expect(name, "").value
	}
	return t
}

func (p *parser) filter(input expr) *filter {
	t := p.dotted()
	if unsupportedFilters[t.value] {
		fail(t.line, "the filter %s is not supported in chat templates", t.value)
	}
	f := &filter{line: t.line, input: input, name: t.value}
	if p.is(operator, "(") {
		f.args = p.arguments()
	}
	return f
}

func (p *parser) test(input expr) expr {
	negated := p.skip(name, "not")
	t := p.dotted()
	if unsupportedTests[t.value] {
		fail(t.line, "the test %s is not supported in chat templates", t.value)
	}
	e := &test{line: t.line, input: input, name: t.value}
	switch q := p.peek(); {
	case p.is(operator, "("):
		e.args = p.arguments()
	case q.kind == text, q.kind == integer, q.kind == float, q.kind == operator && (q.value == "[" || q.value == "{"),
		q.kind == name && q.value != "else" && q.value != "or" && q.value != "and":
		if q.value == "is" && q.kind == name {
			fail(q.line, "tests cannot be chained with is")
		}
		e.args.positional = []expr{p.postfix(p.primary())}
	}
	if negated {
		return negation{e}
	}
	return e
}
