package pipeline

import (
	"log/slog"

	"barka/internal/progress"
)

// IO is what every stage is run with beside its options: where to read and
// write, and what does not change the output.
type IO struct {
	Out      string            // the dataset directory to make
	In       map[string]string // inputs by name: dataset directories or files
	Retry    bool              // work again on the records that failed (Reject.Failed)
	Restart  bool              // throw away an unfinished or finished Out made with other options
	Seed     int64
	Workers  int // at least 1 is used
	Progress progress.Reporter
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
