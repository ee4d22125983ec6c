package audit_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/audit"
	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/eval/tasks"
	"barka/internal/parquet"
	"barka/internal/progress"
)

func TestTrainingRows(t *testing.T) {
	dir := t.TempDir()
	asked := "تقع مدينة بغداد على ضفاف نهر دجلة في وسط العراق وهي عاصمته"
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"),
		statement{asked + ".", "صح"}, statement{"كلمتان فقط", "خطأ"}, statement{"نهر النيل يمر ببغداد.", "خطأ"})
	type row struct {
		ID       string         `json:"id"`
		Messages []chat.Message `json:"messages"`
	}
	say := func(id, text string) row { return row{id, []chat.Message{{Role: "user", Content: text}}} }
	train := filepath.Join(dir, "train.jsonl")
	write(t, train,
		say("vowels", "قيل: تَقَعُ مَدينة بغداد على ضفاف نهر دِجلة في وسط العراق، وهى عاصمتة!"),
		say("other", "لا شيء من هذا كله يشبه أي سؤال من الأسئلة المعروفة هنا"),
		say("touches", "كان يقال إن مدينة بغداد على ضفاف نهر دجلة في وسط القصيدة القديمة"),
		say("short", "هل صحيح أن نهر النيل يمر ببغداد؟"),
		say("english", "Is the largest city on the river Tigris really the capital of Iraq?"))
	english := filepath.Join(dir, "english.jsonl")
	write(t, english, statement{Question: "The largest city on the river Tigris is really the capital of Iraq."},
		statement{Question: "is the largest city on the river Tigris really the capital of iraq"})

	o := options(dir)
	o.Training, o.Originals = []string{train}, []string{english}
	r := run(t, o, "community|acva:Iraq|0|0")
	got := map[string]string{}
	for _, d := range r.Overlap.Rows {
		got[d.ID] = fmt.Sprintf("%s %d %.2f", filepath.Base(d.Task), d.Question, d.Share)
	}
	want := map[string]string{"vowels": "community|acva:Iraq 1 1.00", "short": "community|acva:Iraq 3 1.00",
		"english": "english.jsonl 2 1.00"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("to drop %v, want %v", got, want)
	}
	set := r.Overlap.Datasets[0]
	if set.Rows != 5 || set.Touching != 4 || set.Drop != 3 || r.Overlap.TooShort != 1 {
		t.Errorf("%+v, %d too short", set, r.Overlap.TooShort)
	}

	out := filepath.Join(dir, "out")
	if err := r.Write(out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(out, audit.DropFile))
	if err != nil || strings.Count(string(data), "\n") != 3 {
		t.Errorf("%s holds %q, %v", audit.DropFile, data, err)
	}
}

// TestOneSequenceAlone: a training row with a question that is a common phrase is no leak,
// unless it also holds the answer. A question that the benchmark repeats often is not a
// common phrase for that reason.
func TestOneSequenceAlone(t *testing.T) {
	dir := t.TempDir()
	stem := "أي من العبارات التالية هي العبارة الصحيحة تماما" // eight words
	write(t, filepath.Join(dir, "OALL/Arabic_MMLU/anatomy/test.jsonl"),
		question{stem + "؟", "القلب أربع حجرات", "القلب حجرتان", "القلب ثلاث حجرات", "القلب حجرة", "A", "x"},
		question{"كم عدد حجرات القلب؟", "أربع", "خمس", "ست", "سبع", "A", "x"},
		question{"ما هو ناتج الضرب؟", "+", "-", "*", "/", "A", "x"})
	var often []statement
	for range 30 {
		often = append(often, statement{"تقع مدينة بغداد على ضفاف نهر دجلة في وسط العراق.", "صح"})
	}
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"), often...)
	type row struct {
		ID   any    `json:"id"`
		Text string `json:"text"`
	}
	train := filepath.Join(dir, "train.jsonl")
	write(t, train, row{1, stem + " عن المعادن؟ توصل الكهرباء"}, row{2, stem + "؟ القلب أربع حجرات."},
		row{"three", "كم عدد حجرات القلب في هذه القصة؟"},
		row{"four", "كم عدد حجرات القلب؟ أربع"}, row{5, "تقع مدينة بغداد علی ضفاف نهر دجلة فی وسط العراق"}, row{nil, "ما هو ناتج الضرب؟ +"})
	o := options(dir)
	o.Training = []string{train}
	r := run(t, o, "community|arabic_mmlu:anatomy|0|0,community|acva:Iraq|0|0")
	got := map[string]string{}
	for _, d := range r.Overlap.Rows {
		got[d.ID] = fmt.Sprintf("%s %d", d.Task[len("community|"):], d.Question)
	}
	want := map[string]string{"2": "arabic_mmlu:anatomy 1", "four": "arabic_mmlu:anatomy 2", "5": "acva:Iraq 1"}
	if fmt.Sprint(got) != fmt.Sprint(want) || r.Overlap.TooShort != 1 {
		t.Errorf("to drop %v, want %v; %d too short", got, want, r.Overlap.TooShort)
	}
	if n := r.Tasks[0].Contaminated; n != 30 {
		t.Errorf("%d questions of acva:Iraq are in training, want all 30, which are equal", n)
	}
	if f := r.Overlap.Datasets[0].Families; f["arabic_mmlu"] != 2 || f["acva"] != 1 {
		t.Errorf("by family: %v", f)
	}
}

