package decontaminate

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
)

func lines(t *testing.T, path string, rows ...any) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rows {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(data, '\n'))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

type object = map[string]any

const (
	statement = "تقع مدينة بغداد على ضفاف نهر دجلة في وسط العراق وهي عاصمته"
	stem      = "Which property of a mineral can be determined just by looking at it?"
	passage   = "The stone bridge over the river was built by masons from three villages, who carried every block of it down " +
		"from the quarry above the eastern meadow during two very dry summers."
)

// benchmarks writes a task in Arabic and two English originals in the hub's layout.
func benchmarks(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	lines(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"), object{"question": statement + ".", "answer": "صح", "id": "iraq-1"},
		object{"question": "كلمتان فقط", "answer": "خطأ"})
	lines(t, filepath.Join(dir, "allenai/ai2_arc/ARC-Challenge/test.jsonl"),
		object{"id": "MEA_2016_8_14", "question": stem, "answerKey": "A",
			"choices": object{"text": []string{"luster", "mass", "weight", "hardness"}, "label": []string{"A", "B", "C", "D"}}},
		object{"id": "template", "question": "Which of the following is an example of a compound?", "answerKey": "A",
			"choices": object{"text": []string{"water", "gold"}, "label": []string{"A", "B"}}},
		object{"id": "short", "question": "Why do birds sing?", "answerKey": "A",
			"choices": object{"text": []string{"to attract mates", "to keep warm"}, "label": []string{"A", "B"}}})
	lines(t, filepath.Join(dir, "google/boolq/data/validation.jsonl"),
		object{"question": "did the masons who built the stone bridge come from three villages", "passage": passage, "answer": true})
	return dir
}

func options() Options {
	o := Defaults()
	o.Tasks, o.Originals = "community|acva:Iraq|0|0", []string{"arc-challenge", "boolq"}
	return o
}

// row is a row in Arabic, with its English source if there is one.
func row(id, question, answer string, english ...string) dataset.Instruction {
	r := dataset.Instruction{ID: id, Language: "arb_Arab",
		Messages: []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}}
	for i, text := range english {
		r.MessagesEN = append(r.MessagesEN, chat.Message{Role: r.Messages[i].Role, Content: text})
	}
	return r
}

// planted are rows with the question that they hold, "" for none.
func planted() (rows []any, want map[string]string) {
	want = map[string]string{}
	add := func(r dataset.Instruction, task string) {
		rows = append(rows, r)
		if task != "" {
			want[r.ID] = task
		}
	}
	add(row("clean", "كيف تقدم القهوة في الخليج العربي؟", "تقدم في فناجين صغيرة."), "")
	add(row("verbatim", "صح أم خطأ: "+statement, "صح"), "acva:Iraq")
	add(row("vowels", "قيل: تَقَعُ مَدينة بغداد على ضفاف نهر دِجلة في وسط العراق، وهى عاصمتة!", "نعم"), "acva:Iraq")
	add(row("answer", "أين تقع بغداد؟", statement), "acva:Iraq")
	add(row("paraphrase", "هل صحيح أن العاصمة العراقية بغداد مبنية على جانبي دجلة وسط البلاد؟", "نعم"), "")
	add(row("source", "أي خاصية من خواص المعدن تعرف بالنظر إليه؟", "اللمعان",
		stem+"\n1. mass\n2. luster", "The second option is correct:\n2. luster"), "original:arc-challenge")
	add(row("rephrased", "بم يعرف المعدن بالنظر؟", "باللمعان",
		"Name the feature of minerals that you can see without any tools.", "Luster."), "")
	add(row("short", "لماذا تغرد الطيور؟", "لجذب الأزواج",
		"Why do birds sing?", "They sing to attract mates in spring."), "original:arc-challenge")
	add(row("phrase", "لماذا تغرد الطيور؟", "لا أعرف", "Why do birds sing?", "Nobody is really sure about it."), "")
	add(row("template", "أي مما يلي مثال على مركب؟", "الماء",
		"Which of the following is an example of a custom-made product?", "Artificial legs, filled with water."), "")
	add(row("passage", "من بنى الجسر؟", "بناؤون",
		"« "+passage+" »\n\nIn which season was the quarry above the meadow closed?", "In winter."), "")
	add(row("reading", "من بنى الجسر؟", "نعم",
		"« "+passage+" »\n\nDid the masons who built the stone bridge come from three villages?", "True, the answer is yes."), "original:boolq")
	return rows, want
}

// found returns the task of each contaminated row by its id.
func found(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for m, err := range dataset.Rows[Match](context.Background(), filepath.Join(dir, MatchesDir)) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Share < 0.5 || m.Share > 1 || m.Row < 1 || m.Asks == "" {
			t.Errorf("match %+v", m)
		}
		out[m.ID] = m.Task
	}
	return out
}

func environment(t *testing.T, in string) durable.Env {
	return durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"instructions": in}, Progress: progress.Silent}
}

