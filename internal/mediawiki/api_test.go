package mediawiki

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/testfiles"
)

func testClient(t *testing.T, o ClientOptions) (*Client, *[]time.Duration) {
	t.Helper()
	var pauses []time.Duration
	o.Contact = "test@barka.test"
	o.Interval = time.Nanosecond
	o.Sleep = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, &pauses
}

// server answers the n-th request with the n-th handler, the last for ever.
func server(t *testing.T, handlers ...http.HandlerFunc) (string, *atomic.Int32) {
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ua := r.Header.Get("User-Agent"); !strings.Contains(ua, "test@barka.test") {
			t.Errorf("user agent %q names no contact", ua)
		}
		handlers[min(int(n.Add(1))-1, len(handlers)-1)](w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, &n
}

func text(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

const page = `{"batchcomplete":true,"query":{"redirects":[{"from":"UAE","to":"United Arab Emirates"}],` +
	`"pages":[{"pageid":7,"ns":0,"title":"United Arab Emirates","extract":"Lead.\n\n== History ==\nOld.",` +
	`"fullurl":"https://en.example/wiki/UAE","revisions":[{"revid":99,"timestamp":"2026-01-01T00:00:00Z"}]}]}}`

// extract fetches the page that the tests' answers have.
func extract(ctx context.Context, c *Client) (Fetched, error) {
	all, err := c.Fetch(ctx, FormExtract, []Resolved{{ID: 7}})
	if err != nil {
		return Fetched{}, err
	}
	return all[0], nil
}

func TestExtract(t *testing.T) {
	url, _ := server(t, text(200, page))
	c, _ := testClient(t, ClientOptions{API: url})
	if e, err := extract(t.Context(), c); err != nil || e.Revision != 99 || !strings.Contains(e.Text, "== History ==") || e.Missing {
		t.Errorf("%+v, %v", e, err)
	}
	all, err := c.Resolve(t.Context(), []string{"UAE", "Nowhere"})
	if err != nil || len(all) != 2 || all[0].ID != 7 || all[0].Title != "United Arab Emirates" || all[0].Asked != "UAE" || !all[1].Missing {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestFaultsThatPass(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"429": text(429, ""), "503": text(503, ""), "not JSON": text(200, "<html>"), "cut": text(200, page[:40]),
		"maxlag":      text(200, `{"error":{"code":"maxlag","info":"Waiting for a database"}}`, "Retry-After", "5"),
		"ratelimited": text(200, `{"error":{"code":"ratelimited","info":"slow down"}}`),
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			io.WriteString(w, "{")
		},
	} {
		url, n := server(t, fault, fault, text(200, page))
		c, pauses := testClient(t, ClientOptions{API: url})
		if e, err := extract(context.Background(), c); err != nil || e.Revision != 99 || n.Load() != 3 {
			t.Errorf("%s: %v after %d requests", name, err, n.Load())
		}
		if name == "maxlag" && (*pauses)[0] != 5*time.Second {
			t.Errorf("maxlag: paused %v, the server asked for 5 s", *pauses)
		}
	}
}

func TestFinalErrors(t *testing.T) {
	url, n := server(t, text(200, `{"error":{"code":"badvalue","info":"Unrecognized value"}}`))
	c, _ := testClient(t, ClientOptions{API: url})
	if _, err := extract(context.Background(), c); !badinput.Is(err) || !strings.Contains(err.Error(), "badvalue") || n.Load() != 1 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
	url, n = server(t, text(500, ""))
	c, _ = testClient(t, ClientOptions{API: url, Retries: 2})
	if _, err := extract(context.Background(), c); err == nil || n.Load() != 3 {
		t.Errorf("%v after %d requests, expected 3", err, n.Load())
	}
}

func TestContactIsNeeded(t *testing.T) {
	for _, contact := range []string{"", "me", "https://example.com/bot", "user@example.org"} {
		if _, err := NewClient(ClientOptions{API: "https://en.wikipedia.org/w/api.php", Contact: contact}); !badinput.Is(err) {
			t.Errorf("contact %q: %v", contact, err)
		}
	}
	if _, err := NewClient(ClientOptions{API: "en.wikipedia.org", Contact: "a@b.net"}); !badinput.Is(err) {
		t.Errorf("address: %v", err)
	}
}

// TestAnswersAreKept: a second client of the same run asks the server nothing.
func TestAnswersAreKept(t *testing.T) {
	url, n := server(t, text(200, page))
	dir := t.TempDir()
	for range 2 {
		c, _ := testClient(t, ClientOptions{API: url, CacheDir: dir})
		if r, err := c.Resolve(t.Context(), []string{"UAE"}); err != nil || r[0].ID != 7 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if n.Load() != 1 {
		t.Errorf("%d requests, expected 1", n.Load())
	}
}

func TestContinuation(t *testing.T) {
	part := func(titles, cont string) http.HandlerFunc {
		return text(200, fmt.Sprintf(`{%s"query":{"pages":[{"title":"P","links":[%s]}]}}`, cont, titles))
	}
	url, _ := server(t,
		part(`{"ns":0,"title":"B"},{"ns":0,"title":"A"}`, `"continue":{"plcontinue":"1|0|C","continue":"||"},`),
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("plcontinue") != "1|0|C" {
				t.Errorf("continued with %s", r.URL.RawQuery)
			}
			part(`{"ns":0,"title":"C"}`, "")(w, r)
		})
	c, _ := testClient(t, ClientOptions{API: url})
	if got, err := c.Links(context.Background(), []int64{1}); err != nil || strings.Join(got, ",") != "A,B,C" {
		t.Errorf("%v, %v", got, err)
	}
}

// cassette replays recorded exchanges of the real server, matching the
// parameters that both sides know.
type cassette struct {
	t            *testing.T
	title        string // of the page that is asked for by its id
	interactions []struct {
		Request  struct{ URI string }
		Response struct{ Body struct{ String string } }
	}
}

func (c *cassette) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	for _, i := range c.interactions {
		u, err := url.Parse(i.Request.URI)
		if err != nil {
			continue
		}
		same := true
		for _, key := range []string{"titles", "cmtitle", "plcontinue", "cmcontinue", "list"} {
			recorded := strings.ReplaceAll(u.Query().Get(key), "_", " ")
			if key == "titles" && q.Has("pageids") {
				q.Set("titles", c.title)
			}
			same = same && recorded == strings.ReplaceAll(q.Get(key), "_", " ")
		}
		if same {
			return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{},
				Body: io.NopCloser(strings.NewReader(i.Response.Body.String)), Request: r}, nil
		}
	}
	c.t.Errorf("nothing recorded for %s", r.URL.RawQuery)
	return nil, fmt.Errorf("nothing recorded")
}

