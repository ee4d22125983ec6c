package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/parquet"
	"barka/internal/pipeline"
	"barka/internal/stage/eval"
	"barka/internal/stage/eval/audit"
	"barka/internal/stage/eval/tasks"
)

// write puts rows into a file as JSON lines.
func write[T any](t *testing.T, path string, rows ...T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, o audit.Options, list string) *audit.Report {
	t.Helper()
	var err error
	if o.Tasks, err = tasks.ParseList(list); err != nil {
		t.Fatal(err)
	}
	r, err := audit.Run(context.Background(), o, pipeline.Silent)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func found(r *audit.Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("%s %s %d %s", f.Task[strings.Index(f.Task, "|")+1:], f.Split, f.Row, f.Kind))
	}
	return out
}

func options(dir string) audit.Options {
	o := audit.Defaults()
	o.DataDir = dir
	return o
}

type statement struct {
	Question string `json:"question"`
	Answer   string `json:"answer,omitempty"`
}

type question struct {
	Question   string `json:"question"`
	A, B, C, D string
	Answer     string `json:"answer"`
	Subject    string `json:"subject"`
}

func TestRepetitionsWithinAFamily(t *testing.T) {
	dir := t.TempDir()
	yes, no := "صح", "خطأ"
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"),
		statement{"بغداد عاصمة العراق.", yes}, statement{"النيل يمر بالعراق.", no}, statement{"بغداد  عاصمة العراق. ", yes}, statement{"لا جواب لهذا السؤال.", ""})
	write(t, filepath.Join(dir, "OALL/ACVA/Yemen/test.jsonl"),
		statement{"صنعاء عاصمة اليمن.", yes}, statement{"النيل يمر بالعراق.", yes})
	write(t, filepath.Join(dir, "OALL/ACVA/Yemen/validation.jsonl"), statement{"صنعاء عاصمة اليمن.", yes})

	r := run(t, options(dir), "community|acva:Iraq|0|0,community|acva:Yemen|0|0,community|acva:Oman|0|0")
	want := []string{
		"acva:Iraq test 4 broken",
		"acva:Iraq test 3 duplicate",
		"acva:Iraq test 2 contradiction", "acva:Yemen test 2 contradiction",
		"acva:Yemen validation 1 duplicate",
	}
	got := found(r)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant %q", got, want)
	}
	if len(r.Skipped) != 1 || r.Skipped[0].Task != "community|acva:Oman" {
		t.Errorf("skipped %v, want Oman, which has no data", r.Skipped)
	}
	f := *r.Families[0]
	if f.Rows != 6 || f.Distinct != 4 || f.Questions != 3 || f.ContradictoryQuestions != 1 || f.ContradictoryRows != 2 {
		t.Errorf("family %+v", f)
	}
	// Iraq: two of three are true, one contradicted and one repeated; Yemen:
	// both are true, and one is contradicted.
	i, best, ok := f.Best()
	if f.Evaluated != 5 || f.Clean != 2 || !ok || i != 0 || math.Abs(best-(2.0/3+1)/2) > 1e-12 || f.Majority != best || !slices.Equal(f.Answers, []string{yes, no}) {
		t.Errorf("family %+v, best answer %d: %g", f, i, best)
	}
	text := r.Markdown()
	for _, want := range []string{"| acva | 2 | 6 | 3 | 1 | 2 |", "83.33 صح", "- community|acva:Oman is left out", "options of 2 and 3 characters every time (صح and خطأ)",
		"- community|acva:Iraq: 1 rows cannot be made questions, and an evaluation refuses the task; the first is test row 4: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	page, err := r.HTML()
	for _, want := range []string{`<td class="number">66.67</td>`, `<td>83.33 صح</td>`, "acva:Oman is left out"} {
		if err != nil || !strings.Contains(string(page), want) {
			t.Errorf("no %q in %s, %v", want, page, err)
		}
	}
	if get := r.Skipped[0].Get; !strings.Contains(get, "barka download --dataset OALL/ACVA") {
		t.Errorf("how to get it: %q", get)
	}
	iraq := r.Tasks[0]
	if !slices.Equal(iraq.Gold, []int{2, 1}) || iraq.Majority != 2.0/3 || iraq.Shortest != 2.0/3 || iraq.Longest != 1.0/3 {
		t.Errorf("answers %+v", iraq)
	}
	if !iraq.Biased() || !slices.Equal(iraq.FixedLengths, []int{2, 3}) {
		t.Errorf("options of %v characters are not called biased", iraq.FixedLengths)
	}
}

