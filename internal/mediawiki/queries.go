package mediawiki

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
)

// answer is what the queries below read.
type answer struct {
	Continue map[string]any `json:"continue"`
	Query    struct {
		Normalized      []struct{ From, To string } `json:"normalized"`
		Redirects       []struct{ From, To string } `json:"redirects"`
		Pages           apiPages                    `json:"pages"`
		CategoryMembers []struct {
			NS    int    `json:"ns"`
			Title string `json:"title"`
		} `json:"categorymembers"`
		RightsInfo struct {
			URL  string `json:"url"`
			Text string `json:"text"`
		} `json:"rightsinfo"`
	} `json:"query"`
}

type apiPage struct {
	ID        int64                      `json:"pageid"`
	NS        int                        `json:"ns"`
	Title     string                     `json:"title"`
	Missing   present                    `json:"missing"`
	Invalid   present                    `json:"invalid"`
	Extract   *string                    `json:"extract"`
	URL       string                     `json:"fullurl"`
	PageProps map[string]json.RawMessage `json:"pageprops"`
	Links     []struct {
		NS    int    `json:"ns"`
		Title string `json:"title"`
	} `json:"links"`
	Revisions []struct {
		ID        int64  `json:"revid"`
		Timestamp string `json:"timestamp"`
	} `json:"revisions"`
}

// present is a flag in either of the API's spellings: true, or "" for a key
// that is there.
type present bool

func (p *present) UnmarshalJSON(data []byte) error {
	*p = string(data) != "false"
	return nil
}

// apiPages is a list, or in the older format an object by page id.
type apiPages []apiPage

func (p *apiPages) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*[]apiPage)(p)) == nil {
		return nil
	}
	var byID map[string]apiPage
	if err := json.Unmarshal(data, &byID); err != nil {
		return err
	}
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	*p = (*p)[:0]
	for _, id := range ids {
		*p = append(*p, byID[id])
	}
	return nil
}

// follow asks and follows every continuation, handing each answer on. One that
// comes again would never end.
func (c *Client) follow(ctx context.Context, params url.Values, f func(*answer) error) error {
	asked := map[string]bool{}
	for range 10_000 {
		if key := params.Encode(); asked[key] {
			break
		} else {
			asked[key] = true
		}
		a := &answer{}
		if err := c.query(ctx, clone(params), a); err != nil {
			return err
		}
		if err := f(a); err != nil {
			return err
		}
		if len(a.Continue) == 0 {
			return nil
		}
		params = clone(params)
		for k, v := range a.Continue {
			params.Set(k, fmt.Sprint(v))
		}
	}
	return fmt.Errorf("wiki %s: the answer to %s never ends", c.o.API, params.Encode())
}

// Extract is a page's plain text with == headings ==.
type Extract struct {
	Page
	URL string
	// From is the title asked for, if a redirect led here.
	From           string
	Missing        bool
	Disambiguation bool
}

// Extract fetches a page as plain text, redirects followed; the server gives
// one page a request.
func (c *Client) Extract(ctx context.Context, title string) (*Extract, error) {
	params := url.Values{
		"prop": {"extracts|revisions|info|pageprops"}, "explaintext": {"1"}, "exsectionformat": {"wiki"}, "rvprop": {"ids|timestamp"},
		"inprop": {"url"}, "ppprop": {"disambiguation"}, "redirects": {"1"}, "titles": {title},
	}
	e := &Extract{}
	err := c.follow(ctx, params, func(a *answer) error {
		if len(a.Query.Redirects) > 0 {
			e.From = title
		}
		for _, p := range a.Query.Pages {
			e.merge(p)
		}
		return nil
	})
	return e, err
}

// merge adds what one answer of a continued query says.
func (e *Extract) merge(p apiPage) {
	e.ID, e.Namespace, e.Title = p.ID, p.NS, p.Title
	e.Missing = e.Missing || bool(p.Missing || p.Invalid)
	if p.Extract != nil {
		e.Text = *p.Extract
	}
	if p.URL != "" {
		e.URL = p.URL
	}
	if len(p.Revisions) > 0 {
		e.Revision, e.Timestamp = p.Revisions[0].ID, p.Revisions[0].Timestamp
	}
	if _, ok := p.PageProps["disambiguation"]; ok {
		e.Disambiguation = true
	}
}