// TestPlanted finds questions in Arabic, in other spellings and in the English source, and
// no paraphrase, common phrase or passage with another question.
func TestPlanted(t *testing.T) {
	dir := benchmarks(t)
	rows, want := planted()
	in := lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), rows...)
	env := environment(t, in)
	m, err := Run(t.Context(), options(), []string{dir}, env)
	if err != nil {
		t.Fatal(err)
	}
	if got := found(t, env.Out); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("found %v\nwant  %v", got, want)
	}
	for name, n := range map[string]int64{"in": 12, "out": 6, "rejected_contaminated": 6, "contaminated": 6, "contaminated_acva:Iraq": 3,
		"contaminated_original:arc-challenge": 2, "contaminated_original:boolq": 1, "questions": 6, "questions_too_short": 1} {
		if m.Counts[name] != n {
			t.Errorf("count %s is %d, want %d", name, m.Counts[name], n)
		}
	}
	details := map[string]string{}
	for r, err := range dataset.Rows[object](context.Background(), filepath.Join(env.Out, dataset.RejectedDir)) {
		if err != nil {
			t.Fatal(err)
		}
		details[r["id"].(string)] = fmt.Sprint(r["reason"], ": ", r["detail"])
	}
	for id, part := range map[string]string{
		"verbatim": "contaminated: acva:Iraq, test, row 1 (iraq-1): 100 % of its sequences of 8 words: " + statement,
		"source":   "original:arc-challenge, test, row 1 (MEA_2016_8_14): 100 %"} {
		if !strings.Contains(details[id], part) {
			t.Errorf("%s: %q lacks %q", id, details[id], part)
		}
	}
	e, err := Plan(t.Context(), options(), []string{dir}, in)
	if err != nil || e.Rows != 12 || e.Contaminated != 6 || e.Tasks["acva:Iraq"] != 3 || e.Questions != 6 || e.TooShort != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestFlag keeps the rows and names the questions; Passages looks for passages too.
func TestFlag(t *testing.T) {
	dir := benchmarks(t)
	rows, want := planted()
	want["passage"] = "original:boolq"
	o := options()
	o.Flag, o.Passages = true, true
	env := environment(t, lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), rows...))
	m, err := Run(t.Context(), o, []string{dir}, env)
	if err != nil || m.Rows != 12 || m.Counts["rejected"] != 0 || m.Counts["contaminated"] != 7 {
		t.Fatalf("%v, %+v", err, m.Counts)
	}
	got := map[string]string{}
	for r, err := range dataset.Rows[dataset.Instruction](context.Background(), env.Out) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Contaminated != "" {
			got[r.ID], _, _ = strings.Cut(r.Contaminated, ",")
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("flagged %v\nwant    %v", got, want)
	}
}

// TestExplain marks what a row and a question share.
func TestExplain(t *testing.T) {
	dir := benchmarks(t)
	rows, _ := planted()
	in := lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), rows...)
	x, err := Explain(t.Context(), options(), []string{dir}, in, "source")
	if err != nil || len(x) != 1 || x[0].Question != "⟦"+stem+"⟧" || len(x[0].Texts) != 1 ||
		x[0].Texts[0] != "⟦"+stem+"⟧\n1. mass\n2. luster" || !strings.Contains(x[0].String(), "original:arc-challenge, test, row 1") {
		t.Errorf("%+v, %v", x, err)
	}
	if x, err := Explain(t.Context(), options(), []string{dir}, in, "paraphrase"); err != nil || len(x) != 0 {
		t.Errorf("a clean row: %+v, %v", x, err)
	}
	if _, err := Explain(t.Context(), options(), []string{dir}, in, "nobody"); !badinput.Is(err) || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a row that is not there: %v", err)
	}
}

// TestAbsent names what was not searched, and refuses to search for nothing.
func TestAbsent(t *testing.T) {
	rows, _ := planted()
	in := lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), rows...)
	o := options()
	o.Originals = append(o.Originals, "piqa")
	dir := benchmarks(t)
	m, err := Run(t.Context(), o, []string{filepath.Join(dir, "nothing"), dir}, environment(t, in))
	if err != nil || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "original:piqa (ybisk/piqa)") ||
		strings.Contains(m.Notes[0], "boolq") {
		t.Errorf("%v, %+v", err, m)
	}
	env := environment(t, in)
	_, err = Run(t.Context(), o, []string{t.TempDir()}, env)
	if !badinput.Is(err) || !strings.Contains(err.Error(), "no questions to look for") {
		t.Errorf("no benchmarks: %v", err)
	}
	if entries, _ := filepath.Glob(env.Out + "*"); len(entries) > 0 {
		t.Errorf("left %v", entries)
	}
	if needs, err := o.Lacking([]string{dir}); err != nil || len(needs) != 3 { // two splits of piqa, one of arc
		t.Errorf("lacking %v, %v", needs, err)
	}
}

// TestFiles looks for the rows of a file. The manifest does not depend on its path.
func TestFiles(t *testing.T) {
	rows, _ := planted()
	in := lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), rows...)
	var manifests []string
	for range 2 {
		o := options()
		o.Tasks = NoTasks
		o.Originals = []string{lines(t, filepath.Join(t.TempDir(), "mine.jsonl"), object{"question": stem})}
		env := environment(t, in)
		m, err := Run(t.Context(), o, nil, env)
		if err != nil || m.Counts["contaminated_mine.jsonl"] != 1 || m.Counts["contaminated"] != 1 {
			t.Fatalf("%v, %+v", err, m)
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, string(data))
	}
	if manifests[0] != manifests[1] {
		t.Errorf("%s\n%s", manifests[0], manifests[1])
	}
}

