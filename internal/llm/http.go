package llm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"barka/internal/badinput"
	"barka/internal/pause"
	"barka/internal/printable"
)

// Options describes an endpoint.
type Options struct {
	BaseURL string // such as http://localhost:8000/v1
	Model   string
	// KeyVariable is the name of the environment variable that holds the API key.
	// The key itself is never stored or shown.
	KeyVariable string
	// RequestsPerMinute and TokensPerMinute (of prompts and answers) limit the rate; 0
	// means no limit.
	RequestsPerMinute, TokensPerMinute int
	// PriceIn and PriceOut are the prices of a million tokens of prompts and answers.
	PriceIn, PriceOut float64
	// Retries bounds the attempts after the first; 0 means 6.
	Retries int
	// Timeout of one attempt; 0 means 10 minutes.
	Timeout time.Duration
	// Grace is the time for which calls in flight may continue after an
	// interruption, so that their answers are not lost. 0 means 10 seconds.
	Grace time.Duration
	// Note is called with messages for the user: about waits, and about parameters
	// that the server rejects and that are omitted from then on. nil discards them.
	Note func(string)
	// Sleep waits between attempts; nil means in real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// HTTP is a Client of an OpenAI-compatible endpoint.
type HTTP struct {
	o      Options
	url    string
	key    string
	client *http.Client

	reached atomic.Bool // whether the server has ever responded
	limits  limits

	mu       sync.Mutex
	told     time.Time // time of the last note about a wait
	inFlight int       // number of calls
	graced   bool      // whether the note about the grace period was shown
	dialect  dialect
}

const (
	// maxAnswer bounds the size of a response body.
	maxAnswer = 32 << 20
	// maxHeader bounds the size of a response's header.
	maxHeader = 256 << 10
	// maxPause is the longest wait that a server may ask for. If it asks for more,
	// the command ends and has to be run again later.
	maxPause = 15 * time.Minute
	// maxTimeouts bounds the attempts after the first that may end by Timeout. Each
	// of them takes long and may cost money.
	maxTimeouts = 2
	// longKey is the length in bytes from which an answer cannot contain a key by
	// chance. Local servers accept short keys such as "EMPTY".
	longKey = 16
	// tellEvery is the shortest time between two notes about waits, so that many
	// requests do not fill the terminal.
	tellEvery = time.Second
)

// NewHTTP checks the options and returns a client.
func NewHTTP(o Options) (*HTTP, error) {
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, badinput.Errorf("endpoint %q is not an address; expected one such as http://localhost:8000/v1", printable.Address(o.BaseURL))
	}
	if u.User != nil {
		return nil, badinput.Errorf("endpoint: the address contains credentials; put the key into an environment variable and give its name")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, badinput.Errorf("endpoint: the address has a part after ? or #, to which no path can be added; " +
			"leave it out, and put a key into an environment variable")
	}
	if o.Model == "" {
		return nil, badinput.Errorf("endpoint %s: no model is named; give the server's name for it", o.BaseURL)
	}
	if o.RequestsPerMinute < 0 || o.TokensPerMinute < 0 || !(o.PriceIn >= 0 && o.PriceOut >= 0) {
		return nil, badinput.Errorf("endpoint %s: requests per minute %d, tokens per minute %d, prices %g and %g: expected 0 or more",
			o.BaseURL, o.RequestsPerMinute, o.TokensPerMinute, o.PriceIn, o.PriceOut)
	}
	c := &HTTP{o: o, url: strings.TrimRight(o.BaseURL, "/") + "/chat/completions"}
	c.limits = limits{requests: o.RequestsPerMinute, tokens: o.TokensPerMinute}
	if c.key, err = key(o.KeyVariable); err != nil {
		return nil, badinput.Errorf("endpoint %s: %w", o.BaseURL, err)
	}
	if c.o.Retries <= 0 {
		c.o.Retries = 6
	}
	if c.o.Timeout <= 0 {
		c.o.Timeout = 10 * time.Minute
	}
	if c.o.Sleep == nil {
		c.o.Sleep = pause.Sleep
	}
	if c.o.Note == nil {
		c.o.Note = func(string) {}
	}
	if c.o.Grace <= 0 {
		c.o.Grace = 10 * time.Second
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.client = &http.Client{Transport: transport(), Timeout: c.o.Timeout, CheckRedirect: noRedirect}
	return c, nil
}

// variable matches the usual names of environment variables. Any other text may
// be the key itself and is not repeated in errors.
var variable = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// key reads the API key from a variable of the environment; "" names none.
func key(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	named := name
	if !variable.MatchString(name) {
		named = "that is named"
	}
	// A key that was read from a file ends in a line feed.
	k := strings.TrimSpace(os.Getenv(name))
	switch {
	case k == "":
		return "", fmt.Errorf("environment variable %s, which should hold the API key, is empty; give the variable's name, not the key", named)
	case strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("environment variable %s does not hold an API key: it contains white space or "+
			"characters beyond ASCII", named)
	}
	return k, nil
}

// transport keeps the connection of every concurrent request for the next one.
func transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0 // no limit of its own: requests in flight are limited elsewhere
	t.MaxIdleConnsPerHost = math.MaxInt
	t.MaxResponseHeaderBytes = maxHeader
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	return t
}

