package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"barka/internal/chat"
	"barka/internal/pause"
)

// fake is a server without a network, so that its time can be simulated.
type fake struct {
	latency time.Duration
	serve   func(n int, b body) (status int, text string) // nil: answers everything

	mu       sync.Mutex
	begun    []time.Time
	inFlight int
	most     int
	models   map[string]bool
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	var b body
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		return nil, err
	}
	f.mu.Lock()
	n := len(f.begun)
	f.begun = append(f.begun, time.Now())
	f.inFlight++
	f.most = max(f.most, f.inFlight)
	if f.models == nil {
		f.models = map[string]bool{}
	}
	f.models[b.Model] = true
	f.mu.Unlock()
	time.Sleep(f.latency)
	f.mu.Lock()
	f.inFlight--
	f.mu.Unlock()
	status, text := 200, choices(max(b.N, 1), 100, 50*max(b.N, 1))
	if f.serve != nil {
		status, text = f.serve(n, b)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// choices is a body with n answers.
func choices(n, prompt, completion int) string {
	var all []any
	for i := range n {
		all = append(all, map[string]any{"message": map[string]string{"content": fmt.Sprintf("answer %d", i)}, "finish_reason": "stop"})
	}
	text, _ := json.Marshal(map[string]any{"choices": all,
		"usage": map[string]int{"prompt_tokens": prompt, "completion_tokens": completion}})
	return string(text)
}

func newFakePool(t *testing.T, endpoints []Server, servers ...*fake) (*Pool, *[]string) {
	t.Helper()
	var notes []string
	var mu sync.Mutex
	p, err := NewPool("m", endpoints, Options{Retries: 1, Note: func(s string) { mu.Lock(); notes = append(notes, s); mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range servers {
		p.members[i].client.Transport = s
	}
	return p, &notes
}

// all sends n requests from as many workers, and returns the answers and errors.
func all(c Client, n, workers int) (answers []Response, errs []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				a, err := c.Complete(context.Background(), Request{Messages: []chat.Message{{Role: "user", Content: "12345678"}},
					MaxTokens: 60, Seed: int64(i)})
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else {
					answers = append(answers, a)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return answers, errs
}

// TestPoolUsesWhatIsFree: a fast endpoint does more, each stays within its own
// concurrency, and an endpoint has its own name for the model and its own prices.
func TestPoolUsesWhatIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, slow := &fake{latency: time.Second}, &fake{latency: 4 * time.Second}
		p, _ := newFakePool(t, []Server{
			{Endpoint: "http://fast.test/v1", Concurrency: 4, PriceIn: 1, PriceOut: 2},
			{Endpoint: "http://slow.test/v1", Concurrency: 8, Model: "m-instruct", PriceIn: 3},
		}, fast, slow)
		start := time.Now()
		answers, errs := all(p, 60, 60)
		if len(errs) > 0 || len(answers) != 60 {
			t.Fatalf("%d answers, %v", len(answers), errs)
		}
		if fast.most != 4 || slow.most != 8 {
			t.Errorf("%d and %d requests at once, want 4 and 8", fast.most, slow.most)
		}
		// 4 and 2 requests per second: 60 take 10 s, and a slow one may begin in the last second.
		if took := time.Since(start); took < 10*time.Second || took > 13*time.Second {
			t.Errorf("took %s", took)
		}
		if len(fast.begun) < 36 || fast.models["m-instruct"] || !slow.models["m-instruct"] || len(slow.models) != 1 {
			t.Errorf("%d requests to the fast endpoint, models %v and %v", len(fast.begun), fast.models, slow.models)
		}
		var cost float64
		for _, a := range answers {
			cost += a.Cost
		}
		want := (float64(len(fast.begun))*(100*1+50*2) + float64(len(slow.begun))*100*3) / 1e6
		if diff := cost - want; diff > 1e-12 || diff < -1e-12 {
			t.Errorf("cost %g, want %g", cost, want)
		}
	})
}

// TestPoolDoesNotWaitForALimit: a request does not wait at an endpoint whose rate is used
// up while another is free.
func TestPoolDoesNotWaitForALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited, free := &fake{latency: time.Second}, &fake{latency: time.Second}
		p, _ := newFakePool(t, []Server{
			{Endpoint: "http://limited.test/v1", Concurrency: 50, RequestsPerMinute: 2},
			{Endpoint: "http://free.test/v1", Concurrency: 1},
		}, limited, free)
		start := time.Now()
		if _, errs := all(p, 62, 62); len(errs) > 0 {
			t.Fatal(errs)
		}
		if took := time.Since(start); took > 62*time.Second || len(limited.begun) < 2 || len(limited.begun) > 3 {
			t.Errorf("took %s, with %d requests to the limited endpoint", took, len(limited.begun))
		}
	})
}

