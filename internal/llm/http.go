package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"barka/internal/badinput"
	"barka/internal/pause"
)

// Options describe an endpoint.
type Options struct {
	BaseURL string // such as http://localhost:8000/v1
	Model   string
	// KeyVariable names the environment variable that holds the API key; the
	// key itself is never stored or shown.
	KeyVariable string
	// RequestsPerMinute limits the rate; 0: no limit.
	RequestsPerMinute int
	// Retries bounds the attempts after the first; 0 means 6.
	Retries int
	// Timeout of one attempt; 0 means 10 minutes.
	Timeout time.Duration
	// Note is told, once each, of the parameters that the server refuses and
	// that are left out from then on; nil: nobody is told.
	Note func(string)
	// Transport replaces the default one, in tests.
	Transport http.RoundTripper
	// Sleep waits between attempts; nil means in real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// HTTP is a Client of an OpenAI-compatible endpoint.
type HTTP struct {
	o      Options
	url    string
	key    string
	client *http.Client

	mu      sync.Mutex
	next    time.Time // when the next request may go out
	dialect dialect
}

const (
	// maxAnswer bounds the size of a response body.
	maxAnswer = 32 << 20
	// maxPause is the longest that a server may make us wait; a longer one is
	// better spent by running again later.
	maxPause = 15 * time.Minute
)

// NewHTTP checks the options and returns a client.
func NewHTTP(o Options) (*HTTP, error) {
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, badinput.Errorf("endpoint %q: expected an address such as http://localhost:8000/v1", o.BaseURL)
	}
	if u.User != nil {
		return nil, badinput.Errorf("endpoint: credentials do not belong in the address; name an environment variable that holds the key")
	}
	if o.Model == "" {
		return nil, badinput.Errorf("endpoint %s: no model named", o.BaseURL)
	}
	c := &HTTP{o: o, url: strings.TrimRight(o.BaseURL, "/") + "/chat/completions"}
	if o.KeyVariable != "" {
		// Files that keys are read from end in a line feed.
		if c.key = strings.TrimSpace(os.Getenv(o.KeyVariable)); c.key == "" {
			return nil, badinput.Errorf("endpoint %s: environment variable %s, which should hold the API key, is empty", o.BaseURL, o.KeyVariable)
		}
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
	c.client = &http.Client{Transport: o.Transport, Timeout: c.o.Timeout}
	return c, nil
}

// Name implements Client.
func (c *HTTP) Name() string { return c.o.Model }

// Complete implements Client.
func (c *HTTP) Complete(ctx context.Context, r Request) (resp Response, err error) {
	err = c.attempts(ctx, uint64(r.Seed), func() error {
		used := c.dialectNow()
		payload, err := json.Marshal(used.body(c.o.Model, r))
		if err != nil {
			return err
		}
		data, err := c.try(ctx, http.MethodPost, c.url, payload)
		if err == nil {
			resp, err = c.parse(data)
		}
		var refused *refusal
		if errors.As(err, &refused) && c.adapt(used, r, refused.text) {
			return errOtherWords
		}
		return err
	})
	if err != nil {
		return Response{}, err
	}
	return resp, nil
}

// errOtherWords is what a try answers that is to be made again at once, since
// the request is another now.
var errOtherWords = errors.New("the request is to be put in other words")

// attempts tries until it works. Rate limits, server errors, broken
// connections and broken answers are tried again, with pauses that double and
// a little chance, drawn from the seed, or as long as the server asks;
// anything else is final.
func (c *HTTP) attempts(ctx context.Context, seed uint64, try func() error) error {
	jitter := rand.New(rand.NewPCG(seed, 1))
	for attempt := 0; ; {
		if err := c.wait(ctx); err != nil {
			return err
		}
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == errOtherWords {
			continue // not an attempt
		}
		var again *retryable
		if !errors.As(err, &again) || attempt >= c.o.Retries {
			return fmt.Errorf("endpoint %s, model %s: %w", c.o.BaseURL, c.o.Model, err)
		}
		wait := again.after
		if wait <= 0 {
			wait = time.Duration(float64(time.Second<<min(attempt, 8)) * (0.75 + 0.5*jitter.Float64()))
		}
		if wait > maxPause {
			return fmt.Errorf("endpoint %s, model %s: %w; it asks for a pause of %s: run the same command again after that", c.o.BaseURL, c.o.Model, err, wait.Round(time.Second))
		}
		attempt++
		if again.all {
			c.hold(wait) // and wait, above, sleeps
		} else if err := c.o.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// wait holds requests to the rate limit and to pauses that the server asked
// for.
func (c *HTTP) wait(ctx context.Context) error {
	c.mu.Lock()
	now := time.Now()
	if c.next.Before(now) {
		c.next = now
	}
	wait := c.next.Sub(now)
	if c.o.RequestsPerMinute > 0 {
		c.next = c.next.Add(time.Minute / time.Duration(c.o.RequestsPerMinute))
	}
	c.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return c.o.Sleep(ctx, wait)
}

// hold keeps all requests back for a while: a rate limit hit by one is hit by
// the others too.
func (c *HTTP) hold(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := time.Now().Add(d); c.next.Before(until) {
		c.next = until
	}
}

// retryable is an error that may pass; after is how long the server asks to
// wait, 0 if it does not say; all: every request has to.
type retryable struct {
	err   error
	after time.Duration
	all   bool
}

func (r *retryable) Error() string { return r.err.Error() }
func (r *retryable) Unwrap() error { return r.err }

// refusal is a request that the server understood and does not take.
type refusal struct {
	err  error
	text string // the server's words
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// try sends a request once and returns the body of a good answer.
func (c *HTTP) try(ctx context.Context, method, url string, payload []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, &retryable{err: fmt.Errorf("no answer (is the server running?): %w", err)}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &retryable{err: fmt.Errorf("the answer broke off: %w", err)}
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	case resp.StatusCode != http.StatusOK:
		return nil, c.statusError(resp, data)
	}
	return data, nil
}

// redact shortens what a server says and removes the key from it.
func (c *HTTP) redact(data []byte) string {
	s := strings.TrimSpace(string(data[:min(len(data), 4096)]))
	if c.key != "" {
		s = strings.ReplaceAll(s, c.key, "[key]")
	}
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

func (c *HTTP) statusError(resp *http.Response, data []byte) error {
	if err := tooLong(data); err != nil {
		return err
	}
	text := c.redact(data)
	err := fmt.Errorf("status %s: %s", resp.Status, text)
	switch code := resp.StatusCode; {
	case code == http.StatusInternalServerError && validation.Match(data):
		// llama-cpp-python's way of saying 422: asking again does not help.
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		after := pause.After(resp.Header.Get("Retry-After"), time.Now())
		return &retryable{err: err, after: after, all: code == http.StatusTooManyRequests || after > 0}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		hint := "name the environment variable that holds the API key"
		if c.o.KeyVariable != "" {
			hint = "check the API key in the environment variable " + c.o.KeyVariable
		}
		return badinput.Errorf("%w; %s", err, hint)
	case code == http.StatusNotFound:
		return badinput.Errorf("%w; check the address (it often ends in /v1) and the model's name", err)
	}
	return badinput.Wrap(&refusal{err, text})
}

var validation = regexp.MustCompile(`(?i)\b\d+ validation errors?\b`)

func (c *HTTP) parse(data []byte) (Response, error) {
	var a struct {
		Model   string          `json:"model"`
		Error   json.RawMessage `json:"error"` // some servers send errors with status 200
		Choices []struct {
			Message struct {
				Content *string `json:"content"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Usage struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return Response{}, &retryable{err: fmt.Errorf("the answer is not valid JSON: %w", err)}
	}
	if len(a.Choices) == 0 {
		if err := tooLong(data); err != nil {
			return Response{}, err
		}
		if len(a.Error) > 0 && string(a.Error) != "null" {
			return Response{}, &retryable{err: fmt.Errorf("the server says: %s", c.redact(a.Error))}
		}
		return Response{}, &retryable{err: errors.New("the answer holds no choice")}
	}
	r := Response{
		FinishReason: a.Choices[0].FinishReason, Model: a.Model,
		PromptTokens: a.Usage.Prompt, CompletionTokens: a.Usage.Completion,
	}
	switch content := a.Choices[0].Message.Content; {
	case content != nil:
		r.Text = *content
	case r.FinishReason == "" || r.FinishReason == FinishStop:
		return Response{}, &retryable{err: errors.New("the answer's choice has no content")}
		// With another reason the lack of text is the answer: it was filtered, or
		// the limit was reached before its first word.
	}
	return r, nil
}