// leak words one question in several ways.
func leak(i int) question {
	verbs := []string{"اكتشاف", "كشف", "رصد", "الكشف عن", "معرفة"}
	return question{Question: "كيف يتم " + verbs[i%5] + " تزوير عنوان IP؟", A: "تثبيت نظام كشف الاختراق الذي يقرأ رأس IP",
		B: "مقارنة قيم TTL للعناوين الفعلية والمزيفة", C: "تنفيذ جدار حماية للشبكة", D: "تحديد جلسات TCP التي لم تكتمل بنجاح", Answer: string("AB"[i%2]), Subject: "x"}
}

func TestLeakedQuestionInManyWordings(t *testing.T) {
	dir := t.TempDir()
	subjects := []string{"anatomy", "virology", "sociology"}
	for s, subject := range subjects {
		rows := []question{
			{"ما عظم الفخذ؟", "أطول عظام الجسم", "عظم في اليد", "غضروف في الأنف", "مفصل", "A", subject},
			{"ما نوع السؤال رقم " + subject + " هنا؟", "سهل جدا", "صعب", "سهل جدا", "لا أعرف", "B", subject},
		}
		for i := range 8 {
			rows = append(rows, leak(s+i))
		}
		// The question is another, as in a translation that lost its own; and a
		// row that is twice as long.
		lost := leak(s)
		lost.Question = "متى بنيت مدينة بغداد ومن هو الخليفة الذي بناها؟"
		long := leak(s)
		long.D = "تحديد جلسات TCP التي لم تكتمل بنجاح </option> وهذا نص طويل آخر لا علاقة له بما قبله ولا بما بعده من كلام " + subject
		rows = append(rows, lost, long)
		write(t, filepath.Join(dir, "OALL/Arabic_MMLU", subject, "test.jsonl"), rows...)
	}
	r := run(t, options(dir), "community|arabic_mmlu:anatomy|0|0,community|arabic_mmlu:virology|0|0,community|arabic_mmlu:sociology|0|0")
	if len(r.Clusters) != 1 || r.Clusters[0].Rows != 30 || len(r.Clusters[0].Tasks) != 3 {
		t.Fatalf("clusters %+v, want one of 30 rows in 3 tasks", r.Clusters)
	}
	for _, task := range r.Tasks {
		if task.Leaked != 10 || task.SameOptions != 1 {
			t.Errorf("%s: %d leaked and %d with equal options, want 10 and 1", task.Task, task.Leaked, task.SameOptions)
		}
	}
}

// TestTemplateIsNoLeak: many questions in one wording, each of its own matter.
// Of a single task, one question in many wordings is found all the same.
func TestTemplateIsNoLeak(t *testing.T) {
	dir := t.TempDir()
	var scenarios, leaked []question
	for i := range 40 {
		leaked = append(leaked, leak(i))
		own := func(part int) string {
			return fmt.Sprintf("شخص%d ومكان%d وفعل%d وشيء%d", i*7+part, i*11+part, i*13+part, i*17+part)
		}
		scenarios = append(scenarios, question{"في أي من السيناريوهين التاليين تقوم الشخصية الرئيسية بعمل خاطئ أخلاقيا؟ السيناريو الأول: " + own(1) + ". السيناريو الثاني: " + own(2),
			"خاطئ في الأول وخاطئ في الثاني", "ليس خاطئا في الأول وخاطئ في الثاني", "خاطئ في الأول وليس خاطئا في الثاني", "ليس خاطئا في أي منهما", "A", "x"})
	}
	scenarios[0].A = "خاطئ في الأول وخاطئ في الثاني." // else the options were fixed
	write(t, filepath.Join(dir, "OALL/Arabic_MMLU/moral_scenarios/test.jsonl"), scenarios...)
	leaked = append(leaked, question{"ما عظم الفخذ؟", "أطول عظام الجسم", "عظم في اليد", "غضروف في الأنف", "مفصل", "A", "x"})
	write(t, filepath.Join(dir, "OALL/Arabic_MMLU/anatomy/test.jsonl"), leaked...)
	if r := run(t, options(dir), "community|arabic_mmlu:moral_scenarios|0|0"); len(r.Clusters) != 0 {
		t.Errorf("a template is called leaked: %+v", r.Clusters)
	}
	if r := run(t, options(dir), "community|arabic_mmlu:anatomy|0|0"); len(r.Clusters) != 1 || r.Tasks[0].Leaked != 40 {
		t.Errorf("a leak in the only task: %+v, %d rows", r.Clusters, r.Tasks[0].Leaked)
	}
}

