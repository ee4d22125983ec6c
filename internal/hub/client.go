package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"barka/internal/badinput"
	"barka/internal/pause"
	"barka/internal/printable"
	"barka/internal/progress"
)

// Options describe a client. Unset fields are taken from the environment
// variables of huggingface_hub.
type Options struct {
	Cache    string // directory; "" means CacheDir
	Offline  bool   // send no request, as with HF_HUB_OFFLINE
	Parallel int    // files downloaded at once; 0 means 4
	Progress progress.Reporter

	// Transport, Sleep, Window, Deadline and Piece are for tests.
	Transport http.RoundTripper
	Sleep     func(context.Context, time.Duration) error
	Window    time.Duration // in which leastBytes of a file must arrive; 0 means a minute
	Deadline  time.Duration // for an answer of the API; 0 means two minutes
	Piece     int64         // size of the pieces of large files; 0 means 64 MiB
}

// leastBytes is the least number of bytes of a file that a server must send per
// window, 1 KiB/s for a window of a minute. A slower transfer is ended and
// retried.
const leastBytes = 60 << 10

// maxHeader bounds the size of a response's header.
const maxHeader = 256 << 10

// Client downloads from the hub. It is safe for concurrent use.
type Client struct {
	endpoint *url.URL
	token    string
	cache    string
	offline  bool
	parallel int
	piece    int64
	streams  chan struct{} // bounds the pieces that are received at once
	progress progress.Reporter
	http     *http.Client
	sleep    func(context.Context, time.Duration) error
	window   time.Duration
	deadline time.Duration
	reached  *atomic.Bool // whether any request was answered
}

// maxRedirects bounds the redirects of one request. The hub redirects to its
// file store, and from the old name of a repository to its new one.
const maxRedirects = 5

// New returns a client. It sends no request.
func New(o Options) (*Client, error) {
	c := &Client{cache: o.Cache, offline: o.Offline || Offline(), parallel: o.Parallel, progress: progress.OrSilent(o.Progress),
		sleep: o.Sleep, window: o.Window, deadline: o.Deadline, reached: new(atomic.Bool)}
	var err error
	if c.endpoint, err = endpoint(); err != nil {
		return nil, err
	}
	if c.token, err = token(); err != nil {
		return nil, err
	}
	if c.cache == "" {
		c.cache = CacheDir()
	}
	if c.parallel <= 0 {
		c.parallel = 4
	}
	c.streams = make(chan struct{}, c.parallel)
	if c.piece = o.Piece; c.piece <= 0 {
		c.piece = pieceSize
	}
	if c.sleep == nil {
		c.sleep = pause.Sleep
	}
	if c.window <= 0 {
		c.window = time.Minute
	}
	if c.deadline <= 0 {
		c.deadline = 2 * time.Minute
	}
	transport := o.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone() // with the environment's proxies
		t.DisableCompression = true                          // digests are of the files themselves
		t.MaxResponseHeaderBytes = maxHeader
		t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
		transport = t
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// url returns an address of the endpoint. It escapes the parts of the path.
func (c *Client) url(parts ...string) string {
	s := strings.TrimRight(c.endpoint.String(), "/")
	for _, p := range parts {
		s += "/" + url.PathEscape(p)
	}
	return s
}

// errOffline is wrapped by the errors of a client that must not use the
// network.
var errOffline = errors.New("offline")

// IsOffline reports whether an error means that no request may be sent.
func IsOffline(err error) bool { return errors.Is(err, errOffline) }

// request is what is sent to an address. The zero value is a GET of the whole.
type request struct {
	method string // "" means GET
	header map[string]string
	from   int64 // first byte of the wanted range
	most   int64 // number of wanted bytes; 0 means all that follow
	// body, if not nil, returns a reader of size bytes. It is called for each attempt.
	body func() io.Reader
	size int64
}

// get requests a file or an API answer of a repository from the endpoint,
// starting at a byte. The status of the answer is 200 or 206.
func (c *Client) get(ctx context.Context, r Repo, address string, from int64) (*answer, error) {
	return c.do(ctx, r, address, request{from: from})
}

// do sends a request. It follows redirects to http and https addresses, but not from
// https to http; a request with a body follows those that keep the method. It sends the
// token to the endpoint only. The status of the answer is 2xx.
func (c *Client) do(ctx context.Context, r Repo, address string, q request) (*answer, error) {
	if c.offline {
		return nil, badinput.Errorf("%s %s cannot be requested: barka is %w (--offline, or HF_HUB_OFFLINE)", r.Kind.word(), r, errOffline)
	}
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	for range maxRedirects {
		a, err := c.once(ctx, at, q)
		if err != nil {
			return nil, err
		}
		code := a.StatusCode
		kept := code == http.StatusTemporaryRedirect || code == http.StatusPermanentRedirect
		switch {
		case code == http.StatusOK, code == http.StatusPartialContent, q.method != "" && code < 300:
			return a, nil
		case code >= 300 && code < 400 && a.Header.Get("Location") != "" && (q.method == "" || kept):
			a.Close()
			if at, err = follow(at, a.Header.Get("Location")); err != nil {
				return nil, badinput.Errorf("%s %s: %w", r.Kind.word(), r, err)
			}
		default:
			defer a.Close()
			return nil, c.refused(r, at, a, q.method != "")
		}
	}
	return nil, badinput.Errorf("%s %s: more than %d redirects", r.Kind.word(), r, maxRedirects)
}

// follow returns the target of a redirect.
func follow(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil:
		return nil, errors.New("the server redirects to text that is not an address; refused")
	case to.Scheme != "https" && to.Scheme != "http" || to.Host == "":
		return nil, fmt.Errorf("the server redirects to an address with the scheme %q; refused", to.Scheme)
	case to.Scheme == "http" && from.Scheme == "https":
		return nil, fmt.Errorf("the server redirects from https to http at %s; refused", to.Host)
	case to.User != nil:
		return nil, fmt.Errorf("the server redirects to an address with credentials at %s; refused", to.Host)
	}
	return to, nil
}

