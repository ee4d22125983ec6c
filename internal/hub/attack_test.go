package hub

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"barka/internal/hub/hubtest"
)

// attack is a server's answer to one request of a download, as raw bytes or by a handler.
// The other requests are answered as by the hub.
type attack struct {
	at      string // part of the request's path: revision, tree or resolve
	raw     string
	handler http.HandlerFunc
	want    string // part of the error
}

func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header()[header[i]] = []string{header[i+1]}
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// drip sends a byte from time to time, without end.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		fmt.Fprint(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

func flood(w http.ResponseWriter, _ *http.Request) {
	for block := make([]byte, 1<<16); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func attacks() map[string]attack {
	table := map[string]attack{}
	for _, at := range []string{"revision", "tree", "resolve"} {
		for name, a := range map[string]attack{
			"slow drip": {handler: drip, want: "bytes in 100ms, at least 61440 are expected"},
			"silence": {handler: func(_ http.ResponseWriter,
				r *http.Request) {
				<-r.Context().Done()
			}, want: "silence for 100ms"},
			"endless header": {raw: "HTTP/1.1 200 OK\r\n" +
				strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 2000), want: "exceeded"},
			"token in a header": {raw: "HTTP/1.1 200 OK\r\nBearer " + secret + "\r\n\r\n",
				want: "missing colon: \"Bearer [secret]\""},
			"token in a status": {raw: "HTTP/1.1 " + secret + " OK\r\n\r\n", want: "malformed HTTP status code"},
			"another protocol":  {raw: "SSH-2.0-OpenSSH_9.6 \x1b[2J\r\n", want: "malformed HTTP status code"},
			"chunked garbage": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nboo\r\n",
				want: "invalid byte in chunk length"},
			"negative length":               {raw: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", want: "Content-Length"},
			"token in an error":             {handler: status(400, "bad token "+secret), want: "bad token [secret]"},
			"escapes in an error":           {handler: status(401, "\x1b[31mred\u202e"), want: "red"},
			"token in the message's header": {handler: status(403, "", "X-Error-Message", secret+" \u202e"), want: "[secret]"},
			"a pause of a day": {handler: status(429, "", "Retry-After", "86400"),
				want: "a pause of 24h0m0s, longer than the limit of 5m0s"},
			"a pause of a century": {handler: status(503, "", "Retry-After", "99999999999"),
				want: "longer than the limit of 5m0s"},
			"a limit for days": {handler: status(429, "", "Ratelimit", `"api";r=0;t=999999`),
				want: "longer than the limit of 5m0s"},
			"status 204": {handler: status(204, ""), want: "204"},
			"status 304": {handler: status(304, ""), want: "304"},
			"to a file":  {handler: status(302, "", "Location", "file:///etc/passwd"), want: `scheme "file"; refused`},
			"to ftp":     {handler: status(307, "", "Location", "ftp://x/"), want: `scheme "ftp"; refused`},
			"with credentials": {handler: status(308, "", "Location", "http://me:"+secret+"@localhost/"),
				want: "with credentials at localhost; refused"},
			"in circles":    {handler: status(301, "", "Location", "?"), want: "more than 5 redirects"},
			"to no address": {handler: status(303, "", "Location", "http://["+secret), want: "failed to parse Location"},
		} {
			a.at = at
			table[at+": "+name] = a
		}
	}
	for name, a := range map[string]attack{
		"revision: a page":              {handler: status(200, "<html>"), want: "is not the hub's"},
		"revision: no commit":           {handler: status(200, "{}"), want: `names "" as the commit`},
		"revision: a commit above":      {handler: status(200, `{"sha": "../../../../x"}`), want: "as the commit of main"},
		"revision: the token as commit": {handler: status(200, `{"sha": "`+secret+`"}`), want: "the answer contains your token"},
		"revision: huge nesting":        {handler: status(200, strings.Repeat("[", 200_000)), want: "max depth"},
		"revision: endless":             {handler: flood, want: "an answer of more than 32 MiB"},
		"tree: huge nesting":            {handler: status(200, strings.Repeat(`{"a":`, 200_000)), want: "max depth"},
		"tree: an object":               {handler: status(200, "{}"), want: "is not the hub's"},
		"tree: endless":                 {handler: flood, want: "an answer of more than 32 MiB"},
		"tree: the token as a path": {handler: status(200,
			`[{"type":"file","path":"/`+secret+`","size":1,"oid":"`+fine+`"}]`), want: "the answer contains your token"},
		"tree: the token as a digest": {handler: status(200,
			`[{"type":"file","path":"a","size":1,"oid":"`+secret+`"}]`), want: "the answer contains your token"},
		"tree: size beyond numbers": {handler: status(200,
			`[{"type":"file","path":"a","size":1e99,"oid":"`+fine+`"}]`), want: "is not the hub's"},
		"resolve: endless":     {handler: flood, want: "the server sends more than the expected 10 bytes"},
		"resolve: wrong bytes": {handler: status(200, "0123456789"), want: "expected " + fine},
		"resolve: nothing":     {handler: status(200, ""), want: "the server sends 0 bytes, expected 10"},
		"resolve: a range unasked": {handler: status(206, "0123456789", "Content-Range",
			"bytes 5-14/15 "+secret), want: `the server sends the range "bytes 5-14/15 [secret]"`},
		"resolve: 416": {handler: status(416, ""), want: "no such bytes"},
	} {
		a.at, _, _ = strings.Cut(name, ":")
		table[name] = a
	}
	return table
}

