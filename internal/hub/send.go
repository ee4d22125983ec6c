package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"barka/internal/badinput"
	"barka/internal/pause"
)

// sending is the body of a request. The pace counts what the server takes. After the last
// byte the server has a deadline for its answer: joining the parts of a large file takes
// longer than the silence that a transfer may have.
type sending struct {
	mu       sync.Mutex // the transport may read on after an early answer
	from     io.Reader
	left     int64
	pace     *pause.Pace
	deadline time.Duration
	end      context.CancelCauseFunc
	timer    *time.Timer
	over     bool
}

func (s *sending) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return 0, io.ErrClosedPipe
	}
	n, err := s.from.Read(p)
	s.left -= int64(n)
	s.pace.Add(n)
	if s.left <= 0 && s.timer == nil {
		s.pace.Stop()
		late := &tooSlow{fmt.Errorf("no answer within %s", s.deadline)}
		s.timer = time.AfterFunc(s.deadline, func() { s.end(late) })
	}
	return n, err
}

func (s *sending) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return nil
}

// answered ends the deadline. Nothing reads the body after it.
func (s *sending) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// refusal is the error of a request to write that the hub refuses.
type refusal struct {
	status int
	error
}

func (r *refusal) Unwrap() error { return r.error }

// refusedAs reports whether an error is the hub's refusal with one of the statuses.
func refusedAs(err error, statuses ...int) bool {
	var r *refusal
	if !errors.As(err, &r) {
		return false
	}
	for _, s := range statuses {
		if r.status == s {
			return true
		}
	}
	return false
}

// refusedWrite explains why the hub refuses to write.
func (c *Client) refusedWrite(r Repo, a *answer, status error) error {
	refused := func(format string, args ...any) error {
		return &refusal{a.StatusCode, badinput.Errorf(format, args...)}
	}
	name, tokens := what(r), c.url("settings", "tokens")
	switch code := a.StatusCode; {
	case (code == http.StatusUnauthorized || code == http.StatusForbidden) && c.token == "":
		return refused("writing to %s needs a token; make one with write permission at %s and set HF_TOKEN (%w)", name, tokens, status)
	case code == http.StatusUnauthorized:
		return refused("%s does not accept the token that is set, or the token may not write to %s; make one with write permission "+
			"at %s and set HF_TOKEN (%w)", c.endpoint.Host, name, tokens, status)
	case code == http.StatusForbidden:
		return refused("the token that is set has no write permission for %s; make one that has at %s and set HF_TOKEN, or publish "+
			"under a name of your own (%w)", name, tokens, status)
	case a.Header.Get("X-Error-Code") == "RevisionNotFound":
		return &noRevision{badinput.Errorf("%s has no revision %s (%w)", name, r.Revision, status)}
	case code == http.StatusNotFound:
		return refused("there is no %s on %s, or the token that is set may not see it (%w)", name, c.endpoint.Host, status)
	case code == http.StatusRequestEntityTooLarge:
		return refused("%s: the hub refuses the size of what is sent; split the files, or publish fewer (%w)", name, status)
	case code == http.StatusBadRequest, code == http.StatusUnprocessableEntity:
		return refused("%s: the hub does not accept what is sent; nothing is published (%w)", name, status)
	}
	return &refusal{a.StatusCode, fmt.Errorf("%s: %w", name, status)}
}

// Media types of the API's requests.
const (
	jsonType   = "application/json"
	lfsType    = "application/vnd.git-lfs+json"
	commitType = "application/x-ndjson"
)

// post sends JSON of a media type to the API and decodes its answer, which is not read if
// into is nil. Errors that may pass are retried.
func (c *Client) post(ctx context.Context, r Repo, address, kind string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.attempts(ctx, what(r), func() error { return c.postOnce(ctx, r, address, kind, data, into) })
}

// postOnce is an attempt of post.
func (c *Client) postOnce(ctx context.Context, r Repo, address, kind string, data []byte, into any) error {
	q := request{method: http.MethodPost, size: int64(len(data)), header: map[string]string{"Content-Type": kind},
		body: func() io.Reader { return bytes.NewReader(data) }}
	if kind == lfsType {
		q.header["Accept"] = lfsType
	}
	a, err := c.do(ctx, r, address, q)
	if err != nil {
		return err
	}
	defer a.Close()
	got, err := io.ReadAll(io.LimitReader(a, maxPage+1))
	switch {
	case err != nil:
		return &pause.Passing{Err: fmt.Errorf("the answer ended early: %s", c.clean(err.Error()))}
	case len(got) > maxPage:
		return badinput.Errorf("%s: the server sends an answer of more than %d MiB; it is not read", what(r), maxPage>>20)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(got, into); err != nil {
		return badinput.Errorf("%s: the answer of %s is not the hub's: %s; check HF_ENDPOINT", what(r), c.endpoint.Host, c.clean(err.Error()))
	}
	return nil
}
