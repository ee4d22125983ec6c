// Package jinja executes chat templates: Jinja with transformers' additions, without
// access to files, network or clock, and with bounded steps and output.
//
// The dialect is that of transformers 4.57's ImmutableSandboxedEnvironment
// (trim_blocks, lstrip_blocks, loop controls, {% generation %}, raise_exception,
// strftime_now and its own tojson) on Jinja 3.1. A feature of Jinja that this package
// lacks, such as {% include %}, is refused by name when a template is parsed. Nothing
// is rendered differently.
//
// Every string knows which of its bytes the template wrote and which came from a
// variable (Origin). A caller can therefore parse control tokens in the template's own
// text only, so that the text of a message cannot forge one. No library tracks this;
// docs/chat-templates.md lists those that were tried.
//
// The package is large because it is a language: a lexer, a parser, an interpreter,
// Python's values with their methods, and Jinja's filters and tests. It is one package
// because expressions evaluate to values whose methods call back into the interpreter.
package jinja

import (
	"time"
)

// Template is a parsed template. It is safe for concurrent use.
type Template struct {
	body []stmt
}

// Bounds on what a template may do, because templates come from strangers.
const (
	maxSource  = 1 << 20   // bytes of a template
	maxNesting = 100       // depth of blocks, brackets and values
	maxCalls   = 100       // depth of macro calls
	maxSteps   = 5_000_000 // a step evaluates a node or writes 16 bytes
	maxText    = 32 << 20  // bytes of a string, and of the output
	maxRange   = 100_000   // elements of range(), as in Jinja's sandbox
)

// Parse parses a template. An error is an *Error with the line.
func Parse(source string) (t *Template, err error) {
	defer caught(&err)
	if len(source) > maxSource {
		fail(0, "the template has %d bytes, at most %d are allowed", len(source), maxSource)
	}
	p := &parser{tokens: lex(source)}
	return &Template{p.statements()}, nil
}

// Output is a rendered template.
type Output struct {
	Text Text
	// Generations are the byte ranges that {% generation %} blocks wrote.
	Generations [][2]int
}

// Render executes the template with variables by name. now is the time that the
// template sees. An error is an *Error.
func (t *Template) Render(variables map[string]Value, now time.Time) (out Output, err error) {
	defer caught(&err)
	m := &machine{now: now}
	root := &scope{m: m, vars: make(map[string]Value, len(variables))}
	for k, v := range variables {
		root.vars[k] = v
	}
	w := &output{m: m, root: true}
	root.run(t.body, w)
	return Output{w.b.text(), w.generations}, nil
}
