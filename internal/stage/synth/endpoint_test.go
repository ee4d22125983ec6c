package synth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/testfiles"
)

// endpoint is a server that answers like polite, unless fault answers first.
// It counts the answers to each request.
type endpoint struct {
	*httptest.Server
	fault  func(w http.ResponseWriter, call asked) bool
	answer func(call asked) llm.Response // nil: polite

	mu       sync.Mutex
	tries    map[int64]int
	answered map[int64]int
}

// asked is a request as the server sees it.
type asked struct {
	llm.Request
	nth int // how often the same was asked before
}

func (a asked) about(word string) bool { return strings.Contains(a.Messages[0].Content, word) }

func newEndpoint(t *testing.T, fault func(w http.ResponseWriter, call asked) bool) *endpoint {
	e := &endpoint{fault: fault, tries: map[int64]int{}, answered: map[int64]int{}}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Seed     int64
		Messages []chat.Message
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	call := asked{Request: llm.Request{Seed: body.Seed, Messages: body.Messages}}
	e.mu.Lock()
	call.nth = e.tries[body.Seed]
	e.tries[body.Seed]++
	e.mu.Unlock()
	if e.fault != nil && e.fault(w, call) {
		return
	}
	e.mu.Lock()
	e.answered[body.Seed]++
	e.mu.Unlock()
	a, _ := polite(0, call.Request)
	if e.answer != nil {
		a = e.answer(call)
	}
	json.NewEncoder(w).Encode(map[string]any{
		"choices": []any{map[string]any{"message": map[string]string{"role": "assistant", "content": a.Text},
			"finish_reason": a.FinishReason}},
		"usage": map[string]int{"prompt_tokens": a.PromptTokens, "completion_tokens": a.CompletionTokens},
	})
}

