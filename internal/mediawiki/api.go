package mediawiki

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/pause"
	"barka/internal/printable"
)

// ClientOptions describe a wiki and how to treat it.
type ClientOptions struct {
	API string // address of api.php
	// Contact is an address or page where the operator is reached; Wikimedia's
	// policy asks for one, and requests without are refused here.
	Contact string
	// Interval is the least time between requests; 0 means PoliteInterval.
	Interval time.Duration
	// Retries after the first attempt; 0 means 6.
	Retries int
	// CacheDir keeps answers, so that a rerun asks nothing; "": none.
	CacheDir  string
	Transport http.RoundTripper
	// Timeout of an answer, with its body; 0 means 2 minutes.
	Timeout time.Duration
	// Sleep waits; nil means in real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// PoliteInterval is the time between two requests to a wiki that has not said
// otherwise.
const PoliteInterval = 200 * time.Millisecond

// Client asks a wiki's Action API, one request at a time.
type Client struct {
	o    ClientOptions
	http *http.Client
	mu   sync.Mutex
	last time.Time
	// reached: the server has answered once. One that cannot be reached before
	// that is not waited for.
	reached bool
	// Requests counts those that went to the server.
	Requests int
}

const (
	// maxBody bounds an answer, in bytes after decompression, and maxHeader its
	// header.
	maxBody   = 64 << 20
	maxHeader = 256 << 10
	// maxPause is the longest that a server may make us wait.
	maxPause = 5 * time.Minute
	// maxWords bounds, in characters, what is shown of a server's words.
	maxWords = 300
)

// NewClient checks the options.
func NewClient(o ClientOptions) (*Client, error) {
	u, err := url.Parse(o.API)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, badinput.Errorf("wiki %q: expected the address of api.php, such as https://en.wikipedia.org/w/api.php",
			printable.Address(o.API))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, badinput.Errorf("wiki %s: an address with credentials, or a part after ? or #, "+
			"is not taken: it would stand in files and messages", printable.Address(o.API))
	}
	if c := strings.ToLower(o.Contact); !strings.Contains(c, "@") && !strings.Contains(c, "://") || strings.Contains(c, "example.") {
		return nil, badinput.Errorf("wiki: contact %q: Wikimedia asks every client to name a mail address or "+
			"page where its operator can be reached", o.Contact)
	}
	if o.Interval <= 0 {
		o.Interval = PoliteInterval
	}
	if o.Retries <= 0 {
		o.Retries = 6
	}
	if o.Sleep == nil {
		o.Sleep = pause.Sleep
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxResponseHeaderBytes = maxHeader
		o.Transport = t
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	return &Client{o: o, http: &http.Client{Transport: o.Transport, Timeout: o.Timeout, CheckRedirect: redirect}}, nil
}

// redirect follows a wiki to another path, and to https, on its own host alone:
// the requests name a person, and the answers become training data.
func redirect(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	switch {
	case len(via) > 5:
		return badinput.Errorf("more than 5 redirects")
	case to.URL.Hostname() != from.Hostname() || to.URL.User != nil ||
		to.URL.Scheme != "https" && (to.URL.Scheme != from.Scheme || via[len(via)-1].URL.Scheme != to.URL.Scheme):
		return badinput.Errorf("the server redirects to %s, which is not followed; if that is the wiki you mean, name its api.php",
			printable.Line(printable.Address(to.URL.String()), maxWords))
	}
	return nil
}

// query asks once, from the cache if it can, and decodes the answer.
func (c *Client) query(ctx context.Context, params url.Values, into any) error {
	params.Set("format", "json")
	params.Set("formatversion", "2")
	params.Set("action", "query")
	key := c.cachePath(params)
	if key != "" {
		if data, err := badinput.ReadFile(key, maxBody); err == nil && json.Unmarshal(data, into) == nil {
			return nil
		}
	}
	data, err := c.fetch(ctx, params)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("wiki: unexpected answer to %s: %w", params.Encode(), err)
	}
	if key != "" {
		return store(key, data)
	}
	return nil
}

