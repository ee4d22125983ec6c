package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/pause"
)

const good = `{"model":"m","choices":[{"message":{"role":"assistant","content":"Hello."},` +
	`"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`

// server answers the n-th request (from 0) with the n-th handler, and all later ones with
// the last handler.
func server(t *testing.T, handlers ...http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		handlers[min(i, len(handlers)-1)](w, r)
	}))
	t.Cleanup(s.Close)
	return s, &n
}

func answer(status int, text string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}

// broken announces more bytes than it sends.
func broken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, good[:20])
}

func client(t *testing.T, url string, pauses *[]time.Duration) *HTTP {
	t.Helper()
	c, err := NewHTTP(Options{BaseURL: url + "/v1/", Model: "m", Retries: 3, Sleep: func(_ context.Context, d time.Duration) error {
		if pauses != nil {
			*pauses = append(*pauses, d)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var request = Request{Messages: []chat.Message{{Role: "user", Content: "Hi"}}, Temperature: 0.8, TopP: 0.95, MaxTokens: 7, Seed: 42}

func TestComplete(t *testing.T) {
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		var b map[string]any
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		if r.URL.Path != "/v1/chat/completions" || b["model"] != "m" || b["seed"] != 42.0 || b["max_tokens"] != 7.0 || b["temperature"] != 0.8 {
			t.Errorf("%s %v", r.URL.Path, b)
		}
		fmt.Fprint(w, good)
	})
	got, err := client(t, s.URL, nil).Complete(context.Background(), request)
	if err != nil || got.Text != "Hello." || got.FinishReason != FinishStop || got.PromptTokens != 3 || got.CompletionTokens != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestFaultsThatPass: requests are retried after each temporary fault until the good
// answer.
func TestFaultsThatPass(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"429": answer(429, "slow down"), "500": answer(500, "oops"), "503": answer(503, ""), "408": answer(408, ""),
		"malformed": answer(200, `{"choices":[`), "no choice": answer(200, `{"choices":[]}`),
		"no content": answer(200, `{"choices":[{"message":{}}]}`),
		"broken off": broken,
	} {
		s, n := server(t, fault, fault, answer(200, good))
		got, err := client(t, s.URL, nil).Complete(context.Background(), request)
		if err != nil || got.Text != "Hello." || n.Load() != 3 {
			t.Errorf("%s: %+v, %v after %d requests", name, got, err, n.Load())
		}
	}
}

func TestGivesUp(t *testing.T) {
	s, n := server(t, answer(500, "still broken"))
	_, err := client(t, s.URL, nil).Complete(context.Background(), request)
	if err == nil || !strings.Contains(err.Error(), "still broken") || n.Load() != 4 {
		t.Errorf("%v after %d requests, expected 4", err, n.Load())
	}
}

func TestFinalErrors(t *testing.T) {
	for status, want := range map[int]string{401: "API key", 403: "API key", 404: "model's name", 400: "bad field"} {
		s, n := server(t, answer(status, "bad field"))
		_, err := client(t, s.URL, nil).Complete(context.Background(), request)
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) || n.Load() != 1 {
			t.Errorf("%d: %v after %d requests", status, err, n.Load())
		}
	}
}

func TestRetryAfter(t *testing.T) {
	var pauses []time.Duration
	s, _ := server(t, answer(429, "", "Retry-After", "7"), answer(200, good))
	if _, err := client(t, s.URL, &pauses).Complete(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	if len(pauses) != 1 || pauses[0].Round(100*time.Millisecond) != 7*time.Second {
		t.Errorf("paused %v, expected 7 s", pauses)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if d := pause.After(now.Add(90*time.Second).Format(http.TimeFormat), now); d != 90*time.Second {
		t.Errorf("date: %v", d)
	}
	for _, v := range []string{"", "soon", "-3"} {
		if d := pause.After(v, now); d != 0 {
			t.Errorf("%q: %v", v, d)
		}
	}
}

// TestRateLimitHoldsAll: a pause that one request is asked for delays the next one too.
func TestRateLimitHoldsAll(t *testing.T) {
	var pauses []time.Duration
	s, n := server(t, answer(429, "", "Retry-After", "30"))
	c := client(t, s.URL, &pauses)
	c.o.Retries = 1
	c.Complete(context.Background(), request)
	pauses = nil
	if _, err := c.Complete(context.Background(), request); err == nil || n.Load() != 4 || len(pauses) != 2 || pauses[0] < 25*time.Second {
		t.Errorf("%v, %d requests, paused %v", err, n.Load(), pauses)
	}
}

// TestLongPauses: the client does not wait for a server that asks for hours.
func TestLongPauses(t *testing.T) {
	s, n := server(t, answer(429, "quota", "Retry-After", "7200"))
	_, err := client(t, s.URL, nil).Complete(context.Background(), request)
	if err == nil || !strings.Contains(err.Error(), "2h0m0s") || n.Load() != 1 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
}

// TestBackoff: pauses double, with a jitter of a quarter either way, which is the same for
// the same request.
func TestBackoff(t *testing.T) {
	var first, second []time.Duration
	for _, pauses := range []*[]time.Duration{&first, &second} {
		s, _ := server(t, answer(500, ""))
		client(t, s.URL, pauses).Complete(context.Background(), request)
	}
	if len(first) != 3 || !slices.Equal(first, second) {
		t.Fatalf("%v and %v", first, second)
	}
	for i, p := range first {
		if base := time.Second << i; p < base*3/4 || p > base*5/4 {
			t.Errorf("pause %d: %v", i, p)
		}
	}
}

// TestRequestsPerMinute: requests are spread over the minute.
func TestRequestsPerMinute(t *testing.T) {
	var pauses []time.Duration
	s, _ := server(t, answer(200, good))
	c := client(t, s.URL, &pauses)
	c.limits.requests = 60
	for range 4 {
		if _, err := c.Complete(context.Background(), request); err != nil {
			t.Fatal(err)
		}
	}
	if len(pauses) != 3 || pauses[2] < 2*time.Second || pauses[2] > 3*time.Second {
		t.Errorf("paused %v, expected about 1, 2 and 3 seconds", pauses)
	}
}

// TestConnectionRefused: at the first contact it is reported at once.
func TestConnectionRefused(t *testing.T) {
	s, _ := server(t, answer(200, good))
	url := s.URL
	s.Close()
	var pauses []time.Duration
	_, err := client(t, url, &pauses).Complete(context.Background(), request)
	if err == nil || !strings.Contains(err.Error(), "refuses connections") || !strings.Contains(err.Error(), url) || len(pauses) != 0 {
		t.Errorf("%v after pauses %v", err, pauses)
	}
	var failed *RequestError
	if errors.As(err, &failed) {
		t.Errorf("%v is taken for the error of one request", err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan bool)
	s, n := server(t, func(w http.ResponseWriter, r *http.Request) { <-release }, answer(200, good))
	defer close(release)
	c, err := NewHTTP(Options{BaseURL: s.URL, Model: "m", Timeout: 50 * time.Millisecond,
		Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Complete(context.Background(), request); err != nil || got.Text != "Hello." || n.Load() != 2 {
		t.Errorf("%+v, %v after %d requests", got, err, n.Load())
	}
}

// TestTooLong: the various errors of servers for a conversation that is too long are
// recognised, and not retried.
func TestTooLong(t *testing.T) {
	for _, c := range []struct {
		status        int
		text          string
		tokens, limit int
	}{
		{400, `{"object":"error","message":"This model's maximum context length is 32768 tokens. However, ` +
			`you requested 41648 tokens (37552 in the messages, 4096 in the completion).","code":400}`, 41648, 32768},
		{400, `{"object":"error","message":"The input (61709 tokens) is longer than the model's context length ` +
			`(40960 tokens).","code":400}`, 61709, 40960},
		{500, `{"error":{"code":500,"message":"the request exceeds the available context size",` +
			`"type":"exceed_context_size_error","n_prompt_tokens":1407,"n_ctx":256}}`, 1407, 256},
		{200, `{"error":{"code":400,"message":"the request exceeds the available context size",` +
			`"type":"exceed_context_size_error","n_prompt_tokens":1407,"n_ctx":256}}`, 1407, 256},
		{400, `{"error":{"message":"too many tokens","code":"context_length_exceeded"}}`, 0, 0},
	} {
		s, n := server(t, answer(c.status, c.text))
		_, err := client(t, s.URL, nil).Complete(context.Background(), request)
		var long *TooLong
		if !errors.As(err, &long) || long.Tokens != c.tokens || long.Limit != c.limit || n.Load() != 1 {
			t.Errorf("%s: %v %+v after %d requests", c.text, err, long, n.Load())
		}
	}
}

// TestErrorWithStatus200: an error with status 200 is retried and then returned.
func TestErrorWithStatus200(t *testing.T) {
	s, n := server(t, answer(200, `{"error":{"message":"slot unavailable"}}`))
	_, err := client(t, s.URL, nil).Complete(context.Background(), request)
	if err == nil || !strings.Contains(err.Error(), "slot unavailable") || n.Load() != 4 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
}

// TestFinishReasons: finish reasons are returned, also for answers without text.
func TestFinishReasons(t *testing.T) {
	for _, c := range []struct{ content, reason string }{
		{`"half"`, "length"}, {"null", "length"}, {"null", "content_filter"}, {`""`, "stop"},
	} {
		s, _ := server(t, answer(200, fmt.Sprintf(`{"choices":[{"message":{"content":%s},"finish_reason":%q}]}`, c.content, c.reason)))
		got, err := client(t, s.URL, nil).Complete(context.Background(), request)
		if err != nil || got.FinishReason != c.reason {
			t.Errorf("%v: %+v, %v", c, got, err)
		}
	}
}

// TestDialects: a parameter that a server rejects is omitted from then on, with one note,
// and rejections do not count as attempts.
func TestDialects(t *testing.T) {
	var notes []string
	var bodies []map[string]any
	s, n := server(t, func(w http.ResponseWriter, r *http.Request) {
		var b map[string]any
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		bodies = append(bodies, b)
		for _, refused := range []struct{ name, text string }{
			{"max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."},
			{"response_format", "response_format of this type is not supported"},
			{"seed", "Extra inputs are not permitted: seed"},
		} {
			if b[refused.name] != nil {
				w.WriteHeader(400)
				fmt.Fprintf(w, `{"error":{"message":%q}}`, refused.text)
				return
			}
		}
		fmt.Fprint(w, good)
	})
	c := client(t, s.URL, nil)
	c.o.Retries, c.o.Note = 0, func(note string) { notes = append(notes, note) }
	r := request
	r.JSONSchema = map[string]any{"type": "object"}
	for range 2 {
		if got, err := c.Complete(context.Background(), r); err != nil || got.Text != "Hello." {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if n.Load() != 5 || len(notes) != 3 {
		t.Errorf("%d requests, notes %q", n.Load(), notes)
	}
	format, _ := json.Marshal(bodies[0]["response_format"])
	if string(format) != `{"json_schema":{"name":"answer","schema":{"type":"object"},"strict":true},"type":"json_schema"}` {
		t.Errorf("response_format %s", format)
	}
	if last := bodies[4]; last["max_completion_tokens"] != 7.0 || last["seed"] != nil || last["response_format"] != nil {
		t.Errorf("last request %v", last)
	}
}

// TestKeyIsNeverShown: errors do not contain the key, even if the server echoes it.
func TestKeyIsNeverShown(t *testing.T) {
	const key = "sk-very-secret"
	t.Setenv("TEST_BARKA_KEY", key+"\n")
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			t.Error("the key was not sent")
		}
		w.WriteHeader(401)
		fmt.Fprintf(w, "invalid key %s", key)
	})
	c, err := NewHTTP(Options{BaseURL: s.URL, Model: "m", KeyVariable: "TEST_BARKA_KEY"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(context.Background(), request); err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("error: %v", err)
	} else if !strings.Contains(err.Error(), "TEST_BARKA_KEY") {
		t.Errorf("the error does not say where the key comes from: %v", err)
	}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if strings.Contains(fmt.Sprintf(format, c.o), key) {
			t.Error("the key is among the options")
		}
	}
	t.Setenv("TEST_BARKA_KEY", "")
	if _, err := NewHTTP(Options{BaseURL: s.URL, Model: "m", KeyVariable: "TEST_BARKA_KEY"}); err == nil ||
		!strings.Contains(err.Error(), "TEST_BARKA_KEY") {
		t.Errorf("empty key: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{BaseURL: "localhost:8000", Model: "m"},
		{BaseURL: "http://user:pw@host/v1", Model: "m"}, {BaseURL: "http://host/v1"}, {Model: "m"}} {
		if _, err := NewHTTP(o); err == nil || strings.Contains(fmt.Sprint(err), "pw") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestCancel(t *testing.T) {
	s, _ := server(t, answer(500, ""))
	c := client(t, s.URL, nil)
	ctx, cancel := context.WithCancel(context.Background())
	c.o.Sleep = func(ctx context.Context, d time.Duration) error { cancel(); return ctx.Err() }
	if _, err := c.Complete(ctx, request); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

// FuzzParse: no answer crashes the client.
func FuzzParse(f *testing.F) {
	for _, s := range []string{good, "", "null", "[]", `{"choices":[{"message":null}]}`,
		`{"error":{"n_ctx":-1,"type":"exceed_context_size_error"}}`, `{"choices":[{}],"usage":{"prompt_tokens":1e99}}`} {
		f.Add([]byte(s))
	}
	c := &HTTP{}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := c.parse(data, 1); err != nil {
			var again *pause.Passing
			var long *TooLong
			if !errors.As(err, &again) && !errors.As(err, &long) {
				t.Errorf("%q: %v", data, err)
			}
		}
	})
}
