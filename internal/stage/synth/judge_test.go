package synth

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/testfiles"
)

func TestReadVerdict(t *testing.T) {
	for text, want := range map[string]verdict{
		"It is correct.\nScore: 4":                                    {4, "It is correct."},
		"**Score:** 5/5\nThe answer is right.":                        {5, "The answer is right."},
		"<think>Score: 1?</think>Good.\n\nFinal score: 3.5 out of 5.": {3.5, "Good."},
		`{"reason": "misses it", "score": 2}`:                         {2, "misses it"},
		"```json\n{\"score\": \"4\", \"reason\": \"fine\"}\n```":      {4, "fine"},
		"الجواب صحيح.\nالدرجة: ٤":                                     {4, "الجواب صحيح."},
		"التقييم: 2 من 5":                                             {2, ""},
		"Score: 3\nScore: 3":                                          {3, ""},
	} {
		if got, ok := readVerdict(text); !ok || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "It is good.", "Score: 7", "Score: 0", "Score: -3", "Score: 2\nScore: 5", "<think>Score: 4",
		"Score: high", `{"score": 9}`, "The score of the match was 4 to 2.", "Score: 4 to 5"} {
		if got, ok := readVerdict(text); ok {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
	if v, _ := readVerdict(strings.Repeat("long ", 1000) + "\nScore: 2"); len(v.reason) > maxReason {
		t.Errorf("a reason of %d bytes", len(v.reason))
	}
}

// verdicts is a judge that gives the score which a function finds in its prompt.
func verdicts(score func(call int, prompt string) string) *scripted {
	return &scripted{answer: func(n int, r llm.Request) (llm.Response, error) {
		a, err := stop(score(n, r.Messages[0].Content))
		a.Cost = 0.5
		return a, err
	}}
}

// judged are options with single questions alone.
func judged() Options {
	o := withConcurrency(plain(), 1)
	o.Prompts, o.LongChars = "", 1<<20
	o.SkipChecks = append(o.SkipChecks, "kind_question", "repeated_answer")
	return o
}

// onlyQuestions is the built-in set with one kind, so that each passage takes two calls.
func onlyQuestions(t *testing.T) string {
	return promptDir(t, map[string]string{kindsFile: "kinds: [{name: how, ask: Ask how.}]\n"})
}

// TestJudge: rows below the threshold are rejected with their score, others have it in
// their columns; verdicts are not paid for twice and are not among the generator's tokens.
func TestJudge(t *testing.T) {
	o := judged()
	o.Prompts = onlyQuestions(t)
	at := testEnv(t, testfiles.JSONLines(t, about(4)...))
	judge := verdicts(func(_ int, prompt string) string {
		if strings.Contains(prompt, "topic-2.") {
			return "It misses the question.\nScore: 3"
		}
		return "It is right.\nScore: 4"
	})
	m, err := Run(context.Background(), o, Models{&scripted{answer: polite}, judge}, at)
	if err != nil {
		t.Fatal(err)
	}
	if m.Counts["out"] != 3 || m.Counts["rejected_judge"] != 1 || len(judge.calls) != 4 {
		t.Errorf("counts %v, %d calls of the judge", m.Counts, len(judge.calls))
	}
	want := map[string]int64{"prompt": 60, "completion": 30, "judge_prompt": 30, "judge_completion": 15,
		"rejected_prompt": 20, "rejected_completion": 10, "rejected_judge_prompt": 10, "rejected_judge_completion": 5}
	if fmt.Sprint(m.Tokens) != fmt.Sprint(want) || m.Cost["kept"] != 1.5 || m.Cost["rejected"] != 0.5 || m.Cost["judge"] != 2 {
		t.Errorf("tokens %v, cost %v", m.Tokens, m.Cost)
	}
	if Money(m) != "paid 1.5000 for kept rows and 0.5000 for rejected ones, of that 2.0000 to the judge" {
		t.Error(Money(m))
	}
	for _, r := range read(t, at.Out) {
		if r.Judge != "scripted" || r.JudgeScore != 4 || r.JudgeReason != "It is right." {
			t.Errorf("row %+v", r)
		}
	}
	for r, err := range dataset.Rows[rejectedRow](context.Background(), filepath.Join(at.Out, dataset.RejectedDir)) {
		if err != nil || r.ID != "p2" || r.JudgeScore != 3 || r.JudgeReason != "It misses the question." ||
			!strings.Contains(r.Detail, "answer/0: score 3 of 5") || len(r.Answers) != 3 {
			t.Errorf("%v: rejected %+v", err, r)
		}
	}
	if !strings.Contains(judge.calls[0].Messages[0].Content, goodAnswer) || judge.calls[0].Temperature != 0 {
		t.Errorf("the judge is asked %+v", judge.calls[0])
	}
	o.JudgeThreshold = 3
	if _, err := Run(context.Background(), o, Models{&scripted{answer: polite}, judge}, at); err == nil ||
		!strings.Contains(err.Error(), "judge_threshold") {
		t.Errorf("another threshold: %v", err)
	}
}

// TestUnreadableVerdicts: a verdict that cannot be read is asked for again, and after that
// the row is rejected with a reason of its own.
func TestUnreadableVerdicts(t *testing.T) {
	o := judged()
	o.Prompts = onlyQuestions(t)
	at := testEnv(t, testfiles.JSONLines(t, about(2)...))
	judge := verdicts(func(n int, prompt string) string {
		if strings.Contains(prompt, "topic-1.") || n == 0 {
			return "I cannot say."
		}
		return "Score: 5"
	})
	m, err := Run(context.Background(), o, Models{&scripted{answer: polite}, judge}, at)
	if err != nil || m.Counts["rejected_judge_unreadable"] != 1 || m.Counts["out"] != 1 {
		t.Fatalf("%v, %v", err, m)
	}
	if len(judge.calls) != 2+o.Attempts || judge.calls[1].Temperature == 0 || judge.calls[1].Seed == judge.calls[0].Seed {
		t.Errorf("%d calls, the second %+v", len(judge.calls), judge.calls[1])
	}
}

// TestJudgeIsInterrupted: a run that ends between answer and verdict asks for neither again.
func TestJudgeIsInterrupted(t *testing.T) {
	o := judged()
	path := testfiles.JSONLines(t, about(6)...)
	good := func(int, string) string { return "Right.\nScore: 5" }
	whole := testEnv(t, path)
	generator, judge := &scripted{answer: polite}, verdicts(good)
	if _, err := Run(context.Background(), o, Models{generator, judge}, whole); err != nil {
		t.Fatal(err)
	}
	at := testEnv(t, path)
	asked := len(generator.calls) + len(judge.calls)
	generator, judge = &scripted{answer: polite}, verdicts(good)
	ctx, cancel := context.WithCancel(context.Background())
	inner := judge.answer
	judge.answer = func(n int, r llm.Request) (llm.Response, error) {
		if n == 3 {
			cancel()
			return llm.Response{}, ctx.Err()
		}
		return inner(n, r)
	}
	if _, err := Run(ctx, o, Models{generator, judge}, at); err == nil {
		t.Fatal("not interrupted")
	}
	if _, err := Run(context.Background(), o, Models{generator, judge}, at); err != nil {
		t.Fatal(err)
	}
	if n := len(generator.calls) + len(judge.calls); n != asked+1 { // the call that was cancelled
		t.Errorf("%d calls, want %d and the cancelled one", n, asked)
	}
	sameFiles(t, "continued", at.Out, whole.Out)
}

// TestJudgeNeedsItsPrompt: a set without judge.txt is refused before anything is asked.
func TestJudgeNeedsItsPrompt(t *testing.T) {
	o := judged()
	o.Prompts = promptDir(t, map[string]string{judgePrompt: ""})
	s := &scripted{answer: polite}
	_, err := Run(context.Background(), o, Models{s, s}, testEnv(t, testfiles.JSONLines(t, about(1)...)))
	if err == nil || !strings.Contains(err.Error(), judgePrompt) || len(s.calls) > 0 {
		t.Errorf("%v after %d calls", err, len(s.calls))
	}
}

// TestJudgeFails: a judge that does not answer fails the request, and asked again the
// directory is that of a run without failures, with its pairs and its ledger.
func TestJudgeFails(t *testing.T) {
	o := options()
	o.Prompts = promptDir(t, map[string]string{kindsFile: "kinds: [{name: how, ask: Ask how.}]\n"})
	o.BestOf, o.Pairs = 3, true
	path := testfiles.JSONLines(t, about(9)...)
	bad := func(c asked) bool { return c.about("topic-2.") || c.about("topic-4.") }
	e := newEndpoint(t, nil)
	generator := sampler{&scripted{answer: func(_ int, r llm.Request) (llm.Response, error) {
		a, err := polite(0, r)
		if !asksForQuestion(r) {
			a.Text = a.Text + []string{" The first guest drinks.", " The second one drinks.", " The last one drinks."}[r.Seed%3]
		}
		a.Cost = 0.25
		return a, err
	}}}
	e.answer = func(c asked) llm.Response {
		a, _ := stop("Because.\nScore: " + map[bool]string{true: "2", false: "5"}[c.about("The second one drinks.")])
		return a
	}
	models := Models{generator, e.client(t)}
	whole := testEnv(t, path)
	if _, err := Run(context.Background(), o, models, whole); err != nil {
		t.Fatal(err)
	}
	if testfiles.Tree(t, whole.Out)["pairs/part-00000-of-00001.parquet"] == "" {
		t.Fatal("no pairs")
	}
	e.fault = func(w http.ResponseWriter, c asked) bool { return bad(c) && filtered(w) }
	at := testEnv(t, path)
	m, err := Run(context.Background(), o, models, at)
	if err != nil || m.Counts["rejected_request_filtered"] != 2 {
		t.Fatalf("%v: %v", err, m)
	}
	e.fault, at.Retry = nil, true
	if _, err := Run(context.Background(), o, models, at); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "asked again", at.Out, whole.Out)
}