// paidTwice are the requests that were answered more than once.
func (e *endpoint) paidTwice() (seeds []int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for seed, n := range e.answered {
		if n > 1 {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

func (e *endpoint) client(t *testing.T) llm.Client {
	t.Helper()
	c, err := llm.NewHTTP(llm.Options{BaseURL: e.URL, Model: "scripted", Retries: 2, Timeout: 2 * time.Second,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func status(code int, text string) func(http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool {
		w.WriteHeader(code)
		fmt.Fprint(w, text)
		return true
	}
}

var filtered = status(400, `{"error":{"code":"content_filter","message":"\u001b[31mThe prompt was filtered."}}`)

// sameFiles compares a directory with one that an undisturbed run wrote.
func sameFiles(t *testing.T, what, got, want string) {
	t.Helper()
	testfiles.Same(t, what, testfiles.Tree(t, got), testfiles.Tree(t, want))
}

// about makes passages, every third of them long; each names itself, so that
// a server can tell them apart.
func about(n int) []dataset.Passage {
	var ps []dataset.Passage
	for i := range n {
		p := passage(i, 10)
		if i%3 == 0 {
			p = passage(i, 60)
		}
		p.Text += fmt.Sprintf(" topic-%d.", i)
		ps = append(ps, p)
	}
	return ps
}

func options() Options {
	o := plain()
	o.LongChars = 200
	return o
}

func run(t *testing.T, o Options, e *endpoint, env durable.Env) *dataset.Manifest {
	t.Helper()
	m, err := Run(context.Background(), o, Models{Generator: e.client(t)}, env)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFaultsThatPass: whatever goes wrong with the first two attempts at each
// request, the dataset has the same bytes.
func TestFaultsThatPass(t *testing.T) {
	path := testfiles.JSONLines(t, about(12)...)
	whole := testEnv(t, path)
	run(t, options(), newEndpoint(t, nil), whole)
	faults := []func(http.ResponseWriter) bool{
		status(500, "oops"), status(503, "<html><title>Bad Gateway</title>"), status(200, `{"choices":[`), status(200, "<html>hello"),
		func(w http.ResponseWriter) bool { w.Header().Set("Retry-After", "1"); return status(429, "slow")(w) },
		func(w http.ResponseWriter) bool { w.Header().Set("Content-Length", "999"); return status(200, "{")(w) },
		func(w http.ResponseWriter) bool { panic(http.ErrAbortHandler) },
	}
	hostile := newEndpoint(t, func(w http.ResponseWriter, c asked) bool {
		return c.nth < 2 && faults[(int(c.Seed%7)+c.nth)%len(faults)](w)
	})
	at := testEnv(t, path)
	run(t, withConcurrency(options(), 5), hostile, at)
	sameFiles(t, "hostile server", at.Out, whole.Out)
}

// TestFailedRequests: refused and unanswered requests reject their passage, or
// shorten its conversation, and the run goes on. Asked again about these, the
// finished directory becomes that of a run in which nothing failed, and no
// answer is paid for twice.
func TestFailedRequests(t *testing.T) {
	path := testfiles.JSONLines(t, about(12)...)
	whole := testEnv(t, path)
	run(t, options(), newEndpoint(t, nil), whole)
	followUps := func(c asked, n int) bool {
		return c.about(fmt.Sprintf("topic-%d.", n)) && strings.Count(c.Messages[0].Content, goodAnswer) >= 2
	}
	e := newEndpoint(t, func(w http.ResponseWriter, c asked) bool {
		switch {
		case c.about("topic-1."):
			return filtered(w)
		case c.about("topic-5."):
			panic(http.ErrAbortHandler)
		case c.about("topic-3.") && c.about("Question: "): // the first answer
			return filtered(w)
		case followUps(c, 6):
			return filtered(w)
		case followUps(c, 9) && c.about("Question: "):
			return status(500, "broken in the third turn")(w)
		}
		return false
	})
	at := testEnv(t, path)
	m := run(t, options(), e, at)
	want := map[string]int64{"in": 12, "out": 9, "rejected": 3, "rejected_request_filtered": 2, "rejected_request_unanswered": 1,
		"shortened": 2, "shortened_request_filtered": 1, "shortened_request_unanswered": 1, "single": 6, "multi": 3}
	for name, n := range want {
		if m.Counts[name] != n {
			t.Errorf("%s is %d, want %d (%v)", name, m.Counts[name], n, m.Counts)
		}
	}
	if Failed(m) != 5 || m.Tokens["rejected_completion"] != 5 {
		t.Errorf("%d failed, tokens %v: the answer to topic-3's question counts", Failed(m), m.Tokens)
	}
	for r, err := range dataset.Rows[rejectedRow](context.Background(), filepath.Join(at.Out, "rejected")) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Reason == "" || r.Detail == "" || strings.ContainsAny(r.Detail, "\x1b\n") || strings.Contains(r.Detail, "127.0.0.1") {
			t.Errorf("rejected %+v", r)
		}
		if r.ID == "p5" && (!strings.HasPrefix(r.Detail, "question/0: no answer: ") || !strings.HasSuffix(r.Detail, " (asked 3 times)")) {
			t.Errorf("detail %q", r.Detail)
		}
		if r.ID == "p1" && !strings.HasSuffix(r.Detail, "content_filter: The prompt was filtered.") {
			t.Errorf("detail %q", r.Detail)
		}
		if r.ID == "p3" && (len(r.Answers) != 1 || r.Answers[0].Text == "" || r.Answers[0].Step != "question/0") {
			t.Errorf("the question about topic-3 is not kept: %+v", r)
		}
	}
	for _, r := range read(t, at.Out) {
		if (r.PassageID == "p6" || r.PassageID == "p9") != strings.HasPrefix(r.Shortened,
			"2 of 3 turns, then request_") || r.Shortened != "" && len(r.Messages) != 4 {
			t.Errorf("%s: %d messages, shortened %q", r.PassageID, len(r.Messages), r.Shortened)
		}
	}

	e.fault = nil
	at.Retry = true
	run(t, options(), e, at)
	sameFiles(t, "asked again", at.Out, whole.Out)
	if twice := e.paidTwice(); len(twice) > 0 {
		t.Errorf("%d requests were answered twice", len(twice))
	}
	n := len(e.answered)
	run(t, options(), e, at)
	if len(e.answered) != n {
		t.Error("without failures there is something to ask again")
	}
}

// TestRetryIsInterrupted: asking again can be broken off; the finished
// directory stays until the new one is whole, and nothing is paid for twice.
func TestRetryIsInterrupted(t *testing.T) {
	path := testfiles.JSONLines(t, about(12)...)
	whole := testEnv(t, path)
	run(t, options(), newEndpoint(t, nil), whole)
	refuse := func(w http.ResponseWriter, c asked) bool {
		return (c.about("topic-2.") || c.about("topic-6.") || c.about("topic-7.")) && filtered(w)
	}
	e := newEndpoint(t, refuse)
	at := testEnv(t, path)
	run(t, withConcurrency(options(), 1), e, at)
	before := testfiles.Tree(t, at.Out)

	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	e.fault = func(w http.ResponseWriter, c asked) bool {
		if n++; n == 4 {
			cancel()
		}
		return false
	}
	at.Retry = true
	if _, err := Run(ctx, options(), Models{Generator: e.client(t)}, at); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	if now := testfiles.Tree(t, at.Out); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Error("the finished directory changed")
	}
	at.Retry = false // the same work is continued all the same
	run(t, options(), e, at)
	sameFiles(t, "continued", at.Out, whole.Out)
	if twice := e.paidTwice(); len(twice) > 0 {
		t.Errorf("%d requests were answered twice", len(twice))
	}
}

// TestTooManyFailures: a run stops when everything fails, and the same command
// then ends as if nothing had happened.
func TestTooManyFailures(t *testing.T) {
	path := testfiles.JSONLines(t, about(120)...)
	whole := testEnv(t, path)
	run(t, options(), newEndpoint(t, nil), whole)

	e := newEndpoint(t, nil)
	at := testEnv(t, path)
	e.fault = func(w http.ResponseWriter, c asked) bool {
		return len(e.answered) > 30 && filtered(w) // the server goes bad
	}
	o := withConcurrency(options(), 1)
	o.MaxFailuresInARow = 7
	_, err := Run(context.Background(), o, Models{Generator: e.client(t)}, at)
	var many *durable.TooManyFailures
	if !errors.As(err, &many) || many.InARow != 7 || !strings.Contains(err.Error(), "content_filter") ||
		!strings.Contains(err.Error(), "--max-failures-in-a-row") {
		t.Fatalf("error %v", err)
	}
	e.fault = nil
	o.MaxFailuresInARow = 9 // no part of the identity
	run(t, o, e, at)
	sameFiles(t, "in a row", at.Out, whole.Out)
	if twice := e.paidTwice(); len(twice) > 0 {
		t.Errorf("%d requests were answered twice", len(twice))
	}

	e = newEndpoint(t, func(w http.ResponseWriter, c asked) bool {
		return c.about("1.") && filtered(w) || c.about("3.") && filtered(w)
	})
	at = testEnv(t, path)
	o = options()
	o.MaxFailureShare = 0.5
	if m := run(t, o, e, at); Failed(m) != 24 {
		t.Fatalf("%v", m.Counts)
	}
	at = testEnv(t, path)
	o.MaxFailureShare = 0.1
	if _, err = Run(context.Background(), o, Models{Generator: e.client(t)}, at); !errors.As(err, &many) || many.InARow != 0 ||
		!strings.Contains(err.Error(), "--retry-rejected") {
		t.Fatalf("error %v", err)
	}
	e.fault = nil
	at.Retry = true
	run(t, o, e, at)
	sameFiles(t, "share", at.Out, whole.Out)
}

// TestErrorsOfAllRequests end the run at once, with nothing rejected.
func TestErrorsOfAllRequests(t *testing.T) {
	for _, code := range []int{401, 402, 403, 404} {
		e := newEndpoint(t, func(w http.ResponseWriter, c asked) bool { return status(code, "no")(w) })
		at := testEnv(t, testfiles.JSONLines(t, about(12)...))
		models := Models{Generator: e.client(t)}
		if _, err := Run(context.Background(), withConcurrency(options(), 1), models, at); err == nil || len(e.tries) != 1 {
			t.Errorf("%d: %v after %d requests", code, err, len(e.tries))
		}
	}
	e := newEndpoint(t, nil)
	e.Close()
	start := time.Now()
	c, err := llm.NewHTTP(llm.Options{BaseURL: e.URL, Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), options(), Models{Generator: c}, testEnv(t, testfiles.JSONLines(t, about(12)...))); err == nil ||
		!strings.Contains(err.Error(), "refuses connections") || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestAnswersOfUnfinishedConversations are kept: continued after an
// interruption in the middle of a conversation, none of its calls is made
// again.
func TestAnswersOfUnfinishedConversations(t *testing.T) {
	path := testfiles.JSONLines(t, about(7)...)
	whole := testEnv(t, path)
	run(t, options(), newEndpoint(t, nil), whole)
	e := newEndpoint(t, nil)
	at := testEnv(t, path)
	for stopAt := 1; ; stopAt += 2 {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		e.fault = func(w http.ResponseWriter, c asked) bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			if n++; n == stopAt {
				cancel()
			}
			return false
		}
		_, err := Run(ctx, withConcurrency(options(), 3), Models{Generator: e.client(t)}, at)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	sameFiles(t, "interrupted", at.Out, whole.Out)
	if twice := e.paidTwice(); len(twice) > 0 {
		t.Errorf("%d of %d requests were answered twice", len(twice), len(e.answered))
	}
}

// TestShortenedConversations: a conversation whose later turn does not pass
// the checks keeps the turns before it, if they are enough.
func TestShortenedConversations(t *testing.T) {
	for _, c := range []struct {
		minTurns, turn int
		independent    bool
		kept           int
	}{{2, 2, false, 2}, {2, 1, false, 0}, {1, 1, false, 1}, {1, 0, false, 0}, {3, 2, false, 0}, {2, 1, true, 2}} {
		s := &scripted{answer: func(_ int, r llm.Request) (llm.Response, error) {
			text := r.Messages[0].Content
			switch {
			case c.independent && asksForQuestion(r):
				return stop("<question>Where 0?</question><question>When 1?</question><question>Who 2?</question>")
			case c.independent && strings.Contains(text, fmt.Sprintf("%d?", c.turn)),
				!c.independent && !asksForQuestion(r) && strings.Count(text, goodAnswer) == c.turn:
				return stop("Too short.")
			}
			return polite(0, r)
		}}
		o := options()
		o.MinTurns, o.Independent = c.minTurns, c.independent
		at := testEnv(t, testfiles.JSONLines(t, passage(1, 60)))
		m, err := Run(context.Background(), o, Models{Generator: s}, at)
		if err != nil {
			t.Fatal(err)
		}
		rows := read(t, at.Out)
		if c.kept == 0 {
			if len(rows) != 0 || m.Counts["rejected_short_answer"] != 1 || m.Tokens["rejected_prompt"] != int64(10*len(s.calls)) {
				t.Errorf("%+v: %v, tokens %v after %d calls", c, m.Counts, m.Tokens, len(s.calls))
			}
			continue
		}
		want := fmt.Sprintf("%d of 3 turns, then short_answer (answer/%d, after 3 calls)", c.kept, c.turn)
		if len(rows) != 1 || len(rows[0].Messages) != 2*c.kept || rows[0].Shortened != want ||
			rows[0].FinishReason != "stop" || rows[0].PromptTokens != int32(10*len(s.calls)) {
			t.Errorf("%+v: %+v", c, rows)
		}
		var notes []Shortened
		for n, err := range dataset.Rows[Shortened](context.Background(), filepath.Join(at.Out, "shortened")) {
			if err != nil {
				t.Fatal(err)
			}
			notes = append(notes, n)
		}
		if len(notes) != 1 || !slices.ContainsFunc(notes[0].Answers,
			func(a Answer) bool { return a.Text == "Too short." && a.Attempt == 2 }) {
			t.Errorf("%+v: the texts that failed are not kept: %+v", c, notes)
		}
	}
}

// TestWrongKindOfRows is an error that says what the rows are.
func TestWrongKindOfRows(t *testing.T) {
	rows := filepath.Join(t.TempDir(), "rows.jsonl")
	for text, want := range map[string]string{
		`{"id":"1","messages":[],"dataset":"x"}`: "holds instructions (columns dataset, id, messages), expected passages",
		`{"question":"q"}`:                       "holds questions of a benchmark",
		"":                                       "no passages",
	} {
		if err := os.WriteFile(rows, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), options(), Models{Generator: &scripted{answer: polite}}, testEnv(t, rows)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := Plan(context.Background(), options(), 7, rows); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("planned with %q: %v", text, err)
		}
	}
}

// withConcurrency returns the options with n passages worked on at once.
func withConcurrency(o Options, n int) Options {
	o.Concurrency = n
	return o
}