// Name implements Client.
func (c *HTTP) Name() string { return c.o.Model }

// Complete implements Client.
func (c *HTTP) Complete(ctx context.Context, r Request) (Response, error) {
	all, err := c.Samples(ctx, r, 1)
	if err != nil {
		return Response{}, err
	}
	return all[0], nil
}

// Samples implements Sampler. A server that rejects the parameter n, or that ignores it,
// gives one answer.
func (c *HTTP) Samples(ctx context.Context, r Request, n int) ([]Response, error) {
	return c.samples(ctx, r, n, false)
}

// samples is Samples. The first attempt of a request that has reserved its place does not
// wait for the rate limits.
func (c *HTTP) samples(ctx context.Context, r Request, n int, reserved bool) (all []Response, err error) {
	expected := r.tokens(n)
	err = c.attempts(ctx, uint64(r.Seed), place{expected, reserved}, func() error {
		used := c.dialectNow()
		payload, err := json.Marshal(used.body(c.o.Model, r, n))
		if err != nil {
			return err
		}
		data, err := c.try(ctx, http.MethodPost, c.address(r), payload)
		if err == nil {
			all, err = c.parse(data, n)
		}
		var refused *refusal
		if errors.As(err, &refused) && c.adapt(used, r, n, refused.text) {
			return errChanged
		}
		if err == nil && len(all) == 1 && n > 1 && !used.single {
			c.learn(used, func(d *dialect) { d.single = true }, "gives one answer per request; the others are asked for one by one")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	got := 0
	for _, a := range all {
		got += a.PromptTokens + a.CompletionTokens
	}
	if got > 0 { // a server may not count
		c.limits.correct(expected, got)
	}
	return all, nil
}

// address returns where a request is sent: to the chat completions API, or to the
// completions API if it is a plain prompt.
func (c *HTTP) address(r Request) string {
	if r.Prompt != "" {
		return strings.TrimSuffix(c.url, "/chat/completions") + "/completions"
	}
	return c.url
}

// errChanged is the error of an attempt that is repeated at once with a changed
// request.
var errChanged = errors.New("the request is repeated in another dialect")

// attempts calls try until it succeeds, or until the server has failed too often. It waits
// for an unreachable server only if that has responded before. The jitter is drawn from
// the seed. Each attempt takes a place within the rate limits.
func (c *HTTP) attempts(ctx context.Context, seed uint64, at place, try func() error) error {
	retry := pause.Retry{
		Most: maxPause, Jitter: rand.New(rand.NewPCG(seed, 1)).Float64, GiveUp: c.giveUp, Note: c.tell,
		Wait: func(ctx context.Context, p *pause.Passing, wait time.Duration) error {
			if p.Everyone {
				c.limits.hold(wait) // the next attempt waits
				return nil
			}
			return c.o.Sleep(ctx, wait)
		},
	}
	var ended error // error of the context during a wait for the rate limit
	err := retry.Do(ctx, func() error {
		for {
			if !at.reserved {
				if ended = c.wait(ctx, at.tokens); ended != nil {
					return ended
				}
			}
			at.reserved = false
			if err := try(); err != errChanged { // a changed request is not another attempt
				return err
			}
		}
	})
	if err == nil || ended != nil || ctx.Err() != nil {
		return err
	}
	return c.named(err)
}

// giveUp returns the error that ends the attempts after n of them, or nil to go on.
func (c *HTTP) giveUp(n int, p *pause.Passing) error {
	switch {
	case p.Unreachable && (n > c.o.Retries || !c.reached.Load()):
		return p
	case n > c.o.Retries || p.Timeout && n > maxTimeouts:
		return &RequestError{Unanswered, fmt.Errorf("%w (asked %d times)", p, n)}
	}
	return nil
}

// named adds the endpoint and the model to an error.
func (c *HTTP) named(err error) error {
	return fmt.Errorf("endpoint %s, model %s: %w", c.o.BaseURL, c.o.Model, err)
}

// tell writes a note about a wait, unless another request has just written one.
func (c *HTTP) tell(p *pause.Passing, wait time.Duration, n int) {
	c.mu.Lock()
	now := time.Now()
	recent := now.Sub(c.told) < tellEvery
	if !recent {
		c.told = now
	}
	c.mu.Unlock()
	if !recent {
		c.o.Note(fmt.Sprintf("endpoint %s: %v; retrying in %.1f s (attempt %d of %d)",
			c.o.BaseURL, p, wait.Seconds(), n+1, c.o.Retries+1))
	}
}

// wait waits until the rate limits and pauses that the server asked for allow the next
// request.
func (c *HTTP) wait(ctx context.Context, tokens int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if wait := c.limits.reserve(tokens); wait > 0 {
		return c.o.Sleep(ctx, wait)
	}
	return nil
}

// try sends a request once and returns the body of a good answer. The call may outlast an
// interruption by the grace period, because its answer may cost money.
func (c *HTTP) try(ctx context.Context, method, url string, payload []byte) ([]byte, error) {
	call, cancel := pause.Grace(ctx, c.o.Grace)
	defer cancel()
	defer context.AfterFunc(ctx, c.tellGrace)()
	c.mu.Lock()
	c.inFlight++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.inFlight--
		c.mu.Unlock()
	}()

	req, err := http.NewRequestWithContext(call, method, url, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, c.noAnswer(err)
	}
	defer resp.Body.Close()
	c.reached.Store(true)
	// Only if the body is read to its end is the connection reused.
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		again := c.noAnswer(err)
		if !again.Timeout {
			again.Err = errors.New("the answer ended early: " + c.redact(withoutAddress(err).Error()))
		}
		return nil, again
	case len(data) > maxAnswer:
		return nil, &RequestError{Unanswered, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)}
	case resp.StatusCode != http.StatusOK:
		return nil, c.statusError(resp, data)
	case len(c.key) >= longKey && bytes.Contains(data, []byte(c.key)):
		return nil, badinput.Errorf("the server's answer contains the API key; it is not used, because answers are written to files")
	}
	return data, nil
}

