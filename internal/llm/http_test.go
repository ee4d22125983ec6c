package llm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/pipeline"
)

const good = `{"model":"m","choices":[{"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`

// server answers the n-th request (from 0) with the n-th handler, the last
// one for ever.
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

// broken promises more bytes than it sends.
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

var request = Request{Messages: []pipeline.Message{{Role: "user", Content: "Hi"}}, Temperature: 0.8, TopP: 0.95, MaxTokens: 7, Seed: 42}

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

// TestFaultsThatPass: each is tried again until the good answer.
func TestFaultsThatPass(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"429": answer(429, "slow down"), "500": answer(500, "oops"), "503": answer(503, ""), "408": answer(408, ""),
		"malformed": answer(200, `{"choices":[`), "no choice": answer(200, `{"choices":[]}`), "no content": answer(200, `{"choices":[{"message":{}}]}`),
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
	if len(pauses) != 1 || pauses[0] != 7*time.Second {
		t.Errorf("paused %v, expected 7 s", pauses)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if d := retryAfter(now.Add(90*time.Second).Format(http.TimeFormat), now); d != 90*time.Second {
		t.Errorf("date: %v", d)
	}
	for _, v := range []string{"", "soon", "-3"} {
		if d := retryAfter(v, now); d != 0 {
			t.Errorf("%q: %v", v, d)
		}
	}
}

// TestKeyIsNeverShown: not in errors, even if the server echoes it.
func TestKeyIsNeverShown(t *testing.T) {
	const key = "sk-very-secret"
	t.Setenv("TEST_BARKA_KEY", key)
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
	}
	t.Setenv("TEST_BARKA_KEY", "")
	if _, err := NewHTTP(Options{BaseURL: s.URL, Model: "m", KeyVariable: "TEST_BARKA_KEY"}); err == nil || !strings.Contains(err.Error(), "TEST_BARKA_KEY") {
		t.Errorf("empty key: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{BaseURL: "localhost:8000", Model: "m"}, {BaseURL: "http://user:pw@host/v1", Model: "m"}, {BaseURL: "http://host/v1"}, {Model: "m"}} {
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
