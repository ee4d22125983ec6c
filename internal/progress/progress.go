// Package progress is how work reports how far it has come. Whoever works takes
// a Reporter; package ui has those that draw bars and write lines.
package progress

import "time"

// Reporter shows how far a piece of work has come. Implementations are safe for
// concurrent use. Start may be called again for the next piece of work; a total
// below zero means that the total is unknown. Skip counts what an earlier run
// finished: it is part of the total and does not count towards the speed.
type Reporter interface {
	Start(label string, total int64, unit string)
	Add(n int64)
	Skip(n int64)
	Note(s string)
	Done()
}

// EventReporter is a Reporter that also takes events. An event has a name, a
// text for people, and a value that can be encoded as a JSON object.
type EventReporter interface {
	Event(name, text string, v any)
}

// Event reports an event to r. A Reporter that takes no events gets its text as
// a note.
func Event(r Reporter, name, text string, v any) {
	if e, ok := r.(EventReporter); ok {
		e.Event(name, text, v)
		return
	}
	r.Note(text)
}

// Detail is more about the current work than how many of its units are done.
type Detail struct {
	Text   string         // for people; "" for none
	Fields map[string]any // for JSON events
	// Left replaces the remaining time that follows from the units; negative if unknown.
	Left time.Duration
}

// DetailReporter is a Reporter that shows details. Detail is called after Start, and its
// function whenever the work is shown. The function must not call the Reporter.
type DetailReporter interface {
	Detail(func() Detail)
}

// SetDetail gives r the details of its current work. A Reporter that shows none ignores them.
func SetDetail(r Reporter, f func() Detail) {
	if d, ok := r.(DetailReporter); ok && f != nil {
		d.Detail(f)
	}
}

// Silent is the Reporter that shows nothing.
var Silent Reporter = silent{}

// OrSilent returns r, or Silent if r is nil.
func OrSilent(r Reporter) Reporter {
	if r == nil {
		return Silent
	}
	return r
}

type silent struct{}

func (silent) Start(string, int64, string) {}
func (silent) Add(int64)                   {}
func (silent) Skip(int64)                  {}
func (silent) Note(string)                 {}
func (silent) Done()                       {}