func replay(t *testing.T, name string) *Client {
	t.Helper()
	data := testfiles.Read(t, testfiles.Shared(t, "wiki", "api", name))
	tape := &cassette{t: t, title: "Python (programming language)"}
	var wrapped struct{ Interactions json.RawMessage }
	if err := json.Unmarshal(data, &wrapped); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(wrapped.Interactions, &tape.interactions); err != nil {
		t.Fatal(err)
	}
	c, _ := testClient(t, ClientOptions{API: "https://en.wikipedia.org/w/api.php", Transport: tape})
	return c
}

// TestRecordedExchanges: the client against what Wikipedia's server answered.
func TestRecordedExchanges(t *testing.T) {
	ctx := context.Background()
	const python = 23862
	all, err := replay(t, "TestVcrWikiExtracts.test_extracts.json").Fetch(ctx, FormExtract, []Resolved{{ID: python}})
	if err != nil {
		t.Fatal(err)
	}
	e := all[0]
	if err != nil || len(e.Text) < 10000 || !strings.Contains(e.Text, "== History ==") {
		t.Errorf("extract: %d bytes, %v", len(e.Text), err)
	}
	links, err := replay(t, "TestVcrWikiLinks.test_links.json").Links(ctx, []int64{python})
	if err != nil || len(links) < 500 {
		t.Errorf("links: %d, %v", len(links), err)
	}
	members, err := replay(t, "TestVcrWikiCategorymembers.test_categorymembers.json").Category(ctx, "Physics", 0)
	if err != nil || len(members) == 0 {
		t.Errorf("category: %d, %v", len(members), err)
	}
	t.Logf("extract of %d bytes, %d links, %d members", len(e.Text), len(links), len(members))
}

// TestRefusedConnection is reported at once, unless the wiki has answered before.
func TestRefusedConnection(t *testing.T) {
	s := httptest.NewServer(text(200, page))
	c, pauses := testClient(t, ClientOptions{API: s.URL})
	if _, err := extract(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := extract(context.Background(), c); err == nil || len(*pauses) < 6 {
		t.Errorf("a wiki that has answered: %v after pauses %v", err, *pauses)
	}
	c, pauses = testClient(t, ClientOptions{API: s.URL})
	if _, err := extract(context.Background(), c); err == nil ||
		!strings.Contains(err.Error(), "refuses connections") || len(*pauses) != 0 {
		t.Errorf("%v after pauses %v", err, *pauses)
	}
}
