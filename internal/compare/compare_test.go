package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/parquet"
)

// textRow is a details row as lighteval writes it if Arrow refuses the types: every cell is
// text as Python prints it.
type textRow struct {
	Choices     string `parquet:"choices"`
	Example     string `parquet:"example"`
	FullPrompt  string `parquet:"full_prompt"`
	GoldIndex   string `parquet:"gold_index"`
	Metrics     string `parquet:"metrics"`
	Predictions string `parquet:"predictions"`
}

// asked returns questions with two choices. The first choice is right; 1 stands for a right
// answer, 0 for a wrong one.
func asked(answers string) []textRow {
	var rows []textRow
	for i, a := range answers {
		scores := "[(-1.5, True), (-7.25, False)]"
		if a == '0' {
			scores = "[(-9.5, False), (-2.0, True)]"
		}
		query := fmt.Sprintf("السؤال: الجملة %d.\nالإجابة:", i)
		rows = append(rows, textRow{"['صح', 'خطأ']", query, query, "[0]", fmt.Sprintf("{'acc_norm': %c}", a), scores})
	}
	return rows
}

const stamp = "2024-07-04T21-22-05.321098"

// evaluation writes an output directory with these details.
func evaluation(t *testing.T, details map[string][]textRow) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, "m", stamp, details)
	return root
}

func write(t *testing.T, root, model, stamp string, details map[string][]textRow) {
	t.Helper()
	dir := filepath.Join(root, "details", model, stamp)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for task, rows := range details {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("details_%s_%s.parquet", task, stamp)))
		if err != nil {
			t.Fatal(err)
		}
		w, err := parquet.NewWriter(f, reflect.TypeFor[textRow]())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// compared compares two output directories.
func compared(t *testing.T, a, b string, o Options) (*Comparison, error) {
	t.Helper()
	runA, err := Open(a)
	if err != nil {
		return nil, err
	}
	runB, err := Open(b)
	if err != nil {
		return nil, err
	}
	return Compare(runA, runB, o)
}

func mustCompare(t *testing.T, a, b string, o Options) *Comparison {
	t.Helper()
	c, err := compared(t, a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompare(t *testing.T) {
	a := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("1110000000"),
		"community|copa_ext_ar|0": asked("1010"), "community|piqa_ar|0": asked("1")})
	b := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("1101111000"),
		"community|copa_ext_ar|0": asked("1010"), "community|boolq_ar|0": asked("1")})
	var flips []Flip
	c := mustCompare(t, a, b, Options{Seed: 42, Flips: func(f Flip) error { flips = append(flips, f); return nil }})
	iraq := c.Tasks[0]
	if iraq.Task != "community|acva:Iraq|0" || iraq.Questions != 10 || !near(iraq.A, 0.3, 1e-12) || !near(iraq.B, 0.6, 1e-12) ||
		iraq.OnlyA != 1 || iraq.OnlyB != 4 || !near(iraq.McNemar, 0.375, 1e-12) || !near(iraq.Holm, 0.75, 1e-12) {
		t.Errorf("%+v", iraq)
	}
	if iraq.Low > 0 || iraq.High < 0.3 || iraq.Bootstrap < 0.05 || iraq.Bootstrap > 0.5 {
		t.Errorf("interval %v … %v, p %v", iraq.Low, iraq.High, iraq.Bootstrap)
	}
	if len(c.Rows) != 1 || c.Rows[0].Task != "COPA" || c.Average.Questions != 0 || c.All.Questions != 14 || !near(c.All.A,
		5.0/14, 1e-12) || c.All.OnlyB != 4 {
		t.Errorf("rows %+v, average %+v, all %+v", c.Rows, c.Average, c.All)
	}
	if strings.Join(c.OnlyA, "") != "community|piqa_ar" || strings.Join(c.OnlyB, "") != "community|boolq_ar" {
		t.Errorf("only A: %v, only B: %v", c.OnlyA, c.OnlyB)
	}
	if len(flips) != 5 || flips[0].Question != 3 || flips[0].A != "صح" || flips[0].B != "خطأ" || flips[0].Gold != "صح" ||
		flips[0].Outcome() != "only A is right" || flips[1].LogProbsB[0] != -1.5 {
		t.Errorf("flips %+v", flips)
	}
	// A task's interval does not depend on the other tasks or the order of the questions.
	alone := mustCompare(t, evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("1110000000")}), b, Options{Seed: 42})
	if alone.Tasks[0].Low != iraq.Low || alone.Tasks[0].High != iraq.High || alone.Tasks[0].Bootstrap != iraq.Bootstrap {
		t.Errorf("alone %+v, among others %+v", alone.Tasks[0], iraq)
	}
	same := mustCompare(t, a, a, Options{})
	if same.All.McNemar != 1 || same.All.Bootstrap != 1 || same.All.Low != 0 || same.All.High != 0 ||
		!strings.Contains(strings.Join(same.Notes, "\n"), "same evaluation") {
		t.Errorf("a run against itself: %+v %v", same.All, same.Notes)
	}
}