func TestTrainingRows(t *testing.T) {
	dir := t.TempDir()
	asked := "تقع مدينة بغداد على ضفاف نهر دجلة في وسط العراق وهي عاصمته"
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"),
		statement{asked + ".", "صح"}, statement{"كلمتان فقط", "خطأ"}, statement{"نهر النيل يمر ببغداد.", "خطأ"})
	type row struct {
		ID       string             `json:"id"`
		Messages []pipeline.Message `json:"messages"`
	}
	say := func(id, text string) row { return row{id, []pipeline.Message{{Role: "user", Content: text}}} }
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
	want := map[string]string{"vowels": "community|acva:Iraq 1 1.00", "short": "community|acva:Iraq 3 1.00", "english": "english.jsonl 2 1.00"}
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

// TestOneSequenceAlone: a turn of phrase that one question consists of is no
// leak, unless the answer is there too; and a question that the benchmark
// repeats often is none for that.
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
	write(t, train, row{1, stem + " عن المعادن؟ توصل الكهرباء"}, row{2, stem + "؟ القلب أربع حجرات."}, row{"three", "كم عدد حجرات القلب في هذه القصة؟"},
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

// TestPartsOfOriginals: a premise and what is asked of it are looked for each
// by itself, and a short one with an option.
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
	write(t, train, statement{Question: "The man turned on the faucet. What was the effect? A) The toilet filled with water! B) Water flowed from the spout!"},
		statement{Question: "The man turned on the faucet and washed his hands."})
	o := options(dir)
	o.Training, o.Originals = []string{train}, []string{originals}
	r := run(t, o, "community|acva:Iraq|0|0")
	if len(r.Overlap.Rows) != 1 || r.Overlap.Rows[0].Row != 1 || r.Overlap.Rows[0].Asks != "The man turned on the faucet. effect" {
		t.Errorf("to drop %+v, want the first row", r.Overlap.Rows)
	}
}

