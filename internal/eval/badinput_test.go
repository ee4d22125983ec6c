package eval

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/record"
	"barka/internal/parquet"
)

const (
	piqa     = "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/piqa_ar/test.json"
	copa     = "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/copa_ext_ar/test.csv"
	good     = `{"query": "س", "sol1": "ا", "sol2": "ب", "label": "0"}`
	copaHead = "premise,choice1,choice2,question,label\n"
)

// changedData returns the fixture with one file replaced.
func changedData(t *testing.T, file, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixtureDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestBadDatasets: a defect of a dataset leaves out its task, with the file, the row and
// the reason, and the other task runs.
func TestBadDatasets(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"missing column": {piqa, `[{"query": "س", "sol1": "ا", "sol2": "ب"}]`,
			[]string{piqa, "row 1", `column "label" is missing; the file has query, sol1, sol2`}},
		"missing in one row": {piqa, "[" + good + `, {"query": "س", "sol1": "ا", "sol2": "ب"}]`, []string{"row 2", `column "label" is null`}},
		"renamed column": {piqa, `[{"question": "س", "sol1": "ا", "sol2": "ب", "label": "0"}]`,
			[]string{"row 1", `unexpected column "question"`}},
		"renamed option": {piqa, `[{"query": "س", "option1": "ا", "sol2": "ب", "label": "0"}]`,
			[]string{"row 1", `unexpected column "option1"`}},
		"renamed in csv": {copa, "premise,choice1,choice_2,question,label\nا,ب,ج,cause,0\n",
			[]string{copa, "row 1", `column "choice2" is missing; the file has premise, choice1, choice_2, question, label`}},
		"answer too large": {piqa, "[" + good + `, {"query": "س", "sol1": "ا", "sol2": "ب", "label": "2"}]`,
			[]string{"row 2", "number 2 (counted from 0) of 2 choices"}},
		"answer below zero":    {copa, copaHead + "ا,ب,ج,cause,-1\n", []string{"row 1", "number -1"}},
		"answer not a number":  {copa, copaHead + "ا,ب,ج,cause,first\n", []string{"row 1", `column "label" holds 'first', expected an integer`}},
		"empty choice":         {copa, copaHead + "ا,ب,ج,cause,0\nا,ب,,cause,0\n", []string{"row 2", "choice 1 (counted from 0) is empty"}},
		"no rows":              {copa, copaHead, []string{copa, "no rows"}},
		"short line":           {copa, copaHead + "ا,ب\n", []string{copa, "row 1 has 2 fields, the header has 5"}},
		"cut file":             {piqa, `[` + good + `, {"query": "س`, []string{piqa, "row 2"}},
		"another kind of file": {piqa, "PAR1", []string{piqa, "row 1"}},
		"cut between rows":     {piqa, `[` + good + `,`, []string{piqa, "the list is not closed after row 1"}},
		"JSON not UTF-8":       {piqa, `[{"query": "` + "\xd8" + `", "sol1": "ا", "sol2": "ب", "label": "0"}]`, []string{piqa, "not UTF-8"}},
		"column twice": {copa, "premise,choice1,choice2,question,label,choice1\nا,ب,ج,cause,0,د\n",
			[]string{copa, `column "choice1" appears twice`}},
		"not UTF-8": {copa, copaHead + "ا,ب,ج,cause,0\nا,\xd8,ج,cause,0\n", []string{copa, "not UTF-8 text"}},
	} {
		o := fixtureOptions(t, "copa_ext_ar,piqa_ar,boolq_ar")
		o.DataDir = changedData(t, c.file, c.text)
		out, err := Run(t.Context(), newHashModel(), o, nil)
		if !badinput.Is(err) || out == nil || len(out.Failures) != 1 {
			t.Errorf("%s: %+v, %v; want the other tasks beside bad input", name, out, err)
			continue
		}
		task := "community|" + filepath.Base(filepath.Dir(c.file))
		for _, want := range append(c.want, "1 of 3 tasks", task) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q:\n%v", name, want, err)
			}
		}
		if text, err := os.ReadFile(out.ResultsPath); err != nil ||
			!strings.Contains(string(text), `"community|boolq_ar|0"`) || strings.Contains(string(text), task+`|0"`) {
			t.Errorf("%s: results of the other tasks: %v", name, err)
		}
	}
}

