package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
)

// fixture makes the directories of a small run. The numbers are made up.
func fixture(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	o := Options{
		Out: filepath.Join(dir, "report.html"), Title: "Fixture <run>",
		Facts:    []Fact{{"recipe", "quickstart"}, {"machine", "2 cores"}},
		Training: filepath.Join(dir, "train"), Base: filepath.Join(dir, "base.json"), Tuned: filepath.Join(dir, "tuned"),
		SampleRows: 2,
	}
	o.Stages = []string{filepath.Join(dir, "passages"), filepath.Join(dir, "translated")}
	o.Samples = o.Stages[1]
	writeStage(t, o.Stages[0], "wiki", struct{}{}, []dataset.Instruction{{ID: "1"}, {ID: "2"}},
		map[string]string{"3": "too_short", "4": "too_short", "5": "duplicate"}, nil)
	messages := func(question, answer string) []chat.Message {
		return []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}
	}
	rows := []dataset.Instruction{
		{ID: "a", Title: "Baghdad", Messages: messages("ما هي عاصمة العراق؟",
			"عاصمة العراق هي بغداد، وتقع على نهر دجلة."),
			MessagesEN: messages("What is the capital of Iraq?", "The capital of Iraq is Baghdad, on the river Tigris.")},
		{ID: "b", Title: "نهر النيل", Messages: messages("أين يصب نهر النيل؟",
			"يصب في البحر الأبيض المتوسط <شمالا>."), MessagesEN: messages("Where does the Nile end?", "In the Mediterranean <north>.")},
	}
	writeStage(t, o.Stages[1], "translate", languages{"eng_Latn", "arb_Arab"}, rows, nil, map[string]int64{"target": 1234567})
	var metrics strings.Builder
	for i := 1; i <= 900; i++ {
		val := ""
		if i%150 == 0 {
			val = fmt.Sprintf(", \"val_loss\": %.4f", 1.3+math.Abs(float64(i)-600)/1000)
		}
		fmt.Fprintf(&metrics, "{\"step\": %d, \"loss\": %.4f, \"lr\": %.3g, \"grad_norm\": %.3f, \"tokens\": %d%s}\n", i,
			0.9+1.6*math.Exp(-float64(i)/160)+0.1*math.Sin(float64(i*i)), 1e-4*min(1,
				float64(i)/50)*(1-float64(i)/1000), 0.8+0.3*math.Cos(float64(i*7)), i*16384, val)
	}
	write(t, filepath.Join(o.Training, "metrics.jsonl"), metrics.String())
	names := []string{"ACVA", "AlGhafa", "MMLU", "EXAMS", "ARC Challenge", "ARC Easy", "BOOLQ", "COPA", "HELLASWAG",
		"OPENBOOK QA", "PIQA", "RACE", "SCIQ", "TOXIGEN"}
	for i, path := range []string{o.Base, filepath.Join(o.Tuned, "results", "m", "leaderboard_2024-07-04T21-22-05.json")} {
		var rows []map[string]any
		for n, name := range names {
			rows = append(rows, map[string]any{"name": name, "score": 30.0 + float64(n*3+i*(9-n)), "stderr": 1.5,
				"majority": 26.0 + float64(n), "random": 25.0, "questions": 100})
		}
		text, err := json.Marshal(map[string]any{"model": []string{"google/gemma-2-2b", "barka-2b"}[i], "rows": rows,
			"average": 49.5 + 2.5*float64(i), "sampled": false})
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(text))
	}
	return o
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// languages are the options of a translation that a page needs.
type languages struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func writeStage(t *testing.T, dir, name string, options any, rows []dataset.Instruction, rejects map[string]string,
	tokens map[string]int64) {
	t.Helper()
	r, err := durable.Begin(dir, durable.Identity{Stage: name, Version: 1, Options: options}, false)
	if err != nil {
		t.Fatal(err)
	}
	w, err := durable.NewWriter[dataset.Instruction](r)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	for id, why := range rejects {
		if err := w.Reject(dataset.Instruction{ID: id}, dataset.Reject{Reason: why}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(durable.Final{Counts: map[string]int64{"in": int64(len(rows) + len(rejects))}, Tokens: tokens}); err != nil {
		t.Fatal(err)
	}
}

func TestWrite(t *testing.T) {
	o := fixture(t)
	if keep := os.Getenv("BARKA_REPORT_OUT"); keep != "" {
		o.Out = keep
	}
	if err := Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	html := string(text)
	for _, want := range []string{
		"<title>Fixture &lt;run&gt;</title>", "quickstart", "too short", "2 · 66.7 %", "40.0 %", "1,234,567",
		"900 steps, 14,745,600 tokens", "validation loss, best 1.300 at step 600", `<path class="val" d="M`, `<circle class="val"`,
		"google/gemma-2-2b", "barka-2b", "<td class=\"n up\">&#43;2.50</td>", "49.50", "52.00",
		"عاصمة العراق هي بغداد", "The capital of Iraq is Baghdad", "&lt;شمالا&gt;", `lang="ar-Arab" dir="rtl"`,
		`lang="en" dir="ltr"`, `prefers-color-scheme: dark`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if m := regexp.MustCompile(`(?i)(src|href|url)\s*[=(]\s*["']?[a-z/.]|@import|<script`).FindString(html); m != "" {
		t.Errorf("the page refers to something outside: %q", m)
	}
	if m := regexp.MustCompile(`NaN|Infinity|%!|ZgotmplZ`).FindString(html); m != "" {
		t.Errorf("the page shows %q", m)
	}
	if err := Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(o.Out)
	if err != nil || string(again) != html {
		t.Errorf("a second page of the same run differs (%v)", err)
	}
}

func TestWriteParts(t *testing.T) {
	whole := fixture(t)
	for name, o := range map[string]Options{
		"nothing":    {},
		"stages":     {Stages: whole.Stages},
		"base only":  {Base: whole.Base},
		"tuned only": {Tuned: whole.Tuned},
		"samples":    {Samples: whole.Samples},
	} {
		o.Out = whole.Out
		if err := Write(t.Context(), o); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, _ := os.ReadFile(o.Out)
		if m := regexp.MustCompile(`NaN|ZgotmplZ|<nil>`).FindString(string(text)); m != "" {
			t.Errorf("%s: the page shows %q", name, m)
		}
	}
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	write(t, bad, "{\"rows\": []}")
	write(t, filepath.Join(dir, "metrics.jsonl"), "{\"step\": 1}\n")
	for name, o := range map[string]Options{
		"no output":      {},
		"no stage":       {Out: whole.Out, Stages: []string{filepath.Join(dir, "none")}},
		"no metrics":     {Out: whole.Out, Training: filepath.Join(dir, "none")},
		"no loss":        {Out: whole.Out, Training: dir},
		"no table":       {Out: whole.Out, Base: filepath.Join(dir, "none")},
		"empty table":    {Out: whole.Out, Base: bad},
		"no table below": {Out: whole.Out, Tuned: dir},
		"no samples":     {Out: whole.Out, Samples: filepath.Join(dir, "none.jsonl")},
	} {
		if err := Write(t.Context(), o); !badinput.Is(err) {
			t.Errorf("%s: error %v, want bad input", name, err)
		}
	}
}

// TestPartial: what was measured is there, also where no row of the
// leaderboard is whole; it is marked, and has a difference only where both
// models answered the same questions.
func TestPartial(t *testing.T) {
	dir := t.TempDir()
	part := func(name string, run int, partial float64, tasks string) string {
		path := filepath.Join(dir, name)
		write(t, path, fmt.Sprintf(`{"leaderboard": "oall", "title": "Open Arabic LLM Leaderboard v1", "model": "m", "same_answers": ["acva: the model answers x to all of 30 questions."], "rows": [
			{"name": "ACVA", "key": "community|acva:_average", "tasks": 58, "tasks_run": %d, "score": null, "partial_score": %v, "stderr": 2.5, "majority": 60, "random": 50, "questions": 30},
			{"name": "EXAMS", "key": "community|arabic_exams", "tasks": 1, "tasks_run": 0, "score": null, "partial_score": null, "stderr": null}], "average": null, "sampled": false,
			"tasks": {"community|xstory_cloze:ar|0": {"questions": 9, "metric": "acc", "score": 0.5, "majority": 0.5, "random": 0.5}, %s}}`, run, partial, tasks))
		return path
	}
	iraq, oman := `"community|acva:Iraq|0": {"questions": 15, "score": 0.4, "majority": 0.6, "random": 0.5}`,
		`"community|acva:Oman|0": {"questions": 15, "score": 0.8, "majority": 0.6, "random": 0.5}`
	before, after := part("1.json", 2, 60, iraq+", "+oman), part("2.json", 2, 65, iraq+", "+oman)
	other := part("3.json", 1, 40, iraq)

	c, err := readComparison(before, after)
	if err != nil || len(c.Rows) != 1 || c.Rows[0].Mark != "partial: 2 of 58 tasks" || c.Rows[0].Change() != 5 ||
		len(c.NotRun) != 1 || len(c.Tasks) != 3 || c.Tasks[0].Name != "acva:Iraq" || c.Tasks[2].Base != 50 || len(c.Same) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = readComparison(before, other)
	if err != nil || c.Rows[0].Mark != "partial: 2 of 58 tasks before, 1 of 58 tasks after" ||
		c.Rows[0].ChangeText() != "other questions" || c.Tasks[1].Base != 80 || c.Tasks[1].Known(c.Tasks[1].Tuned) ||
		c.Tasks[0].ChangeText() != "0.00" {
		t.Errorf("%+v, %v", c, err)
	}
	out := filepath.Join(dir, "page.html")
	if err := Write(t.Context(), Options{Out: out, Base: before}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Open Arabic LLM Leaderboard v1", "partial: 2 of 58 tasks", "Not run: EXAMS.",
		"acva:Oman", "xstory_cloze:ar", "60.00", "x to all of 30 questions", "<summary>Tasks (3)"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestLanguages: the samples' languages and directions are those of the run,
// or those asked for; what is not known is left to the reader's browser.
func TestLanguages(t *testing.T) {
	dir := t.TempDir()
	rows := []dataset.Instruction{{ID: "a", Messages: []chat.Message{{Role: "user", Content: "Où ?"}},
		MessagesEN: []chat.Message{{Role: "user", Content: "איפה?"}}}}
	translation, clean := filepath.Join(dir, "translated"), filepath.Join(dir, "clean")
	writeStage(t, translation, "translate", languages{"heb_Hebr", "fra_Latn"}, rows, nil, nil)
	writeStage(t, clean, "filter", struct{}{}, rows, nil, nil)
	for name, c := range map[string]struct {
		o    Options
		want []string
	}{
		"of the samples": {Options{Samples: translation}, []string{`<div lang="he" dir="rtl">`, `<div lang="fr" dir="ltr">`}},
		"of the run": {Options{Samples: clean, Stages: []string{translation, clean}},
			[]string{`<div lang="he" dir="rtl">`, `<div lang="fr" dir="ltr">`}},
		"asked for": {Options{Samples: translation, From: "eng_Latn", To: "pbt_Arab"},
			[]string{`<div lang="en" dir="ltr">`, `Arab" dir="rtl">`}},
		"not known": {Options{Samples: clean}, []string{`<div dir="auto"><span class="role"><bdi>user</bdi></span>Où`}},
	} {
		c.o.Out = filepath.Join(dir, "page.html")
		if err := Write(t.Context(), c.o); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		page, err := os.ReadFile(c.o.Out)
		for _, want := range c.want {
			if err != nil || !strings.Contains(string(page), want) {
				t.Errorf("%s: %v, the page lacks %q", name, err, want)
			}
		}
	}
}

// TestTrainingResumed: steps trained twice count once.
func TestTrainingResumed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	write(t, path, "{\"step\": 1, \"loss\": 3, \"tokens\": 10}\n{\"step\": 2, \"loss\": 9, \"tokens\": 10}\n{\"step\": "+
		"3, \"loss\": 9, \"tokens\": 10}\n{\"eval_loss\": 1}\n{\"step\": 2, \"loss\": 2, \"tokens\": 10}\n{\"step\": 3, "+
		"\"loss\": 1, \"tokens\": 10}\n")
	got, err := readTraining(path)
	if err != nil || got.Steps != 3 || got.FirstLoss != 3 || got.LastLoss != 1 || got.Tokens != 30 {
		t.Errorf("%+v, %v", got, err)
	}
	write(t, path, "{\"step\": 5, \"loss\": 2.5}\n")
	if got, err = readTraining(path); err != nil || got.LastLoss != 2.5 {
		t.Errorf("one step: %+v, %v", got, err)
	}
}

// TestDifferentLeaderboards: evaluations of two versions of the leaderboard
// have rows of the same names and are not put side by side.
func TestDifferentLeaderboards(t *testing.T) {
	dir := t.TempDir()
	table := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	old := table("leaderboard_1.json", `{"model": "m", "rows": [{"name": "EXAMS", "score": 30}]}`)
	v1 := table("leaderboard_2.json", `{"leaderboard": "oall", "model": "m", "rows": [{"name": "EXAMS", "score": 31}]}`)
	v2 := table("leaderboard_3.json", `{"leaderboard": "oall-v2", "model": "m", "rows": [{"name": "EXAMS", "score": 32}]}`)
	if c, err := readComparison(old, v1); err != nil || len(c.Rows) != 1 || c.Rows[0].Change() != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := readComparison(v1, v2); !badinput.Is(err) || !strings.Contains(err.Error(), "oall-v2") {
		t.Errorf("two versions: %v", err)
	}
}

// TestExtremeMetrics: a page is made of losses of every size, and soon; a
// million steps take no time that grows with their square.
func TestExtremeMetrics(t *testing.T) {
	for name, losses := range map[string][]float64{
		"1e17": {1e17, 1e17}, "neighbours": {1e17, math.Nextafter(1e17, 2e17)}, "largest": {math.MaxFloat64, -math.MaxFloat64}, "one": {3},
		"smallest": {5e-324, 0}, "zero": {0, 0}, "negative": {-1e17, -1e17}, "far apart": {1e-300, 1e300}, "nothing else": {2, 2, 2},
	} {
		var b strings.Builder
		for i, loss := range losses {
			fmt.Fprintf(&b, "{\"step\": %d, \"loss\": %g, \"lr\": %g, \"grad_norm\": %g}\n", i, loss, loss, loss)
		}
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		write(t, path, b.String())
		got, err := readTraining(path)
		if err != nil || len(got.Loss) > 20_000 {
			t.Errorf("%s: %v, a drawing of %d bytes", name, err, len(got.Loss))
		}
	}
	for _, c := range [][2]float64{{0, 0}, {1e17, 1e17}, {0, math.Inf(1)}, {math.NaN(), 1}, {1, 0}, {-math.MaxFloat64, math.MaxFloat64}} {
		if got := ticks(c[0], c[1], 5); len(got) > 10 {
			t.Errorf("%v: %d ticks", c, len(got))
		}
	}
	many := make([]point, 1_000_000)
	for i := range many {
		many[i] = point{float64(i), 1}
	}
	if got := smoothed(many); len(got) > mostPoints+1 || got[len(got)-1] != many[len(many)-1] {
		t.Errorf("%d points, the last %v", len(got), got[len(got)-1])
	}
}
