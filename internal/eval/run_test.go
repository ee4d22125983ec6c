package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/parquet"
	"barka/internal/testfiles"
)

const fixtureDir = "testdata/hub"

// fixtureRow is a line of a table that fixture.py wrote to testdata.
type fixtureRow struct {
	questions, truncated, padded int
	prompts, inputs, conts       string
}

// fixtureTables holds the tables of the leaderboard's two versions.
var fixtureTables = map[tasks.Leaderboard]string{tasks.V1: "testdata/digests.tsv", tasks.V2: "testdata/digests_v2.tsv"}

func fixtureDigests(t *testing.T, b tasks.Leaderboard) map[string]fixtureRow {
	t.Helper()
	text, err := os.ReadFile(fixtureTables[b])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]fixtureRow{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		f := strings.Split(line, "\t")
		number := func(s string) int {
			n, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		out[f[0]] = fixtureRow{number(f[1]), number(f[5]), number(f[6]), f[2], f[3], f[4]}
	}
	return out
}

// fixtureLength is fixture.py's limit of an input's length.
const fixtureLength = 160

func fixtureOptions(t *testing.T, list string) Options {
	t.Helper()
	if list == "" {
		list = strings.Join(slices.Sorted(maps.Keys(fixtureDigests(t, tasks.V1))), "|0|0,") + "|0|0"
	}
	selections, err := tasks.ParseList(list)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Date(2024, 7, 4, 21, 22, 5, 321098000, time.UTC)
	return Options{
		Tasks: selections, DataDir: fixtureDir, OutputDir: t.TempDir(), BatchSize: 2,
		Now: func() time.Time { return clock },
	}
}

// tree reads all files below a directory, except the score logs.
func tree(t *testing.T, dir string) map[string]string {
	return testfiles.Tree(t, dir, func(name string) bool { return filepath.Base(filepath.Dir(name)) == "cache" })
}

func TestFixtureRun(t *testing.T) {
	for _, board := range tasks.Leaderboards {
		t.Run(string(board), func(t *testing.T) { fixtureRun(t, board) })
	}
}

func fixtureRun(t *testing.T, board tasks.Leaderboard) {
	m := newHashModel()
	m.maxLength = fixtureLength
	digests := fixtureDigests(t, board)
	o := fixtureOptions(t, strings.Join(slices.Sorted(maps.Keys(digests)), "|0|0,")+"|0|0")
	out, err := Run(t.Context(), m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(o.OutputDir, "results", "test", "hash-model", "results_2024-07-04T21-22-05.321098.json")
	if out.ResultsPath != want {
		t.Errorf("results at %s, want %s", out.ResultsPath, want)
	}
	text, err := os.ReadFile(out.ResultsPath)
	if err != nil {
		t.Fatal(err)
	}
	var results struct {
		Summary map[string]struct {
			Hashes    map[string]string
			Truncated int
			Padded    int
			Unpadded  int `json:"non_padded"`
		} `json:"summary_tasks"`
	}
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}
	for key, want := range digests {
		s := results.Summary[key+"|0"]
		got := fixtureRow{want.questions, s.Truncated, s.Padded, s.Hashes["hash_examples"], s.Hashes["hash_input_tokens"],
			s.Hashes["hash_cont_tokens"]}
		if got != want || s.Hashes["hash_full_prompts"] != want.prompts {
			t.Errorf("%s:\n got %+v\nwant %+v", key, got, want)
		}
	}
	// Some synthetic subjects hold the same questions: five of ACVA, three of each MMLU,
	// with four choices. They are scored once.
	twice := map[tasks.Leaderboard]int{tasks.V1: 5 * 2, tasks.V2: 3*4 + 3*4}[board]
	if requests := out.Scored + out.Reused; out.Reused != twice || requests != int(m.asked.Load())+twice {
		t.Errorf("%d scored, %d reused, the model was asked %d", out.Scored, out.Reused, m.asked.Load())
	}
	again, err := Run(t.Context(), m, o, nil)
	if err != nil || again.Scored != 0 {
		t.Errorf("second run: %d scored, %v; want all reused", again.Scored, err)
	}
	copied, err := os.ReadFile(filepath.Join(o.OutputDir, "details", "test", "hash-model", filepath.Base(want)))
	if err != nil || !bytes.Equal(copied, text) {
		t.Errorf("the copy beside the details differs (%v)", err)
	}
}