// Bounds of what is listed. English Wikipedia's category of living people has a
// million pages, which at a request each would take days: a dump has them at once.
const (
	MaxTitles = 500_000
	maxTitle  = 1024 // bytes; MediaWiki stores titles of 255 without their namespace
)

// titles is a set of titles with bounds.
type titles map[string]bool

func (s titles) add(title string) error {
	if len(title) > maxTitle {
		return badinput.Errorf("the wiki lists a title of %d bytes, expected at most %d", len(title), maxTitle)
	}
	s[title] = true
	return TooMany(len(s))
}

// TooMany returns a badinput error if n titles are more than MaxTitles.
func TooMany(n int) error {
	if n > MaxTitles {
		return badinput.Errorf("more than %d pages or categories; choose smaller categories, or read a dump of the wiki", MaxTitles)
	}
	return nil
}

// Links lists the articles that a page links to, sorted.
func (c *Client) Links(ctx context.Context, title string) ([]string, error) {
	seen := titles{}
	params := url.Values{"prop": {"links"}, "plnamespace": {"0"}, "pllimit": {"max"}, "redirects": {"1"}, "titles": {title}}
	err := c.follow(ctx, params, func(a *answer) error {
		for _, p := range a.Query.Pages {
			for _, l := range p.Links {
				if err := seen.add(l.Title); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("links of %s: %w", title, err)
	}
	return sorted(seen), nil
}

// Category lists the articles of a category and of its subcategories down to
// depth, sorted; depth 0 is the category alone.
func (c *Client) Category(ctx context.Context, name string, depth int) ([]string, error) {
	if !strings.Contains(name, ":") {
		name = "Category:" + name
	}
	articles, categories := titles{}, titles{name: true}
	level := []string{name}
	for d := 0; d <= depth && len(level) > 0; d++ {
		var below []string
		for _, cat := range level {
			params := url.Values{"list": {"categorymembers"}, "cmtitle": {cat}, "cmlimit": {"max"}, "cmtype": {"page|subcat"}}
			err := c.follow(ctx, params, func(a *answer) error {
				for _, m := range a.Query.CategoryMembers {
					var err error
					switch {
					case m.NS == 0:
						err = articles.add(m.Title)
					case m.NS == 14 && !categories[m.Title]:
						below = append(below, m.Title)
						err = categories.add(m.Title)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", cat, err)
			}
		}
		level = below
	}
	return sorted(articles), nil
}

// Rights returns the wiki's licence: its name and address.
func (c *Client) Rights(ctx context.Context) (string, error) {
	a := &answer{}
	if err := c.query(ctx, url.Values{"meta": {"siteinfo"}, "siprop": {"rightsinfo"}}, a); err != nil {
		return "", err
	}
	r := a.Query.RightsInfo
	return strings.TrimSpace(r.Text + " " + r.URL), nil
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// PageURL is the address of a revision of a page, given any page address of
// the same wiki.
func PageURL(base, title string, revision int64) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return ""
	}
	out := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/w/index.php"}
	q := url.Values{"title": {strings.ReplaceAll(title, " ", "_")}}
	if revision > 0 {
		q.Set("oldid", strconv.FormatInt(revision, 10))
	}
	out.RawQuery = q.Encode()
	return out.String()
}

// titlesPerQuery is the most titles that the API takes at once from everybody.
const titlesPerQuery = 50

// Missing returns the titles that the wiki has no page of, redirects and the
// wiki's own spellings followed.
func (c *Client) Missing(ctx context.Context, titles []string) ([]string, error) {
	var missing []string
	for batch := range slices.Chunk(titles, titlesPerQuery) {
		asked := map[string]string{} // the wiki's spelling to the one asked for
		for _, t := range batch {
			asked[t] = t
		}
		err := c.follow(ctx, url.Values{"titles": {strings.Join(batch, "|")}, "redirects": {"1"}}, func(a *answer) error {
			for _, n := range a.Query.Normalized {
				asked[n.To] = n.From
			}
			for _, r := range a.Query.Redirects {
				if from, ok := asked[r.From]; ok {
					asked[r.To] = from
				}
			}
			for _, p := range a.Query.Pages {
				if p.Missing || p.Invalid {
					missing = append(missing, cmp.Or(asked[p.Title], p.Title))
				}
			}
			return nil
		})
		if err != nil {
			return missing, err
		}
	}
	return missing, nil
}
