package synth

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/testfiles"
)

// TestEndpointDoesNotChangeRows: the rows are the same whichever endpoints serve them, also
// when a run begins with one and goes on with others. Only the cost depends on prices.
func TestEndpointDoesNotChangeRows(t *testing.T) {
	path := testfiles.JSONLines(t, about(12)...)
	whole := testEnv(t, path)
	run(t, options(), newEndpoint(t, nil), whole)

	pool := func(more ...llm.Server) llm.Client {
		p, err := llm.NewPool("scripted", more, llm.Options{Retries: 1,
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	n := 0
	ctx, cancel := context.WithCancel(context.Background())
	first := newEndpoint(t, func(http.ResponseWriter, asked) bool {
		if n++; n == 9 {
			cancel()
		}
		return false
	})
	at := testEnv(t, path)
	one := Models{Generator: pool(llm.Server{Endpoint: first.URL, Concurrency: 1})}
	if _, err := Run(ctx, withConcurrency(options(), 2), one, at); err == nil {
		t.Fatal("not interrupted")
	}
	second, third := newEndpoint(t, nil), newEndpoint(t, nil)
	models := Models{Generator: pool(llm.Server{Endpoint: second.URL, Concurrency: 2, Model: "scripted-q4"},
		llm.Server{Endpoint: third.URL, Concurrency: 3})}
	if _, err := Run(context.Background(), withConcurrency(options(), 5), models, at); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "several endpoints", at.Out, whole.Out)
	if len(second.answered) == 0 || len(third.answered) == 0 {
		t.Errorf("%d and %d requests", len(second.answered), len(third.answered))
	}
}

// TestLedger: the prices of two endpoints give the money for kept and for rejected rows,
// also after an interruption and after failed requests are asked for again.
func TestLedger(t *testing.T) {
	path := testfiles.JSONLines(t, about(9)...)
	e := newEndpoint(t, nil)
	e.answer = func(c asked) llm.Response {
		a, _ := polite(0, c.Request)
		if c.about("topic-4.") && !asksForQuestion(c.Request) {
			a.Text = "Short."
		}
		return a
	}
	e.fault = func(w http.ResponseWriter, c asked) bool { return c.about("topic-6.") && filtered(w) }
	p, err := llm.NewPool("scripted", []llm.Server{{Endpoint: e.URL, Concurrency: 4, PriceIn: 1000, PriceOut: 2000}}, llm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := testEnv(t, path)
	m, err := Run(context.Background(), options(), Models{Generator: p}, at)
	if err != nil {
		t.Fatal(err)
	}
	price := func(calls float64) float64 { return calls * (10*1000 + 5*2000) / 1e6 }
	near := func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }
	// 2 long passages with 6 calls, 5 short ones with 2; topic-4 has a question and three answers; topic-6 has none.
	if !near(m.Cost["kept"], price(2*6+5*2)) || !near(m.Cost["rejected"], price(4)) {
		t.Errorf("cost %v, want %g and %g; %v", m.Cost, price(22), price(4), m.Counts)
	}
	e.fault, at.Retry = nil, true
	if m, err = Run(context.Background(), options(), Models{Generator: p}, at); err != nil {
		t.Fatal(err)
	}
	if !near(m.Cost["kept"], price(3*6+5*2)) || !near(m.Cost["rejected"], price(4)) {
		t.Errorf("asked again: cost %v, want %g and %g", m.Cost, price(28), price(4))
	}
	sum := 0.0
	for s, err := range dataset.Rows[Spent](context.Background(), filepath.Join(at.Out, ledgerDir)) {
		if err != nil {
			t.Fatal(err)
		}
		sum += s.Cost
	}
	if !near(sum, price(32)) {
		t.Errorf("the ledger's sum is %g, want %g", sum, price(32))
	}
	est, err := Plan(context.Background(), options(), at.Seed, path)
	if err != nil {
		t.Fatal(err)
	}
	est.Price([]llm.Server{{PriceIn: 1}, {PriceIn: 3, PriceOut: 1}}, nil)
	if least, most := est.Cost(1, 0), est.Cost(3, 1); est.MaxCost == nil || est.MaxCost.Least != least || est.MaxCost.Most != most {
		t.Errorf("estimated %+v, want %g to %g", est.MaxCost, least, most)
	}
}

// TestBadEndpoint: whatever an endpoint answers to a passage in place of JSON, the passage
// is rejected with a reason that says it, the others are kept, and asked again the directory
// is that of a run without failures.
func TestBadEndpoint(t *testing.T) {
	path := testfiles.JSONLines(t, about(8)...)
	whole := testEnv(t, path)
	run(t, options(), newEndpoint(t, nil), whole)
	bad := map[string]struct {
		answer func(http.ResponseWriter) bool
		reason string
	}{
		"topic-0.": {status(200, "<html><title>Welcome</title>"), "request_unanswered"},
		"topic-1.": {status(200, ""), "request_unanswered"},
		"topic-2.": {status(200, `{"choices":[{"message":{"content":"Ho`), "request_unanswered"},
		"topic-3.": {status(400, `{"error":{"message":"bad"}}`), "request_refused"},
		"topic-4.": {func(w http.ResponseWriter) bool { time.Sleep(3 * time.Second); return true }, "request_unanswered"},
		"topic-5.": {status(200, `{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}`), "empty_question"},
	}
	e := newEndpoint(t, nil)
	e.fault = func(w http.ResponseWriter, c asked) bool {
		for topic, b := range bad {
			if c.about(topic) {
				return b.answer(w)
			}
		}
		return false
	}
	at := testEnv(t, path)
	o := withConcurrency(options(), 8)
	m := run(t, o, e, at)
	if m.Counts["out"] != 2 || m.Counts["rejected"] != 6 {
		t.Errorf("counts %v", m.Counts)
	}
	for r, err := range dataset.Rows[rejectedRow](context.Background(), filepath.Join(at.Out, dataset.RejectedDir)) {
		if want := bad["topic-"+r.ID[1:]+"."].reason; err != nil || r.Reason != want {
			t.Errorf("%s: %v, reason %q (%s), want %q", r.ID, err, r.Reason, r.Detail, want)
		}
	}
	delete(bad, "topic-5.") // an empty answer is an answer: it was paid for and is not asked for again
	e.fault, at.Retry = nil, true
	if m = run(t, o, e, at); m.Counts["out"] != 7 || m.Counts["rejected_empty_question"] != 1 {
		t.Errorf("asked again: counts %v", m.Counts)
	}
}

// inFlight integrates the number of requests that a server is answering over time.
type inFlight struct {
	mu          sync.Mutex
	start, last time.Time
	now, begun  int
	area        time.Duration
	full        int     // requests until which there is work for all of the concurrency
	busy        float64 // requests in flight until then, on average
}

func (f *inFlight) change(by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.area += time.Duration(f.now) * now.Sub(f.last)
	f.last = now
	if f.now += by; by > 0 {
		if f.begun++; f.begun == f.full {
			f.busy = float64(f.area) / float64(now.Sub(f.start))
		}
	}
}

// BenchmarkBusy measures how much of the allowed concurrency a run uses over HTTP: the time of
// all answers at 64 at once over that of the run (%ideal), and the share of the 64 that is in use
// until fewer requests are left (%busy). The server needs as long for an answer as the request's
// seed says.
func BenchmarkBusy(b *testing.B) {
	const concurrency, passages = 64, 64 * 30
	for _, c := range []struct{ least, most time.Duration }{{100 * time.Millisecond, 100 * time.Millisecond},
		{200 * time.Millisecond, time.Second}} {
		b.Run(fmt.Sprintf("latency=%s-%s", c.least, c.most), func(b *testing.B) {
			var f *inFlight
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f.change(1)
				defer f.change(-1)
				var body struct {
					Seed     int64
					Messages []chat.Message
				}
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					b.Error(err)
				}
				time.Sleep(c.least + time.Duration(rand.New(rand.NewPCG(uint64(body.Seed), 0)).Int64N(int64(c.most-c.least)+1)))
				a, _ := polite(0, llm.Request{Seed: body.Seed, Messages: body.Messages})
				fmt.Fprintf(w, `{"choices":[{"message":{"content":%q},"finish_reason":"stop"}]}`, a.Text)
			}))
			defer server.Close()
			var all []dataset.Passage
			for i := range passages {
				p := algiers
				p.ID = fmt.Sprint(i)
				all = append(all, p)
			}
			path := testfiles.JSONLines(b, all...)
			o := withConcurrency(plain(), concurrency)
			o.LongChars = 1 << 20
			for b.Loop() {
				pool, err := llm.NewPool("m", []llm.Server{{Endpoint: server.URL, Concurrency: concurrency}}, llm.Options{})
				if err != nil {
					b.Fatal(err)
				}
				at := testEnv(b, path)
				start := time.Now()
				f = &inFlight{start: start, last: start, full: 2*passages - concurrency}
				m, err := Run(context.Background(), o, Models{Generator: pool}, at)
				if err != nil || m.Counts["out"] != passages {
					b.Fatal(err, m)
				}
				b.ReportMetric(100*float64(f.area)/concurrency/float64(time.Since(start)), "%ideal")
				b.ReportMetric(100*f.busy/concurrency, "%busy")
			}
		})
	}
}

