package mediawiki

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/resident"
)

func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			io.WriteString(conn, answer)
			conn.Close()
		}
	}
}

// TestAttacks: whatever a wiki answers, the client ends soon with an error that
// says why in one line, and asks no other host.
func TestAttacks(t *testing.T) {
	var strayed atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { strayed.Add(1); io.WriteString(w, page) }))
	t.Cleanup(other.Close)
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"slow drip": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		}, "the answer broke off: "},
		"silence":             {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer: "},
		"endless header":      {raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 2000)), "exceeded"},
		"escapes in a header": {raw("HTTP/1.1 200 OK\r\n\x1b[2J\r\n\r\n"), "malformed MIME header"},
		"escapes in a status": {raw("HTTP/1.1 404 \x1b[2J\u202e\r\n\r\n"), "status 404"},
		"escapes in an error": {text(200, `{"error":{"code":"x","info":"\u001b[2Jbad\u202e\nline"}}`), "error x: bad line"},
		"a long error":        {text(200, `{"error":{"code":"x","info":"`+strings.Repeat("x", 100_000)+`"}}`), "…"},
		"to another host":     {text(302, "", "Location", elsewhere), "redirects to " + elsewhere + ", which is not followed"},
		"to credentials":      {text(302, "", "Location", "http://me:pw@127.0.0.1/"), "which is not followed"},
		"to ftp":              {text(302, "", "Location", "ftp://127.0.0.1/"), "which is not followed"},
		"in circles":          {text(302, "", "Location", "?x=1"), "more than 5 redirects"},
		"a pause of a day":    {text(429, "", "Retry-After", "86400"), "a pause of 24h0m0s, longer than the limit of 5m0s"},
		"a pause of a century": {text(200, `{"error":{"code":"maxlag","info":"x"}}`, "Retry-After", "99999999999"),
			"longer than the limit of 5m0s"},
		"one answer for ever": {text(200, `{"continue":{"clcontinue":"a"},"query":{"pages":[]}}`), "never ends"},
		"huge nesting":        {text(200, strings.Repeat("[", 200_000)), "max depth"},
	} {
		address, _ := server(t, c.handler)
		cl, _ := testClient(t, ClientOptions{API: address, Retries: 1, Timeout: 2 * time.Second})
		if name == "slow drip" || name == "silence" {
			cl.http.Timeout = 200 * time.Millisecond
		}
		_, err := extract(context.Background(), cl)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 ||
			strings.ContainsFunc(err.Error(), func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' }) ||
			strings.Contains(err.Error(), "pw@") {
			t.Errorf("%s: error %.1200q, want %q", name, fmt.Sprint(err), c.want)
		}
	}
	if strayed.Load() != 0 {
		t.Errorf("%d requests went to another host", strayed.Load())
	}
}

// TestRedirects: a wiki may send to another path of its host and from http to
// https, never back.
func TestRedirects(t *testing.T) {
	for _, c := range []struct {
		via  []string
		to   string
		want bool
	}{
		{[]string{"https://wiki.test/w/api.php"}, "https://wiki.test/api.php", true},
		{[]string{"http://wiki.test/w/api.php"}, "https://wiki.test/w/api.php", true},
		{[]string{"https://wiki.test/w/api.php"}, "http://wiki.test/w/api.php", false},
		{[]string{"http://wiki.test/a", "https://wiki.test/a"}, "http://wiki.test/a", false},
		{[]string{"https://wiki.test/a"}, "https://wiki.test.evil/a", false},
	} {
		var via []*http.Request
		for _, v := range c.via {
			via = append(via, httptest.NewRequest(http.MethodGet, v, nil))
		}
		if err := redirect(httptest.NewRequest(http.MethodGet, c.to, nil), via); (err == nil) != c.want || err != nil && !badinput.Is(err) {
			t.Errorf("%v to %s: %v", c.via, c.to, err)
		}
	}
}

func TestAddressesAreNotRepeated(t *testing.T) {
	for _, address := range []string{"https://me:secret@wiki.test/api.php", "https://wiki.test/api.php?token=secret",
		"me:secret@wiki.test", "ftp://wiki.test/?secret"} {
		if _, err := NewClient(ClientOptions{API: address, Contact: "a@b.test"}); !badinput.Is(err) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestEndlessListings: a wiki that lists titles without end, or titles without
// end, is given up on within bounded memory.
func TestEndlessListings(t *testing.T) {
	var n atomic.Int64
	listing := func(count, ns int, title func(n int64) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var b strings.Builder
			for range count {
				fmt.Fprintf(&b, `{"ns":%d,"title":%q},`, ns, title(n.Add(1)))
			}
			list := strings.TrimSuffix(b.String(), ",")
			query := `"categorymembers":[` + list + `]`
			if r.URL.Query().Has("prop") {
				query = `"pages":[{"title":"P","links":[` + list + `]}]`
			}
			fmt.Fprintf(w, `{"continue":{"cmcontinue":"%d"},"query":{%s}}`, n.Load(), query)
		}
	}
	number := func(n int64) string { return fmt.Sprint("Page ", n) }
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"pages":      {listing(100_000, 0, number), "more than 500000 pages"},
		"categories": {listing(100_000, 14, number), "more than 500000 pages or categories"},
		"titles":     {listing(10, 0, func(int64) string { return strings.Repeat("x", 1025) }), "a title of 1025 bytes"},
	} {
		address, _ := server(t, c.handler)
		client, _ := testClient(t, ClientOptions{API: address})
		var err error
		grown := resident.Growth(func() { _, err = client.Category(t.Context(), "X", 1) })
		if !badinput.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Category:X") || grown > 512<<20 {
			t.Errorf("%s: %v, %d MiB; want %q", name, err, grown>>20, c.want)
		}
		if name == "categories" {
			continue
		}
		if _, err := client.Links(t.Context(), []int64{1}); !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("links, %s: %v, want %q", name, err, c.want)
		}
	}
}