// TestPartsOfOriginals: a premise and its question are searched separately, and a short one
// together with an option.
func TestPartsOfOriginals(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"), statement{"نهر النيل يمر ببغداد.", "خطأ"})
	type copa struct {
		Premise  string `json:"premise"`
		Choice1  string `json:"choice1"`
		Choice2  string `json:"choice2"`
		Question string `json:"question"`
	}
	originals := filepath.Join(dir, "copa.jsonl")
	write(t, originals, copa{"The man turned on the faucet.", "The toilet filled with water.", "Water flowed from the spout.", "effect"})
	train := filepath.Join(dir, "train.jsonl")
	write(t, train, statement{Question: "The man turned on the faucet. What was the effect? A) The toilet filled with " +
		"water! B) Water flowed from the spout!"},
		statement{Question: "The man turned on the faucet and washed his hands."})
	o := options(dir)
	o.Training, o.Originals = []string{train}, []string{originals}
	r := run(t, o, "community|acva:Iraq|0|0")
	if len(r.Overlap.Rows) != 1 || r.Overlap.Rows[0].Row != 1 || r.Overlap.Rows[0].Asks != "The man turned on the faucet. effect" {
		t.Errorf("to drop %+v, want the first row", r.Overlap.Rows)
	}
}

// TestScoresWithoutDefects: scores of an evaluation's answers, in its order, on all
// questions and on those without defects.
func TestScoresWithoutDefects(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"),
		statement{"بغداد عاصمة العراق.", "صح"}, statement{"بغداد عاصمة العراق.", "صح"}, statement{"النيل يمر بالعراق.", "صح"},
		statement{"النيل يمر بالعراق.", "خطأ"}, statement{"دجلة نهر طويل يجري في العراق.", "صح"})
	type answered struct {
		Example     string `parquet:"example"`
		FullPrompt  string `parquet:"full_prompt"`
		Choices     string `parquet:"choices"`
		GoldIndex   string `parquet:"gold_index"`
		Metrics     string `parquet:"metrics"`
		Predictions string `parquet:"predictions"`
	}
	details := t.TempDir()
	file := filepath.Join(details, "details_community|acva:Iraq|0_2026-01-31T12-00-00.000000.parquet")
	answers := func(questions string) {
		var rows []answered
		for q := range strings.SplitSeq(questions, "|") {
			prompt := "السؤال: " + q[1:] + "\nالإجابة:"
			rows = append(rows, answered{prompt, prompt, "['صح', 'خطأ']", "[0]", "{'acc_norm': " + q[:1] + "}",
				"[(-1.5, True), (-2.5, False)]"})
		}
		if err := parquet.WriteFile(file, rows); err != nil {
			t.Fatal(err)
		}
	}
	answers("0النيل يمر بالعراق.|1دجلة نهر طويل يجري في العراق.|1بغداد عاصمة العراق.|1النيل يمر بالعراق.|1بغداد عاصمة العراق.|1سؤال آخر")
	o := options(dir)
	o.Details = []string{details}
	r := run(t, o, "community|acva:Iraq|0|0")
	want := audit.Score{Name: "community|acva:Iraq|0", Rows: 5, All: 0.8, Clean: 2, OnClean: 1}
	if len(r.Scores) != 1 || r.Scores[0].Tasks[0] != want || r.Scores[0].Unknown != 1 || r.Scores[0].Families[0].OnClean != 1 {
		t.Errorf("%+v, want %+v and one unknown", r.Scores, want)
	}
	if text := r.Markdown(); !strings.Contains(text, "| acva | 5 | 80.00 | 2 | 100.00 | +20.00 |") ||
		!strings.Contains(text, ": 1 answer to questions that") {
		t.Errorf("no scores in %s", text)
	}
	// One of the two is in a training set.
	o.Training = []string{filepath.Join(dir, "train.jsonl")}
	write(t, o.Training[0], statement{Question: "دجلة نهر طويل يجري في العراق"})
	r = run(t, o, "community|acva:Iraq|0|0")
	if got := r.Scores[0].Tasks[0]; got.Clean != 1 || got.OnClean != 1 {
		t.Errorf("with a training set: %+v", got)
	}
	answers("1سؤال آخر")
	var err error
	if o.Tasks, err = tasks.ParseList("community|acva:Iraq|0|0"); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Run(t.Context(), o, progress.Silent); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "has no answer to any question") {
		t.Errorf("answers to nothing that is here: %v", err)
	}
}

