package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/eval"
	"barka/internal/eval/tasks"
	"barka/internal/llm"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// completionServer serves a local model's completions as vLLM does, with the
// log-probabilities of the prompt's tokens.
type completionServer struct {
	*httptest.Server
	d     *Decoder
	echo  bool // accepts echo and logprobs instead of prompt_logprobs
	limit int  // max_model_len; 0: no list of models

	mu       sync.Mutex
	asked    int
	together int
	most     int
	fault    func(asked int, w http.ResponseWriter) bool
	change   func(text string, prompt []int32) string
}

func serveCompletions(t *testing.T, dir string) *completionServer {
	t.Helper()
	e := NewEngine(1, "f32", nil)
	t.Cleanup(func() { e.Device.(interface{ Close() }).Close() })
	d, err := e.OpenDecoder(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	s := &completionServer{d: d}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *completionServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/models" && s.limit > 0 {
		fmt.Fprintf(w, `{"data":[{"id":"served/gemma","max_model_len":%d}]}`, s.limit)
		return
	}
	var b struct {
		Prompt []int32
		Ranked *int `json:"prompt_logprobs"`
		Echo   bool
		Max    int `json:"max_tokens"`
	}
	if r.URL.Path != "/v1/completions" {
		w.WriteHeader(404)
		return
	}
	refused := json.NewDecoder(r.Body).Decode(&b)
	s.mu.Lock()
	s.asked++
	n := s.asked
	s.together++
	s.most = max(s.most, s.together)
	s.mu.Unlock()
	time.Sleep(time.Millisecond)
	s.mu.Lock() // the model runs one request at a time
	defer s.mu.Unlock()
	s.together--
	if s.fault != nil && s.fault(n, w) {
		return
	}
	if s.limit > 0 && len(b.Prompt)+b.Max > s.limit {
		w.WriteHeader(400)
		fmt.Fprintf(w,
			`{"error":{"message":"This model's maximum context length is %d tokens. However, you requested %d tokens"}}`,
			s.limit, len(b.Prompt)+b.Max)
		return
	}
	text := `{"choices":[{"text":"x"}]}`
	switch {
	case refused != nil: // a text
		w.WriteHeader(400)
	case b.Ranked != nil && !s.echo:
		text = s.ranked(b.Prompt)
	case b.Echo && s.echo:
		text = s.echoed(b.Prompt)
	}
	if s.change != nil {
		text = s.change(text, b.Prompt)
	}
	fmt.Fprint(w, text)
}

// logProbs returns the log-probabilities of a prompt's tokens after the first, and the most
// likely token of each position.
func (s *completionServer) logProbs(prompt []int32) (own []float32, greedy []bool, best []tensor.Candidates) {
	m := s.d.Model
	dev := m.Device()
	n := len(prompt) - 1
	layout := tensor.Packed(n)
	h, _, err := m.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, prompt[:n], nil)
	if err != nil {
		panic(err)
	}
	defer dev.Free(h)
	head, softcap := m.Head()
	scores := dev.LogProbs(h, head, tensor.Ints{Host: prompt[1:]}, softcap, false).Get()
	return scores.LogP, scores.Greedy, dev.TopK(h, head, 1, softcap, nil, nil).Get()
}

func (s *completionServer) ranked(prompt []int32) string {
	own, greedy, best := s.logProbs(prompt)
	entries := []any{nil}
	for i, p := range own {
		rank := 2
		if greedy[i] {
			rank = 1
		}
		entries = append(entries, map[string]any{
			strconv.Itoa(int(best[i].Tokens[0])): map[string]any{"logprob": best[i].LogP[0], "rank": 1, "decoded_token": "x"},
			strconv.Itoa(int(prompt[i+1])):       map[string]any{"logprob": p, "rank": rank, "decoded_token": "x"},
		})
	}
	return reply(map[string]any{"prompt_logprobs": entries, "text": "x"}, len(prompt))
}

func (s *completionServer) echoed(prompt []int32) string {
	own, _, best := s.logProbs(prompt)
	names, values, top := []any{"x"}, []any{nil}, []any{nil}
	for i, p := range own {
		names, values = append(names, "x"), append(values, p)
		top = append(top, map[string]any{"x": best[i].LogP[0]})
	}
	return reply(map[string]any{"logprobs": map[string]any{"tokens": names, "token_logprobs": values, "top_logprobs": top}}, len(prompt))
}