// tellGrace writes a note, once, that an interruption waits for the calls in flight.
func (c *HTTP) tellGrace() {
	c.mu.Lock()
	n := c.inFlight
	first := n > 0 && !c.graced
	c.graced = c.graced || first
	c.mu.Unlock()
	if first {
		c.o.Note(fmt.Sprintf("waiting up to %g s for the calls in flight (%d), so that their answers are not lost; a second Ctrl-C ends at once",
			c.o.Grace.Seconds(), n))
	}
}

// parse reads an answer with up to n choices. A choice that cannot be used is left out if
// others can be.
func (c *HTTP) parse(data []byte, n int) ([]Response, error) {
	var a struct {
		Model   string          `json:"model"`
		Error   json.RawMessage `json:"error"` // some servers send errors with status 200
		Choices []struct {
			Message struct {
				Content *string `json:"content"`
			} `json:"message"`
			Text         *string `json:"text"` // of the completions API
			FinishReason string  `json:"finish_reason"`
		} `json:"choices"`
		Usage struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, notJSON(data, err)
	}
	if len(a.Choices) == 0 {
		if err := tooLong(data); err != nil {
			return nil, err
		}
		if len(a.Error) > 0 && string(a.Error) != "null" {
			return nil, &pause.Passing{Err: fmt.Errorf("the server says: %s", c.said(data))}
		}
		return nil, &pause.Passing{Err: errors.New("the answer has no choice")}
	}
	if a.Usage.Prompt < 0 || a.Usage.Completion < 0 {
		return nil, &pause.Passing{Err: fmt.Errorf("the answer states %d prompt tokens and %d completion tokens", a.Usage.Prompt,
			a.Usage.Completion)}
	}
	var all []Response
	for _, choice := range a.Choices[:min(len(a.Choices), n)] {
		r := Response{FinishReason: choice.FinishReason, Model: a.Model}
		switch content := cmp.Or(choice.Message.Content, choice.Text); {
		case content != nil:
			r.Text = *content
		case r.FinishReason == "" || r.FinishReason == FinishStop:
			continue
			// With another finish reason an answer without text is valid: it was
			// filtered, or the limit was reached before the first word.
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, &pause.Passing{Err: errors.New("the answer's choice has no content")}
	}
	c.charge(all, a.Usage.Prompt, a.Usage.Completion)
	return all, nil
}

// charge divides the tokens of a request among its answers, because servers count them
// together. What cannot be divided is the first one's.
func (c *HTTP) charge(all []Response, prompt, completion int) {
	n := len(all)
	for i := range all {
		all[i].PromptTokens, all[i].CompletionTokens = prompt/n, completion/n
		if i == 0 {
			all[i].PromptTokens += prompt % n
			all[i].CompletionTokens += completion % n
		}
		all[i].Cost = (float64(all[i].PromptTokens)*c.o.PriceIn + float64(all[i].CompletionTokens)*c.o.PriceOut) / 1e6
	}
}
