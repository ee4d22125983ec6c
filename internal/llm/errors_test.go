package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKinds: errors of one request, of all requests, and temporary errors are
// distinguished.
func TestKinds(t *testing.T) {
	const all = ""
	for name, c := range map[string]struct {
		fault    http.HandlerFunc
		kind     string
		requests int32
	}{
		"azure": {answer(400, `{"error":{"type":null,"param":"prompt","code":"content_filter","status":400,`+
			`"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy."}}`), Filtered, 1},
		"openrouter":  {answer(403, `{"error":{"code":403,"message":"this model requires moderation and your input was flagged"}}`), Filtered, 1},
		"unprocessed": {answer(422, `{"detail":[{"msg":"field required"}]}`), Refused, 1},
		"too large":   {answer(413, "<html><title>413 Request Entity Too Large</title></html>"), Refused, 1},
		"500":         {answer(500, "oops"), Unanswered, 4},
		"page":        {answer(200, "<!DOCTYPE html><title>Login</title>"), Unanswered, 4},
		"cut":         {broken, Unanswered, 4},
		"429":         {answer(429, "slow down"), Unanswered, 4},
		"401":         {answer(401, "no key"), all, 1},
		"403":         {answer(403, "not yours"), all, 1},
		"404":         {answer(404, `{"error":{"message":"The model 'm' does not exist","code":"model_not_found"}}`), all, 1},
		"no model":    {answer(400, `{"error":{"message":"The model 'm' does not exist"}}`), all, 1},
		"quota":       {answer(429, `{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`), all, 1},
		"unpaid":      {answer(402, `{"error":{"message":"Insufficient credits"}}`), all, 1},
		"long pause":  {answer(429, "", "Retry-After", "86400"), all, 1},
	} {
		s, n := server(t, c.fault)
		_, err := client(t, s.URL, nil).Complete(context.Background(), request)
		var failed *RequestError
		kind := all
		if errors.As(err, &failed) {
			kind = failed.Kind
		}
		if err == nil || kind != c.kind || n.Load() != c.requests {
			t.Errorf("%s: kind %q after %d requests, want %q after %d: %v", name, kind, n.Load(), c.kind, c.requests, err)
		}
	}
}

// TestErrorsAreClean: a server's text is shown as code and message, shortened, without the
// API key, escape sequences and line feeds.
func TestErrorsAreClean(t *testing.T) {
	t.Setenv("TEST_BARKA_KEY", "sk-very-secret")
	coloured := `{"error":{"code":"content_filter","message":"No. \u001b[31mRed\u202e\u0007\nkey sk-very-secret."}}`
	page := "<html><head><title>502 Bad\n Gateway</title></head><body>" + strings.Repeat("x", 900)
	for text, want := range map[string]string{
		coloured:                          "status 400 Bad Request: content_filter: No. Red key [secret].",
		page:                              "status 400 Bad Request: a page titled 502 Bad Gateway",
		"\x1b]0;owned\x07 \xff\xfe plain": "status 400 Bad Request: plain",
		`{"detail":"Not good"}`:           "status 400 Bad Request: Not good",
		`{"error":"just text"}`:           "status 400 Bad Request: just text",
		"":                                "status 400 Bad Request",
		strings.Repeat("صفحة ", 300):      "status 400 Bad Request: " + strings.Repeat("صفحة ", 60) + "…",
	} {
		s, _ := server(t, answer(400, text))
		c, err := NewHTTP(Options{BaseURL: s.URL, Model: "m", KeyVariable: "TEST_BARKA_KEY"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Complete(context.Background(), request)
		if err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%q gives\n%v\nwant\n%s", text, err, want)
		}
	}
}

// TestWaitsAreShown: waits are shown with their cause, and only one of several at the same
// time.
func TestWaitsAreShown(t *testing.T) {
	s, _ := server(t, answer(503, "loading the model"), answer(503, "loading the model"), answer(200, good))
	c := client(t, s.URL, nil)
	var notes []string
	c.o.Note = func(s string) { notes = append(notes, s) }
	if _, err := c.Complete(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "loading the model; retrying in ") ||
		!strings.HasSuffix(notes[0], "(attempt 2 of 4)") {
		t.Errorf("notes %q", notes)
	}
}

// TestServerThatStops: the client waits for a server that has answered before. If it stays
// away, the error concerns all requests.
func TestServerThatStops(t *testing.T) {
	s, _ := server(t, answer(200, good))
	var pauses []time.Duration
	c := client(t, s.URL, &pauses)
	if _, err := c.Complete(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err := c.Complete(context.Background(), request)
	var failed *RequestError
	if err == nil || errors.As(err, &failed) || !strings.Contains(err.Error(), "refuses connections") || len(pauses) != 3 {
		t.Errorf("%v after pauses %v", err, pauses)
	}
}

// TestUnknownHost: an unknown host is reported at once too.
func TestUnknownHost(t *testing.T) {
	err := (&HTTP{}).noAnswer(&net.OpError{Op: "dial", Err: &net.DNSError{Name: "nowhere.invalid", Err: "no such host", IsNotFound: true}})
	if !err.Unreachable || !strings.Contains(err.Error(), "nowhere.invalid") {
		t.Errorf("%+v", err)
	}
}

// TestConnectionsAreUsedAgain: concurrent requests use at most as many connections as there
// are requests in flight, whatever the answers.
func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened, n atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		switch n.Add(1) % 3 {
		case 0:
			w.WriteHeader(500)
			fmt.Fprint(w, strings.Repeat("oops ", 10_000))
		case 1:
			fmt.Fprint(w, "<html>")
		default:
			fmt.Fprint(w, good)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	const workers, each = 32, 6
	c := client(t, s.URL, nil)
	c.o.Retries = 1000
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if _, err := c.Complete(context.Background(), request); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// A request that finds all connections in use may open one and then get another.
	if got := opened.Load(); got > 2*workers {
		t.Errorf("%d connections for %d requests, %d at once", got, n.Load(), workers)
	}
}

// TestGrace: after an interruption the client waits for the answer of a call in flight, but
// not without end, and begins no other call.
func TestGrace(t *testing.T) {
	for _, slow := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		s, n := server(t, func(w http.ResponseWriter, r *http.Request) {
			cancel()
			if slow {
				io.Copy(io.Discard, r.Body) // otherwise the server does not notice that the client has gone
				<-r.Context().Done()
				return
			}
			time.Sleep(100 * time.Millisecond)
			fmt.Fprint(w, good)
		})
		c := client(t, s.URL, nil)
		c.o.Grace = 300 * time.Millisecond
		if !slow {
			c.o.Grace = time.Minute
		}
		var notes []string
		c.o.Note = func(s string) { notes = append(notes, s) }
		start := time.Now()
		got, err := c.Complete(ctx, request)
		if slow && !errors.Is(err, context.Canceled) || !slow && (err != nil || got.Text != "Hello.") ||
			n.Load() != 1 || time.Since(start) > 20*time.Second {
			t.Errorf("slow %v: %+v, %v after %d requests", slow, got, err, n.Load())
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "calls in flight (1)") {
			t.Errorf("slow %v: notes %q", slow, notes)
		}
		if _, err := c.Complete(ctx, request); !errors.Is(err, context.Canceled) || n.Load() != 1 {
			t.Errorf("after the interruption: %v, %d requests", err, n.Load())
		}
		cancel()
	}
}