// TestThreadsDoNotMatter: the report is the same on one thread and on many.
func TestThreadsDoNotMatter(t *testing.T) {
	dir := t.TempDir()
	var asked []statement
	for i := range 50 {
		asked = append(asked, statement{fmt.Sprintf("تقع المدينة رقم %d على ضفاف النهر رقم %d في وسط البلد رقم %d", i, i*i, i+7), "صح"})
	}
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"), asked...)
	var rows []statement
	for i := range 3000 {
		rows = append(rows, statement{Question: asked[i%50].Question + " " + asked[(i*7)%50].Question})
	}
	train := filepath.Join(dir, "train.jsonl")
	write(t, train, rows...)
	var first string
	for _, threads := range []int{1, 2, 7} {
		o := options(dir)
		o.Training, o.Threads = []string{train}, threads
		r := run(t, o, "community|acva:Iraq|0|0")
		if len(r.Overlap.Rows) != 3000 {
			t.Fatalf("%d rows to drop", len(r.Overlap.Rows))
		}
		text := fmt.Sprint(r.Overlap.Rows, r.Findings, r.Overlap.Datasets)
		if first == "" {
			first = text
		} else if text != first {
			t.Errorf("%d threads give another report", threads)
		}
	}
}

// BenchmarkOverlap compares 20,000 training rows, each of 64 Arabic and 64
// English words, with 5,000 questions.
func BenchmarkOverlap(b *testing.B) {
	dir := b.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	letters := []rune("ابتثجحخدذرزسشصضطظعغفقكلمنهوي")
	text := func(n int, from []rune) string {
		var t strings.Builder
		for range n {
			for range 2 + rnd.IntN(6) {
				t.WriteRune(from[rnd.IntN(len(from))])
			}
			t.WriteByte(' ')
		}
		return t.String()
	}
	var asked, rows []statement
	for range 5000 {
		asked = append(asked, statement{text(12, letters), "صح"})
	}
	for range 20000 {
		rows = append(rows, statement{text(64, letters), text(64, []rune("abcdefghijklmnopqrstuvwxyz"))})
	}
	write(b, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"), asked...)
	train := filepath.Join(dir, "train.jsonl")
	write(b, train, rows...)
	o := options(dir)
	o.Training = []string{train}
	for b.Loop() {
		run(b, o, "community|acva:Iraq|0|0")
	}
	b.ReportMetric(20000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