// home reports whether an address is on the endpoint's host.
func (c *Client) home(u *url.URL) bool {
	return u.Scheme == c.endpoint.Scheme && strings.EqualFold(u.Host, c.endpoint.Host)
}

// answer is a response that is ended if it arrives too slowly.
type answer struct {
	*http.Response
	end  context.CancelCauseFunc
	ctx  context.Context // its cause is the reason why the response ended
	pace *pause.Pace
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Body.Read(p)
	a.pace.Add(n)
	if err != nil && err != io.EOF {
		err = cause(a.ctx, err)
	}
	return n, err
}

func (a *answer) Close() error {
	a.pace.Stop()
	err := a.Body.Close()
	a.end(nil)
	return err
}

// cause returns the error of a request: tooSlow if it was ended for that reason, else
// err.
func cause(ctx context.Context, err error) error {
	var slow *tooSlow
	if errors.As(context.Cause(ctx), &slow) {
		return slow
	}
	return err
}

// tooSlow is the error of a response that arrived too slowly.
type tooSlow struct{ error }

// once sends one request.
func (c *Client) once(ctx context.Context, at *url.URL, q request) (*answer, error) {
	inner, end := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(inner, q.method, at.String(), nil)
	if err != nil {
		end(nil)
		return nil, err
	}
	req.Header.Set("User-Agent", "barka")
	req.Header.Set("Accept-Encoding", "identity")
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	if q.most > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", q.from, q.from+q.most-1))
	} else if q.from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", q.from))
	}
	if c.token != "" && c.home(at) {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	pace := pause.NewPace(c.window, leastBytes, func(err error) { end(&tooSlow{err}) })
	var sent *sending
	if q.body != nil {
		sent = &sending{from: q.body(), left: q.size, pace: pace, deadline: c.deadline, end: end}
		req.Body, req.ContentLength = sent, q.size
		if q.size == 0 {
			req.Body = http.NoBody
		}
	}
	resp, err := c.http.Do(req)
	if sent != nil {
		sent.answered()
	}
	if err != nil {
		pace.Stop()
		err = cause(inner, err)
		end(nil)
		var inURL *url.Error // its text holds the address, and the store's addresses are signed
		if errors.As(err, &inURL) {
			err = inURL.Err
		}
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, &unreachable{fmt.Errorf("no answer from %s: there is no such host; check the network, or set "+
				"HTTPS_PROXY to a proxy", at.Host)}
		}
		// net/http quotes what it cannot read, such as a header with the token.
		return nil, &pause.Passing{Err: fmt.Errorf("no answer from %s: %s", at.Host, c.clean(err.Error()))}
	}
	c.reached.Store(true)
	pace.Restart()
	return &answer{resp, end, inner, pace}, nil
}

