package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/eval/evaltest"
	"barka/internal/llm"
)

// TestJudgeMessages compares with the reference's template, filled in by Python.
func TestJudgeMessages(t *testing.T) {
	got := judgeMessages("سؤال", "جواب", "صحيح")
	want := []string{
		"أنت مقيّم محايد خبير باللغة العربية. يجب عليك:\n1. تقييم دقة الإجابة مقارنة بالإجابة الصحيحة\n2. التحقق من أن " +
			"الإجابة مدعومة بالسياق المقدم\n3. تقييم جودة وشمولية الإجابة\n\nمهم جداً: يجب أن يكون ردك رقماً فقط من 0 " +
			"إلى 10. لا تضف أي نص أو تفسير.",
		"السؤال: سؤال\n\nالإجابة المقدمة: جواب\n\nالإجابة الصحيحة: صحيح\n\nأعط تقييماً من 0 إلى 10:\n0-2: إجابة خاطئة " +
			"تماماً\n3-4: إجابة جزئية مع أخطاء\n5-6: إجابة متوسطة\n7-8: إجابة جيدة\n9-10: إجابة ممتازة\n\nاكتب رقماً " +
			"فقط من 0 إلى 10 بدون أي نص إضافي:",
	}
	if len(got) != 2 || got[0].Role != "system" || got[1].Role != "user" || got[0].Content != want[0] || got[1].Content != want[1] {
		t.Errorf("%q, want %q", got, want)
	}
}

// fakeWriter is a fake model that answers a prompt with the prompt's last line.
type fakeWriter struct {
	*hashModel
	wrote *atomic.Int64
	stop  int64 // fail after this number of answers; 0: never
}

func newFakeWriter() fakeWriter { return fakeWriter{newHashModel(), new(atomic.Int64), 0} }

func (w fakeWriter) Generate(_ context.Context, prompts []string, n int, _ bool, done func(int, string) error) error {
	for i, p := range prompts {
		if w.stop > 0 && w.wrote.Load() >= w.stop {
			return errors.New("stopped")
		}
		w.wrote.Add(1)
		lines := strings.Split(strings.TrimSpace(p), "\n")
		if err := done(i, fmt.Sprintf("%d: %s", n, lines[len(lines)-1])); err != nil {
			return err
		}
	}
	return nil
}

// judge is a fake judge whose mark is the last digit of the answer.
type judge struct {
	asked  *atomic.Int64
	fail   int64  // fails from this request on; 0: never
	refuse string // requests for answers with this end are refused; "": none
}

func (judge) Name() string { return "test/judge" }

func (j judge) Complete(_ context.Context, r llm.Request) (llm.Response, error) {
	if n := j.asked.Add(1); j.fail > 0 && n >= j.fail {
		return llm.Response{}, errors.New("no answer (is the server running?)")
	}
	if len(r.Messages) != 2 || r.Temperature != 0 || r.MaxTokens != 512 {
		return llm.Response{}, fmt.Errorf("unexpected request %+v", r)
	}
	answer, _, _ := strings.Cut(r.Messages[1].Content, "\n\nالإجابة الصحيحة: ")
	if j.refuse != "" && strings.HasSuffix(answer, j.refuse) {
		return llm.Response{}, &llm.RequestError{Kind: llm.Filtered, Err: errors.New("flagged")}
	}
	if strings.HasSuffix(answer, "4") {
		return llm.Response{Text: "لا أعرف"}, nil
	}
	return llm.Response{Text: answer[len(answer)-1:] + " من عشرة"}, nil
}

func judgedOptions(t *testing.T, j llm.Client) Options {
	t.Helper()
	o := fixtureOptions(t, "alrage_qa,aratrust:Ethics")
	o.Judge = j
	return o
}

// TestJudgedRun: answers are generated and marked, the mean of the marks is the task's
// result, and paid answers are not requested again.
func TestJudgedRun(t *testing.T) {
	m, j := newFakeWriter(), judge{asked: new(atomic.Int64)}
	o := judgedOptions(t, j)
	out, err := Run(t.Context(), m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The fixture's last passages end in 0 to 4: marks 0, 0.1, 0.2, 0.3, and
	// 0 for the judgement without a number.
	if m.wrote.Load() != 5 || j.asked.Load() != 5 {
		t.Errorf("%d answers, %d judgements, want 5 of each", m.wrote.Load(), j.asked.Load())
	}
	text, err := os.ReadFile(out.ResultsPath)
	if err != nil {
		t.Fatal(err)
	}
	var results struct {
		General struct{ Config map[string]string } `json:"config_general"`
		Results map[string]map[string]float64
	}
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}
	got := results.Results["community|alrage_qa|0"]
	// Sample standard deviation of 0, 0.1, 0.2, 0.3, 0 over the root of 5.
	if math.Abs(got["llm_as_judge"]-0.12) > 1e-15 || math.Abs(got["llm_as_judge_stderr"]-0.05830951894845301) > 1e-15 {
		t.Errorf("results %v", got)
	}
	if diff := cmp.Diff(map[string]string{"leaderboard": "oall-v2", "token_border": "guarded",
		"alghafa_choices": "index", "judge": "test/judge"}, results.General.Config); diff != "" {
		t.Error(diff)
	}
	row := out.Leaderboard.Rows[5]
	if row.Name != "ALRAGE" || math.Abs(row.Score-12) > 1e-12 || !math.IsNaN(row.Majority) || row.Questions != 5 {
		t.Errorf("%+v", row)
	}
	if !strings.Contains(out.Leaderboard.Markdown(), "| ALRAGE | 12.00 | 5.83 | — | — | — | — | 5 |") {
		t.Error(out.Leaderboard.Markdown())
	}
	rows := evaltest.ReadDetails(t, filepath.Join(out.DetailsDir, "details_community|alrage_qa|0_2024-07-04T21-22-05.321098.parquet"))
	for name, want := range map[string]string{"metrics": "map[llm_as_judge:0.", "predictions": "[200: ",
		"cont_tokens": "[]", "specifics": "map[judgement:"} {
		if got := fmt.Sprint(rows[0][name]); !strings.HasPrefix(got, want) {
			t.Errorf("%s = %s, want %s…", name, got, want)
		}
	}
	again, err := Run(t.Context(), m, o, nil)
	if err != nil || again.Scored != 0 || m.wrote.Load() != 5 || j.asked.Load() != 5 {
		t.Errorf("second run: %v, %d scored, %d answers and %d judgements in all", err, again.Scored, m.wrote.Load(), j.asked.Load())
	}
}