// TestBoards: all rows and the averages of both leaderboards, which weight tasks and not
// questions.
func TestBoards(t *testing.T) {
	for board, average := range map[tasks.Leaderboard]float64{tasks.V1: 0.25, tasks.V2: 0.25} {
		before, after := map[string][]textRow{}, map[string][]textRow{}
		list, err := tasks.ParseList(string(board))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range list {
			name := s.Task.Key() + "|0"
			// Every second task is longer, and not better.
			before[name], after[name] = asked("1000"), asked("1100")
			if i%2 == 1 {
				before[name], after[name] = asked("10001000"), asked("11001100")
			}
			if s.Task.Metric == tasks.Judged {
				before[name] = []textRow{{"['الجواب']", "س", "س", "[0]", "{'llm_as_judge': 0.25}", `['كلمة']`}}
				after[name] = []textRow{{"['الجواب']", "س", "س", "[0]", "{'llm_as_judge': 0.5}", `['كلمات']`}}
			}
		}
		c := mustCompare(t, evaluation(t, before), evaluation(t, after), Options{Resamples: 200})
		if c.Leaderboard != board || len(c.Rows) != len(board.TableRows()) || !near(c.Average.B-c.Average.A, average, 1e-12) ||
			c.Average.Low <= 0 || c.Average.Task != "Average" {
			t.Errorf("%s: %d rows, average %+v", board, len(c.Rows), c.Average)
		}
		for _, text := range []string{c.Markdown(true), html(t, c, nil)} {
			if !strings.Contains(text, "Average") || strings.Contains(text, "NaN") || strings.Contains(text, "54.17") != (board == tasks.V1) {
				t.Errorf("%s:\n%s", board, text)
			}
		}
		encoded, err := json.Marshal(c.Record(nil))
		if err != nil || !strings.Contains(string(encoded), `"average":{"name":"Average"`) {
			t.Errorf("%v: %s", err, encoded)
		}
	}
}