// TestHellaSwagEndings: the spellings of a Python list of strings are read; errors name the
// row and the character.
func TestHellaSwagEndings(t *testing.T) {
	file := "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/hellaswag_okapi_ar/test.jsonl"
	run := func(endings any) (*Outcome, error) {
		line, err := json.Marshal(map[string]any{"ctx": "س", "endings": endings, "label": "1"})
		if err != nil {
			t.Fatal(err)
		}
		o := fixtureOptions(t, "hellaswag_okapi_ar")
		o.DataDir = changedData(t, file, string(line))
		return Run(t.Context(), newHashModel(), o, nil)
	}
	for name, c := range map[string]struct {
		endings any
		want    []string
	}{
		"quotes":         {`['قال "لا"', "قال 'نعم'", 'it\'s', "x\"y"]`, []string{`قال "لا"`, "قال 'نعم'", "it's", `x"y`}},
		"escapes":        {`['a\n\tb', '\u0633\x41', 'c\\', '\q']`, []string{"a\n\tb", "سA", `c\`, `\q`}},
		"triple, joined": {`("""a"b""", 'c' 'd',)`, []string{`a"b`, "cd"}},
		"bracketed":      {`['[عنوان] ا [كذا]', 'ب']`, []string{" ا ", "ب"}},
		"list":           {[]string{"ا", "ب"}, []string{"ا", "ب"}},
	} {
		out, err := run(c.endings)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := detailColumn(t, out, "choices"); got[0] != fmt.Sprint(c.want) {
			t.Errorf("%s: choices %s, want %q", name, got[0], c.want)
		}
	}
	for name, c := range map[string]struct {
		endings any
		want    string
	}{
		"not closed":      {`['ا', 'ب'`, "the list is not closed at character 10"},
		"quote not shut":  {`['ا', 'ب]`, "a string is not closed"},
		"a line break":    {"['ا\n', 'ب']", "a line break inside a string"},
		"no list":         {`ا`, "expected ["},
		"numbers":         {`[1, 2]`, "expected a quoted string"},
		"half a pair":     {`['\ud83d', 'ب']`, "an invalid escape"},
		"text after it":   {`['ا', 'ب'] + []`, "text after the list"},
		"nothing is left": {`['[عنوان]', 'ب']`, "choice 0 (counted from 0) is empty"},
		"one":             {`['ا']`, "1 choices, expected two or more"},
	} {
		_, err := run(c.endings)
		for _, want := range []string{"hellaswag_okapi_ar", "row 1", c.want} {
			if !badinput.Is(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q: %v", name, want, err)
			}
		}
	}
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// detailColumn returns a column, as text, of the details of a run with one task.
func detailColumn(t *testing.T, out *Outcome, column string) (values []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(out.DetailsDir, "*.parquet"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	file, err := parquet.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for row, err := range file.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, fmt.Sprint(row[column]))
	}
	return values
}

// TestLongRows: a row longer than the context is cut on the left, even if nothing of the
// prompt is left, and the files have the number of tokens cut.
func TestLongRows(t *testing.T) {
	for name, c := range map[string]struct {
		text, truncated string
	}{
		// "س، لأن :\n0) بب\n1) ج\nالإجابة:" has 28 characters, a beginning
		// token and the choice, of which the last is not read.
		"prompt": {"س,بب,ج,cause,0\n", "[10 9]"},
		"choice": {"س," + strings.Repeat("ب", 40) + ",ج,cause,0\n", "[86 47]"},
	} {
		m := newHashModel()
		m.maxLength = 20
		o := fixtureOptions(t, "copa_ext_ar")
		o.DataDir = changedData(t, copa, copaHead+c.text)
		out, err := Run(t.Context(), m, o, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := detailColumn(t, out, "truncated"); fmt.Sprint(got) != "["+c.truncated+"]" {
			t.Errorf("%s: truncated %v, want %s", name, got, c.truncated)
		}
		if got := detailColumn(t, out, "num_effective_few_shots"); fmt.Sprint(got) != "[-1]" {
			t.Errorf("%s: %v examples, want the reference's -1", name, got)
		}
	}
}

// TestChoicesWithoutTokens: if a token spans prompt and choice, a choice of one word has no
// tokens left. As in the reference its probability is then 1; a warning says so. The
// guarded mode scores it.
func TestChoicesWithoutTokens(t *testing.T) {
	for border, want := range map[record.TokenBoundary]string{record.Joint: "[[0 1] [0 1]]", record.Guarded: "[[-"} {
		m := newHashModel()
		m.tokenizer = evaltest.Words{}
		o := fixtureOptions(t, "acva:Iraq")
		o.TokenBoundary = border
		var log strings.Builder
		o.Log = textLog(&log)
		out, err := Run(t.Context(), m, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := detailColumn(t, out, "predictions")
		if !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: predictions %s, want %s", border, got[0], want)
		}
		told := strings.Contains(log.String(), "choices whose only token") &&
			strings.Contains(log.String(), "community|acva:Iraq") && strings.Contains(log.String(), "choices=10")
		if told != (border == record.Joint) {
			t.Errorf("%s: warned %v: %s", border, told, log.String())
		}
	}
}

// TestDetailsDirectoryExists: files of an earlier run stay beside those of a later one. If
// the path is not a directory, the run is refused before anything is scored.
func TestDetailsDirectoryExists(t *testing.T) {
	o := fixtureOptions(t, "acva:Iraq")
	old := filepath.Join(o.OutputDir, "details", "test", "hash-model", "2024-01-01T00-00-00", "details.parquet")
	if err := os.MkdirAll(filepath.Dir(old), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), newHashModel(), o, nil)
	if err != nil || len(detailColumn(t, out, "gold")) != 5 {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(old); err != nil || string(text) != "old" {
		t.Errorf("the earlier details: %q, %v", text, err)
	}
	for _, way := range []string{"details", "results/test", "details/test/hash-model", "cache"} {
		o := fixtureOptions(t, "acva:Iraq")
		path := filepath.Join(o.OutputDir, filepath.FromSlash(way))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		m := newHashModel()
		if _, err := Run(t.Context(), m, o, nil); !badinput.Is(err) || !strings.Contains(err.Error(), path) || m.asked.Load() != 0 {
			t.Errorf("a file at %s, after %d requests: error %v", way, m.asked.Load(), err)
		}
	}
}

// TestLitter: a run removes the temporary files of killed runs, and no others.
func TestLitter(t *testing.T) {
	o := fixtureOptions(t, "acva:Iraq")
	files := map[string]bool{}
	for _, name := range []string{"results/test/hash-model/leaderboard_1.md",
		"details/test/hash-model/results_1.json", "details/test/hash-model/1/details_x.parquet"} {
		for _, suffix := range []string{".barka0123456789abcdef.tmp", ".tmp", ""} {
			path := filepath.Join(o.OutputDir, filepath.FromSlash(name)+suffix)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			files[path] = !strings.Contains(suffix, "barka")
		}
	}
	if _, err := Run(t.Context(), newHashModel(), o, nil); err != nil {
		t.Fatal(err)
	}
	for path, stays := range files {
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: stays %v, expected %v", path, err == nil, stays)
		}
	}
}

// TestLongerRuns: a run with more questions, or with another metric for the same requests,
// scores only new requests.
func TestLongerRuns(t *testing.T) {
	o := fixtureOptions(t, "arabic_exams,boolq_ar,piqa_ar,copa_ext_ar")
	m := newHashModel()
	run := func(change func(*Options)) *Outcome {
		t.Helper()
		change(&o)
		out, err := Run(t.Context(), m, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := run(func(o *Options) { o.MaxSamples = 2 })
	more := run(func(o *Options) { o.MaxSamples = 3 })
	if first.Reused != 0 || first.Scored == 0 || more.Reused != first.Scored || more.Scored == 0 {
		t.Errorf("2 questions: %d scored; 3: %d scored, %d reused", first.Scored, more.Scored, more.Reused)
	}
	all := run(func(o *Options) { o.MaxSamples = 0 })
	if all.Reused != more.Scored+more.Reused || all.Scored == 0 {
		t.Errorf("all: %d scored, %d reused, of 3 questions %d", all.Scored, all.Reused, more.Scored+more.Reused)
	}
	asked := m.asked.Load()
	again := run(func(o *Options) { o.BatchSize, o.NoDetails, o.Tasks = 7, true, fixtureOptions(t, "boolq_ar").Tasks })
	if again.Scored != 0 || m.asked.Load() != asked {
		t.Errorf("other files of the same scores: %d scored", again.Scored)
	}
	if other := run(func(*Options) { m.info.DType = "torch.bfloat16" }); other.Reused != 0 {
		t.Errorf("another type of number reuses %d scores", other.Reused)
	}
}
