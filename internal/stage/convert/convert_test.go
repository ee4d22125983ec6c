package convert

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/diskmap"
	"barka/internal/durable"
	"barka/internal/parquet"
	"barka/internal/resident"
	"barka/internal/testfiles"
)

var update = flag.Bool("update", false, "write the golden files again")

// inputs are the files under testdata/in, in the archives' layouts.
var inputs = map[string]string{
	"boolq": "boolq.jsonl", "race": "race", "copa": "copa.jsonl", "hellaswag": "hellaswag.jsonl", "sciq": "sciq.json",
	"arc-challenge": "arc-challenge.jsonl", "arc-easy": "arc-easy.jsonl", "openbookqa": "openbookqa.jsonl", "piqa": "piqa",
	"gsm8k": "gsm8k.jsonl", "toxigen": "toxigen.jsonl", "mmlu-auxiliary": "mmlu.jsonl", "statements": "statements.jsonl",
	"alpaca": "alpaca.json", "sharegpt": "sharegpt.jsonl",
}

func convert(t *testing.T, o Options, data string) ([]dataset.Instruction, *dataset.Manifest, string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	m, err := Run(context.Background(), o, nil, durable.Env{Out: out, In: map[string]string{"data": data}, Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	return rows[dataset.Instruction](t, out), m, out
}

func rows[T any](t *testing.T, path string) []T {
	t.Helper()
	var all []T
	for r, err := range dataset.Rows[T](context.Background(), path) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func options(benchmark string) Options {
	o := Defaults()
	o.Benchmark, o.FirstTemplate = benchmark, true
	return o
}

// TestGolden holds every row and every reason against one.
func TestGolden(t *testing.T) {
	if len(inputs) != len(benchmarks) {
		t.Fatalf("%d inputs for %d benchmarks", len(inputs), len(benchmarks))
	}
	for name, in := range inputs {
		got, m, out := convert(t, options(name), filepath.Join("testdata", "in", in))
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		for _, r := range got {
			if err := enc.Encode(map[string]any{"id": r.ID, "dataset": r.Dataset, "form": r.Form, "title": r.Title,
				"licence": r.Licence, "language": r.Language, "messages": r.Messages}); err != nil {
				t.Fatal(err)
			}
		}
		if m.Counts["rejected"] > 0 {
			for _, r := range rows[map[string]any](t, filepath.Join(out, "rejected")) {
				if err := enc.Encode(map[string]any{"rejected": r["reason"], "detail": r["detail"]}); err != nil {
					t.Fatal(err)
				}
			}
		}
		golden := filepath.Join("testdata", "golden", name+".jsonl")
		if *update {
			if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if m.Counts["in"] != m.Rows+m.Counts["rejected"] {
			t.Errorf("%s: counts %v for %d rows", name, m.Counts, m.Rows)
		}
	}
}

// The hub's layouts of the rows in testdata/in.
type (
	hubChoices struct {
		Text  []string `json:"text" parquet:"text,list"`
		Label []string `json:"label" parquet:"label,list"`
	}
	hubARC struct {
		ID        string     `json:"id" parquet:"id"`
		Question  string     `json:"question" parquet:"question"`
		Choices   hubChoices `json:"choices" parquet:"choices"`
		AnswerKey string     `json:"answerKey" parquet:"answerKey"`
	}
	hubOpenBook struct {
		Stem      string     `json:"question_stem" parquet:"question_stem"`
		Choices   hubChoices `json:"choices" parquet:"choices"`
		AnswerKey string     `json:"answerKey" parquet:"answerKey"`
		Fact      string     `json:"fact1" parquet:"fact1"`
	}
	hubRACE struct {
		Article  string   `json:"article" parquet:"article"`
		Answer   string   `json:"answer" parquet:"answer"`
		Question string   `json:"question" parquet:"question"`
		Options  []string `json:"options" parquet:"options,list"`
	}
	hubHellaSwag struct {
		CtxA    string   `json:"ctx_a" parquet:"ctx_a"`
		CtxB    string   `json:"ctx_b" parquet:"ctx_b"`
		Endings []string `json:"endings" parquet:"endings,list"`
		Label   string   `json:"label" parquet:"label"`
	}
	hubPIQA struct {
		Goal  string `json:"goal" parquet:"goal"`
		Sol1  string `json:"sol1" parquet:"sol1"`
		Sol2  string `json:"sol2" parquet:"sol2"`
		Label int64  `json:"label" parquet:"label"`
	}
)

func write[T any](t *testing.T, path string, rows ...T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
}

// TestHubLayouts: the hub's files, found in its directories, give the rows
// that the archives give, with the same ids.
func TestHubLayouts(t *testing.T) {
	const name = "train-00000-of-00001.parquet"
	for benchmark, make := range map[string]func(dir string){
		"arc-challenge": func(dir string) {
			write(t, filepath.Join(dir, "ARC-Challenge", name),
				hubARC{"a1", "Which object is a conductor?",
					hubChoices{[]string{"a rubber band", "a copper wire", "a wooden spoon"}, []string{"A", "B", "C"}}, "B"},
				hubARC{"a2", "The season after summer is",
					hubChoices{[]string{"spring", "winter", "autumn", "none", "all"}, []string{"1", "2", "3", "4", "5"}}, "3"})
			write(t, filepath.Join(dir, "ARC-Easy", name),
				hubARC{"x", "Not read?", hubChoices{[]string{"a", "b"}, []string{"A", "B"}}, "B"})
		},
		"openbookqa": func(dir string) {
			write(t, filepath.Join(dir, "additional", name),
				hubOpenBook{"A magnet attracts",
					hubChoices{[]string{"a nail", "a leaf", "milk", "paper"}, []string{"A", "B", "C", "D"}}, "A", "magnets attract iron"},
				hubOpenBook{"Which animal hatches from an egg?",
					hubChoices{[]string{"cat", "cow", "dog", "hen"}, []string{"A", "B", "C", "D"}}, "D", ""})
			write(t, filepath.Join(dir, "main", name), hubOpenBook{Stem: "Not read"})
		},
		"race": func(dir string) {
			article := "Salma waited at the harbour   all morning .\nThe boat broke down twice.\r\n\r\nIt came at noon."
			write(t, filepath.Join(dir, "all", name),
				hubRACE{article, "B", "Where did Salma wait?", []string{"In a  shop .", "At the harbour.", "At school."}},
				hubRACE{article, "C", "The boat was so   _   that it came late.", []string{"old", "slow", "broken", "new"}},
				hubRACE{"He bought bread.", "A", "What did he buy?", []string{"Bread", "Milk"}})
			write(t, filepath.Join(dir, "high", name), hubRACE{"Not", "A", "read", []string{"a", "b"}})
		},
		"hellaswag": func(dir string) {
			write(t, filepath.Join(dir, "data", name),
				hubHellaSwag{"A woman fills a kettle and puts it on the stove.", "she",
					[]string{"flies away.", ", paints the wall.", "waits until the water boils.", "closes the shop."}, "2"},
				hubHellaSwag{"[header] How to bake bread [title] Mix flour and water. [step] Use warm water.", "",
					[]string{"[substeps] Knead the dough.", "Throw it away.", "Sing to it.", "Paint it."}, "0"})
		},
		"piqa": func(dir string) {
			write(t, filepath.Join(dir, "plain_text", name),
				hubPIQA{"How do I keep bread fresh?", "Wrap it in a cloth.", "Leave it in the rain.",
					0}, hubPIQA{"open a jar", "Wait for it.", "Turn the lid.", 1})
		},
	} {
		dir := t.TempDir()
		make(dir)
		got, _, _ := convert(t, options(benchmark), dir)
		want, _, _ := convert(t, options(benchmark), filepath.Join("testdata", "in", inputs[benchmark]))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-archive +hub):\n%s", benchmark, diff)
		}
	}
}

// TestLayoutErrors: what is missing is named, with what is there.
func TestLayoutErrors(t *testing.T) {
	for _, c := range []struct{ benchmark, rows, want string }{
		{"boolq", `{"question":"is it","text":"no passage"}`,
			`:1: column "passage" is missing; columns there: question, text; expected question, passage`},
		{"boolq", `{"question":"is it","passage":"p"}`, `column "answer" is missing`},
		{"race", `{"article":"a","question":"b","options":"c","answer":"A"}`, `column "options" holds a text, expected a list`},
		{"hellaswag", `{"ctx":"a","endings":["b",3],"label":0}`, `column "endings" holds a list with a number in it`},
		{"arc-easy", `{"question":"q","answerKey":"A"}`, `column "choices" is missing`},
		{"arc-easy", `{"question":{"stem":"q","choices":[{"text":"a"}]},"answerKey":"A"}`, `column "label" is missing`},
		{"copa", `{"premise":7,"choice1":"a","choice2":"b","question":"cause","label":0}`,
			`column "premise" holds a number, expected a text`},
		{"piqa", `{"goal":"a","sol1":"b","sol2":"c"}`, `column "label" is missing`},
		{"sharegpt", `{"conversations":["a"]}`, `expected objects`},
		{"gsm8k", "\n[1]", `:2: a JSON object is expected`},
		{"gsm8k", "", "no rows"},
	} {
		path := filepath.Join(t.TempDir(), "train.jsonl")
		if err := os.WriteFile(path, []byte(c.rows), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		_, err := Run(context.Background(), options(c.benchmark), nil, durable.Env{Out: out, In: map[string]string{"data": path}})
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s %s: %v, want %q and the path", c.benchmark, c.rows, err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: an output was made", c.benchmark)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{".cache/train.jsonl", "__MACOSX/train.jsonl", "README.md",
		"data/train-00001-of-00002.parquet", "data/train-00000-of-00002.parquet",
		"data/validation-00000-of-00001.parquet", "train.jsonl", "main/test-00000-of-00001.parquet", "train-dev.zip/train-dev/dev.parquet"} {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for split, want := range map[string][]string{
		"train":      {"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"},
		"validation": {"data/validation-00000-of-00001.parquet", "train-dev.zip/train-dev/dev.parquet"},
		"test":       {"main/test-00000-of-00001.parquet"},
	} {
		got, err := find(dir, benchmarks["gsm8k"], split)
		for i := range got {
			got[i], _ = filepath.Rel(dir, got[i])
			got[i] = filepath.ToSlash(got[i])
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", split, got, err)
		}
	}
	if _, err := find(filepath.Join(dir, "main"), benchmarks["gsm8k"], "train"); err == nil ||
		!strings.Contains(err.Error(), "test-00000") {
		t.Errorf("no file: %v", err)
	}
	if _, err := find(filepath.Join(dir, "README.md"), benchmarks["gsm8k"], "train"); err == nil ||
		!strings.Contains(err.Error(), ".parquet") {
		t.Errorf("other format: %v", err)
	}
}

// TestLabelsOfAnotherSplit: too few and too many labels are refused.
func TestLabelsOfAnotherSplit(t *testing.T) {
	for _, labels := range []string{"0\n", "0\n1\n1\n", "one two", ""} {
		path := filepath.Join(t.TempDir(), "labels.lst")
		if err := os.WriteFile(path, []byte(labels), 0o644); err != nil {
			t.Fatal(err)
		}
		in := map[string]string{"data": filepath.Join("testdata", "in", "piqa", "train.jsonl"), "labels": path}
		if _, err := Run(context.Background(), options("piqa"), nil,
			durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: in}); !badinput.Is(err) {
			t.Errorf("%q: %v", labels, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, change := range []func(*Options){
		func(o *Options) { o.Benchmark = "nonsense" }, func(o *Options) { o.Split = "all" },
		func(o *Options) { o.Answer = "both" }, func(o *Options) { o.Limit = -1 },
	} {
		o := options("race")
		change(&o)
		if o.Validate() == nil {
			t.Errorf("accepted: %+v", o)
		}
	}
	o := options("race")
	o.Answer, o.Limit, o.Dataset, o.Licence = AnswerText, 2, "reading", "mine"
	got, m, _ := convert(t, o, filepath.Join("testdata", "in", "race"))
	if len(got) != 2 || m.Rows != 2 || got[0].Messages[1].Content != "At the harbour." ||
		got[0].Dataset != "reading" || got[0].Licence != "mine" {
		t.Errorf("%+v", got)
	}
}

// TestPassageIDs: the questions of a passage have its id in common, also those of another set,
// and rows without a passage have none.
func TestPassageIDs(t *testing.T) {
	ids := map[string]int{}
	race, _, _ := convert(t, options("race"), jsonRows(t, map[string]any{"article": "Tea  grows on hills. It is picked by hand.",
		"questions": []string{"What grows?", "How is it picked?"}, "options": [][]string{{"Tea", "Rice"}, {"By hand", "By ship"}},
		"answers": []string{"A", "A"}}))
	boolq, _, _ := convert(t, options("boolq"), jsonRows(t,
		map[string]any{"passage": "Tea grows on hills. It is picked by hand.", "question": "does tea grow", "label": true},
		map[string]any{"passage": "Rice grows in water.", "question": "does rice grow", "label": true}))
	for _, r := range append(race, boolq...) {
		ids[r.PassageID]++
	}
	if len(ids) != 2 || ids[race[0].PassageID] != 3 || ids[""] > 0 {
		t.Errorf("%v", ids)
	}
	copa, _, _ := convert(t, options("copa"), causes(t, 2))
	for _, r := range copa {
		if r.PassageID != "" {
			t.Errorf("%+v", r)
		}
	}
}

// TestShuffle: the right option of SciQ comes to stand in every place, and
// stays the right one.
func TestShuffle(t *testing.T) {
	places := map[int]int{}
	for seed := range int64(400) {
		it := item{options: []string{"right", "b", "c", "d"}}
		it.shuffle(seed)
		if it.options[it.gold] != "right" {
			t.Fatalf("seed %d: %v, gold %d", seed, it.options, it.gold)
		}
		places[it.gold]++
	}
	for i := range 4 {
		if places[i] < 60 {
			t.Errorf("place %d: %d of 400", i, places[i])
		}
	}
}

func TestTidy(t *testing.T) {
	for in, want := range map[string]string{
		"a  b .":                "a b.",
		"the girl   _  .":       "the girl ____.",
		"_ is _ _ _ long":       "____ is ____ long",
		"snake_case stays":      "snake_case stays",
		"6CO_{2} -> _{2} K^+":   "6CO_{2} -> _{2} K^+",
		"in .NET and 3 . 5":     "in .NET and 3. 5",
		"wait ... what":         "wait ... what",
		"a \r\n\r\n\r\n\r\n b ": "a\n\nb",
	} {
		if got := tidy(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		if again := tidy(tidy(in)); again != tidy(in) {
			t.Errorf("%q: tidied twice %q", in, again)
		}
	}
}

// FuzzRow: no row of any shape breaks a converter, and what comes out is a
// conversation.
func FuzzRow(f *testing.F) {
	for _, in := range inputs {
		path := filepath.Join("testdata", "in", in)
		if data, err := os.ReadFile(path); err == nil {
			for line := range bytes.Lines(data) {
				f.Add(line)
			}
		}
	}
	f.Add([]byte(`{"question":{"stem":null,"choices":[null]},"choices":{"text":[null],"label":3},"answerKey":"A"}`))
	f.Add([]byte(`{"article":"a","questions":["q"],"options":[],"answers":[]}`))
	all := map[string]*Templates{}
	for name := range benchmarks {
		var err error
		if all[name], err = LoadTemplates("", name); err != nil {
			f.Fatal(err)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		var fields map[string]any
		if json.Unmarshal(data, &fields) != nil || fields == nil {
			return
		}
		for name, b := range benchmarks {
			r := &row{fields: fields}
			items := b.items(r)
			if r.err != nil {
				continue
			}
			seen, err := diskmap.Open(filepath.Join(dir, name), diskmap.Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := &converter{o: options(name), b: b, templates: all[name], seen: seen}
			for _, it := range items {
				e, err := c.entry(r, it)
				if err != nil {
					t.Fatal(err)
				}
				if e.reject != nil {
					continue
				}
				if err := c.layOut(t.Context(), e); err != nil {
					t.Errorf("%s: %v", name, err)
				} else if err := dataset.CheckTurns(e.out.Messages); err != nil {
					t.Errorf("%s: %v: %v", name, err, e.out.Messages)
				}
			}
		}
	})
}

// TestLanguage: instruction sets are of the language declared, and one that is
// mostly in another script is refused.
func TestLanguage(t *testing.T) {
	set := func(answers ...string) string {
		var rows []map[string]string
		for i, a := range answers {
			rows = append(rows, map[string]string{"instruction": strings.Repeat("?", i+1), "output": a})
		}
		return testfiles.JSONLines(t, rows...)
	}
	const arabic, latin = "تحضر القهوة خفيفة مع الهيل وتصب في فناجين", "Coffee is brewed light and poured into cups"
	run := func(language string, answers ...string) (*dataset.Manifest, error) {
		o := options("alpaca")
		o.Language = language
		return Run(t.Context(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"data": set(answers...)}})
	}
	_, err := run("eng_Latn", arabic, arabic, latin, "7")
	if !badinput.Is(err) || !strings.Contains(err.Error(), "2 of 3 rows") || !strings.Contains(err.Error(), "--language") {
		t.Errorf("mostly Arabic, declared English: %v", err)
	}
	// The advice can be followed: what was refused has left no work behind.
	refused := durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"data": set(arabic, arabic+".")}}
	english := options("alpaca")
	if _, err := Run(t.Context(), english, nil, refused); err == nil {
		t.Error("Arabic rows, declared English")
	}
	declared := english
	declared.Language = "arb_Arab"
	if m, err := Run(t.Context(), declared, nil, refused); err != nil || m.Rows != 2 {
		t.Errorf("declared Arabic in the same place: %v", err)
	}
	m, err := run("eng_Latn", arabic, latin, "Code: ```"+latin+"```")
	if err != nil || m.Rows != 3 || m.Counts["other_script"] != 1 || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "1 of 3 rows") {
		t.Errorf("one Arabic row: %v, %+v", err, m)
	}
	o := options("alpaca")
	o.Language = "arb_Arab"
	got, m, _ := convert(t, o, set(arabic, arabic+"."))
	if got[0].Language != "arb_Arab" || m.Counts["other_script"] != 0 || len(m.Notes) != 0 {
		t.Errorf("Arabic: %+v, %v", got[0], m.Counts)
	}
	for _, bad := range []struct{ benchmark, language, want string }{{"alpaca", "ar", "arb_Arab"}, {"arc-easy", "arb_Arab", "English"}} {
		o := options(bad.benchmark)
		o.Language = bad.language
		if err := o.Validate(); !badinput.Is(err) || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s in %s: %v", bad.benchmark, bad.language, err)
		}
	}
}

// TestOpenGoals: a goal that breaks off is completed by its solutions.
func TestOpenGoals(t *testing.T) {
	for goal, want := range map[string]string{
		"When boiling butter, when it's ready, you can ": "When boiling butter, when it's ready, you can …\nWhich " +
			"option completes the sentence?\n1. a\n2. b",
		"open a can of soup":   "Open a can of soup.\nWhich option is the better way to do this?\n1. a\n2. b",
		"How do I open a can?": "How do I open a can?\n1. a\n2. b",
	} {
		line, err := json.Marshal(map[string]any{"goal": goal, "sol1": "a", "sol2": "b", "label": 1})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "set.jsonl")
		if err := os.WriteFile(path, line, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := convert(t, options("piqa"), path); got[0].Messages[0].Content != want {
			t.Errorf("%q: %q, want %q", goal, got[0].Messages[0].Content, want)
		}
	}
}

// TestOwnDatasets: what a stage wrote is no benchmark.
func TestOwnDatasets(t *testing.T) {
	_, _, dir := convert(t, options("gsm8k"), filepath.Join("testdata", "in", "gsm8k.jsonl"))
	_, err := Run(t.Context(), options("sharegpt"), nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"),
		In: map[string]string{"data": dir}})
	if !badinput.Is(err) || !strings.Contains(err.Error(), "a dataset that convert wrote") {
		t.Errorf("%v", err)
	}
}

// TestNothingLeft: a set without a usable row is no silent success.
func TestNothingLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "set.jsonl")
	if err := os.WriteFile(path, []byte(`{"instruction":"a","output":""}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, m, _ := convert(t, options("alpaca"), path)
	if m.Rows != 0 || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "none of the 1 rows") {
		t.Errorf("%+v", m)
	}
}

// TestCSVBombs: a field without an end and a record of nothing but fields are
// refused in bounded memory.
func TestCSVBombs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.csv")
	for name, c := range map[string]struct{ text, want string }{
		"a field":        {"a,b\n\"" + strings.Repeat("x", 64<<20), "a record of the table is longer than 4096 KiB"},
		"columns":        {strings.Repeat(",", 64<<20), "a record of the table is longer than 4096 KiB"},
		"2000 columns":   {strings.Repeat(",", 1999) + "\n", "2000 columns, expected at most 1000"},
		"a later record": {"a,b\n1,2\n" + strings.Repeat(",", 64<<20), "a record of the table is longer than 4096 KiB"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		var err error
		grown := resident.Growth(func() {
			readCSV(path, func(_ *row, e error) bool { err = e; return e == nil })
		})
		if !badinput.Is(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) || grown > 512<<20 {
			t.Errorf("%s: %v, %d MiB, want %q", name, err, grown>>20, c.want)
		}
	}
}

// TestLicences: every benchmark states one, and Balanced COPA its own.
func TestLicences(t *testing.T) {
	for name, b := range benchmarks {
		if (b.licence == "") != (b.form == dataset.FormInstruction) {
			t.Errorf("%s: licence %q", name, b.licence)
		}
	}
	path := filepath.Join(t.TempDir(), "train.csv")
	csv := "id,premise,question,choice1,choice2,label,mirrored\n1,\"The man, tired, sat down.\",cause,He had run.,He was called.,0,True\n"
	if err := os.WriteFile(path, []byte(csv), 0o644); err != nil {
		t.Fatal(err)
	}
	got, _, _ := convert(t, options("copa"), path)
	if len(got) != 1 || got[0].Licence != "CC BY 4.0" || !strings.HasPrefix(got[0].Messages[0].Content, "The man, tired, sat down.\n") {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(path, []byte("premise,question\na,b,c\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), options("copa"), nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"data": path}})
	if !badinput.Is(err) || !strings.Contains(err.Error(), "train.csv") || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a broken CSV: %v", err)
	}
}