// TestTokensPerMinute: the rate of the tokens that answers really have is the limit,
// however many a request might use, alone and in a pool.
func TestTokensPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, pooled := range []bool{false, true} {
			s := &fake{latency: time.Second}
			e := Server{Endpoint: "http://a.test/v1", Concurrency: 64, TokensPerMinute: 9000}
			p, _ := newFakePool(t, []Server{e}, s)
			var c Client = p
			if !pooled {
				c = p.members[0].HTTP
			}
			start := time.Now()
			if _, errs := all(c, 300, 16); len(errs) > 0 { // 150 tokens each: 60 a minute
				t.Fatal(errs)
			}
			if took := time.Since(start); took < 290*time.Second || took > 310*time.Second {
				t.Errorf("pooled %v: 45,000 tokens at 9,000 per minute took %s", pooled, took)
			}
		}
	})
}

// TestLimitsUseTheMonotonicClock: the limiter's times have the monotonic reading, without
// which a jump of the clock would stop or release requests.
func TestLimitsUseTheMonotonicClock(t *testing.T) {
	l := limits{requests: 60, tokens: 1000}
	l.reserve(10)
	l.hold(time.Minute)
	l.correct(10, 20)
	for name, at := range map[string]time.Time{"next": l.next, "used": l.used} {
		if !strings.Contains(at.String(), "m=+") {
			t.Errorf("%s is %s, without a monotonic reading", name, at)
		}
	}
}

// TestRetryAfterByTheServersClock: a date in Retry-After is compared with the server's own
// clock, not with this machine's.
func TestRetryAfterByTheServersClock(t *testing.T) {
	server := time.Now().Add(-24 * time.Hour)
	resp := &http.Response{StatusCode: 429, Header: http.Header{
		"Date": {server.UTC().Format(http.TimeFormat)}, "Retry-After": {server.Add(7 * time.Second).UTC().Format(http.TimeFormat)}}}
	c := &HTTP{}
	var passing *pause.Passing
	if err := c.statusError(resp, nil); !errors.As(err, &passing) || passing.After != 7*time.Second {
		t.Errorf("%+v, want a wait of 7 s", passing)
	}
}