func TestDetails(t *testing.T) {
	m := newHashModel()
	out, err := Run(t.Context(), m, fixtureOptions(t, "community|boolq_ar|0|1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out.DetailsDir, "details_community|boolq_ar|0_2024-07-04T21-22-05.321098.parquet")
	rows := evaltest.ReadDetails(t, path)
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 4", len(rows))
	}
	column := func(name string) string { return fmt.Sprint(rows[0][name]) }
	if prompt := column("full_prompt"); !strings.HasPrefix(prompt, "بناء على المقطع") || column("example") != prompt ||
		!strings.HasSuffix(prompt, "\n    ") {
		t.Errorf("prompt %q", prompt)
	}
	for name, want := range map[string]string{
		"choices": "[نعم لا]", "gold": "[]", "specifics": "<nil>", "truncated": "[0 0]", "pred_logits": "[]",
		"num_asked_few_shots": "0", "num_effective_few_shots": "0",
		// Both choices begin with the prompt's line break and spaces; the
		// shorter one is padded with the end token, 1, to its batch's width.
		"cont_tokens": "[[10 32 32 32 32 1606 1593 1605] [10 32 32 32 32 1604 1575 1]]",
	} {
		if got := column(name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{"input_tokens": "[[2 1576 1606 ", "predictions": "[[-",
		"metrics": "map[acc_norm:", "gold_index": "["} {
		if got := column(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s = %.40s, want %s…", name, got, want)
		}
	}
	file, err := parquet.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var columns []string
	for _, c := range file.Columns() {
		columns = append(columns, c.Name)
	}
	want := "choices cont_tokens example full_prompt gold gold_index input_tokens instruction metrics " +
		"num_asked_few_shots num_effective_few_shots padded pred_logits predictions specifics truncated"
	if got := strings.Join(columns, " "); got != want {
		t.Errorf("columns %s\nwant %s", got, want)
	}
}

// TestFailures: a task without data and one with a bad row are left out, and the others
// run. The error names what is missing and the command that downloads it.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixtureDir)); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "OALL/ACVA/Yemen/test.jsonl")
	if err := os.WriteFile(bad, []byte("{\"id\": \"1\", \"question\": \"س\", \"answer\": \"صح\"}\n{\"id\": "+
		"\"2\", \"question\": \"س\", \"answer\": \"نعم\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := fixtureOptions(t, "acva:Iraq,acva:Yemen,acva:Oman,race_ar")
	o.DataDir, o.DownloadErrors = dir, map[string]error{"OALL/ACVA": errors.New("the hub is away")}
	out, err := Run(t.Context(), newHashModel(), o, nil)
	if !badinput.Is(err) || out == nil {
		t.Fatalf("error %v, want bad input beside an outcome", err)
	}
	for _, want := range []string{"3 of 4 tasks", "community|acva:Yemen", "row 2", "نعم", "missing: Oman", "missing: race_ar",
		"barka download --dataset OALL/ACVA --cache-dir " + dir, "why: the hub is away", "barka eval convert"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if len(out.Failures) != 3 || out.Questions != 5 {
		t.Errorf("%d failures, %d questions", len(out.Failures), out.Questions)
	}
	if _, err := os.Stat(out.ResultsPath); err != nil {
		t.Error(err)
	}
	extra, err := os.ReadFile(out.LeaderboardJSON)
	if err != nil || !strings.Contains(string(extra), "left_out") {
		t.Errorf("%v, %s", err, extra)
	}
	o = fixtureOptions(t, "race_ar")
	if _, err := Run(t.Context(), newHashModel(), o, nil); !badinput.Is(err) {
		t.Errorf("nothing to run: error %v", err)
	}
	o.DataDir = filepath.Join(dir, "nowhere")
	if _, err := Run(t.Context(), newHashModel(), o, nil); !badinput.Is(err) {
		t.Errorf("no data directory: error %v", err)
	}
}

func TestFewShotRun(t *testing.T) {
	out, err := Run(t.Context(), newHashModel(), fixtureOptions(t,
		"community|arabic_mmlu:anatomy|2|1,community|arabic_mmlu:anatomy|0|1,lighteval|xstory_cloze:ar|1|0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(out.ResultsPath)
	for _, want := range []string{`"community|arabic_mmlu:anatomy|2"`, `"community|arabic_mmlu:anatomy|0"`,
		`"lighteval|xstory_cloze:ar|1"`, `"effective_few_shots": 2.0`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("results lack %s", want)
		}
	}
	// Version 2: examples of the native MMLU come from its dev split, those of
	// the human-translated one from the test split, balanced over the answers.
	o := fixtureOptions(t, "community|arabic_mmlu:Islamic Studies (High School)|2|0,community|arabic_mmlu_ht:anatomy|3|0")
	o.MaxSamples = 1
	if out, err = Run(t.Context(), newHashModel(), o, nil); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][]string{
		"arabic_mmlu:Islamic Studies (High School)|2": {"رقم 3؟\n", "د. أزرق\nالإجابة:ب\n\nما لون الشيء رقم 4؟\n"},
		"arabic_mmlu_ht:anatomy|3":                    {"\n1. أ", "الإجابة:1\n\n", "الإجابة:2\n\n", "الإجابة:4\n\n"},
	} {
		row := evaltest.ReadDetails(t, filepath.Join(out.DetailsDir, "details_community|"+key+"_2024-07-04T21-22-05.321098.parquet"))[0]
		for _, w := range want {
			if prompt := row["full_prompt"].(string); !strings.Contains(prompt, w) {
				t.Errorf("%s: the prompt %q lacks %q", key, prompt, w)
			}
		}
	}
	_, err = Run(t.Context(), newHashModel(), fixtureOptions(t, "community|arabic_mmlu:anatomy|3|1"), nil)
	if !badinput.Is(err) || !strings.Contains(err.Error(), "the few-shot split has 2") {
		t.Errorf("more examples than there are: error %v", err)
	}
}

// TestResume stops a run in the middle and continues it.
func TestResume(t *testing.T) {
	whole := fixtureOptions(t, "")
	reference := newHashModel()
	if _, err := Run(t.Context(), reference, whole, nil); err != nil {
		t.Fatal(err)
	}
	o := fixtureOptions(t, "")
	m := newHashModel()
	m.fail, m.err = 60, errors.New("stopped")
	if _, err := Run(t.Context(), m, o, nil); !errors.Is(err, m.err) {
		t.Fatalf("error %v, want the model's", err)
	}
	m.fail = 0
	before := m.asked.Load()
	out, err := Run(t.Context(), m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again := m.asked.Load() - before; again >= reference.asked.Load() || out.Scored != int(again) {
		t.Errorf("asked %d again, %d from the beginning", again, reference.asked.Load())
	}
	if diff := cmp.Diff(tree(t, whole.OutputDir), tree(t, o.OutputDir)); diff != "" {
		t.Errorf("continued and uninterrupted runs differ:\n%.2000s", diff)
	}
}

// TestKill kills a run with SIGKILL and continues it.
func TestKill(t *testing.T) {
	if dir := os.Getenv("BARKA_TEST_EVAL_CHILD"); dir != "" {
		o := fixtureOptions(t, "")
		o.OutputDir = dir
		if _, err := Run(t.Context(), slowModel{newHashModel()}, o, nil); err != nil {
			t.Fatal(err)
		}
		return
	}
	whole := fixtureOptions(t, "")
	if _, err := Run(t.Context(), newHashModel(), whole, nil); err != nil {
		t.Fatal(err)
	}
	o := fixtureOptions(t, "")
	child := exec.Command(os.Args[0], "-test.run=^TestKill$")
	child.Env = append(os.Environ(), "BARKA_TEST_EVAL_CHILD="+o.OutputDir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		logs, _ := filepath.Glob(filepath.Join(o.OutputDir, "cache", "*.log"))
		if len(logs) == 1 {
			if data, _ := os.ReadFile(logs[0]); bytes.Count(data, []byte("\n")) >= 8 {
				break
			}
		}
		if time.Now().After(deadline) {
			child.Process.Kill()
			t.Fatal("the child wrote no scores")
		}
		time.Sleep(2 * time.Millisecond)
	}
	child.Process.Kill()
	child.Wait()
	m := newHashModel()
	out, err := Run(t.Context(), m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Reused <= 10 || out.Scored == 0 {
		t.Errorf("%d reused and %d scored after the kill; it came too early or too late", out.Reused, out.Scored)
	}
	if diff := cmp.Diff(tree(t, whole.OutputDir), tree(t, o.OutputDir)); diff != "" {
		t.Errorf("continued and uninterrupted runs differ:\n%.2000s", diff)
	}
}

func TestEstimate(t *testing.T) {
	m := newHashModel()
	o := fixtureOptions(t, "acva:Iraq,copa_ext_ar")
	plan, err := Estimate(t.Context(), m, o, nil)
	if err != nil || m.asked.Load() != 0 {
		t.Fatalf("%v, asked %d", err, m.asked.Load())
	}
	if err := plan.Measure(t.Context(), m); err != nil || m.asked.Load() != 4 { // one question with two choices, twice
		t.Fatalf("%v, asked %d", err, m.asked.Load())
	}
	// "السؤال: الجملة 0.\nالإجابة:" is 26 characters and a beginning token;
	// the choices have 2 and 3 characters, of which the last is not read.
	want := TaskEstimate{Task: "community|acva:Iraq|0", Questions: 5, Requests: 10, Tokens: 5 * (27 + 1 + 27 + 2),
		SharedTokens: 5 * (27 + 1 + 2), Run: 5 * (27 + 1 + 27 + 2)}
	if diff := cmp.Diff(want, plan.Tasks[0]); diff != "" {
		t.Error(diff)
	}
	if plan.TokensPerSecond <= 0 || plan.ProbeTokens <= want.SharedTokens/5 {
		t.Errorf("%g tokens/s on a question of %d tokens, expected the longest", plan.TokensPerSecond, plan.ProbeTokens)
	}
}

// TestEstimateOfAnswers: a judged task counts its prompts and the longest
// answers to them.
func TestEstimateOfAnswers(t *testing.T) {
	o := judgedOptions(t, judge{})
	o.Tasks = fixtureOptions(t, "alrage_qa").Tasks
	m := newFakeWriter()
	plan, err := Estimate(t.Context(), m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The instruction has 57 characters, the headings 31, the question 19, the
	// passages 12, and the end 1; there is a beginning token.
	tokens := int64(5 * (1 + 57 + 31 + 19 + 12 + 1 + 200))
	if diff := cmp.Diff(TaskEstimate{Task: "community|alrage_qa|0", Questions: 5, Requests: 5, Tokens: tokens,
		SharedTokens: tokens, Run: tokens}, plan.Tasks[0]); diff != "" {
		t.Error(diff)
	}
	if err := plan.Measure(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if plan.TokensPerSecond <= 0 || m.wrote.Load() != 0 {
		t.Errorf("%g tokens/s, %d answers written", plan.TokensPerSecond, m.wrote.Load())
	}
	o.Judge = nil
	if _, err := Estimate(t.Context(), m, o, nil); !badinput.Is(err) {
		t.Errorf("nothing to run: %v", err)
	}
}

func TestLeaderboardTable(t *testing.T) {
	o := fixtureOptions(t, "community|copa_ext_ar|0|1")
	out, err := Run(t.Context(), newHashModel(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := out.Leaderboard
	if !math.IsNaN(l.Average) || len(l.Rows) != 14 {
		t.Errorf("average %v of one row", l.Average)
	}
	copa := l.Rows[7]
	if copa.Name != "COPA" || math.IsNaN(copa.Score) || copa.Random != 50 || math.Abs(copa.Majority-100*2.0/3) > 1e-9 || copa.Questions != 3 {
		t.Errorf("%+v", copa)
	}
	if !strings.Contains(l.Markdown(), "No average: 1 of 14 rows") {
		t.Error(l.Markdown())
	}
	text, err := os.ReadFile(out.LeaderboardJSON)
	var extra struct {
		Average *float64
		Rows    []struct{ Score *float64 }
		Tasks   map[string]struct{ Constant []float64 }
	}
	if err != nil || json.Unmarshal(text, &extra) != nil || extra.Average != nil || extra.Rows[7].Score == nil ||
		len(extra.Tasks["community|copa_ext_ar|0"].Constant) != 2 {
		t.Errorf("%v: %s", err, text)
	}
	if html, err := os.ReadFile(out.LeaderboardHTML); err != nil || !strings.Contains(string(html), "<td>COPA</td>") ||
		strings.Contains(string(html), "NaN") {
		t.Errorf("page: %v", err)
	}
	o.MaxSamples = 2
	if out, err = Run(t.Context(), newHashModel(), o, nil); err != nil || !out.Leaderboard.Sampled || out.Questions != 2 {
		t.Errorf("%d questions, sampled %v, %v", out.Questions, out.Leaderboard.Sampled, err)
	}
}

// TestPartialRows: a row without some of its tasks shows the mean of the others, is marked
// with their number, and is in no average.
func TestPartialRows(t *testing.T) {
	out, err := Run(t.Context(), newHashModel(), fixtureOptions(t, "acva:Iraq,acva:Yemen,community|copa_ext_ar|0|1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := out.Leaderboard
	acva := l.Rows[0]
	want := 50 * (l.Tasks[0].Score + l.Tasks[1].Score)
	if !acva.Partial() || acva.Run != 2 || acva.Tasks != 58 || math.Abs(acva.Score-want) > 1e-9 || math.IsNaN(acva.StdErr) ||
		acva.Questions != l.Tasks[0].Questions+l.Tasks[1].Questions || !math.IsNaN(l.Average) {
		t.Errorf("%+v, expected a score of %v", acva, want)
	}
	if l.Rows[7].Partial() || l.Rows[1].Partial() {
		t.Errorf("%+v", l.Rows)
	}
	for _, want := range []string{"| ACVA (partial: 2 of 58 tasks) | ", "| COPA | ", "No average: 1 of 14 rows " +
		"were run. Partial rows (1)", "| AlGhafa | — |"} {
		if !strings.Contains(l.Markdown(), want) {
			t.Errorf("no %q in\n%s", want, l.Markdown())
		}
	}
	if page, err := os.ReadFile(out.LeaderboardHTML); err != nil || !strings.Contains(string(page), "partial: 2 of 58 tasks") ||
		strings.Contains(string(page), "NaN") {
		t.Errorf("page: %v", err)
	}
	var extra struct {
		Rows []struct {
			Score   *float64
			Partial *float64 `json:"partial_score"`
			Tasks   int
			Run     int `json:"tasks_run"`
		}
	}
	text, err := os.ReadFile(out.LeaderboardJSON)
	if err != nil || json.Unmarshal(text, &extra) != nil || extra.Rows[0].Score != nil || extra.Rows[0].Partial == nil ||
		extra.Rows[0].Run != 2 || extra.Rows[7].Score == nil || extra.Rows[7].Partial != nil || extra.Rows[1].Run != 0 {
		t.Errorf("%v: %s", err, text)
	}
}

// TestBrokenScores: a task with a score of NaN is left out, with the question in the error,
// and the others run.
func TestBrokenScores(t *testing.T) {
	m := newHashModel()
	o := fixtureOptions(t, "community|boolq_ar|0|1,community|piqa_ar|0|1")
	m.broken = func(r Request) bool { return strings.Contains(characters(r.Context), "المقطع") }
	out, err := Run(t.Context(), m, o, nil)
	if !badinput.Is(err) || out == nil || len(out.Failures) != 1 || out.Failures[0].Task != "community|boolq_ar" {
		t.Fatalf("outcome %+v, %v", out, err)
	}
	for _, want := range []string{"1 of 2 tasks", "community|boolq_ar", "question 1 ", "NaN"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if text, err := os.ReadFile(out.ResultsPath); err != nil || !strings.Contains(string(text), "piqa_ar|0") ||
		strings.Contains(string(text), "boolq") {
		t.Errorf("results of the other task: %v\n%s", err, text)
	}
}

// backwards answers the last request first, as a model that sorts requests may do.
type backwards struct{ *hashModel }

func (m backwards) Score(ctx context.Context, reqs []Request, done func(int, Score) error) error {
	turned := slices.Clone(reqs)
	slices.Reverse(turned)
	return m.hashModel.Score(ctx, turned, func(i int, s Score) error { return done(len(reqs)-1-i, s) })
}

// TestFirstBrokenQuestion: of several questions without a score the error names the first
// in evaluation order, whatever the order of the answers, so that shards and a single
// process report the same.
func TestFirstBrokenQuestion(t *testing.T) {
	o := fixtureOptions(t, "acva:Iraq")
	e, err := prepare(t.Context(), newHashModel(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	questions := e.run.Tasks[0].Questions
	broken := map[record.Key]bool{record.KeyOf(questions[1].Requests[0]): true, record.KeyOf(questions[3].Requests[1]): true,
		record.KeyOf(questions[4].Requests[0]): true}
	for _, back := range []bool{false, true} {
		m := newHashModel()
		m.broken = func(r Request) bool { return broken[record.KeyOf(r)] }
		var asked Model = m
		if back {
			asked = backwards{m}
		}
		o := fixtureOptions(t, "acva:Iraq")
		if _, err := Run(t.Context(), asked, o, nil); !badinput.Is(err) || !strings.Contains(err.Error(), "question 2 in evaluation order") {
			t.Errorf("backwards %v: %v", back, err)
		}
	}
}
