package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/pause"
)

// Kinds of a RequestError.
const (
	Filtered   = "filtered"   // the endpoint refuses the request for its content
	Refused    = "refused"    // the endpoint refuses the request for another reason
	Unanswered = "unanswered" // no usable answer came in all attempts
)

// RequestError is the failure of one request; other requests may succeed. Any
// other error of a Client concerns all requests, except *TooLong and those of
// the context. The text of Err holds no key, address or control character.
type RequestError struct {
	Kind string // Filtered, Refused or Unanswered
	Err  error
}

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

// retryable is an error that may pass.
type retryable struct {
	err         error
	after       time.Duration // how long the server asks to wait, 0 if it does not say
	all         bool          // every request has to wait
	unreachable bool          // no request can reach the server
	timeout     bool
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

// noAnswer classifies the error of a request that got no response.
func noAnswer(err error, limit time.Duration) *retryable {
	if why := pause.Unreachable(err); why != "" {
		return &retryable{err: errors.New(why), all: true, unreachable: true}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &retryable{err: fmt.Errorf("no answer within %s", limit), timeout: true}
	}
	return &retryable{err: fmt.Errorf("no answer: %w", withoutAddress(err))}
}

// withoutAddress takes addresses and ports out of a network error: what rows say
// of it must not differ from machine to machine.
func withoutAddress(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

var (
	validation   = regexp.MustCompile(`(?i)\b\d+ validation errors?\b`)
	filterWords  = regexp.MustCompile(`(?i)content[_ ]?(?:filter|policy)|content management policy|responsible ?ai|safety (?:system|policy)|moderation|flagged`)
	quotaWords   = regexp.MustCompile(`(?i)insufficient_quota|exceeded your current quota|credit balance|billing`)
	noModelWords = regexp.MustCompile(`(?i)model_not_found|invalid_model|\bmodel\b.{0,120}(?:does not exist|not found)`)
)

// statusError is the error of a response with a status other than 200.
func (c *HTTP) statusError(resp *http.Response, data []byte) error {
	if err := tooLong(data); err != nil {
		return err
	}
	said := c.said(data)
	err := fmt.Errorf("status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusPaymentRequired, code == http.StatusTooManyRequests && quotaWords.MatchString(said):
		return fmt.Errorf("%w; the account's quota is used up: run the same command again when there is more", err)
	case code == http.StatusInternalServerError && validation.Match(data):
		// llama-cpp-python's way of saying 422: asking again does not help.
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		after := pause.After(resp.Header.Get("Retry-After"), time.Now())
		return &retryable{err: err, after: after, all: code == http.StatusTooManyRequests || after > 0}
	case code == http.StatusForbidden && filterWords.MatchString(said):
		// OpenRouter's way of saying that the request was flagged.
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		hint := "name the environment variable that holds the API key"
		if c.o.KeyVariable != "" {
			hint = "check the API key in the environment variable " + c.o.KeyVariable
		}
		return badinput.Errorf("%w; %s", err, hint)
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusGone, noModelWords.MatchString(said):
		return badinput.Errorf("%w; check the address (it often ends in /v1) and the model's name", err)
	}
	kind := Refused
	if filterWords.MatchString(said) {
		kind = Filtered
	}
	return badinput.Wrap(&RequestError{kind, &refusal{err, string(data[:min(len(data), maxSaid)])}})
}

const (
	maxSaid  = 4096 // bytes of an error's body that are read for words
	maxWords = 300  // characters of it that are shown
)

// said is what a server says in the body of an error: the code and message of
// the usual forms of JSON, the title of a page, else the text itself, without
// the API key and control characters, and shortened.
func (c *HTTP) said(data []byte) string {
	if c.key != "" {
		data = bytes.ReplaceAll(data, []byte(c.key), []byte("[key]")) // before its end can be cut off
	}
	data = data[:min(len(data), maxSaid)]
	code, message := complaint(data)
	if message == "" {
		message = pageTitle(string(data))
	}
	if code != "" && !strings.Contains(message, code) {
		message = code + ": " + message
	}
	return c.redact(message)
}

// complaint reads code and message from an error in JSON.
func complaint(data []byte) (code, message string) {
	var top map[string]any
	if json.Unmarshal(data, &top) != nil {
		return "", ""
	}
	if inner, ok := top["error"].(map[string]any); ok {
		top = inner
	}
	for _, key := range []string{"message", "error", "detail", "msg"} {
		if s, ok := top[key].(string); ok && s != "" {
			message = s
			break
		}
	}
	for _, key := range []string{"code", "type"} {
		if s, ok := top[key].(string); ok && s != "" {
			return s, message
		}
	}
	return "", message
}

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// pageTitle is the title of an HTML page, other text as it is.
func pageTitle(s string) string {
	if !strings.HasPrefix(strings.TrimSpace(s), "<") {
		return s
	}
	if m := titleTag.FindStringSubmatch(s); m != nil {
		return "a page titled " + strings.TrimSpace(m[1])
	}
	return "a page: " + s
}

// escapes are the terminal's sequences: CSI and OSC of ECMA-48.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)`)

// redact makes a server's words fit for terminals, logs and rows: without the
// API key, in one line, without control and direction characters, shortened.
func (c *HTTP) redact(s string) string {
	s = strings.ToValidUTF8(s, "")
	if c.key != "" {
		s = strings.ReplaceAll(s, c.key, "[key]")
	}
	s = escapes.ReplaceAllString(s, " ")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	words := []rune(strings.Join(strings.Fields(s), " "))
	if len(words) > maxWords {
		return string(words[:maxWords]) + "…"
	}
	return string(words)
}

// notJSON is the error of an answer with status 200 that cannot be read.
func notJSON(data []byte, err error) error {
	if strings.HasPrefix(strings.TrimSpace(string(data[:min(len(data), 64)])), "<") {
		return &retryable{err: errors.New("the answer is a page, not JSON; check the address (it often ends in /v1)")}
	}
	return &retryable{err: fmt.Errorf("the answer is not valid JSON: %w", err)}
}
