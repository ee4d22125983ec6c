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

	"barka/internal/audit"
	"barka/internal/benchdata"
	"barka/internal/eval/tasks"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// write writes rows to a file as JSON lines.
func write[T any](t testing.TB, path string, rows ...T) {
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

func run(t testing.TB, o audit.Options, list string) *audit.Report {
	t.Helper()
	var err error
	if o.Tasks, err = tasks.ParseList(list); err != nil {
		t.Fatal(err)
	}
	r, err := audit.Run(context.Background(), o, progress.Silent)
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
		statement{"بغداد عاصمة العراق.", yes}, statement{"النيل يمر بالعراق.", no}, statement{"بغداد  عاصمة العراق. ", yes},
		statement{"لا جواب لهذا السؤال.", ""})
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
	// Iraq: two of three answers are true; one row is contradicted and one is repeated.
	// Yemen: both answers are true, and one row is contradicted.
	i, best, ok := f.Best()
	if f.Evaluated != 5 || f.Clean != 2 || !ok || i != 0 || math.Abs(best-(2.0/3+1)/2) > 1e-12 || f.Majority != best ||
		!slices.Equal(f.Answers, []string{yes, no}) {
		t.Errorf("family %+v, best answer %d: %g", f, i, best)
	}
	text := r.Markdown()
	for _, want := range []string{"| acva | 2 | 6 | 3 | 1 | 2 |", "83.33 صح", "- community|acva:Oman is left out",
		"in 2 tasks of acva every row has the same options, of 2 and 3 characters (صح and خطأ)",
		"- community|acva:Iraq: 1 row cannot be made a question, so that an evaluation leaves the task out; the first is test row 4: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	page, err := r.HTML()
	for _, want := range []string{`<td class="n">66.67</td>`, `<bdi dir="ltr">83.33 صح</bdi>`,
		`<div class="meter"><i style="width:40.00%">`, "40.00 %", "acva:Oman</bdi> is left out"} {
		if err != nil || !strings.Contains(page, want) {
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

// leak returns one question in several wordings.
func leak(i int) question {
	verbs := []string{"اكتشاف", "كشف", "رصد", "الكشف عن", "معرفة"}
	return question{Question: "كيف يتم " + verbs[i%5] + " تزوير عنوان IP؟", A: "تثبيت نظام كشف الاختراق الذي يقرأ رأس IP",
		B: "مقارنة قيم TTL للعناوين الفعلية والمزيفة", C: "تنفيذ جدار حماية للشبكة", D: "تحديد جلسات TCP التي لم تكتمل بنجاح",
		Answer: string("AB"[i%2]), Subject: "x"}
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
		// Another question in its place, as in a bad translation, and a row that is twice
		// as long.
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

// TestTemplateIsNoLeak: many questions from one template, with different content, are no
// leak. One question in many wordings is found even in a single task.
func TestTemplateIsNoLeak(t *testing.T) {
	dir := t.TempDir()
	var scenarios, leaked []question
	for i := range 40 {
		leaked = append(leaked, leak(i))
		own := func(part int) string {
			return fmt.Sprintf("شخص%d ومكان%d وفعل%d وشيء%d", i*7+part, i*11+part, i*13+part, i*17+part)
		}
		scenarios = append(scenarios, question{"في أي من السيناريوهين التاليين تقوم الشخصية الرئيسية بعمل خاطئ " +
			"أخلاقيا؟ السيناريو الأول: " + own(1) + ". السيناريو الثاني: " + own(2),
			"خاطئ في الأول وخاطئ في الثاني", "ليس خاطئا في الأول وخاطئ في الثاني", "خاطئ في الأول وليس خاطئا في الثاني",
			"ليس خاطئا في أي منهما", "A", "x"})
	}
	scenarios[0].A = "خاطئ في الأول وخاطئ في الثاني." // otherwise the options would be fixed
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

// TestVersion2: the texts of options that prompts label with letters or numbers are read
// from the columns of version 2's datasets.
func TestVersion2(t *testing.T) {
	r := run(t, options("../eval/testdata/hub"), "oall-v2")
	got := found(r)
	slices.Sort(got)
	// The fixture's synthetic rows that occur twice: in two subsets of the native and the
	// human-translated MMLU, also in the splits of their examples, and in AlGhafa with
	// other options.
	want := []string{
		"alghafa:multiple_choice_grounded_statement_soqal_task test 1 repeated",
		"alghafa:multiple_choice_grounded_statement_soqal_task test 2 repeated",
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
		"no tasks are":           {DataDir: dir, NGram: 8, Threshold: 0.5},
		"set --data":             {Tasks: list, NGram: 8, Threshold: 0.5},
		"--ngram is 3 words":     {Tasks: list, DataDir: dir, NGram: 3, Threshold: 0.5},
		"--threshold is 0":       {Tasks: list, DataDir: dir, NGram: 8},
		"no task has data":       {Tasks: list, DataDir: dir, NGram: 8, Threshold: 0.5},
		"no such file or direct": {Tasks: list, DataDir: filepath.Join(dir, "x"), NGram: 8, Threshold: 0.5},
	} {
		if _, err := audit.Run(context.Background(), o, progress.Silent); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestPublicBenchmarks finds the known defects of the benchmarks that the
// leaderboard ran.
func TestPublicBenchmarks(t *testing.T) {
	src := testfiles.Shared(t, "oall", "acegpt")
	dir := t.TempDir()
	if _, err := benchdata.ConvertAceGPT(context.Background(), src, dir, progress.Silent); err != nil {
		t.Fatal(err)
	}
	const two = "community|arabic_mmlu:professional_law|0|0,community|arabic_mmlu:moral_scenarios|0|0"
	if r := run(t, options(dir), two); r.Tasks[0].Leaked != 0 || r.Tasks[1].Leaked < 450 {
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
			// A search for the words IP and spoofing finds about 1,546 rows; wordings
			// without these words are leaks too.
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
	// 27 rows of MMLU have equal options; 1,245 repeat the question of another row.
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
	for subject, atLeast := range map[string]int{"high_school_european_history": 146, "high_school_world_history": 187,
		"high_school_us_history": 168, "professional_law": 471, "professional_medicine": 152} {
		if n := leaked["community|arabic_mmlu:"+subject]; n < atLeast || n > atLeast+15 {
			t.Errorf("%s: %d leaked rows, expected %d or a few more", subject, n, atLeast)
		}
	}
}

// TestUnreadableData: a file that cannot be read for lack of permission does not count as
// missing data.
func TestUnreadableData(t *testing.T) {
	for _, loop := range []string{"OALL/ACVA/Yemen/test.jsonl", "OALL/ACVA/README.md", "OALL/Arabic_EXAMS"} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"), statement{"بغداد عاصمة العراق.", "صح"})
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, loop)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Base(loop), filepath.Join(dir, loop)); err != nil {
			t.Skip(err)
		}
		selected, err := tasks.ParseList("community|acva:Iraq|0|0,community|acva:Yemen|0|0,community|arabic_exams|0|0")
		if err != nil {
			t.Fatal(err)
		}
		o := options(dir)
		o.Tasks = selected
		if r, err := audit.Run(t.Context(), o, progress.Silent); err == nil || !strings.Contains(err.Error(), filepath.FromSlash(loop)) {
			t.Errorf("%s leads to itself: %v, %v", loop, r, err)
		}
	}
}
