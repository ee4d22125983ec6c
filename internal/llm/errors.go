package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/pause"
	"barka/internal/printable"
)

// Kinds of a RequestError.
const (
	Filtered   = "filtered"   // the endpoint rejected the request for its content
	Refused    = "refused"    // the endpoint rejected the request for another reason
	Unanswered = "unanswered" // no attempt brought a usable answer
)

// RequestError is the failure of one request; other requests may succeed. Any other
// error of a Client, except *TooLong and those of the context, concerns all requests. The
// text of Err contains no key, address or control character.
type RequestError struct {
	Kind string // Filtered, Refused or Unanswered
	Err  error
}

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

// Code makes a server's word, such as a finish reason, fit for a reason code.
func Code(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(s[:min(len(s), 20)]))
}

// refusal is the error of a request that the server understood and rejected.
type refusal struct {
	err  error
	text string // the server's text
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// noAnswer classifies the error of a request that got no response.
func (c *HTTP) noAnswer(err error) *pause.Passing {
	if why := pause.Unreachable(err); why != "" {
		return &pause.Passing{Err: errors.New(c.redact(why)), Everyone: true, Unreachable: true}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &pause.Passing{Err: fmt.Errorf("no answer within %s", c.o.Timeout), Timeout: true}
	}
	// net/http quotes what it cannot parse, such as a header with the key.
	return &pause.Passing{Err: errors.New("no answer: " + c.redact(withoutAddress(err).Error()))}
}

// withoutAddress removes addresses and ports from a network error. Rows contain the error
// and must be the same on every machine.
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
	validation  = regexp.MustCompile(`(?i)\b\d+ validation errors?\b`)
	filterWords = regexp.MustCompile(`(?i)content[_ ]?(?:filter|policy)|content management policy|` +
		`responsible ?ai|safety (?:system|policy)|moderation|flagged`)
	quotaWords   = regexp.MustCompile(`(?i)insufficient_quota|exceeded your current quota|credit balance|billing`)
	noModelWords = regexp.MustCompile(`(?i)model_not_found|invalid_model|\bmodel\b.{0,120}(?:does not exist|not found)`)
)

// statusError returns the error for a response with a status other than 200.
func (c *HTTP) statusError(resp *http.Response, data []byte) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		return c.redirected(resp)
	}
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
		return fmt.Errorf("%w; the account's quota is used up; run the same command again when there is more", err)
	case code == http.StatusInternalServerError && validation.Match(data):
		// llama-cpp-python answers 500 instead of 422. A retry does not help.
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		after := pause.After(resp.Header.Get("Retry-After"), serverTime(resp))
		return &pause.Passing{Err: err, After: after, Everyone: code == http.StatusTooManyRequests || after > 0}
	case code == http.StatusForbidden && filterWords.MatchString(said):
		// OpenRouter answers 403 to a flagged request.
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		hint := "give the name of the environment variable that holds the API key"
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

// serverTime returns the time by the server's clock, because this machine's may be wrong or
// may have jumped.
func serverTime(resp *http.Response) time.Time {
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

const (
	maxSaid  = 4096 // bytes of an error's body that are read
	maxWords = 300  // characters of it that are shown
)

// said returns the text of an error response, made safe by redact: the code and message of
// the usual JSON forms, the title of a page, or the body itself.
func (c *HTTP) said(data []byte) string {
	whole := string(data[:min(len(data), maxSaid+len(c.key))])
	text := printable.Without(whole, c.key) // before a cut can split the key
	if len(text) > maxSaid {
		text = text[:maxSaid]
	}
	code, message := complaint([]byte(text))
	if message == "" {
		message = pageTitle(text)
	}
	if code != "" && !strings.Contains(message, code) {
		message = code + ": " + message
	}
	return c.redact(message)
}

// complaint returns the code and message of an error in JSON.
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

// pageTitle returns the title of an HTML page, and other text unchanged.
func pageTitle(s string) string {
	if !strings.HasPrefix(strings.TrimSpace(s), "<") {
		return s
	}
	if m := titleTag.FindStringSubmatch(s); m != nil {
		return "a page titled " + strings.TrimSpace(m[1])
	}
	return "a page: " + s
}

// redact makes a server's text safe for terminals, logs and rows: one short line without
// the API key.
func (c *HTTP) redact(s string) string { return printable.Line(s, maxWords, c.key) }

// redirected returns the error for a redirect. Redirects are not followed: a request
// contains the key and the user's text, which are meant only for the named server.
func (c *HTTP) redirected(resp *http.Response) error {
	to := "nowhere"
	if at, err := resp.Location(); err == nil {
		to = at.String()
		for _, path := range []string{"/chat/completions", "/completions", "/models"} {
			if base, ok := strings.CutSuffix(at.Path, path); ok {
				at.Path, at.RawPath = base, ""
				to = at.String()
			}
		}
		to = c.redact(printable.Address(to))
	}
	return badinput.Errorf("the server redirects (status %d) to %s, which is not followed, so that neither the API key nor "+
		"a prompt reaches another address; if you trust that server, name it as the endpoint",
		resp.StatusCode, to)
}

// notJSON returns the error for an answer with status 200 that cannot be read.
func notJSON(data []byte, err error) error {
	if strings.HasPrefix(strings.TrimSpace(string(data[:min(len(data), 64)])), "<") {
		return &pause.Passing{Err: errors.New("the answer is a page, not JSON; check the address (it often ends in /v1)")}
	}
	return &pause.Passing{Err: fmt.Errorf("the answer is not valid JSON: %w", err)}
}