func html(t *testing.T, c *Comparison, flips []Flip) string {
	t.Helper()
	text, err := c.HTML(flips, true)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestPublishedOnRequest: published figures are on the page only on request.
func TestPublishedOnRequest(t *testing.T) {
	details := map[string][]textRow{"community|copa_ext_ar|0": asked("1010")}
	c := mustCompare(t, evaluation(t, details), evaluation(t, details), Options{Resamples: 20})
	for _, with := range []bool{false, true} {
		page, err := c.HTML(nil, with)
		if err != nil || strings.Contains(page, "Gemma-2-9b-it") != with || strings.Contains(c.Markdown(with), "Gemma-2-9b-it") != with {
			t.Errorf("asked for %v: %v", with, err)
		}
	}
}

// TestSameAnswers: a run with the same answer to everything is named in every output
// format.
func TestSameAnswers(t *testing.T) {
	stuck := asked("11111111")
	for i := range stuck {
		if i%2 == 1 { // the other choice is right
			stuck[i].GoldIndex, stuck[i].Metrics = "[1]", "{'acc_norm': 0}"
		}
	}
	free := make([]textRow, len(stuck))
	copy(free, stuck)
	for i := range free {
		if i%4 == 1 {
			free[i].Metrics, free[i].Predictions = "{'acc_norm': 1}", "[(-9.5, False), (-2.0, True)]"
		}
	}
	c := mustCompare(t, evaluation(t, map[string][]textRow{"community|acva:Iraq|0": stuck}), evaluation(t,
		map[string][]textRow{"community|acva:Iraq|0": free}), Options{Resamples: 20})
	want := "A, acva: the model answers \u2068صح\u2069 to all of 8 questions; it is right for 50.0 %."
	encoded, err := json.Marshal(c.Record(nil).Notes)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{c.Markdown(false), html(t, c, nil), string(encoded)} {
		if !strings.Contains(text, want) || strings.Contains(text, "B, acva") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestPublished: the figures are those of their source, and are consistent.
func TestPublished(t *testing.T) {
	p, ok := PublishedFor(tasks.V1)
	var base, tuned float64
	for _, h := range tasks.V1.TableRows() {
		f, ok := p.Figures[h.Name]
		if !ok {
			t.Fatalf("%s has no published figures", h.Name)
		}
		base, tuned = base+f[0]/14, tuned+f[1]/14
	}
	if all := p.Figures["Average"]; !ok || !near(base, all[0], 0.005) || !near(tuned, all[1], 0.005) {
		t.Errorf("means %v and %v, printed %v", base, tuned, all)
	}
	// With the run's own figure for AlGhafa.
	if !near(base-2.0/14, 56.34, 0.005) || !strings.Contains(p.Note, "56.34") {
		t.Errorf("%v: %s", base-2.0/14, p.Note)
	}
	if _, ok := PublishedFor(tasks.V2); ok {
		t.Error("figures for version 2")
	}
}

// TestOtherQuestions: different questions are refused with both counts; with Common those
// in both are compared.
func TestOtherQuestions(t *testing.T) {
	long, short := asked("11110000"), asked("1100")
	short[0], short[1] = short[1], short[0] // the order does not matter
	a := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": long})
	b := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": short})
	_, err := compared(t, a, b, Options{})
	if !badinput.Is(err) || !strings.Contains(err.Error(), "8 questions in A, 4 in B, 4 in both") ||
		!strings.Contains(err.Error(), "--common") {
		t.Errorf("error %v", err)
	}
	c := mustCompare(t, a, b, Options{Common: true})
	if c.All.Questions != 4 || c.All.OnlyA != 2 || !strings.Contains(strings.Join(c.Notes, "\n"), "other run "+
		"does not have them: 4 questions of A, 0 of B") {
		t.Errorf("%+v %v", c.All, c.Notes)
	}
	// The same text with another answer is another question, and repeated questions are
	// paired in order.
	twice := append(asked("1"), asked("1")...)
	contrary := append(asked("1"), asked("1")...)
	contrary[1].GoldIndex = "[1]"
	a, b = evaluation(t, map[string][]textRow{"community|acva:Iraq|0": twice}), evaluation(t,
		map[string][]textRow{"community|acva:Iraq|0": contrary})
	if c := mustCompare(t, a, b, Options{Common: true}); c.All.Questions != 1 {
		t.Errorf("%+v", c.All)
	}
	other := evaluation(t, map[string][]textRow{"community|piqa_ar|0": long})
	for name, o := range map[string]string{"no task in common": other, "no question in common": evaluation(t,
		map[string][]textRow{"community|acva:Iraq|0": {{"['a', 'b']", "?", "?", "[0]", "{'acc_norm': 1}", "[]"}}})} {
		if _, err := compared(t, a, o, Options{Common: true}); !badinput.Is(err) || !strings.Contains(err.Error(),
			strings.TrimPrefix(name, "no ")) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestNotes: differences in shots, prompts, choices and options are noted.
func TestNotes(t *testing.T) {
	a := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("10"), "community|copa_ext_ar|0": asked("10"),
		"community|copa_ext_ar|5": asked("11")})
	rows := asked("11")
	rows[0].FullPrompt, rows[1].Choices = "<user>"+rows[0].FullPrompt, "['0', '1']"
	b := evaluation(t, map[string][]textRow{"community|acva:Iraq|5": rows, "community|copa_ext_ar|0": asked("10"),
		"community|copa_ext_ar|5": asked("11")})
	write(t, b, "older", "2023-01-01T00-00-00", map[string][]textRow{"community|acva:Iraq|0": asked("0")})
	for dir, general := range map[string]string{
		a: `{"model_name": "x", "model_dtype": "torch.bfloat16", "max_samples": null, "config": null}`,
		b: `{"model_name": "y", "model_dtype": "int8", "max_samples": null, "config": {"alghafa_choices": "index"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "details", "m", "results_"+stamp+".json"),
			[]byte(`{"config_general": `+general+`}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := mustCompare(t, a, b, Options{})
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{"B: of 2 evaluations this is the newest, " + stamp + " of y", "type of " +
		"the weights is torch.bfloat16 in A, int8 in B", "--alghafa is as usual in A, index in B",
		"The runs have different numbers of examples in: community|acva:Iraq|0→5", "The prompts of 1 of 6 questions differ",
		"The scored choices of 1 of 6 questions differ", "0 of 3 tasks have p (McNemar) below 0.05"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "--max-samples is") || len(c.Tasks) != 3 || len(c.Rows) != 1 || c.Rows[0].A != 0.5 {
		t.Errorf("tasks %+v, rows %+v, notes %s", c.Tasks, c.Rows, notes)
	}
}

// TestFlipPage: a flip is shown with its answers, and the question's text cannot break out
// of its element on the page.
func TestFlipPage(t *testing.T) {
	f := Flip{Task: "community|acva:Iraq|0", Question: 2, Prompt: "<script>alert(1)</script>", Choices: []string{"صح", "خطأ"},
		Gold: "خطأ", A: "صح", B: "خطأ", ScoreB: 1, LogProbsA: []float64{-1, -2}, LogProbsB: []float64{-3, -1}}
	answers := f.Answers()
	if len(answers) != 2 || !answers[0].A || answers[0].B || answers[0].Gold || !answers[1].Gold || answers[1].LogProbB != -1 {
		t.Errorf("%+v", answers)
	}
	judged := Flip{Choices: []string{"الجواب"}, Gold: "الجواب", A: "كذا", B: "كذلك", ScoreA: 0.3, ScoreB: 0.7}
	if answers := judged.Answers(); len(answers) != 3 || answers[1].Text != "كذا" || !answers[2].B ||
		judged.Outcome() != "A is marked 0.30, B 0.70" {
		t.Errorf("%+v, %s", answers, judged.Outcome())
	}
	e := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("01")})
	c := mustCompare(t, e, evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("11")}), Options{})
	page := html(t, c, []Flip{f})
	if strings.Contains(page, "<script>") || !strings.Contains(page, `dir="auto">&lt;script&gt;`) || !strings.Contains(page,
		"only B is right") || strings.Contains(page, "http:") || strings.Contains(page, "https:") {
		t.Error(page)
	}
}

// TestDetails reads files that lighteval itself wrote, with Arrow's types.
func TestDetails(t *testing.T) {
	q, err := readQuestions("testdata/lighteval/xstory_cloze_ar.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if len(q) != 4 || q[0].metric != "acc" || q[0].choices[0] != " نهاية." || q[0].gold != 0 || q[0].value != 1 ||
		q[0].scores[0] != -22.97107696533203 {
		t.Errorf("%+v", q)
	}
	for path, want := range map[string]float64{"acva_Yemen": 0.4, "xstory_cloze_ar": 0.5} { // as in results.json
		q, err := readQuestions("testdata/lighteval/" + path + ".parquet")
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, x := range q {
			sum += x.value / float64(len(q))
			if chosen := x.answer() == x.goldText(); chosen != (x.value == 1) {
				t.Errorf("%s: chose %q of %q, value %v", path, x.answer(), x.choices, x.value)
			}
		}
		if math.Abs(sum-want) > 1e-12 {
			t.Errorf("%s: mean %v, want %v", path, sum, want)
		}
	}
}
