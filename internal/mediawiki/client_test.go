package mediawiki

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"barka/internal/badinput"
)

// TestConcurrency: no more requests are in flight than allowed, and a server that asks one of
// them to wait gets none of the others meanwhile.
func TestConcurrency(t *testing.T) {
	var flying, most atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := flying.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		flying.Add(-1)
		fmt.Fprint(w, page)
	}))
	t.Cleanup(s.Close)
	c, err := NewClient(ClientOptions{API: s.URL, Contact: "test@barka.test", Concurrency: 3, Interval: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 12 {
		group.Go(func() {
			if _, err := extract(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if most.Load() != 3 || c.Requests() != 12 {
		t.Errorf("%d requests at once of %d", most.Load(), c.Requests())
	}
	if _, err := NewClient(ClientOptions{API: s.URL, Contact: "test@barka.test", Concurrency: 4}); !badinput.Is(err) {
		t.Errorf("4 at once: %v", err)
	}
}

// answers is a transport that gives the n-th answer to the n-th request.
type answers struct {
	mu    sync.Mutex
	all   []func() *http.Response
	times []time.Time
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.times), len(a.all)-1)
	a.times = append(a.times, time.Now())
	resp := a.all[n]()
	resp.Request = r
	return resp, nil
}

// TestWaits: the interval is kept between requests, and Retry-After as seconds or as a date by
// all of them.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		respond := func(status int, body string, header ...string) func() *http.Response {
			return func() *http.Response {
				w := httptest.NewRecorder()
				text(status, body, header...)(w, nil)
				return w.Result()
			}
		}
		date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
		a := &answers{all: []func() *http.Response{respond(200, page), respond(200, page), respond(429, "", "Retry-After", date),
			respond(503, "<html>", "Retry-After", "7"), respond(200, page)}}
		c, err := NewClient(ClientOptions{API: "https://wiki.test/w/api.php", Contact: "test@barka.test", Transport: a, Concurrency: 2})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 2 {
			if _, err := extract(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * time.Second) // the second while the first waits
				if _, err := extract(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		var at []string
		for _, when := range a.times {
			at = append(at, when.Sub(start).Round(100*time.Millisecond).String())
		}
		if got := strings.Join(at, " "); !strings.HasPrefix(got, "0s 100ms 200ms 1m30") || len(at) != 6 {
			t.Errorf("requests at %s", got)
		}
	})
}

// TestLongQueries: fifty titles in Arabic go into the body of a POST.
func TestLongQueries(t *testing.T) {
	var titles []string
	for i := range 50 {
		titles = append(titles, fmt.Sprintf("تاريخ الأدب العربي في العصر %d", i))
	}
	url, n := server(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.String()) > 8000 || len(strings.Split(r.FormValue("titles"), "|")) != 50 || r.FormValue("maxlag") != "5" {
			t.Errorf("%s %.100s", r.Method, r.URL)
		}
		json.NewEncoder(w).Encode(map[string]any{"query": map[string]any{}})
	})
	c, _ := testClient(t, ClientOptions{API: url})
	if all, err := c.Resolve(t.Context(), titles); err != nil || len(all) != 50 || n.Load() != 1 || !all[49].Missing {
		t.Errorf("%d titles, %v, %d requests", len(all), err, n.Load())
	}
}

