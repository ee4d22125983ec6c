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
	"sync/atomic"
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
	// Concurrency is the number of requests in flight, at most MaxConcurrency;
	// 0 means 1.
	Concurrency int
	// CacheDir keeps the answers of one run, so that it can be resumed without
	// asking for them again; "": none. It is not for pages: see Cache.
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

// MaxConcurrency is what Wikimedia's rules for clients allow.
const MaxConcurrency = 3

// Client asks a wiki's Action API. It is safe for concurrent use.
type Client struct {
	o      ClientOptions
	http   *http.Client
	places chan struct{} // for requests in flight
	mu     sync.Mutex
	next   time.Time // when the next request may start
	// reached: the server has answered once. One that cannot be reached before
	// that is not waited for.
	reached  atomic.Bool
	requests atomic.Int64
}

// Requests returns how many requests went to the server.
func (c *Client) Requests() int { return int(c.requests.Load()) }

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
	c := strings.ToLower(o.Contact)
	if strings.Contains(c, "example.") {
		return nil, badinput.Errorf("wiki: contact %q is an example; give an address at which Wikimedia can reach you", o.Contact)
	}
	if !strings.Contains(c, "@") && !strings.Contains(c, "://") {
		return nil, badinput.Errorf("wiki: contact %q: Wikimedia asks every client to name a mail address or "+
			"page where its operator can be reached; give --contact, or set BARKA_CONTACT", o.Contact)
	}
	if o.Concurrency < 0 || o.Concurrency > MaxConcurrency {
		return nil, badinput.Errorf("wiki: concurrency %d, expected 1 to %d, which is what Wikimedia allows", o.Concurrency, MaxConcurrency)
	}
	o.Concurrency = max(o.Concurrency, 1)
	if o.Interval <= 0 {
		o.Interval = PoliteInterval / time.Duration(o.Concurrency)
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
	return &Client{o: o, places: make(chan struct{}, o.Concurrency),
		http: &http.Client{Transport: o.Transport, Timeout: o.Timeout, CheckRedirect: redirect}}, nil
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
	params.Set("action", "query")
	key := c.cachePath(params)
	if key != "" {
		if data, err := badinput.ReadFile(key, maxBody); err == nil && json.Unmarshal(data, into) == nil {
			return nil
		}
	}
	data, err := c.ask(ctx, params, into)
	if err == nil && key != "" {
		err = store(key, data)
	}
	return err
}

// ask asks the server and decodes the answer.
func (c *Client) ask(ctx context.Context, params url.Values, into any) ([]byte, error) {
	data, err := c.fetch(ctx, params)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, badinput.Errorf("wiki: unexpected answer to %.500s: %w", params.Encode(), err)
	}
	return data, nil
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
	params.Set("format", "json")
	params.Set("formatversion", "2")
	params.Set("maxlag", "5")
	retry := pause.Retry{
		Most: maxPause, Jitter: rand.Float64,
		GiveUp: func(n int, p *pause.Passing) error {
			if n > c.o.Retries || p.Unreachable && !c.reached.Load() {
				return p
			}
			return nil
		},
		Wait: func(ctx context.Context, _ *pause.Passing, wait time.Duration) error {
			c.holdOff(wait) // the other requests too
			return c.o.Sleep(ctx, wait)
		},
	}
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.places }()
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
	now := time.Now()
	wait := c.next.Sub(now)
	c.next = now.Add(max(wait, 0) + c.o.Interval)
	c.mu.Unlock()
	if wait > 0 {
		if err := c.o.Sleep(ctx, wait); err != nil {
			return err
		}
	}
	c.requests.Add(1)
	return nil
}

// holdOff lets no request start for a time.
func (c *Client) holdOff(wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := time.Now().Add(wait); until.After(c.next) {
		c.next = until
	}
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

// longQuery is the length from which a query goes into the body. Servers refuse addresses of
// more than 8 KiB, which fifty titles in Arabic have.
const longQuery = 4 << 10

func (c *Client) request(ctx context.Context, query string) (*http.Request, error) {
	if len(query) < longQuery {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.o.API+"?"+query, nil)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.API, strings.NewReader(query))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

func (c *Client) try(ctx context.Context, params url.Values) ([]byte, error) {
	req, err := c.request(ctx, params.Encode())
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
	c.reached.Store(true)
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
		return nil, badinput.Wrap(&apiError{e.Code, err})
	}
	return data, nil
}

// apiError is an error that the API gave as its answer.
type apiError struct {
	code string
	error
}

func isCode(err error, code string) bool {
	var e *apiError
	return errors.As(err, &e) && e.code == code
}