// TestAttacks: whatever a server answers, the download ends soon with an error that states
// the reason and contains neither the token nor a control character. The cache holds no
// file that was not verified.
func TestAttacks(t *testing.T) {
	table := attacks()
	if len(table) < 60 {
		t.Errorf("%d attacks", len(table))
	}
	for name, a := range table {
		var n atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, "/"+a.at+"/") && a.raw != "":
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				conn.Write([]byte(a.raw))
				conn.Close()
			case strings.Contains(r.URL.Path, "/"+a.at+"/"), n.Load() > 0:
				n.Add(1)
				a.handler(w, r)
			case strings.Contains(r.URL.Path, "/revision/"):
				fmt.Fprintf(w, `{"sha": %q}`, strings.Repeat("a", 40))
			default:
				fmt.Fprintf(w, `[{"type":"file","path":"config.json","size":10,"oid":%q}]`, fine)
			}
		}))
		for _, v := range []string{"HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
			t.Setenv(v, "")
		}
		t.Setenv("HF_ENDPOINT", s.URL)
		t.Setenv("HF_HUB_CACHE", t.TempDir())
		t.Setenv("HF_TOKEN", secret)
		c, m := client(t, Options{Window: 100 * time.Millisecond})
		if !strings.Contains(a.want, "100ms") {
			c.window = 5 * time.Second
		}
		err := func() error {
			l, err := c.List(t.Context(), Repo{Model, "org/m", "main"})
			if err != nil {
				return err
			}
			_, err = c.Fetch(t.Context(), c.Plan(l, l.Files))
			return err
		}()
		if err == nil || !strings.Contains(err.Error(), a.want) {
			t.Errorf("%s: error %v, want %q", name, err, a.want)
		}
		for _, shown := range append(m.notes, fmt.Sprint(err)) {
			if strings.Contains(shown, secret) ||
				strings.ContainsFunc(shown, func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' }) || len(shown) > 1500 {
				t.Errorf("%s: shown: %.2000q", name, shown)
			}
		}
		files, err := hubtest.ReadDir(CacheDir())
		if err != nil {
			t.Fatal(err)
		}
		for path, data := range files {
			if !strings.HasSuffix(path, ".lock") && (!strings.HasSuffix(path, ".incomplete") || len(data) > 10) {
				t.Errorf("%s: %s with %d bytes is there", name, path, len(data))
			}
		}
		s.CloseClientConnections()
		s.Close()
	}
}

// TestDeadline: an answer of the API that arrives fast enough, but does not end in time, is
// an error.
func TestDeadline(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for block := make([]byte, 16<<10); r.Context().Err() == nil; {
			w.Write(block)
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("HF_ENDPOINT", s.URL)
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	c, _ := client(t, Options{Window: 10 * time.Second, Deadline: 100 * time.Millisecond})
	if _, err := c.List(t.Context(), Repo{Model, "org/m", "main"}); err == nil ||
		!strings.Contains(err.Error(), "no complete answer within 100ms") {
		t.Error(err)
	}
}
