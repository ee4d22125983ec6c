package mediawiki

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
		Normalized []struct{ From, To string } `json:"normalized"`
		Search     []struct {
			Title string `json:"title"`
		} `json:"search"`
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
	Latest    int64                      `json:"lastrevid"`
	PageProps map[string]json.RawMessage `json:"pageprops"`
	Links     []struct {
		NS    int    `json:"ns"`
		Title string `json:"title"`
	} `json:"links"`
	LangLinks []struct {
		Title string `json:"title"`
	} `json:"langlinks"`
	Revisions []struct {
		ID        int64  `json:"revid"`
		Timestamp string `json:"timestamp"`
		Slots     struct {
			Main struct {
				Content *string `json:"content"`
			} `json:"main"`
		} `json:"slots"`
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

// follow asks and follows every continuation, handing each answer on. Answers are kept for
// the run.
func (c *Client) follow(ctx context.Context, params url.Values, f func(*answer) error) error {
	return c.continued(params, func(params url.Values, a *answer) error { return c.query(ctx, params, a) }, f)
}

// fetched is follow for texts, which are not kept for the run: a Cache has them.
func (c *Client) fetched(ctx context.Context, params url.Values, f func(*answer) error) error {
	return c.continued(params, func(params url.Values, a *answer) error {
		params.Set("action", "query")
		_, err := c.ask(ctx, params, a)
		return err
	}, f)
}

// continued asks until there is no continuation. One that comes again would never end.
func (c *Client) continued(params url.Values, ask func(url.Values, *answer) error, f func(*answer) error) error {
	asked := map[string]bool{}
	for range 10_000 {
		if key := params.Encode(); asked[key] {
			break
		} else {
			asked[key] = true
		}
		a := &answer{}
		if err := ask(clone(params), a); err != nil {
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

// Links lists the articles that pages link to, sorted. Among them are some that the wiki
// does not have.
func (c *Client) Links(ctx context.Context, pages []int64) ([]string, error) {
	seen := titles{}
	for batch := range slices.Chunk(pages, titlesPerQuery) {
		params := url.Values{"prop": {"links"}, "plnamespace": {"0"}, "pllimit": {"max"}, "pageids": {joinIDs(batch)}}
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
			return nil, fmt.Errorf("links of pages: %w", err)
		}
	}
	return sorted(seen), nil
}

// TitlesIn returns the titles of pages in the wiki of another language, such as ar, by the pages'
// ids. Pages that it does not have are not among them.
func (c *Client) TitlesIn(ctx context.Context, pages []int64, language string) (map[int64]string, error) {
	found := map[int64]string{}
	for batch := range slices.Chunk(pages, titlesPerQuery) {
		params := url.Values{"prop": {"langlinks"}, "lllang": {language}, "lllimit": {"max"}, "pageids": {joinIDs(batch)}}
		err := c.follow(ctx, params, func(a *answer) error {
			for _, p := range a.Query.Pages {
				for _, l := range p.LangLinks {
					if l.Title != "" {
						found[p.ID] = l.Title
					}
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("titles of pages in %s: %w", language, err)
		}
	}
	return found, nil
}

func joinIDs(ids []int64) string {
	var b []byte
	for i, id := range ids {
		if i > 0 {
			b = append(b, '|')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}

// Search lists the articles that the wiki's search finds, at most most of them, the best first.
func (c *Client) Search(ctx context.Context, query string, most int) (found []string, err error) {
	params := url.Values{"list": {"search"}, "srsearch": {query}, "srnamespace": {"0"}, "srprop": {""},
		"srlimit": {strconv.Itoa(min(most, 50))}}
	err = c.follow(ctx, params, func(a *answer) error {
		for _, r := range a.Query.Search {
			if found = append(found, r.Title); len(found) == most {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("search for %q: %w", query, err)
	}
	return found, err
}

var errEnough = errors.New("enough results")

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

// Resolved is what a wiki has under a title, redirects and its own spellings followed.
type Resolved struct {
	Asked          string // the title asked for
	ID             int64
	Namespace      int
	Title          string
	URL            string
	Revision       int64 // the latest
	Missing        bool
	Disambiguation bool
}

// Resolve looks titles up, fifty per request. The result has them in their order.
func (c *Client) Resolve(ctx context.Context, titles []string) ([]Resolved, error) {
	var all []Resolved
	for batch := range slices.Chunk(titles, titlesPerQuery) {
		to, pages := map[string]string{}, map[string]*Resolved{}
		params := url.Values{"prop": {"info|pageprops"}, "inprop": {"url"}, "ppprop": {"disambiguation"}, "redirects": {"1"},
			"titles": {strings.Join(batch, "|")}}
		err := c.follow(ctx, params, func(a *answer) error {
			for _, n := range slices.Concat(a.Query.Normalized, a.Query.Redirects) {
				to[n.From] = n.To
			}
			for _, p := range a.Query.Pages {
				r := pages[p.Title]
				if r == nil {
					r = &Resolved{}
					pages[p.Title] = r
				}
				r.ID, r.Namespace, r.Title, r.URL = p.ID, p.NS, p.Title, cmp.Or(p.URL, r.URL)
				r.Revision, r.Missing = max(p.Latest, r.Revision), bool(p.Missing || p.Invalid)
				if _, ok := p.PageProps["disambiguation"]; ok {
					r.Disambiguation = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, asked := range batch {
			title := asked
			for range len(to) + 1 { // a redirect may lead to another spelling
				if next, ok := to[title]; ok {
					title = next
				}
			}
			r := Resolved{Title: title, Missing: true}
			if found := pages[title]; found != nil {
				r = *found
			}
			r.Asked = asked
			all = append(all, r)
		}
	}
	return all, nil
}

// Missing returns the titles that the wiki has no page of, redirects and the
// wiki's own spellings followed.
func (c *Client) Missing(ctx context.Context, titles []string) ([]string, error) {
	var missing []string
	all, err := c.Resolve(ctx, titles)
	for _, r := range all {
		if r.Missing {
			missing = append(missing, r.Asked)
		}
	}
	return missing, err
}
