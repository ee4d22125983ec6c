package dataset

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