// TestChangedQuestions: a finished directory is refused if the benchmarks have changed.
func TestChangedQuestions(t *testing.T) {
	dir := benchmarks(t)
	rows, _ := planted()
	env := environment(t, lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), rows...))
	for range 2 {
		if _, err := Run(t.Context(), options(), []string{dir}, env); err != nil {
			t.Fatal(err)
		}
	}
	lines(t, filepath.Join(dir, "OALL/ACVA/Iraq/test.jsonl"), object{"question": "سؤال آخر عن تاريخ مدينة البصرة القديم", "answer": "صح"})
	if _, err := Run(t.Context(), options(), []string{dir}, env); !badinput.Is(err) || !strings.Contains(err.Error(), "questions_digest") {
		t.Errorf("other questions: %v", err)
	}
}

// stopper cancels a run after so many rows.
type stopper struct {
	progress.Reporter
	left, skipped int64
	cancel        func()
}

func (s *stopper) Add(n int64) {
	if s.left -= n; s.left <= 0 {
		s.cancel()
	}
}

func (s *stopper) Skip(n int64) { s.skipped += n }

// TestResume continues after an interruption, with the same output.
func TestResume(t *testing.T) {
	dir := benchmarks(t)
	some, _ := planted()
	var rows []any
	for i := range 400 {
		for _, r := range some {
			r := r.(dataset.Instruction)
			r.ID = fmt.Sprint(r.ID, i)
			rows = append(rows, r)
		}
	}
	in := lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), rows...)
	whole, env := environment(t, in), environment(t, in)
	a, err := Run(t.Context(), options(), []string{dir}, whole)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	env.Progress = &stopper{Reporter: progress.Silent, left: 2000, cancel: cancel}
	if _, err := Run(ctx, options(), []string{dir}, env); err == nil {
		t.Fatal("the run was not interrupted")
	}
	again := &stopper{Reporter: progress.Silent, left: 1 << 40}
	env.Progress = again
	b, err := Run(t.Context(), options(), []string{dir}, env)
	if err != nil || !slices.Equal(a.Files, b.Files) || again.skipped < 2000 {
		t.Errorf("%v, %d rows skipped: %v and %v", err, again.skipped, a.Files, b.Files)
	}
}

// TestValidate refuses settings that cannot be meant.
func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"did you mean boolq": func(o *Options) { o.Originals = []string{"bolq"} },
		"ngram":              func(o *Options) { o.NGram = 2 },
		"threshold":          func(o *Options) { o.Threshold = 0 },
		"tasks":              func(o *Options) { o.Tasks = "community|nothing|0|0" },
		"nothing to look":    func(o *Options) { o.Tasks, o.Originals = NoTasks, nil },
	} {
		o := Defaults()
		change(&o)
		if err := o.Validate(); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
}

// TestQuestionsAreRemembered repeats a finished run without reading its questions, and makes
// it read them when they have changed.
func TestQuestionsAreRemembered(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("waits for two seconds, and needs change times")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := benchmarks(t)
	file := filepath.Join(dir, "allenai/ai2_arc/ARC-Challenge/test.jsonl")
	rewrite := func(last string) *sources {
		t.Helper()
		var rows []any
		for i := range 8000 { // small files are not remembered
			rows = append(rows, object{"id": fmt.Sprint(i), "question": fmt.Sprintf("%s %d %s", stem, i, last), "answerKey": "A",
				"choices": object{"text": []string{"luster", "mass"}, "label": []string{"A", "B"}}})
		}
		lines(t, file, rows...)
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2100 * time.Millisecond)
		from, err := options().locate([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	var before string
	for _, last := range []string{"first", "other"} {
		from := rewrite(last)
		read, q, err := from.digest(t.Context())
		if err != nil || q == nil || read == before {
			t.Fatalf("digest %s after %s, read: %v, %v", read, before, q != nil, err)
		}
		again, q, err := from.digest(t.Context())
		if err != nil || q != nil || again != read {
			t.Errorf("again: digest %s, read: %v, %v; expected %s without reading", again, q != nil, err, read)
		}
		from.o.Passages = !from.o.Passages
		if _, q, err := from.digest(t.Context()); err != nil || q == nil {
			t.Errorf("with other options: read: %v, %v", q != nil, err)
		}
		before = read
	}
	env := environment(t, lines(t, filepath.Join(t.TempDir(), "rows.jsonl"), any(row("a", statement, "نعم، هذا صحيح"))))
	for range 2 { // the first run reads what it searches for, although the digest is known
		if m, err := Run(t.Context(), options(), []string{dir}, env); err != nil || m.Counts["contaminated"] != 1 ||
			m.Counts["questions"] != 8003 {
			t.Errorf("%v, %v", m, err)
		}
	}
}
