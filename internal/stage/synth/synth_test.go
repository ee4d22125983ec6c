package synth

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// plain returns the defaults with prompts that draw nothing, and without the checks that
// compare texts with their passage: those of these tests are made up.
func plain() Options {
	o := Defaults()
	o.SkipChecks = []string{"unrelated_question", "degenerate_question", "ungrounded_answer", "unknown_name", "repeated_answer"}
	o.Prompts = filepath.Join("..", "..", "..", "testdata", "chain", "prompts")
	return o
}

const goodAnswer = "It is roasted lightly, ground with cardamom, and poured into small cups for every guest."

// scripted is a model whose answers a function gives. It counts its calls.
type scripted struct {
	answer func(call int, r llm.Request) (llm.Response, error)
	mu     sync.Mutex
	calls  []llm.Request
}

func (s *scripted) Name() string { return "scripted" }

func (s *scripted) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	if err := ctx.Err(); err != nil {
		return llm.Response{}, err
	}
	s.mu.Lock()
	n := len(s.calls)
	s.calls = append(s.calls, r)
	s.mu.Unlock()
	return s.answer(n, r)
}

func stop(text string) (llm.Response, error) {
	return llm.Response{Text: text, FinishReason: llm.FinishStop, PromptTokens: 10, CompletionTokens: 5}, nil
}

// asksForQuestion tells the two kinds of prompts apart.
func asksForQuestion(r llm.Request) bool {
	return !strings.Contains(r.Messages[0].Content, "Question: ") && !strings.Contains(r.Messages[0].Content, "New question: ")
}

// polite answers everything well; questions differ from call to call.
func polite(_ int, r llm.Request) (llm.Response, error) {
	if asksForQuestion(r) {
		return stop(fmt.Sprintf("How is coffee number %d served?", r.Seed%100000))
	}
	return stop(goodAnswer)
}

func passage(i, words int) dataset.Passage {
	return dataset.Passage{ID: fmt.Sprintf("p%d", i), Title: "Coffee", Section: "History",
		Text: strings.TrimSpace(strings.Repeat("coffee ", words)), URL: "https://x.test/Coffee", Licence: "CC BY-SA 4.0"}
}

func testEnv(t testing.TB, passages string) durable.Env {
	t.Helper()
	return durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"passages": passages}, Seed: 7,
		Progress: progress.Silent}
}