// TestBusy measures the same in simulated time, in which only waiting counts: 64 requests
// are in flight for at least 95 % of the time that they need. No rows are written, because
// the compressor of their files shares channels with other tests.
func TestBusy(t *testing.T) {
	const concurrency, latency, passages = 64, 100 * time.Millisecond, 64 * 20
	var all []dataset.Passage
	for i := range passages {
		p := algiers
		p.ID = fmt.Sprint(i)
		all = append(all, p)
	}
	at := testEnv(t, testfiles.JSONLines(t, all...))
	o := withConcurrency(plain(), concurrency)
	o.LongChars = 1 << 20
	prompts, err := LoadPrompts(o.Prompts)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{answer: func(n int, r llm.Request) (llm.Response, error) {
			time.Sleep(latency)
			return polite(n, r)
		}}
		run, err := durable.Begin(at.Out, durable.Identity{Stage: "synth"}, false)
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		start := time.Now()
		final, err := o.write(context.Background(), Models{Generator: s}, prompts, run, at)
		if err != nil || final.Counts["single"] != passages {
			t.Fatal(err, final)
		}
		if took, ideal := time.Since(start), passages*2/concurrency*latency; float64(ideal) < 0.95*float64(took) {
			t.Errorf("took %s, ideal %s", took, ideal)
		}
	})
}
