package convert

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/progress"
)

// causes are n rows of COPA; every hundredth has no label.
func causes(t *testing.T, n int) string { return jsonRows(t, causeRows(n)...) }

func causeRows(n int) (lines []map[string]any) {
	for i := range n {
		label := any(i % 2)
		if i%100 == 99 {
			label = nil
		}
		lines = append(lines, map[string]any{"premise": fmt.Sprintf("Lamp %d went out.", i), "question": "cause", "label": label,
			"choice1": fmt.Sprintf("It fell %d times.", i), "choice2": fmt.Sprintf("It rained for %d days.", i)})
	}
	return lines
}

// stopAfter ends a run after n rows, and counts those that were passed over.
type stopAfter struct {
	progress.Reporter
	mu      sync.Mutex
	n       int
	skipped int64
	stop    func()
}

func (s *stopAfter) Add(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n -= int(n); s.n == 0 {
		s.stop()
	}
}

func (s *stopAfter) Skip(n int64) { s.skipped += n }

// TestResume: a run that was stopped continues after its last full block, with the same result
// as one that was not.
func TestResume(t *testing.T) {
	o := Defaults()
	o.Benchmark, o.FewShot = "copa", 0.25
	in := map[string]string{"data": causes(t, 3*blockRows+100)}
	whole := filepath.Join(t.TempDir(), "out")
	want, err := Run(t.Context(), o, nil, durable.Env{Out: whole, In: in, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, s := range []struct {
		after   int
		skipped int64
	}{{2*blockRows + 10, 0}, {blockRows + 10, 2 * blockRows}, {1 << 30, 3 * blockRows}} {
		ctx, stop := context.WithCancel(t.Context())
		r := &stopAfter{Reporter: progress.Silent, n: s.after, stop: stop}
		m, err := Run(ctx, o, nil, durable.Env{Out: out, In: in, Seed: 3, Progress: r})
		stop()
		if r.skipped != s.skipped {
			t.Errorf("%d rows were passed over, want %d", r.skipped, s.skipped)
		}
		if s.after < 1<<30 {
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("after %d rows: %v", s.after, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("stopped and continued (-whole +resumed):\n%s", diff)
		}
	}
	if want.Counts["rejected_no_label"] != 31 || want.Rows != 3*blockRows+100-31 {
		t.Errorf("%v", want.Counts)
	}
}

// TestExamples: a share of the rows gets 1, 3 or 5 others of the same split in their own
// template: never themselves.
func TestExamples(t *testing.T) {
	o := Defaults()
	o.Benchmark, o.FewShot = "copa", 0.3
	got, m, _ := convert(t, o, causes(t, 2000))
	alone := map[string]dataset.Instruction{}
	o.FewShot = 0
	plain, _, _ := convert(t, o, causes(t, 2000))
	for _, r := range plain {
		alone[r.ID] = r
	}
	sizes, some := map[int]int{}, 0
	for _, r := range got {
		sizes[len(r.Examples)]++
		user := r.Messages[0].Content
		if !strings.HasSuffix(user, alone[r.ID].Messages[0].Content) || r.Messages[1] != alone[r.ID].Messages[1] ||
			slices.Contains(r.Examples, r.ID) {
			t.Fatalf("%+v", r)
		}
		for _, id := range r.Examples {
			some++
			e, ok := alone[id]
			if !ok {
				t.Fatalf("example %s is no row of the split", id)
			}
			premise, _, _ := strings.Cut(strings.TrimPrefix(e.Messages[0].Content, "« "), ".")
			if !strings.Contains(user, premise+".") {
				t.Fatalf("%q lacks the example %q", user, premise)
			}
		}
		if parts := strings.Count(user, "Lamp "); parts != 1+len(r.Examples) {
			t.Fatalf("%d questions with %d examples: %q", parts, len(r.Examples), user)
		}
	}
	shot := len(got) - sizes[0]
	if m.Counts["few_shot"] != int64(shot) || shot < 520 || shot > 680 || sizes[1] < 140 || sizes[3] < 140 || sizes[5] < 140 ||
		sizes[0]+sizes[1]+sizes[3]+sizes[5] != len(got) {
		t.Errorf("%v of %d, %v", sizes, len(got), m.Counts)
	}
	// One row has no other to show, and two rows one.
	o.FewShot = 1
	if got, _, _ := convert(t, o, causes(t, 1)); len(got[0].Examples) != 0 {
		t.Errorf("%+v", got[0])
	}
	if got, _, _ := convert(t, o, causes(t, 3)); len(got[0].Examples) != 1 {
		t.Errorf("%+v", got[0])
	}
}

// TestExamplesOfOtherPassages: an example never shows the passage that the question is about.
func TestExamplesOfOtherPassages(t *testing.T) {
	o := Defaults()
	o.Benchmark, o.FewShot = "race", 1
	var lines []map[string]any
	for i := range 40 {
		lines = append(lines, map[string]any{"article": fmt.Sprintf("Article number %d.", i/4), "question": fmt.Sprintf("What is %d?", i),
			"options": []string{"a thing", "a place"}, "answer": "A"})
	}
	got, _, _ := convert(t, o, jsonRows(t, lines...))
	for _, r := range got {
		if strings.Count(r.Messages[0].Content, "Article number") != 1+len(r.Examples) {
			t.Errorf("%q", r.Messages[0].Content)
		}
		for i := range 10 {
			if a := fmt.Sprintf("Article number %d.", i); strings.Count(r.Messages[0].Content, a) > 1 {
				t.Errorf("%s twice in %q", a, r.Messages[0].Content)
			}
		}
	}
}

// model answers by the row's text.
type model struct {
	mu     sync.Mutex
	calls  int
	answer func(prompt string, calls int) (string, error)
}

func (m *model) Name() string { return "test-model" }

func (m *model) Complete(_ context.Context, r llm.Request) (llm.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	text, err := m.answer(r.Messages[0].Content, m.calls)
	return llm.Response{Text: text, FinishReason: llm.FinishStop, PromptTokens: 10, CompletionTokens: 5}, err
}

var shores = []map[string]any{
	{"id": "1", "question": "When worms return nutrients to the soil in 3 days, they act as", "answerKey": "B",
		"choices": map[string]any{"text": []string{"predators", "decomposers"}, "label": []string{"A", "B"}}},
	{"id": "2", "question": "Which does not float?", "answerKey": "A",
		"choices": map[string]any{"text": []string{"a stone", "a cork"}, "label": []string{"A", "B"}}},
}

// TestModel: reasons and questions of a model are used if they pass the checks, and each
// failure leaves the template and is counted.
func TestModel(t *testing.T) {
	o := Defaults()
	o.Benchmark, o.Justify, o.Rewrite, o.FirstTemplate = "arc-easy", true, true, true
	data := jsonRows(t, shores...)
	run := func(answer func(prompt string, calls int) (string, error)) ([]dataset.Instruction, *dataset.Manifest, *model) {
		m := &model{answer: answer}
		out := filepath.Join(t.TempDir(), "out")
		manifest, err := Run(t.Context(), o, m, durable.Env{Out: out, In: map[string]string{"data": data}, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		return rows[dataset.Instruction](t, out), manifest, m
	}
	got, m, _ := run(func(prompt string, _ int) (string, error) {
		if strings.Contains(prompt, "Write one question") {
			return "<think>hm</think>\"When worms return nutrients to the soil in 3 days, what do they act as?\"", nil
		}
		return "Organisms that break down matter give its nutrients back.", nil
	})
	want := "When worms return nutrients to the soil in 3 days, what do they act as?\n1. predators\n2. decomposers"
	if got[0].Messages[0].Content != want || got[0].Messages[1].Content !=
		"The second option is correct:\n2. decomposers\nOrganisms that break down matter give its nutrients back." {
		t.Errorf("%q", got[0].Messages)
	}
	if got[0].Generator != "test-model" || got[0].PromptTokens != 20 || m.Counts["justified"] != 2 || m.Counts["rewritten"] != 1 {
		t.Errorf("%+v, %v", got[0], m.Counts)
	}
	for want, answers := range map[string][2]string{ // of the reason, of the question
		"refusal": {"I'm sorry, but I can't.", "I cannot answer. Why?"},
		"names_options": {"Option 2 is right because worms eat dead matter.",
			"When worms return nutrients in 3 days to the soil, do they act as decomposers?"},
		"not_one_sentence": {"Worms eat matter. They live in soil.", "What do worms act as in 3 days"},
		"mentions_text":    {"This follows from what the passage says about worms.", ""},
		"empty":            {"", ""},
		"number":           {"", "When worms return nutrients to the soil, what do they act as?"},
		"negation":         {"", "When worms return nutrients to the soil in 3 days, what do they not act as?"},
		"other_words":      {"", "What would such animals be named in 3 days?"},
		"long":             {"", strings.Repeat("When worms return nutrients to the soil in 3 days, ", 4) + "what do they act as?"},
		"language":         {"تعيد الديدان المغذيات إلى التربة.", "ماذا تفعل الديدان في 3 أيام؟"},
		"encoding":         {"Worms eat dead \uFFFD matter.", "What \uFFFD?"},
	} {
		got, m, fake := run(func(prompt string, _ int) (string, error) {
			if strings.Contains(prompt, "Write one question") {
				return answers[1], nil
			}
			return answers[0], nil
		})
		if got[0].Messages[0].Content != "When worms return nutrients to the soil in 3 days, they act as …\n"+
			"Which option completes the sentence?\n1. predators\n2. decomposers" {
			t.Errorf("%s: %q", want, got[0].Messages[0].Content)
		}
		if m.Counts["justify_failed_"+want] != 2 && m.Counts["rewrite_failed_"+want] != 1 || m.Counts["justified"] != 0 || fake.calls != 9 {
			t.Errorf("%s: %v after %d calls", want, m.Counts, fake.calls)
		}
	}
	if _, m, fake := run(func(string, int) (string, error) {
		return "", &llm.RequestError{Kind: llm.Filtered, Err: errors.New("no")}
	}); m.Rows != 2 || m.Counts["justify_failed_request_filtered"] != 2 || fake.calls != 3 {
		t.Errorf("%v, %d calls", m.Counts, fake.calls)
	}
}

// TestModelIsNotAskedTwice: an interrupted run pays for no answer again, and a model of which
// every request fails stops the run.
func TestModelIsNotAskedTwice(t *testing.T) {
	o := Defaults()
	o.Benchmark, o.Justify, o.Concurrency = "copa", true, 1
	in, out := map[string]string{"data": causes(t, 50)}, filepath.Join(t.TempDir(), "out")
	fatal := errors.New("unreachable")
	m := &model{answer: func(_ string, calls int) (string, error) {
		if calls == 21 {
			return "", fatal
		}
		return "The lamp stood near the open window.", nil
	}}
	if _, err := Run(t.Context(), o, m, durable.Env{Out: out, In: in}); !errors.Is(err, fatal) {
		t.Fatal(err)
	}
	manifest, err := Run(t.Context(), o, m, durable.Env{Out: out, In: in})
	if err != nil || m.calls != 51 || manifest.Counts["justified"] != 50 {
		t.Errorf("%v, %d calls, %v", err, m.calls, manifest)
	}
	m = &model{answer: func(string, int) (string, error) {
		return "", badinput.Wrap(&llm.RequestError{Kind: llm.Refused, Err: errors.New("400")})
	}}
	_, err = Run(t.Context(), o, m, durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: in})
	if !badinput.Is(err) || !strings.Contains(err.Error(), "20 requests in a row failed") || m.calls != 20 {
		t.Errorf("%v, %d calls", err, m.calls)
	}
	if e, err := Plan(t.Context(), o, 0, in); err != nil || e.Calls != 50 {
		t.Errorf("%+v, %v", e, err)
	}
}
