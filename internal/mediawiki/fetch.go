package mediawiki

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"

	"barka/internal/badinput"
)

// Form is what a page's text is fetched as.
type Form string

// Forms of pages.
const (
	FormExtract  Form = "extract"  // plain text with == headings ==, by TextExtracts
	FormHTML     Form = "html"     // what a reader sees, by action=parse
	FormWikitext Form = "wikitext" // the source, fifty pages per request
)

// Forms lists the forms.
func Forms() []Form { return []Form{FormExtract, FormHTML, FormWikitext} }

// PerRequest returns how many pages one request gives.
func (f Form) PerRequest() int {
	if f == FormWikitext {
		return titlesPerQuery
	}
	return 1
}

// Fetch returns pages with their text, in their order. Pages that have vanished since they
// were resolved are Missing.
func (c *Client) Fetch(ctx context.Context, form Form, pages []Resolved) ([]Fetched, error) {
	var all []Fetched
	for batch := range slices.Chunk(pages, form.PerRequest()) {
		got := make([]Fetched, len(batch))
		byID := map[int64]*Fetched{}
		for i, p := range batch {
			got[i] = Fetched{URL: p.URL, Missing: true}
			got[i].ID, got[i].Namespace, got[i].Title = p.ID, p.Namespace, p.Title
			byID[p.ID] = &got[i]
		}
		var err error
		if form == FormHTML {
			err = c.parse(ctx, &got[0])
		} else {
			err = c.texts(ctx, form, batch, byID)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
	}
	return all, nil
}

// Fetched is a page with its text in the form that was asked for.
type Fetched struct {
	Page
	URL     string
	Missing bool
}

func (c *Client) texts(ctx context.Context, form Form, batch []Resolved, byID map[int64]*Fetched) error {
	var ids []int64
	for _, p := range batch {
		ids = append(ids, p.ID)
	}
	params := url.Values{"prop": {"extracts|revisions"}, "explaintext": {"1"}, "exsectionformat": {"wiki"}, "rvprop": {"ids|timestamp"},
		"pageids": {joinIDs(ids)}}
	if form == FormWikitext {
		params = url.Values{"prop": {"revisions"}, "rvprop": {"ids|timestamp|content"}, "rvslots": {"main"}, "pageids": {joinIDs(ids)}}
	}
	return c.fetched(ctx, params, func(a *answer) error {
		for _, p := range a.Query.Pages {
			f := byID[p.ID]
			if f == nil {
				return badinput.Errorf("wiki %s: the answer has page %d, which was not asked for", c.o.API, p.ID)
			}
			text := p.Extract
			if len(p.Revisions) > 0 {
				f.Revision, f.Timestamp = p.Revisions[0].ID, p.Revisions[0].Timestamp
				if form == FormWikitext {
					text = p.Revisions[0].Slots.Main.Content
				}
			}
			if text != nil {
				f.Text, f.Missing = *text, false
			}
		}
		return nil
	})
}

// parse fetches a page as HTML.
func (c *Client) parse(ctx context.Context, f *Fetched) error {
	params := url.Values{"action": {"parse"}, "pageid": {strconv.FormatInt(f.ID, 10)}, "prop": {"text|revid"}, "disablelimitreport": {"1"},
		"disableeditsection": {"1"}, "disabletoc": {"1"}}
	var a struct {
		Parse struct {
			Revision int64           `json:"revid"`
			Text     json.RawMessage `json:"text"`
		} `json:"parse"`
	}
	if _, err := c.ask(ctx, params, &a); err != nil {
		if isCode(err, "nosuchpageid") {
			return nil
		}
		return err
	}
	var old struct { // the older format
		Text string `json:"*"`
	}
	if err := json.Unmarshal(a.Parse.Text, &f.Text); err != nil {
		if err := json.Unmarshal(a.Parse.Text, &old); err != nil {
			return badinput.Errorf("wiki %s: page %d: the answer has no HTML: %w", c.o.API, f.ID, err)
		}
		f.Text = old.Text
	}
	f.Revision, f.Missing = a.Parse.Revision, false
	return nil
}

// Summaries returns the leads of pages as plain text, by their ids.
func (c *Client) Summaries(ctx context.Context, pages []int64) (map[int64]string, error) {
	const perRequest = 20 // TextExtracts gives so many leads at once
	leads := map[int64]string{}
	for batch := range slices.Chunk(pages, perRequest) {
		params := url.Values{"prop": {"extracts"}, "explaintext": {"1"}, "exintro": {"1"}, "exlimit": {strconv.Itoa(perRequest)},
			"pageids": {joinIDs(batch)}}
		err := c.fetched(ctx, params, func(a *answer) error {
			for _, p := range a.Query.Pages {
				if p.Extract != nil {
					leads[p.ID] = *p.Extract
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return leads, nil
}
