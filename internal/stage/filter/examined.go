package filter

import (
	"regexp"
	"slices"
	"sync"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/fineweb"
	"barka/internal/literals"
	"barka/internal/prose"
)

// examined is a row under examination, with what several rules need of it.
type examined struct {
	dataset.Instruction
	o       *Rules
	all     *Options
	form    string
	explain bool // measure every message, even behind a reason to drop the row

	messages, sources []text
	words             wordBuffers
	counters          counters
}

var rows = sync.Pool{New: func() any { return new(examined) }}

// examine returns the examination of a row, which done gives back.
func examine(o *Options, r dataset.Instruction, form string) *examined {
	x := rows.Get().(*examined)
	x.Instruction, x.o, x.all, x.form, x.explain = r, o.of(form), o, form, false
	x.messages, x.sources = texts(x.messages, r.Messages), texts(x.sources, r.MessagesEN)
	return x
}

func (x *examined) done() {
	x.Instruction, x.all, x.o = dataset.Instruction{}, nil, nil
	x.messages, x.sources = texts(x.messages, nil), texts(x.sources, nil)
	rows.Put(x)
}

// run applies a rule unless it is left out.
func (x *examined) run(r *rule) finding {
	if slices.Contains(x.all.SkipRules, r.name) {
		return skip(off)
	}
	return r.check(x)
}

func (x *examined) message(i int) *text { return &x.messages[i] }

// source returns the source of a message of a row that is translated.
func (x *examined) source(i int) *text { return &x.sources[i] }

// english returns the English text of a message, nil if it has none.
func (x *examined) english(i int) *text {
	switch {
	case len(x.sources) == 0:
		return x.message(i)
	case i < len(x.sources):
		return x.source(i)
	}
	return nil
}

// english returns the row's messages in English.
func english(r *dataset.Instruction) []chat.Message {
	if len(r.MessagesEN) > 0 {
		return r.MessagesEN
	}
	return r.Messages
}

// translated reports whether every message has its source beside it.
func (x *examined) translated() bool { return len(x.MessagesEN) == len(x.Messages) }

// written reports whether a model, or nobody known, wrote the row's answers, and not the authors
// of a benchmark.
func (x *examined) written() bool {
	return x.form == dataset.FormQuestion || x.form == dataset.FormConversation || x.form == dataset.FormInstruction
}

// text is a message or its source, with what is known of it so far.
type text struct {
	string
	prose   string // without code, formulas and addresses
	found   literals.Found
	fineweb *fineweb.Text // nil if the text is too short for FineWeb's rules
	known   facts
}

// facts are the fields of a text that are known.
type facts struct{ prose, found, fineweb bool }

// texts returns the texts of messages in place of others.
func texts(to []text, messages []chat.Message) []text {
	clear(to)
	to = to[:0]
	for _, m := range messages {
		to = append(to, text{string: m.Content})
	}
	return to
}

// words returns the text without code, formulas and addresses.
func (t *text) words() string {
	if !t.known.prose {
		t.prose, t.known.prose = prose.Words(t.string), true
	}
	return t.prose
}

// letters finds the phrases that a text may have.
var letters = sync.OnceValue(func() *literals.Set {
	set := make([]*regexp.Regexp, len(phrases))
	for i, p := range phrases {
		set[i] = p.Regexp
	}
	return literals.New(set...)
})

// may reports whether the text has letters without which it does not match a phrase.
func (t *text) may(p *phrase) bool {
	if !t.known.found {
		t.found, t.known.found = letters().Scan(t.string), true
	}
	end := int(t.found[p.number])
	return end > 0 && (p.limit == 0 || end <= p.limit)
}

// find returns where a phrase is in the text, nil if it is not.
func (t *text) find(p *phrase) []int {
	if !t.may(p) {
		return nil
	}
	s := t.string
	if p.limit > 0 {
		s = s[:min(len(s), p.limit)]
	}
	return letters().Find(p.number, s, t.found[p.number])
}