func reply(choice map[string]any, tokens int) string {
	text, err := json.Marshal(map[string]any{"choices": []any{choice}, "usage": map[string]any{"prompt_tokens": tokens}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func endpoint(t *testing.T, s *completionServer, more ...func(*EndpointOptions)) *Endpoint {
	t.Helper()
	o := EndpointOptions{Options: llm.Options{BaseURL: s.URL + "/v1", Model: "served/gemma", Retries: 2,
		Sleep: func(context.Context, time.Duration) error { return nil }}, Tokenizer: gemma}
	for _, f := range more {
		f(&o)
	}
	e, err := OpenEndpoint(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// demoOptions evaluates testdata/chain's tasks.
func demoOptions(t *testing.T) eval.Options {
	t.Helper()
	selection, err := tasks.ParseList("../../testdata/chain/data/tasks.txt")
	if err != nil {
		t.Fatal(err)
	}
	return eval.Options{Tasks: selection, DataDir: "../../testdata/chain/data/benchmarks", OutputDir: t.TempDir(),
		Now: func() time.Time { return time.Unix(1720000000, 0).UTC() }}
}

// accuracies reads the tasks of a result file with the digests of their prompts.
func accuracies(t *testing.T, out *eval.Outcome) string {
	t.Helper()
	text, err := os.ReadFile(out.ResultsPath)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Results json.RawMessage `json:"results"`
		Summary json.RawMessage `json:"summary_tasks"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return string(r.Results) + string(r.Summary)
}

// recorder is a model that records its scores.
type recorder struct {
	eval.Model
	mu     sync.Mutex
	scores map[string]eval.Score
}

func record(m eval.Model) *recorder { return &recorder{Model: m, scores: map[string]eval.Score{}} }

func (r *recorder) Score(ctx context.Context, reqs []eval.Request, done func(int, eval.Score) error) error {
	return r.Model.Score(ctx, reqs, func(i int, s eval.Score) error {
		r.mu.Lock()
		r.scores[fmt.Sprint(reqs[i])] = s
		r.mu.Unlock()
		return done(i, s)
	})
}

// TestEndpointEqualsLocal: an evaluation through a server equals that of the local model,
// request by request, in every dialect.
func TestEndpointEqualsLocal(t *testing.T) {
	s := serveCompletions(t, gemma)
	here, err := s.d.EvalModel()
	if err != nil {
		t.Fatal(err)
	}
	// So short that prompts are cut.
	here.Longest = 60
	want := record(here)
	local, err := eval.Run(t.Context(), want, demoOptions(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, echo := range []bool{false, true} {
		s.echo, s.asked, s.most = echo, 0, 0
		e := endpoint(t, s, func(o *EndpointOptions) { o.MaxLength, o.Concurrency = 60, 4 })
		got := record(e)
		out, err := eval.Run(t.Context(), got, demoOptions(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if accuracies(t, out) != accuracies(t, local) {
			t.Errorf("echo %v: results\n%s\nhere\n%s", echo, accuracies(t, out), accuracies(t, local))
		}
		if len(got.scores) != len(want.scores) || len(want.scores) < 50 {
			t.Errorf("echo %v: %d requests, here %d", echo, len(got.scores), len(want.scores))
		}
		for key, w := range want.scores {
			if g := got.scores[key]; math.Abs(g.LogProb-w.LogProb) > 1e-4 || g.Greedy != w.Greedy {
				t.Errorf("echo %v: %s: %+v, here %+v", echo, key, g, w)
			}
		}
		if s.most > 4 || s.most < 2 {
			t.Errorf("echo %v: %d requests under way at once, want up to 4", echo, s.most)
		}
	}
}

// TestEndpointKeepsWhatIsPaid: a run that ended by a server's failure resumes where it
// stopped, and no request is made twice.
func TestEndpointKeepsWhatIsPaid(t *testing.T) {
	s := serveCompletions(t, gemma)
	o := demoOptions(t)
	whole, err := eval.Run(t.Context(), endpoint(t, s), demoOptions(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	total := s.asked
	s.asked = 0
	answered := 0
	s.fault = func(n int, w http.ResponseWriter) bool {
		if n <= 20 {
			answered++
			return false
		}
		w.WriteHeader(500)
		return true
	}
	_, err = eval.Run(t.Context(), endpoint(t, s), o, nil)
	if err == nil || badinput.Is(err) || !strings.Contains(err.Error(), "community|acva:") || !strings.Contains(err.Error(), "question ") {
		t.Fatalf("a server that fails: %v", err)
	}
	s.fault, s.asked = nil, 0
	out, err := eval.Run(t.Context(), endpoint(t, s), o, nil)
	if err != nil || answered != 20 || s.asked != total-20 || out.Scored != total-20 {
		t.Errorf("%+v, %v: asked %d again, %d of %d were answered", out, err, s.asked, answered, total)
	}
	if accuracies(t, out) != accuracies(t, whole) {
		t.Error("the continued run has other results")
	}
	s.asked = 0
	if plan, err := eval.Estimate(t.Context(), endpoint(t, s), o, nil); err != nil || s.asked != 0 ||
		plan.TokensPerSecond != 0 || len(plan.Tasks) != 5 {
		t.Errorf("a dry run asked %d times: %+v, %v", s.asked, plan, err)
	}
}

// TestEndpointErrors: an unusable answer leaves out its task, with the question in the
// error, and the others run. A server that cannot score is refused at once.
func TestEndpointErrors(t *testing.T) {
	s := serveCompletions(t, gemma)
	// The task with the largest prompts is not the first one.
	marked := func(prompt []int32) bool {
		return strings.Contains(s.d.Tokenizer.Decode(prompt, true), "الأسئلة التالية") && len(prompt) > 30
	}
	for name, c := range map[string]struct {
		change func(text string) string
		want   string
	}{
		"nan":       {func(text string) string { return strings.Replace(text, `"logprob":-`, `"logprob":NaN,"was":-`, 1) }, "NaN"},
		"truncated": {func(text string) string { return strings.Replace(text, "[null,", "[", 1) }, "entries, expected"},
		"count": {func(text string) string { return strings.Replace(text, `"prompt_tokens":`, `"prompt_tokens":1`, 1) },
			"prompt tokens, expected the"},
		"null": {func(text string) string { return strings.ReplaceAll(text, `"logprob":-`, `"logprob":null,"was":-`) }, "is null"},
	} {
		s.change = func(text string, prompt []int32) string {
			if marked(prompt) {
				return c.change(text)
			}
			return text
		}
		out, err := eval.Run(t.Context(), endpoint(t, s), demoOptions(t), nil)
		if !badinput.Is(err) || out == nil || len(out.Failures) == 0 || len(out.Failures) > 2 {
			t.Errorf("%s: %+v, %v", name, out, err)
			continue
		}
		for _, want := range []string{"community|arabic_", "question ", "in evaluation order", c.want} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q: %v", name, want, err)
			}
		}
		if out.Questions == 0 {
			t.Errorf("%s: the other tasks did not run", name)
		}
	}
	s.change = func(string, []int32) string { return `{"choices":[{"text":"x"}]}` }
	s.asked = 0
	out, err := eval.Run(t.Context(), endpoint(t, s), demoOptions(t), nil)
	if !badinput.Is(err) || out != nil || s.asked != 4 || !strings.Contains(err.Error(), "no log-probabilities of the prompt's tokens") {
		t.Errorf("a server without scores, asked %d times: %+v, %v", s.asked, out, err)
	}
}

// TestEndpointLengths: the server's limit counts the tokens sent and the one generated.
func TestEndpointLengths(t *testing.T) {
	s := serveCompletions(t, gemma)
	if n := endpoint(t, s).MaxLength(); n != 1024 {
		t.Errorf("by config.json %d, want 1024", n)
	}
	s.limit = 100
	e := endpoint(t, s)
	if e.MaxLength() != 98 {
		t.Errorf("with max_model_len 100: %d, want 98", e.MaxLength())
	}
	long := eval.Request{Context: make([]int32, 300), Continuation: []int32{5, 6}}
	if got, err := scores(e, []eval.Request{long}); err != nil || len(got[0].PerToken) != 2 {
		t.Errorf("a request that is cut to the limit: %+v, %v", got, err)
	}
	bare := EndpointOptions{Options: llm.Options{BaseURL: s.URL + "/v1", Model: "served/gemma"}, Tokenizer: gemma, MaxLength: 99}
	if _, err := OpenEndpoint(t.Context(), bare); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "--max-length is 99, expected at most 98") {
		t.Errorf("more than the server takes: %v", err)
	}
	bare.Tokenizer, bare.MaxLength = "", 0
	if _, err := OpenEndpoint(t.Context(), bare); !badinput.Is(err) || !strings.Contains(err.Error(), "--tokenizer") {
		t.Errorf("no tokenizer: %v", err)
	}
	// A directory with only a tokenizer, without the model's configuration.
	dir := t.TempDir()
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		text, err := os.ReadFile(filepath.Join(gemma, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.limit = 0
	if n := endpoint(t, s, func(o *EndpointOptions) { o.Tokenizer = dir }).MaxLength(); n != 2048 {
		t.Errorf("nobody says: %d, want 2048", n)
	}
	empty, err := scores(e, []eval.Request{{Context: []int32{2}}})
	if err != nil || empty[0].LogProb != 0 || !empty[0].Greedy {
		t.Errorf("a choice without tokens: %+v, %v", empty, err)
	}
}

// TestEndpointCancel: a cancelled run ends with the context's error.
func TestEndpointCancel(t *testing.T) {
	s := serveCompletions(t, gemma)
	ctx, cancel := context.WithCancel(t.Context())
	s.fault = func(n int, _ http.ResponseWriter) bool {
		if n == 5 {
			cancel()
		}
		return false
	}
	if _, err := eval.Run(ctx, endpoint(t, s), demoOptions(t), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
