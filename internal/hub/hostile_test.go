package hub

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/hub/hubtest"
)

// TestRefusals: for each refusal of the hub the error says what to do.
func TestRefusals(t *testing.T) {
	s := serve(t)
	s.Add("models", "org/gated", "main", modelFiles())
	s.Gate("models", "org/gated")
	s.Add("models", "org/private", "main", modelFiles())
	s.Hide("models", "org/private")
	s.Add("models", "org/gguf", "main", map[string][]byte{"model.gguf": {1}})
	s.Token = secret
	for _, c := range []struct{ token, name, want string }{
		{"", "org/gated", "accept its terms at " + s.URL() + "/org/gated and set HF_TOKEN"},
		{"hf_other", "org/gated", "with the account of the token that is set"},
		{secret, "org/gated", ""},
		{"", "org/private", "there is no model org/private"},
		{"hf_other", "org/private", "the one that is set cannot read it"},
		{secret, "org/private", ""},
		{"", "org/none", "set HF_TOKEN to a token that can read it"},
		{"", "org/m@nowhere", "has no revision nowhere"},
		{"", "org/gguf", "has no config.json; found model.gguf"},
		{"two words", "org/m", "HF_TOKEN does not hold a token"},
	} {
		t.Setenv("HF_HUB_CACHE", t.TempDir())
		t.Setenv("HF_TOKEN", c.token)
		cl, err := New(Options{})
		if err == nil {
			_, err = fetch(t, cl, c.name)
		}
		switch {
		case c.want == "" && err != nil, c.want != "" && (!badinput.Is(err) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		case err != nil && c.token != "" && strings.Contains(err.Error(), c.token):
			t.Errorf("%s: the error shows the token: %v", c.name, err)
		}
	}
}

// TestTokenStaysAtHome: the token, from any source, is sent to the endpoint only. It does
// not reach the file store or the cache.
func TestTokenStaysAtHome(t *testing.T) {
	for _, where := range []string{"HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME"} {
		s := serve(t)
		file := filepath.Join(os.Getenv("HF_HOME"), "token")
		switch where {
		case "HF_TOKEN":
			t.Setenv(where, secret+"\n")
		case "HF_TOKEN_PATH":
			file = filepath.Join(t.TempDir(), "my-token")
			t.Setenv(where, file)
			fallthrough
		default:
			if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, _ := client(t, Options{})
		if _, err := fetch(t, c, "org/m"); err != nil {
			t.Fatal(err)
		}
		home, store := 0, 0
		for _, r := range s.Requests() {
			switch {
			case r.Store && r.Authorization != "":
				t.Errorf("%s: the store was sent %q", where, r.Authorization)
			case r.Store:
				store++
			case r.Authorization != "Bearer "+secret:
				t.Errorf("%s: %s came with %q", where, r.Path, r.Authorization)
			default:
				home++
			}
		}
		if home == 0 || store == 0 {
			t.Fatalf("%d requests at the endpoint, %d at the store", home, store)
		}
		files, err := hubtest.ReadDir(CacheDir())
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds the token", name)
			}
		}
	}
}

// hostile answers as the hub does, with the test's files and redirects.
type hostile struct {
	entries  []map[string]any
	location string                                       // of files
	body     func(w http.ResponseWriter, r *http.Request) // of files, without a location
	link     bool                                         // every page has a next page
}

func (h *hostile) start(t *testing.T) *Client {
	t.Helper()
	for _, name := range []string{"HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		t.Setenv(name, "")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/revision/"):
			fmt.Fprintf(w, `{"sha": %q}`, strings.Repeat("a", 40))
		case strings.Contains(r.URL.Path, "/tree/"):
			if h.link {
				w.Header().Set("Link", `<http://elsewhere.example/steal?cursor=x>; rel="next"`)
			}
			json.NewEncoder(w).Encode(h.entries)
		case h.location != "":
			w.Header().Set("Location", h.location)
			w.WriteHeader(302)
		default:
			h.body(w, r)
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("HF_ENDPOINT", s.URL)
	t.Setenv("HF_HUB_CACHE", filepath.Join(t.TempDir(), "inner", "cache"))
	t.Setenv("HF_TOKEN", secret)
	c, _ := client(t, Options{Window: 5 * time.Second})
	return c
}

func listed(path string, size any, oid string) map[string]any {
	return map[string]any{"type": "file", "path": path, "size": size, "oid": oid}
}

var fine = strings.Repeat("b", 40)