func read(t *testing.T, dir string) []dataset.Instruction {
	t.Helper()
	var out []dataset.Instruction
	for r, err := range dataset.Rows[dataset.Instruction](context.Background(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestShortPassagesOneTurnLongOnesThree(t *testing.T) {
	s := &scripted{answer: polite}
	at := testEnv(t, testfiles.JSONLines(t, passage(1, 10), passage(2, 20), passage(3, 30), passage(4, 400)))
	m, err := Run(context.Background(), plain(), Models{Generator: s}, at)
	if err != nil {
		t.Fatal(err)
	}
	if m.Counts["single"] != 3 || m.Counts["multi"] != 1 || m.Tokens["completion"] != 12*5 {
		t.Errorf("counts %v, tokens %v", m.Counts, m.Tokens)
	}
	rows := read(t, at.Out)
	for i, r := range rows {
		turns, dataset := 1, "wiki-single"
		if r.PassageID == "p4" {
			turns, dataset = 3, "wiki-multi"
		}
		if len(r.Messages) != 2*turns || r.Dataset != dataset || r.Generator != "scripted" || r.Licence == "" ||
			r.URL == "" || r.Seed == 0 {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	e, err := Plan(context.Background(), plain(), at.Seed, at.In["passages"])
	if err != nil || e.Calls != len(s.calls) || e.Passages != 4 || e.Long != 1 {
		t.Errorf("planned %+v (%v), made %d calls", e, err, len(s.calls))
	}
	if cost := e.Cost(1, 2); cost != (float64(e.PromptTokens)+2*float64(e.MaxTokens))/1e6 {
		t.Errorf("cost %g", cost)
	}
}

// TestFollowUpsKnowTheConversation: each later question is asked with the
// turns before it in the prompt.
func TestFollowUpsKnowTheConversation(t *testing.T) {
	s := &scripted{answer: polite}
	o := plain()
	o.LongChars = 1
	if _, err := Run(context.Background(), o, Models{Generator: s}, testEnv(t, testfiles.JSONLines(t, passage(1, 10)))); err != nil {
		t.Fatal(err)
	}
	if len(s.calls) != 6 {
		t.Fatalf("%d calls", len(s.calls))
	}
	for i, r := range s.calls[2:] {
		if !strings.Contains(r.Messages[0].Content, goodAnswer) {
			t.Errorf("call %d does not know the answer before it: %s", i+2, r.Messages[0].Content)
		}
	}
}

func TestIndependentQuestionsInEveryForm(t *testing.T) {
	forms := map[string]string{
		"tags":   "<question1>Where?</question1>\n<question2>When is it?</question2><question>Who was it?</question>",
		"json":   "Here they are:\n```json\n{\"questions\": [\"Where?\", \"When is it?\", \"Who was it?\"]}\n```",
		"array":  `["Where?", "When is it?", "Who was it?"]`,
		"listed": "1. Where?\n2) When is it?\n3: Who was it?",
	}
	for name, text := range forms {
		for _, asJSON := range []bool{false, true} {
			s := &scripted{answer: func(n int, r llm.Request) (llm.Response, error) {
				if n == 0 {
					if (r.JSONSchema != nil) != asJSON {
						t.Errorf("%s: schema %v", name, r.JSONSchema)
					}
					return stop(text)
				}
				return stop(goodAnswer)
			}}
			o := plain()
			o.LongChars, o.Independent, o.JSON = 1, true, asJSON
			at := testEnv(t, testfiles.JSONLines(t, passage(1, 10)))
			if _, err := Run(context.Background(), o, Models{Generator: s}, at); err != nil {
				t.Fatal(err)
			}
			rows := read(t, at.Out)
			if len(rows) != 1 || len(rows[0].Messages) != 6 || rows[0].Messages[4].Content != "Who was it?" {
				t.Errorf("%s: %+v", name, rows)
			}
		}
	}
}

// TestBadTexts: a text that fails a check is asked for again with another
// seed; the last reason is the rejection's.
func TestBadTexts(t *testing.T) {
	cut := func(string) (llm.Response, error) {
		return llm.Response{Text: "How", FinishReason: llm.FinishLength}, nil
	}
	for want, c := range map[string]struct {
		question, answer string
		give             func(string) (llm.Response, error)
	}{
		"no_question_mark": {"Tell me about coffee.", goodAnswer, stop},
		"empty_question":   {"Question:  ", goodAnswer, stop},
		"long_question":    {"How?\n\nWhy?", goodAnswer, stop},
		"leak_question":    {"What does the passage say about coffee?", goodAnswer, stop},
		"short_answer":     {"How is it served?", "In cups.", stop},
		"empty_answer":     {"How is it served?", "Answer:", stop},
		"leak_answer":      {"How is it served?", "As mentioned above, it is served in small cups to every guest who comes.", stop},
		"meta_question":    {"What is the answer to this question?", goodAnswer, stop},
		"script_question":  {"What is next?\nAssistant: Coffee is.", goodAnswer, stop},
		"script_answer":    {"How is it served?", goodAnswer + "\nUser: And then, after all of this?", stop},
		"meta_answer": {"How is it served?",
			"This question requires a concise answer that takes into account all available options.", stop},
		"finish_length": {"", "", cut},
	} {
		s := &scripted{answer: func(_ int, r llm.Request) (llm.Response, error) {
			if asksForQuestion(r) {
				return c.give(c.question)
			}
			return c.give(c.answer)
		}}
		at := testEnv(t, testfiles.JSONLines(t, passage(1, 10), dataset.Passage{ID: "blank", Text: " "}))
		o := plain()
		o.LongChars = 1 << 20
		m, err := Run(context.Background(), o, Models{Generator: s}, at)
		if err != nil {
			t.Fatal(err)
		}
		if m.Counts["rejected_"+want] != 1 || m.Counts["rejected_empty_passage"] != 1 || m.Counts["out"] != 0 {
			t.Errorf("%s: counts %v", want, m.Counts)
		}
		seeds := map[int64]bool{}
		for _, r := range s.calls {
			seeds[r.Seed] = true
		}
		if len(s.calls) < 3 || len(seeds) != len(s.calls) {
			t.Errorf("%s: %d calls with %d seeds", want, len(s.calls), len(seeds))
		}
	}
}

func TestSecondAttemptIsKept(t *testing.T) {
	s := &scripted{answer: func(n int, r llm.Request) (llm.Response, error) {
		if n == 0 {
			return stop("no question")
		}
		return polite(n, r)
	}}
	at := testEnv(t, testfiles.JSONLines(t, passage(1, 10)))
	o := withConcurrency(plain(), 1)
	o.LongChars = 1 << 20
	m, err := Run(context.Background(), o, Models{Generator: s}, at)
	if err != nil || m.Counts["out"] != 1 || m.Tokens["prompt"] != 30 {
		t.Errorf("%v, counts %v, tokens %v: the first attempt's tokens count too", err, m.Counts, m.Tokens)
	}
}

func TestPassageTooLongIsRejected(t *testing.T) {
	s := &scripted{answer: func(int, llm.Request) (llm.Response, error) {
		return llm.Response{}, &llm.TooLong{Tokens: 9000, Limit: 8192}
	}}
	m, err := Run(context.Background(), plain(), Models{Generator: s}, testEnv(t, testfiles.JSONLines(t, passage(1, 10))))
	if err != nil || m.Counts["rejected_passage_too_long"] != 1 {
		t.Errorf("%v, %v", err, m)
	}
}

// TestNothingIsPaidForTwice breaks a run off, by a dead endpoint and by
// cancelling, and continues it: every passage is asked about once, and the
// bytes are those of an undisturbed run.
func TestNothingIsPaidForTwice(t *testing.T) {
	var ps []dataset.Passage
	for i := range 12 {
		ps = append(ps, passage(i, 10+i))
	}
	path := testfiles.JSONLines(t, ps...)
	o := withConcurrency(plain(), 1)
	o.LongChars = 1 << 20

	whole := testEnv(t, path)
	if _, err := Run(context.Background(), o, Models{Generator: &scripted{answer: polite}}, whole); err != nil {
		t.Fatal(err)
	}

	broken := testEnv(t, path)
	dead := errors.New("connection refused")
	asked := map[int64]int{}
	answer := func(limit int, fault func() error) *scripted {
		return &scripted{answer: func(n int, r llm.Request) (llm.Response, error) {
			if n == limit {
				return llm.Response{}, fault()
			}
			asked[r.Seed]++
			return polite(n, r)
		}}
	}
	if _, err := Run(context.Background(), o, Models{Generator: answer(6, func() error { return dead })}, broken); !errors.Is(err, dead) {
		t.Fatalf("error %v, want that of the endpoint", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancelling := answer(8, func() error { cancel(); return ctx.Err() })
	if _, err := Run(ctx, o, Models{Generator: cancelling}, broken); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	if _, err := Run(context.Background(), o, Models{Generator: answer(-1, nil)}, broken); err != nil {
		t.Fatal(err)
	}
	for seed, n := range asked {
		if n != 1 {
			t.Errorf("request with seed %d was answered %d times", seed, n)
		}
	}
	a, b := read(t, whole.Out), read(t, broken.Out)
	if fmt.Sprint(a) != fmt.Sprint(b) || len(a) != 12 {
		t.Errorf("the continued run has other rows:\n%v\n%v", a, b)
	}
	again := &scripted{answer: polite}
	if _, err := Run(context.Background(), o, Models{Generator: again}, broken); err != nil || len(again.calls) != 0 {
		t.Errorf("a finished run made %d calls, %v", len(again.calls), err)
	}
	o.Temperature = 0.1
	if _, err := Run(context.Background(), o, Models{Generator: again}, broken); err == nil || !strings.Contains(err.Error(), "temperature") {
		t.Errorf("error %v, want one that names the temperature", err)
	}
}

func TestWorkersDoNotChangeRows(t *testing.T) {
	var ps []dataset.Passage
	for i := range 20 {
		ps = append(ps, passage(i, 10+7*i%50))
	}
	path := testfiles.JSONLines(t, ps...)
	var first []dataset.Instruction
	for _, workers := range []int{1, 8} {
		at := testEnv(t, path)
		if _, err := Run(context.Background(), withConcurrency(plain(), workers), Models{Generator: &scripted{answer: polite}}, at); err != nil {
			t.Fatal(err)
		}
		rows := read(t, at.Out)
		if first == nil {
			first = rows
		}
		if !slices.EqualFunc(rows, first, func(a, b dataset.Instruction) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("%d workers write other rows", workers)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"name": func(o *Options) { o.Dataset = "" }, "quantile": func(o *Options) { o.LongQuantile = 1.5 },
		"turns": func(o *Options) { o.Turns = 0 },
		"top_p": func(o *Options) { o.TopP = 2 }, "attempts": func(o *Options) { o.Attempts = 0 },
		"length": func(o *Options) { o.LongChars = -1 },
		"json":   func(o *Options) { o.JSON = true },
		"repair": func(o *Options) { o.Repair = -1 },
		"checks": func(o *Options) { o.SkipChecks = []string{"unknown_nam"} },
	} {
		o := plain()
		change(&o)
		if o.Validate() == nil {
			t.Errorf("%s: accepted %+v", name, o)
		}
	}
}

// FuzzParseQuestions: whatever a model writes is read without harm.
func FuzzParseQuestions(f *testing.F) {
	for _, s := range []string{"<question1>a?</question1>", `{"questions":["a?"]}`, "1. a?\n2. b?", "[[[", "<question><question>", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, q := range parseQuestions(s) {
			// Escapes and invalid bytes grow when they are decoded, threefold at most.
			if len(q) > 3*len(s) {
				t.Errorf("a question of %d bytes out of %d", len(q), len(s))
			}
		}
	})
}