// TestResolve: a title leads over the wiki's spelling and redirects to its page.
func TestResolve(t *testing.T) {
	url, _ := server(t, text(200, `{"query":{"normalized":[{"from":"uae","to":"Uae"}],`+
		`"redirects":[{"from":"Uae","to":"United Arab Emirates"}],`+
		`"pages":[{"pageid":7,"ns":0,"title":"United Arab Emirates","lastrevid":99,"fullurl":"https://x.test/wiki/UAE"},`+
		`{"pageid":8,"ns":0,"title":"Mercury","pageprops":{"disambiguation":""}},{"ns":0,"title":"Nowhere","missing":true}]}}`))
	c, _ := testClient(t, ClientOptions{API: url})
	all, err := c.Resolve(t.Context(), []string{"uae", "Mercury", "Nowhere"})
	want := []Resolved{{Asked: "uae", ID: 7, Title: "United Arab Emirates", URL: "https://x.test/wiki/UAE", Revision: 99},
		{Asked: "Mercury", ID: 8, Title: "Mercury", Disambiguation: true}, {Asked: "Nowhere", Title: "Nowhere", Missing: true}}
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestForms: pages in each form, in the API's newer and older format.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		form   Form
		answer string
	}{
		{FormWikitext, `{"query":{"pages":[{"pageid":7,"title":"A","revisions":[{"revid":9,"slots":{"main":{"content":"text"}}}]}]}}`},
		{FormExtract, `{"query":{"pages":{"7":{"pageid":7,"title":"A","extract":"text","revisions":[{"revid":9}]}}}}`},
		{FormHTML, `{"parse":{"pageid":7,"revid":9,"text":"text"}}`}, {FormHTML, `{"parse":{"pageid":7,"revid":9,"text":{"*":"text"}}}`},
	} {
		url, _ := server(t, text(200, c.answer))
		client, _ := testClient(t, ClientOptions{API: url})
		got, err := client.Fetch(t.Context(), c.form, []Resolved{{ID: 7, Title: "A", URL: "u"}})
		if err != nil || len(got) != 1 || got[0].Text != "text" || got[0].Revision != 9 || got[0].URL != "u" || got[0].Missing {
			t.Errorf("%s: %+v, %v", c.form, got, err)
		}
	}
	url, _ := server(t, text(200, `{"error":{"code":"nosuchpageid","info":"x"}}`))
	client, _ := testClient(t, ClientOptions{API: url})
	if got, err := client.Fetch(t.Context(), FormHTML, []Resolved{{ID: 7}}); err != nil || !got[0].Missing {
		t.Errorf("a page that vanished: %+v, %v", got, err)
	}
	url, _ = server(t, text(200, `{"query":{"pages":[{"pageid":8,"title":"B","extract":"x"}]}}`))
	client, _ = testClient(t, ClientOptions{API: url})
	if _, err := client.Fetch(t.Context(), FormExtract, []Resolved{{ID: 7}}); !badinput.Is(err) {
		t.Errorf("another page: %v", err)
	}
}

// TestCache: a page is used while its revision is the latest, whoever stored it; damaged files
// count as absent, and processes that write at once do no harm.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	open := func() *Cache {
		c, err := OpenCache(dir, "https://wiki.test/w/api.php")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := open(), open()
	f := Fetched{URL: "u"}
	f.ID, f.Title, f.Revision, f.Text = 7, "A", 9, strings.Repeat("نص ", 1000)
	if err := a.Put(FormExtract, f); err != nil {
		t.Fatal(err)
	}
	if got, ok := b.Get(FormExtract, 7, 9); !ok || got != f {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, c := range []struct {
		form         Form
		id, revision int64
	}{{FormExtract, 7, 10}, {FormHTML, 7, 9}, {FormExtract, 8, 9}} {
		if _, ok := b.Get(c.form, c.id, c.revision); ok {
			t.Errorf("%+v is in the cache", c)
		}
	}
	other, _ := OpenCache(dir, "https://other.test/w/api.php")
	if _, ok := other.Get(FormExtract, 7, 9); ok {
		t.Error("a page of another wiki")
	}
	if n, size := a.Size(); n != 1 || size < 50 || size > 1000 {
		t.Errorf("%d pages of %d bytes", n, size)
	}
	var group sync.WaitGroup
	for i := range 8 {
		c := open()
		group.Go(func() {
			for r := range 20 {
				g := f
				g.Revision = int64(10 + i*20 + r)
				if err := c.Put(FormExtract, g); err != nil {
					t.Error(err)
				}
				if got, ok := c.Get(FormExtract, 7, 10); !ok || got.Text != f.Text {
					t.Errorf("while others write: %v", ok)
				}
			}
		})
	}
	group.Wait()
	path := filepath.Join(a.Dir(), "extract", "07", "7.json.zst")
	if err := os.WriteFile(path, []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Get(FormExtract, 7, 1); ok {
		t.Error("a damaged file is used")
	}
}

func TestSearch(t *testing.T) {
	url, _ := server(t, text(200, `{"continue":{"sroffset":2},"query":{"search":[{"title":"A"},{"title":"B"}]}}`),
		text(200, `{"query":{"search":[{"title":"C"},{"title":"D"}]}}`))
	c, _ := testClient(t, ClientOptions{API: url})
	if got, err := c.Search(context.Background(), "x", 3); err != nil || !slices.Equal(got, []string{"A", "B", "C"}) {
		t.Errorf("%v, %v", got, err)
	}
}
