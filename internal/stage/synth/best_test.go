package synth

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/testfiles"
)

// sampler is a model that gives several answers to one request: those that it would give
// to n requests.
type sampler struct{ *scripted }

func (s sampler) Samples(ctx context.Context, r llm.Request, n int) (all []llm.Response, err error) {
	for i := range n {
		one := r
		one.Seed += int64(i)
		a, err := s.Complete(ctx, one)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

var answersAboutAlgiers = []string{
	"Algiers lies on the Mediterranean coast, near a great number of other harbours and towns.", // 5 of 8 words or so
	"Algiers lies on the Mediterranean coast, because merchants founded it as a harbour.",       // grounded
	"It is on the coast of the text.", // leak_answer
	"On the coast.",                   // short_answer
}

// TestBestOf: of n answers the one with the highest score is kept, or without a judge the
// best grounded one, whether they came in one request or in several.
func TestBestOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		judge  bool
		single bool // the endpoint gives one answer per request
		want   int
	}{
		{"grounding", false, false, 1}, {"judge", true, false, 0}, {"one by one", true, true, 0},
	} {
		answers := 0
		s := &scripted{}
		s.answer = func(n int, r llm.Request) (llm.Response, error) {
			if asksForQuestion(r) {
				return stop("Where does Algiers lie?")
			}
			answers++
			return stop(answersAboutAlgiers[(answers-1)%4])
		}
		models := Models{Generator: sampler{s}}
		if c.single {
			models.Generator = s
		}
		if c.judge {
			models.Judge = verdicts(func(_ int, prompt string) string {
				if strings.Contains(prompt, "near a great number") {
					return "Score: 5"
				}
				return "Score: 3"
			})
		}
		o := withConcurrency(Defaults(), 1)
		o.BestOf, o.Pairs, o.LongChars, o.MinAnswerWords = 4, true, 1<<20, 5
		o.Prompts = promptDir(t, map[string]string{kindsFile: "kinds: [{name: where, ask: Ask where.}]\n"})
		at := testEnv(t, testfiles.JSONLines(t, algiers))
		m, err := Run(context.Background(), o, models, at)
		if err != nil || m.Counts["out"] != 1 || m.Counts["pairs"] != 1 || answers != 4 {
			t.Fatalf("%s: %v, %v, %d answers", c.name, err, m, answers)
		}
		r := read(t, at.Out)[0]
		if r.Messages[1].Content != answersAboutAlgiers[c.want] || r.CompletionTokens != 25 {
			t.Errorf("%s: kept %+v", c.name, r)
		}
		for p, err := range dataset.Rows[Pair](context.Background(), filepath.Join(at.Out, pairsDir)) {
			// By score the second answer is worse by the margin; without scores it is the one that failed a check.
			worse, reason := 2, "leak_answer"
			if c.judge {
				worse, reason = 1, "judge"
			}
			if err != nil || p.Chosen[0].Content != r.Messages[1].Content || p.Rejected[0].Content != answersAboutAlgiers[worse] ||
				p.RejectedReason != reason || len(p.Prompt) != 1 || p.Prompt[0].Role != "user" || p.Chosen[0].Role != "assistant" {
				t.Errorf("%s: %v, pair %+v", c.name, err, p)
			}
		}
		if e, err := Plan(context.Background(), o, at.Seed, at.In["passages"]); err != nil || e.Calls != 5 {
			t.Errorf("planned %+v, %v", e, err)
		}
	}
}

// TestNoPairWithoutADifference: answers with nearly the same score, and answers that are
// only too short, make no pair.
func TestNoPairWithoutADifference(t *testing.T) {
	s := &scripted{}
	answers := 0
	s.answer = func(_ int, r llm.Request) (llm.Response, error) {
		if asksForQuestion(r) {
			return stop("Where does Algiers lie?")
		}
		answers++
		return stop([]string{answersAboutAlgiers[0], answersAboutAlgiers[1], "On the coast."}[(answers-1)%3])
	}
	o := withConcurrency(Defaults(), 1)
	o.BestOf, o.Pairs, o.LongChars, o.MinAnswerWords = 3, true, 1<<20, 5
	o.Prompts = onlyQuestions(t)
	judge := verdicts(func(n int, _ string) string { return fmt.Sprintf("Score: %d", 4+n%2) })
	m, err := Run(context.Background(), o, Models{s, judge}, testEnv(t, testfiles.JSONLines(t, algiers)))
	if err != nil || m.Counts["out"] != 1 || m.Counts["pairs"] != 0 {
		t.Errorf("%v: %v", err, m)
	}
}

// TestPairsOfRepairs: an answer that failed a check and was then repaired makes a pair, also
// without several samples. The prompt has the conversation before it.
func TestPairsOfRepairs(t *testing.T) {
	s := &scripted{}
	s.answer = func(n int, r llm.Request) (llm.Response, error) {
		if asksForQuestion(r) || strings.Contains(r.Messages[0].Content, "something new") {
			return stop(fmt.Sprintf("Where does Algiers lie, number %d?", n))
		}
		if len(r.Messages) == 1 && strings.Contains(r.Messages[0].Content, "Assistant: ") {
			return stop("As the passage says, Algiers lies on the Mediterranean coast.")
		}
		return stop(answersAboutAlgiers[1])
	}
	o := withConcurrency(Defaults(), 1)
	o.Pairs, o.LongChars, o.MinAnswerWords, o.Turns = true, 1, 5, 2
	o.SkipChecks = []string{"unknown_number", "kind_question", "unrelated_question", "repeated_answer"}
	at := testEnv(t, testfiles.JSONLines(t, algiers))
	m, err := Run(context.Background(), o, Models{Generator: s}, at)
	if err != nil || m.Counts["pairs"] != 1 || m.Counts["repaired_texts"] != 1 {
		t.Fatalf("%v: %v", err, m)
	}
	row := read(t, at.Out)[0]
	for p, err := range dataset.Rows[Pair](context.Background(), filepath.Join(at.Out, pairsDir)) {
		if err != nil || p.RejectedReason != "leak_answer" || len(p.Prompt) != 3 || fmt.Sprint(p.Prompt) != fmt.Sprint(row.Messages[:3]) ||
			p.Chosen[0] != row.Messages[3] {
			t.Errorf("%v: %+v", err, p)
		}
	}
}

// TestSamplesAreNotPaidTwice: a run that is broken off between the samples of an answer
// asks for the missing ones alone.
func TestSamplesAreNotPaidTwice(t *testing.T) {
	o := withConcurrency(plain(), 1)
	o.BestOf, o.LongChars, o.Prompts = 4, 1<<20, onlyQuestions(t)
	path := testfiles.JSONLines(t, about(3)...)
	at := testEnv(t, path)
	asked := map[string]int{}
	model := func(limit int) *scripted {
		return &scripted{answer: func(n int, r llm.Request) (llm.Response, error) {
			if n == limit {
				return llm.Response{}, context.DeadlineExceeded
			}
			asked[fmt.Sprint(r.Seed)]++
			return polite(n, r)
		}}
	}
	if _, err := Run(context.Background(), o, Models{Generator: model(7)}, at); err == nil {
		t.Fatal("not broken off")
	}
	if _, err := Run(context.Background(), o, Models{Generator: model(-1)}, at); err != nil {
		t.Fatal(err)
	}
	for seed, n := range asked {
		if n != 1 {
			t.Errorf("seed %s was asked %d times", seed, n)
		}
	}
	if len(asked) != 3*5 {
		t.Errorf("%d requests, want 15", len(asked))
	}
}