// refused returns the error for a response that carries an error status.
func (c *Client) refused(r Repo, at *url.URL, a *answer, write bool) error {
	text := make([]byte, 2048)
	n, _ := io.ReadFull(a, text)
	said := c.clean(string(text[:n]))
	if m := a.Header.Get("X-Error-Message"); m != "" {
		said = c.clean(m)
	}
	status := fmt.Errorf("%s answers %d %s: %s", at.Host, a.StatusCode, http.StatusText(a.StatusCode), said)
	code := a.StatusCode
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500, !c.home(at):
		// Signed addresses of the file store expire. A retry asks the endpoint for
		// a new one.
		return &pause.Passing{Err: &refusal{code, status}, After: retryAfter(a.Header, time.Now())}
	case code == http.StatusRequestedRangeNotSatisfiable:
		return errRange
	case write:
		return c.refusedWrite(r, a, status)
	}
	advice := "set HF_TOKEN to a token that can read it"
	if c.token != "" {
		advice = "use another token, the one that is set cannot read it"
	}
	switch what, page := what(r), c.page(r); {
	case a.Header.Get("X-Error-Code") == "GatedRepo":
		if c.token != "" {
			return badinput.Errorf("%s is gated; accept its terms at %s with the account of the token that is set (%w)", what, page, status)
		}
		return badinput.Errorf("%s is gated; accept its terms at %s and set HF_TOKEN to a token of that account (%w)", what, page, status)
	case a.Header.Get("X-Error-Code") == "RevisionNotFound":
		return &noRevision{badinput.Errorf("%s has no revision %s (%w)", what, r.Revision, status)}
	case a.Header.Get("X-Error-Code") == "EntryNotFound":
		return badinput.Errorf("%s lists a file that it does not have (%w)", what, status)
	case code == http.StatusUnauthorized, code == http.StatusNotFound:
		here := ""
		if r.Kind == Model {
			here = ", and there is no directory of that name here"
		}
		return &noRepo{badinput.Errorf("there is no %s on %s, or it is private%s; check the name, or %s (%w)", what, c.endpoint.Host, here,
			advice, status)}
	case code == http.StatusForbidden:
		return badinput.Errorf("access to %s is denied; %s (%w)", what, advice, status)
	}
	return fmt.Errorf("%s: %w", what(r), status)
}

// page returns the web page of a repository. Its files are below it.
func (c *Client) page(r Repo, parts ...string) string {
	parts = append(strings.Split(r.ID, "/"), parts...)
	if r.Kind != Model {
		parts = append([]string{string(r.Kind)}, parts...)
	}
	return c.url(parts...)
}

func what(r Repo) string { return r.Kind.word() + " " + r.ID }

// noRepo is the error of a repository that does not exist, as far as the token may know.
type noRepo struct{ error }

func (n *noRepo) Unwrap() error { return n.error }

// noRevision is the error of a repository without the requested revision.
type noRevision struct{ error }

func (n *noRevision) Unwrap() error { return n.error }

// IsNoRevision reports whether an error means that a repository lacks a
// revision.
func IsNoRevision(err error) bool {
	var n *noRevision
	return errors.As(err, &n)
}

// clean removes the token and control characters from a server's text.
func (c *Client) clean(s string) string { return printable.Line(s, 200, c.token) }