func TestHostileNames(t *testing.T) {
	for _, name := range []string{"../evil", "a/../../evil", "/etc/passwd", "a\\..\\..\\evil", "a//b", "", ".", "a/.",
		"C:\\x", "a\x00b", "a\nb", "\x1b[2Jx", "a/\u202eb",
		strings.Repeat("x", 300), strings.Repeat("x/", 600) + "x"} {
		h := &hostile{entries: []map[string]any{listed("config.json", 2, fine), listed(name, 2, fine)}}
		c := h.start(t)
		_, err := c.List(t.Context(), Repo{Model, "org/m", "main"})
		if !badinput.Is(err) || strings.ContainsAny(err.Error(), "\x00\n\x1b\u202e") {
			t.Errorf("%q: error %v, want a refusal", name, err)
		}
	}
	for want, entries := range map[string][]map[string]any{
		"twice":                {listed("a", 1, fine), listed("a", 1, fine)},
		"as a directory":       {listed("a/b", 1, fine), listed("a", 1, fine)},
		"digest":               {listed("a", 1, "../../../x")},
		"size of -1":           {listed("a", -1, fine)},
		"size of 900719925474": {listed("a", 9007199254740991, fine)},
		"is not the hub's":     {listed("a", "big", fine)},
	} {
		c := (&hostile{entries: entries}).start(t)
		if _, err := c.List(t.Context(), Repo{Model, "org/m", "main"}); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	c := (&hostile{link: true}).start(t)
	if _, err := c.List(t.Context(), Repo{Model, "org/m", "main"}); !badinput.Is(err) || !strings.Contains(err.Error(), "pages") {
		t.Errorf("pages without end: %v", err)
	}
	many := make([]map[string]any, 60_000)
	for i := range many {
		many[i] = listed(fmt.Sprintf("f%d", i), 1, fine)
	}
	c = (&hostile{link: true, entries: many}).start(t)
	if _, err := c.List(t.Context(), Repo{Model, "org/m", "main"}); !badinput.Is(err) || !strings.Contains(err.Error(), "200000 files") {
		t.Errorf("files without end: %v", err)
	}
}

// TestHostileBodies: wrong bytes, wrong sizes and endless bodies are refused, and no file
// of the cache holds them.
func TestHostileBodies(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 1<<16); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	for name, h := range map[string]*hostile{
		"endless": {body: endless},
		"wrong":   {body: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("0123456789")) }},
		"longer":  {body: func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 11)) }},
		"shorter": {body: func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 9)) }},
		"other range": {body: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-14/15")
			w.WriteHeader(206)
			w.Write(make([]byte, 10))
		}},
		"to a file":        {location: "file:///etc/passwd"},
		"to nowhere":       {location: "http://"},
		"in circles":       {location: "?"},
		"with credentials": {location: "http://user:pass@localhost/"},
	} {
		h.entries = []map[string]any{listed("config.json", 10, fine)}
		c := h.start(t)
		l, err := c.List(t.Context(), Repo{Model, "org/m", "main"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Fetch(t.Context(), c.Plan(l, l.Files))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error %v", name, err)
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
	}
}

// TestUnreachable: the attempts to reach a hub that never answers end soon, with an error
// by which callers know not to ask for other repositories.
func TestUnreachable(t *testing.T) {
	s := serve(t)
	s.Close()
	c, m := client(t, Options{})
	_, err := c.List(t.Context(), Repo{Model, "org/m", "main"})
	if _, lack := c.Missing(t.Context(), "org/m", Weights); !IsUnreachable(lack) ||
		!strings.Contains(lack.Error(), "model org/m is not complete in the cache") {
		t.Errorf("Missing: %v", lack)
	}
	m.notes = m.notes[:2]
	if !IsUnreachable(err) || !strings.Contains(err.Error(),
		"no answer from "+strings.TrimPrefix(s.URL(), "http://")) || len(m.notes) != 2 {
		t.Errorf("error %v after %d notes", err, len(m.notes))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second}, {"Retry-After", "0.5", time.Second / 2}, {"Retry-After",
			now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{"Retry-After", now.Add(-time.Minute).Format(http.TimeFormat), 0}, {"Retry-After", "-1", 0}, {"Retry-After", "soon", 0},
		{"RateLimit", `"api";r=0;t=55`, 55 * time.Second}, {"RateLimit", `"api";r=10;t=55`, 0}, {"RateLimit", `"api"`, 0},
	} {
		if got := retryAfter(http.Header{http.CanonicalHeaderKey(c.header): {c.value}}, now); got != c.want {
			t.Errorf("%s: %s: %s, want %s", c.header, c.value, got, c.want)
		}
	}
}

func TestFollow(t *testing.T) {
	from, _ := url.Parse("https://hub.example/a/b")
	for location, want := range map[string]string{"/c?d": "https://hub.example/c?d", "https://store.example/x": "https://store.example/x",
		"http://hub.example/a": "", "file:///a": "", "ftp://x/y": "", "https://u:p@x/": "", "http://[": ""} {
		to, err := follow(from, location)
		if (err == nil) != (want != "") || err == nil && to.String() != want {
			t.Errorf("%s: %v, %v; want %q", location, to, err, want)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, bad := range []string{"ftp://x", "nonsense", "https://user:" + secret + "@x"} {
		t.Setenv("HF_ENDPOINT", bad)
		if _, err := New(Options{}); !badinput.Is(err) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
