package pipeline

import "log/slog"

// Progress shows how far a piece of work has come. Implementations are safe
// for concurrent use. Start may be called again for a next piece of work; a
// total below zero means that it is unknown. Skip counts what an earlier run had
// done already: it is part of the total and says nothing about speed.
type Progress interface {
	Start(label string, total int64, unit string)
	Add(n int64)
	Skip(n int64)
	Note(s string)
	Done()
}

// Teller is a Progress that also takes notes as events: by name, as text and as
// a value whose fields JSON can hold.
type Teller interface {
	Event(name, text string, v any)
}

// Tell notes an event, as text where the Progress takes no events.
func Tell(p Progress, name, text string, v any) {
	if t, ok := p.(Teller); ok {
		t.Event(name, text, v)
		return
	}
	p.Note(text)
}

// Silent is the Progress that shows nothing.
var Silent Progress = silent{}

type silent struct{}

func (silent) Start(string, int64, string) {}
func (silent) Add(int64)                   {}
func (silent) Skip(int64)                  {}
func (silent) Note(string)                 {}
func (silent) Done()                       {}

// IO is what every stage is run with beside its options: where to read and
// write, and what does not change the output.
type IO struct {
	Out      string            // the dataset directory to make
	In       map[string]string // inputs by name: dataset directories or files
	Retry    bool              // work again on the records that failed (Reject.Failed)
	Restart  bool              // throw away an unfinished or finished Out made with other options
	Seed     int64
	Workers  int // at least 1 is used
	Progress Progress
	Log      *slog.Logger
}

// Reject is why a record was dropped. A stage's function returns it as its
// error: the record then goes to rejected/ and the stage goes on.
type Reject struct {
	Reason string `json:"reason"` // a short code, e.g. too_short; counted as rejected_<reason>
	Detail string `json:"detail,omitempty"`
	// Failed: the record could not be worked on, through no fault that is known to
	// be its own (a server refused it); another attempt may succeed.
	Failed bool `json:"failed,omitempty"`
	// Row is put into rejected/ in place of the record; its type is
	// MapOptions.Rejected. nil is the record itself.
	Row any `json:"-"`
}

func (r *Reject) Error() string {
	if r.Detail == "" {
		return "rejected: " + r.Reason
	}
	return "rejected: " + r.Reason + ": " + r.Detail
}
