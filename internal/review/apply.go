package review

import (
	"context"
	"fmt"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// Application applies the verdicts of a file to the rows of a run, each at most
// once, and counts what happened.
type Application struct {
	verdicts *Verdicts
	met      map[string]bool // ids of rows with a verdict
	counts   map[string]int64
	stale    []string
}

// Open reads the review file at path. For the path "" there are no verdicts.
func Open(ctx context.Context, path string) (*Application, error) {
	a := &Application{met: map[string]bool{}, counts: map[string]int64{}}
	var err error
	if path != "" {
		a.verdicts, err = Read(ctx, path)
	}
	return a, err
}

// Apply returns the messages of a row after the review, and the reason to reject
// the row, or nil. A verdict about other messages than these is stale: it is not
// applied, but counted and noted.
func (a *Application) Apply(id string, messages []chat.Message) ([]chat.Message, *dataset.Reject) {
	v, ok := a.verdicts.Of(id)
	if !ok {
		return messages, nil
	}
	a.met[id] = true
	if v.Digest != Digest(messages) {
		a.counts["review_stale"]++
		a.stale = append(a.stale, id)
		return messages, nil
	}
	switch v.Verdict {
	case Reject:
		return messages, &dataset.Reject{Reason: "review_rejected", Detail: detail(v)}
	case Edit:
		a.counts["review_edited"]++
		return v.Messages, nil
	}
	a.counts["review_accepted"]++
	return messages, nil
}

func detail(v Verdict) string {
	switch {
	case v.Reviewer == "":
		return v.Note
	case v.Note == "":
		return "by " + v.Reviewer
	}
	return "by " + v.Reviewer + ": " + v.Note
}

// Counts returns the number of rows that were accepted and edited, and of
// verdicts that were stale or about no row, for a manifest. Rejected rows have
// their reason. It is nil without verdicts.
func (a *Application) Counts() map[string]int64 {
	if a.verdicts.Len() == 0 {
		return nil
	}
	a.counts["review_unknown"] = int64(len(a.unknown()))
	for _, name := range []string{"review_accepted", "review_edited", "review_stale"} {
		a.counts[name] += 0
	}
	return a.counts
}

// unknown returns the ids of verdicts about rows that were not met.
func (a *Application) unknown() (ids []string) {
	for _, id := range a.verdicts.order {
		if !a.met[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// Notes names the verdicts that were not applied.
func (a *Application) Notes() (notes []string) {
	if a.verdicts.Len() == 0 {
		return nil
	}
	if len(a.stale) > 0 {
		notes = append(notes, fmt.Sprintf("the review's verdicts on %d rows were not applied, because these rows have changed "+
			"since: %s; review them again", len(a.stale), some(a.stale)))
	}
	if ids := a.unknown(); len(ids) > 0 {
		notes = append(notes, fmt.Sprintf("the review has verdicts on %d rows that are not in the sets to mix: %s",
			len(ids), some(ids)))
	}
	return notes
}

// some names the first few ids.
func some(ids []string) string {
	const most = 5
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return strings.Join(ids[:most], ", ") + ", …"
}