func (c *Client) cachePath(params url.Values) string {
	if c.o.CacheDir == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(c.o.API + "?" + params.Encode()))
	return filepath.Join(c.o.CacheDir, hex.EncodeToString(sum[:12])+".json")
}

func store(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, data)
}

// fetch asks the server, again where that may help.
func (c *Client) fetch(ctx context.Context, params url.Values) (data []byte, err error) {
	params = clone(params)
	params.Set("maxlag", "5")
	retry := pause.Retry{
		Most: maxPause, Jitter: rand.New(rand.NewPCG(1, 2)).Float64,
		GiveUp: func(n int, p *pause.Passing) error {
			if n > c.o.Retries || p.Unreachable && !c.reached {
				return p
			}
			return nil
		},
		Wait: func(ctx context.Context, _ *pause.Passing, wait time.Duration) error { return c.o.Sleep(ctx, wait) },
	}
	var ended error // of the context, while keeping the interval
	err = retry.Do(ctx, func() error {
		if ended = c.pause(ctx); ended != nil {
			return ended
		}
		data, err = c.try(ctx, params)
		return err
	})
	if err == nil || ended != nil || ctx.Err() != nil {
		return data, err
	}
	return nil, fmt.Errorf("wiki %s: %w", c.o.API, err)
}

func clone(v url.Values) url.Values {
	out := url.Values{}
	for k, x := range v {
		out[k] = x
	}
	return out
}

// pause keeps the interval between requests.
func (c *Client) pause(ctx context.Context) error {
	c.mu.Lock()
	wait := c.o.Interval - time.Since(c.last)
	c.mu.Unlock()
	if wait > 0 && !c.last.IsZero() {
		if err := c.o.Sleep(ctx, wait); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.last = time.Now()
	c.Requests++
	c.mu.Unlock()
	return nil
}

// noAnswer is the error of a request that got no response. net/http quotes what
// it cannot read.
func noAnswer(err error) error {
	var request *url.Error // whose text holds the whole query
	if errors.As(err, &request) {
		err = request.Err
	}
	if badinput.Is(err) {
		return err
	}
	return &pause.Passing{Err: errors.New("no answer: " + printable.Line(err.Error(), maxWords))}
}

func (c *Client) try(ctx context.Context, params url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.o.API+"?"+params.Encode(), nil)
	if err != nil {
		return nil, err
	}
	// Go asks for gzip by itself.
	req.Header.Set("User-Agent", "barka/1 ("+c.o.Contact+") go-http")
	resp, err := c.http.Do(req)
	if err != nil {
		if why := pause.Unreachable(err); why != "" {
			return nil, &pause.Passing{Err: errors.New(why), Unreachable: true}
		}
		return nil, noAnswer(err)
	}
	c.reached = true
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	after := pause.After(resp.Header.Get("Retry-After"), time.Now())
	switch {
	case err != nil:
		return nil, &pause.Passing{Err: errors.New("the answer broke off: " + printable.Line(err.Error(), maxWords))}
	case len(data) > maxBody:
		return nil, fmt.Errorf("an answer of more than %d MiB", maxBody>>20)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return nil, &pause.Passing{Err: fmt.Errorf("status %s", printable.Line(resp.Status, maxWords)), After: after}
	case resp.StatusCode != http.StatusOK:
		return nil, badinput.Errorf("status %s; check the address and the contact", printable.Line(resp.Status, maxWords))
	}
	// Errors come with status 200.
	var answer struct {
		Error *struct{ Code, Info string } `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, &pause.Passing{Err: fmt.Errorf("the answer is not JSON: %w", err)}
	}
	if e := answer.Error; e != nil {
		err := errors.New(printable.Line("error "+e.Code+": "+e.Info, maxWords))
		if e.Code == "maxlag" || e.Code == "ratelimited" || e.Code == "readonly" || strings.HasPrefix(e.Code, "internal_api_error") {
			return nil, &pause.Passing{Err: err, After: after}
		}
		return nil, badinput.Wrap(err)
	}
	return data, nil
}
