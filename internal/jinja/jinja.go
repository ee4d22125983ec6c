// Package jinja executes chat templates: Jinja with transformers' additions,
// cut off from files, network and clock, and bounded in steps and output.
//
// The dialect is that of transformers 4.57's ImmutableSandboxedEnvironment
// (trim_blocks, lstrip_blocks, loop controls, {% generation %},
// raise_exception, strftime_now and its own tojson) on Jinja 3.1. What Jinja
// has and this package has not, such as {% include %}, is refused by name when
// a template is parsed; nothing is rendered differently.
//
// Every string knows which of its bytes the template wrote and which came from
// a variable (Origin). That is what lets a caller parse control tokens in the
// template's own text alone, so that the text of a message cannot forge one.
// No library keeps that: see docs/chat-templates.md for those that were tried.
package jinja

import (
	"time"
)

// Template is a parsed template. It can be rendered concurrently.
type Template struct {
	body []stmt
}

// Bounds of what a template may do: templates are files from strangers.
const (
	maxSource  = 1 << 20   // bytes of a template
	maxNesting = 100       // of blocks, brackets and values
	maxCalls   = 100       // of macros within each other
	maxSteps   = 5_000_000 // a step is a node that is evaluated or 16 bytes that are written
	maxText    = 32 << 20  // bytes of a string and of the output
	maxRange   = 100_000   // elements of range(), as in Jinja's sandbox
)

// Parse reads a template. An error is an *Error with the line.
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

// Render executes the template with variables, by name. Its clock stands at
// now. An error is an *Error.
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