// TestJudgeResume: generated answers and marks are kept if the run ends early.
func TestJudgeResume(t *testing.T) {
	whole := judgedOptions(t, judge{asked: new(atomic.Int64)})
	if _, err := Run(t.Context(), newFakeWriter(), whole, nil); err != nil {
		t.Fatal(err)
	}
	m, asked := newFakeWriter(), new(atomic.Int64)
	o := judgedOptions(t, judge{asked: asked})
	m.stop = 3
	if _, err := Run(t.Context(), m, o, nil); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Fatalf("error %v, want the model's", err)
	}
	m.stop = 0
	// If the judge fails, its task is left out, and the other one runs.
	o.Judge = judge{asked: asked, fail: 3}
	out, err := Run(t.Context(), m, o, nil)
	if err == nil || badinput.Is(err) || out == nil || len(out.Failures) != 1 ||
		out.Failures[0].Task != "community|alrage_qa" || out.Questions != 3 {
		t.Fatalf("outcome %+v, %v", out, err)
	}
	if m.wrote.Load() != 5 {
		t.Errorf("%d answers were written, of 5", m.wrote.Load())
	}
	before := asked.Load()
	o.Judge = judge{asked: asked}
	if _, err := Run(t.Context(), m, o, nil); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load() - before; n != 3 || m.wrote.Load() != 5 {
		t.Errorf("%d judgements were asked for again, want the 3 that failed; %d answers", n, m.wrote.Load())
	}
	if diff := cmp.Diff(tree(t, whole.OutputDir), tree(t, o.OutputDir)); diff != "" {
		t.Errorf("continued and uninterrupted runs differ:\n%.2000s", diff)
	}
}

// TestJudgeRefuses: a refused request leaves out the task, but the other questions are
// still sent. The next run sends only the refused ones.
func TestJudgeRefuses(t *testing.T) {
	m, asked := newFakeWriter(), new(atomic.Int64)
	o := judgedOptions(t, judge{asked: asked, refuse: "2"})
	out, err := Run(t.Context(), m, o, nil)
	if err == nil || out == nil || len(out.Failures) != 1 || out.Questions != 3 ||
		!strings.Contains(out.Failures[0].Err.Error(), "1 of 5 answers have no mark, the first is that of question ") {
		t.Fatalf("outcome %+v, %v", out, err)
	}
	if asked.Load() != 5 {
		t.Errorf("%d of 5 questions were asked", asked.Load())
	}
	o.Judge = judge{asked: asked}
	if _, err := Run(t.Context(), m, o, nil); err != nil || asked.Load() != 6 {
		t.Errorf("%v; %d requests in all, want one more", err, asked.Load())
	}
}

// TestNoJudge: without a judge, or with a model that only scores, the judged
// task is skipped with the reason, and the others run.
func TestNoJudge(t *testing.T) {
	for name, c := range map[string]struct {
		m    Model
		j    llm.Client
		want string
	}{
		"no judge":     {newFakeWriter(), nil, "--judge-url"},
		"cannot write": {newHashModel(), judge{asked: new(atomic.Int64)}, "does not request"},
	} {
		out, err := Run(t.Context(), c.m, judgedOptions(t, c.j), nil)
		if err != nil || len(out.Skipped) != 1 || out.Skipped[0].Task != "community|alrage_qa" ||
			!strings.Contains(out.Skipped[0].Err.Error(), c.want) || out.Questions != 3 {
			t.Errorf("%s: %+v, %v", name, out, err)
			continue
		}
		if extra, err := os.ReadFile(out.LeaderboardJSON); err != nil ||
			!strings.Contains(string(extra), "a judge marks its answers") && name == "no judge" {
			t.Errorf("%s: %v, %s", name, err, extra)
		}
	}
	o := fixtureOptions(t, "alrage_qa")
	if out, err := Run(t.Context(), newFakeWriter(), o, nil); !badinput.Is(err) || len(out.Skipped) != 1 {
		t.Errorf("nothing to run: %+v, %v", out, err)
	}
}