// TestPoolLeavesOut: an endpoint that cannot be used at all is left out with a note, one
// that leaves a request unanswered is asked again for others, and a refusal is final.
func TestPoolLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrongKey := &fake{serve: func(int, body) (int, string) { return 401, `{"error":{"message":"bad key"}}` }}
		html := &fake{serve: func(n int, _ body) (int, string) {
			if n%2 == 0 {
				return 200, "<html><title>Welcome</title></html>"
			}
			return 200, `{"choices": [{"message"`
		}}
		good := &fake{latency: time.Second}
		endpoints := []Server{{Endpoint: "http://key.test/v1", Concurrency: 2}, {Endpoint: "http://html.test/v1", Concurrency: 2},
			{Endpoint: "http://good.test/v1", Concurrency: 2}}
		p, notes := newFakePool(t, endpoints, wrongKey, html, good)
		if answers, errs := all(p, 20, 20); len(errs) > 0 || len(answers) != 20 {
			t.Errorf("%d answers, %v", len(answers), errs)
		}
		text := strings.Join(*notes, "\n")
		if strings.Count(text, "this endpoint is left out, and 2 others go on") != 1 || len(wrongKey.begun) > 2 {
			t.Errorf("%d requests to the endpoint with the wrong key; notes:\n%s", len(wrongKey.begun), text)
		}

		p, _ = newFakePool(t, endpoints[:2], wrongKey, html)
		_, errs := all(p, 4, 4)
		for _, err := range errs {
			var request *RequestError
			if !errors.As(err, &request) || request.Kind != Unanswered {
				t.Errorf("error %v, want that the request is unanswered", err)
			}
		}
		p, _ = newFakePool(t, endpoints[:1], wrongKey)
		for range 2 {
			if _, errs = all(p, 1, 1); len(errs) != 1 || !strings.Contains(errs[0].Error(), "401") {
				t.Errorf("errors %v, want that of the only endpoint", errs)
			}
		}
		refusing := &fake{serve: func(int, body) (int, string) { return 400, `{"error":{"message":"no"}}` }}
		p, _ = newFakePool(t, endpoints[1:], refusing, refusing)
		if _, errs = all(p, 1, 1); len(errs) != 1 || len(refusing.begun) != 1 {
			t.Errorf("%v after %d requests, want one refusal", errs, len(refusing.begun))
		}
	})
}

func TestPoolEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newFakePool(t, []Server{{Endpoint: "http://a.test/v1", Concurrency: 1}}, &fake{latency: time.Hour})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := p.Complete(ctx, Request{}); !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
					t.Errorf("error %v", err)
				}
			})
		}
		wg.Wait()
	})
}

func TestBadPool(t *testing.T) {
	for want, endpoints := range map[string][]Server{
		"has no endpoint":    nil,
		"given twice":        {{Endpoint: "http://a.test"}, {Endpoint: "http://a.test"}},
		"not an address":     {{Endpoint: "a.test"}},
		"expected 0 or more": {{Endpoint: "http://a.test", TokensPerMinute: -1}},
	} {
		if _, err := NewPool("m", endpoints, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestSamples: several answers come in one request, or one if the server rejects or
// ignores n. Their tokens add up to those of the request.
func TestSamples(t *testing.T) {
	for name, c := range map[string]struct {
		serve     func(n int, b body) (int, string)
		got, next int // answers of the first and of the second call
	}{
		"several": {func(_ int, b body) (int, string) { return 200, choices(max(b.N, 1), 101, 50) }, 3, 3},
		"rejected": {func(_ int, b body) (int, string) {
			if b.N > 0 {
				return 400, `{"error":{"message":"'n' : number must be at most 1"}}`
			}
			return 200, choices(1, 101, 50)
		}, 1, 1},
		"ignored": {func(int, body) (int, string) { return 200, choices(1, 101, 50) }, 1, 1},
		"unusable choice": {func(int, body) (int, string) {
			return 200, `{"choices":[{"message":{}},{"message":{"content":"a"}},{"message":{"content":"b"}}],` +
				`"usage":{"prompt_tokens":101,"completion_tokens":50}}`
		}, 2, 2},
	} {
		s := &fake{}
		s.serve = c.serve
		p, _ := newFakePool(t, []Server{{Endpoint: "http://a.test/v1", PriceIn: 1, PriceOut: 1}}, s)
		for i, want := range []int{c.got, c.next} {
			got, err := p.Samples(context.Background(), Request{}, 3)
			tokens, cost := 0, 0.0
			for _, a := range got {
				tokens += a.PromptTokens + a.CompletionTokens
				cost += a.Cost
			}
			if err != nil || len(got) != want || tokens != 151 || cost < 150.9/1e6 || cost > 151.1/1e6 {
				t.Errorf("%s, call %d: %d answers with %d tokens for %g, %v; want %d", name, i, len(got), tokens, cost, err, want)
			}
		}
	}
}