// TestScoresWithoutDefects: answers of an evaluation, in its order, on all
// questions and on those that nothing is wrong with.
func TestScoresWithoutDefects(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"),
		statement{"بغداد عاصمة العراق.", "صح"}, statement{"بغداد عاصمة العراق.", "صح"}, statement{"النيل يمر بالعراق.", "صح"}, statement{"النيل يمر بالعراق.", "خطأ"}, statement{"دجلة نهر طويل يجري في العراق.", "صح"})
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
			rows = append(rows, answered{prompt, prompt, "['صح', 'خطأ']", "[0]", "{'acc_norm': " + q[:1] + "}", "[(-1.5, True), (-2.5, False)]"})
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
	if text := r.Markdown(); !strings.Contains(text, "| acva | 5 | 80.00 | 2 | 100.00 | +20.00 |") || !strings.Contains(text, "1 answers to questions") {
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
	if _, err := audit.Run(t.Context(), o, pipeline.Silent); !badinput.Is(err) || !strings.Contains(err.Error(), "run on other data") {
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

// TestVersion2: what letters and numbers stand for is read from the columns of
// version 2's datasets.
func TestVersion2(t *testing.T) {
	r := run(t, options("../testdata/hub"), "oall-v2")
	got := found(r)
	slices.Sort(got)
	// Made-up rows that the fixture has twice: in two subsets of the native and
	// the human-translated MMLU, and among those examples are drawn from; in
	// AlGhafa with other options.
	want := []string{
		"alghafa:multiple_choice_grounded_statement_soqal_task test 1 repeated", "alghafa:multiple_choice_grounded_statement_soqal_task test 2 repeated",
		"alghafa:multiple_choice_grounded_statement_soqal_task test 3 repeated",
		"arabic_mmlu:Islamic Studies (High School) dev 1 duplicate", "arabic_mmlu:Islamic Studies (High School) dev 2 duplicate",
		"arabic_mmlu:Islamic Studies (High School) test 1 duplicate", "arabic_mmlu:Islamic Studies (High School) test 2 duplicate",
		"arabic_mmlu:Islamic Studies (High School) test 3 duplicate",
		"arabic_mmlu_ht:virology test 1 duplicate", "arabic_mmlu_ht:virology test 2 duplicate", "arabic_mmlu_ht:virology test 3 duplicate",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant %q", got, want)
	}
	for _, task := range r.Tasks {
		if len(task.FixedLengths) > 0 {
			t.Errorf("%s: fixed options of %v characters; these are labels", task.Task, task.FixedLengths)
		}
	}
}

func TestOptionsAndDataThatCannotBeRight(t *testing.T) {
	list, err := tasks.ParseList("acva")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for want, o := range map[string]audit.Options{
		"no tasks":               {DataDir: dir, NGram: 8, Threshold: 0.5},
		"--data names":           {Tasks: list, NGram: 8, Threshold: 0.5},
		"sequences of 3 words":   {Tasks: list, DataDir: dir, NGram: 3, Threshold: 0.5},
		"threshold 0":            {Tasks: list, DataDir: dir, NGram: 8},
		"no data of any task":    {Tasks: list, DataDir: dir, NGram: 8, Threshold: 0.5},
		"no such file or direct": {Tasks: list, DataDir: filepath.Join(dir, "x"), NGram: 8, Threshold: 0.5},
	} {
		if _, err := audit.Run(context.Background(), o, pipeline.Silent); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestPublicBenchmarks finds the known defects of the benchmarks that the
// leaderboard ran.
func TestPublicBenchmarks(t *testing.T) {
	shared := os.Getenv("BARKA_SHARED")
	if shared == "" {
		shared = "../../../../../shared"
	}
	src := filepath.Join(shared, "data/oall/acegpt")
	if _, err := os.Stat(src); err != nil {
		t.Skip("the AceGPT benchmark files are not here; BARKA_SHARED names the directory with data/oall/acegpt")
	}
	dir := t.TempDir()
	if _, err := eval.ConvertAceGPT(context.Background(), src, dir, pipeline.Silent); err != nil {
		t.Fatal(err)
	}
	if r := run(t, options(dir), "community|arabic_mmlu:professional_law|0|0,community|arabic_mmlu:moral_scenarios|0|0"); r.Tasks[0].Leaked != 0 || r.Tasks[1].Leaked < 450 {
		t.Errorf("two tasks alone: %d and %d leaked", r.Tasks[0].Leaked, r.Tasks[1].Leaked)
	}
	r := run(t, options(dir), "acva,arabic_mmlu,arabic_exams")
	if len(r.Tasks) != 116 || len(r.Skipped) != 0 {
		t.Errorf("%d tasks, %d skipped; the converter makes 116", len(r.Tasks), len(r.Skipped))
	}
	percent := func(x float64) string { return fmt.Sprintf("%.2f", 100*x) }
	for _, f := range r.Families {
		switch f.Family {
		case "acva":
			if f.Rows != 9000 || f.Evaluated != 8710 || f.Questions != 6164 || f.ContradictoryQuestions != 58 || f.ContradictoryRows != 325 {
				t.Errorf("%+v", *f)
			}
			if i, a, _ := f.Best(); f.Answers[i] != "صح" || percent(a) != "60.49" || percent(f.Majority) != "64.19" {
				t.Errorf("always %s: %s, always the commonest: %s", f.Answers[i], percent(a), percent(f.Majority))
			}
		case "arabic_mmlu":
			// A search for the words IP and spoofing finds about 1,546; wordings
			// without them are leaked too.
			if f.Evaluated != 14042 || f.Leaked < 1546 || f.Leaked > 1600 {
				t.Errorf("%d rows, %d leaked", f.Evaluated, f.Leaked)
			}
		}
	}
	biased := 0
	for _, task := range r.Tasks {
		if task.Biased() && slices.Equal(task.FixedLengths, []int{2, 3}) {
			biased++
		}
	}
	if biased != 58 {
		t.Errorf("%d tasks favour the longer answer, expected ACVA's 58", biased)
	}
	// 27 rows of MMLU have equal options; 1,245 ask what another does.
	kinds := map[audit.Kind]int{}
	for _, f := range r.Findings {
		if f.Split == "test" && strings.HasPrefix(f.Task, "community|arabic_mmlu:") {
			kinds[f.Kind]++
		}
	}
	if kinds[audit.SameOptions] != 27 || kinds[audit.Repeated]+kinds[audit.Duplicate] != 1245 {
		t.Errorf("%v", kinds)
	}
	leaked := map[string]int{}
	for _, task := range r.Tasks {
		leaked[task.Task] = task.Leaked
	}
	for subject, atLeast := range map[string]int{"high_school_european_history": 146, "high_school_world_history": 187, "high_school_us_history": 168, "professional_law": 471, "professional_medicine": 152} {
		if n := leaked["community|arabic_mmlu:"+subject]; n < atLeast || n > atLeast+15 {
			t.Errorf("%s: %d leaked rows, expected %d or a few more", subject, n, atLeast)
		}
	}
}
