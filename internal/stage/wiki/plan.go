package wiki

import (
	"context"
	"os"

	"barka/internal/badinput"
	"barka/internal/mediawiki"
)

// Estimate is what a run will read.
type Estimate struct {
	// Pages is the number of titles chosen; 0 with a dump means all its pages.
	Pages int `json:"pages"`
	// Bytes is the size of the dump as it lies on disk.
	Bytes int64 `json:"bytes,omitempty"`
	// Seconds is the least time that an API's pages take at the polite rate.
	Seconds float64 `json:"seconds,omitempty"`
}

// SecondsPerPage is the time that a page of a wiki takes at the polite rate.
var SecondsPerPage = mediawiki.PoliteInterval.Seconds()

// Size says what a run will read, as far as that is known without asking the
// wiki: the titles that are named, and the size of a dump.
func Size(o Options) (Estimate, error) {
	titles, err := o.titles()
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Pages: len(titles)}
	if o.Dump == "" {
		return e, nil
	}
	info, err := os.Stat(o.Dump)
	if err != nil {
		return Estimate{}, badinput.Wrap(err)
	}
	e.Bytes = info.Size()
	return e, nil
}

// Plan says what a run will read. With an API it asks for categories and
// links, but for no page.
func Plan(ctx context.Context, o Options) (Estimate, error) {
	if err := o.Validate(); err != nil {
		return Estimate{}, err
	}
	if o.Dump != "" {
		return Size(o)
	}
	titles, err := o.titles()
	if err != nil {
		return Estimate{}, err
	}
	c, err := o.client("")
	if err != nil {
		return Estimate{}, err
	}
	if titles, err = o.choose(ctx, c, titles); err != nil {
		return Estimate{}, err
	}
	e := Estimate{Pages: len(titles)}
	if o.MaxPages > 0 {
		e.Pages = min(e.Pages, o.MaxPages)
	}
	e.Seconds = float64(e.Pages) * SecondsPerPage
	return e, nil
}
