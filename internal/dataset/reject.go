package dataset

// Reject is why a record was dropped. A stage's function returns it as its
// error: the record then goes to rejected/ and the stage goes on.
type Reject struct {
	Reason string `json:"reason"` // a short code, e.g. too_short; counted as rejected_<reason>
	Detail string `json:"detail,omitempty"`
	// Failed: the record could not be processed for a reason that need not be
	// its own, such as a refusal of a server. Another attempt may succeed.
	Failed bool `json:"failed,omitempty"`
	// Row is put into rejected/ in place of the record. Its type is
	// MapOptions.Rejected of package durable. nil means the record itself.
	Row any `json:"-"`
}

func (r *Reject) Error() string {
	if r.Detail == "" {
		return "rejected: " + r.Reason
	}
	return "rejected: " + r.Reason + ": " + r.Detail
}
