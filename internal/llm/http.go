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
	"strconv"
	"strings"
	"sync"
	"time"

	"barka/internal/badinput"
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

	mu   sync.Mutex
	next time.Time // when the rate limit allows the next request
}

// maxAnswer bounds the size of a response body.
const maxAnswer = 32 << 20

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
		if c.key = os.Getenv(o.KeyVariable); c.key == "" {
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
		c.o.Sleep = sleep
	}
	c.client = &http.Client{Transport: o.Transport, Timeout: c.o.Timeout}
	return c, nil
}

// Name implements Client.
func (c *HTTP) Name() string { return c.o.Model }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// body is the request in OpenAI's spelling.
type body struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Temperature float64   `json:"temperature"`
	TopP        float64   `json:"top_p,omitempty"`
	MaxTokens   int       `json:"max_tokens,omitempty"`
	Seed        int64     `json:"seed"`
	Stop        []string  `json:"stop,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Complete implements Client. Rate limits, server errors, broken connections
// and broken answers are tried again, with pauses that double and a little
// chance, or as long as the server asks; anything else is final.
func (c *HTTP) Complete(ctx context.Context, r Request) (Response, error) {
	b := body{Model: c.o.Model, Temperature: r.Temperature, TopP: r.TopP, MaxTokens: r.MaxTokens, Seed: r.Seed, Stop: r.Stop}
	for _, m := range r.Messages {
		b.Messages = append(b.Messages, message{m.Role, m.Content})
	}
	payload, err := json.Marshal(b)
	if err != nil {
		return Response{}, err
	}
	jitter := rand.New(rand.NewPCG(uint64(r.Seed), 1))
	for attempt := 0; ; attempt++ {
		if err := c.wait(ctx); err != nil {
			return Response{}, err
		}
		resp, err := c.try(ctx, payload)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return Response{}, ctx.Err()
		}
		var again *retryable
		if !errors.As(err, &again) || attempt >= c.o.Retries {
			return Response{}, fmt.Errorf("endpoint %s: %w", c.o.BaseURL, err)
		}
		pause := again.after
		if pause <= 0 {
			pause = time.Duration(float64(time.Second<<attempt) * (0.75 + 0.5*jitter.Float64()))
		}
		if err := c.o.Sleep(ctx, min(pause, 5*time.Minute)); err != nil {
			return Response{}, err
		}
	}
}

// wait holds requests to the rate limit.
func (c *HTTP) wait(ctx context.Context) error {
	if c.o.RequestsPerMinute <= 0 {
		return nil
	}
	c.mu.Lock()
	now := time.Now()
	if c.next.Before(now) {
		c.next = now
	}
	pause := c.next.Sub(now)
	c.next = c.next.Add(time.Minute / time.Duration(c.o.RequestsPerMinute))
	c.mu.Unlock()
	if pause <= 0 {
		return nil
	}
	return c.o.Sleep(ctx, pause)
}

// retryable is an error that may pass; after is how long the server asks to
// wait, 0 if it does not say.
type retryable struct {
	err   error
	after time.Duration
}

func (r *retryable) Error() string { return r.err.Error() }
func (r *retryable) Unwrap() error { return r.err }

func (c *HTTP) try(ctx context.Context, payload []byte) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(payload))
	if err != nil {
		return Response{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return Response{}, &retryable{err: fmt.Errorf("no answer: %w", err)}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Response{}, &retryable{err: fmt.Errorf("the answer broke off: %w", err)}
	case len(data) > maxAnswer:
		return Response{}, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	case resp.StatusCode != http.StatusOK:
		return Response{}, statusError(resp, c.redact(data))
	}
	return parse(data)
}

// redact removes the key from what a server echoes.
func (c *HTTP) redact(data []byte) string {
	s := strings.TrimSpace(string(data[:min(len(data), 4096)]))
	if c.key != "" {
		s = strings.ReplaceAll(s, c.key, "[key]")
	}
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

func statusError(resp *http.Response, text string) error {
	err := fmt.Errorf("status %s: %s", resp.Status, text)
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return &retryable{err: err, after: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return badinput.Errorf("%w; check the API key's environment variable", err)
	case code == http.StatusNotFound:
		return badinput.Errorf("%w; check the address and the model's name", err)
	}
	return badinput.Wrap(err)
}

// retryAfter reads the header's two forms: seconds, or a date.
func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil && s >= 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

func parse(data []byte) (Response, error) {
	var a struct {
		Model   string `json:"model"`
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
	if len(a.Choices) == 0 || a.Choices[0].Message.Content == nil {
		return Response{}, &retryable{err: errors.New("the answer holds no choice with content")}
	}
	return Response{
		Text: *a.Choices[0].Message.Content, FinishReason: a.Choices[0].FinishReason,
		PromptTokens: a.Usage.Prompt, CompletionTokens: a.Usage.Completion, Model: a.Model,
	}, nil
}
