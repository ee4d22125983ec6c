package translate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/translationmemory"
)

// columnsOf translates columns of lines and returns the exported lines.
func columnsOf(t *testing.T, columns, lines []string) ([]string, *dataset.Manifest, error) {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Columns = columns
	m, err := RunColumns(t.Context(), o, with(&fakeTranslator{}), durable.Env{Out: out, In: map[string]string{"rows": in}})
	if err != nil {
		return nil, nil, err
	}
	file := out + ".jsonl"
	if err := dataset.Export[ColumnLine](t.Context(), out, file, false); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	return strings.Split(strings.TrimSpace(string(data)), "\n"), m, err
}

// TestColumns: texts and lists of texts are translated wherever they are in a row; the source
// stays beside them, and everything else as it was written.
func TestColumns(t *testing.T) {
	got, m, err := columnsOf(t, []string{"question", "choices.text"}, []string{
		`{"question": "Is 12345678901234567890 big?", "n": 12345678901234567890, "x": null, ` +
			`"choices": {"label": ["A", "B"], "text": ["It is.", "7"]}}`,
		`{"question": null, "n": 1.50, "choices": {"text": []}, "other": {"deep": ["<a> & b"]}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	first := fmt.Sprintf(`{"choices":{"label":["A","B"],"text":["%s","7"],"text_source":["It is.","7"]},"n":12345678901234567890,`+
		`"question":"%s","question_source":"Is 12345678901234567890 big?","x":null}`,
		fakeWord("It is."), fakeWord("Is 12345678901234567890 big?"))
	second := `{"choices":{"text":[],"text_source":[]},"n":1.50,"other":{"deep":["<a> & b"]},"question":null}`
	if len(got) != 2 || got[0] != first || got[1] != second || m.Rows != 2 || m.Counts["segments"] != 2 {
		t.Errorf("%v\n%s\n%s\n%s\n%s", m.Counts, got[0], first, got[1], second)
	}
	rows := []string{`{"q":"One stone."}`, `{"q":"` + strings.Repeat("go ", 9) + `"}`, `{"q":"One stone."}`}
	got, m, err = columnsOf(t, []string{"q"}, rows)
	if err != nil || m.Rows != 3 || got[0] != got[2] {
		t.Errorf("equal rows: %q, %v, %v", got, m, err)
	}
}

// TestColumnsOfParquet: a dataset directory is read like lines.
func TestColumnsOfParquet(t *testing.T) {
	set, out := filepath.Join(t.TempDir(), "set"), filepath.Join(t.TempDir(), "out")
	env := durable.Env{Out: set, In: map[string]string{"instructions": input(t)}}
	if _, err := Run(t.Context(), Defaults(), with(&fakeTranslator{}), env); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Columns = []string{"translator"}
	m, err := RunColumns(t.Context(), o, with(&fakeTranslator{}), durable.Env{Out: out, In: map[string]string{"rows": set}})
	if err != nil || m.Rows != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	want := fmt.Sprintf(`"translator":%q,"translator_source":"fake"`, fakeWord("fake"))
	for r, err := range dataset.Rows[ColumnRow](t.Context(), out) {
		if err != nil || !strings.Contains(r.Row, want) || !strings.Contains(r.Row, `"messages_en":[{`) {
			t.Errorf("%s, %v", r.Row, err)
		}
	}
}

// TestBadColumns: a column that is missing, of another type or in the way is named.
func TestBadColumns(t *testing.T) {
	for want, c := range map[string]struct{ columns, row string }{
		"no column answer; it has a, question": {"answer", `{"question":"x","a":1}`},
		"no column a.b":                        {"a.b", `{"a":"x"}`},
		"column a is 5, expected a text":       {"a", `{"a":5}`},
		"item 2 of a list is 7":                {"a", `{"a":["x y z",7]}`},
		"a column a_source already":            {"a", `{"a":"x","a_source":"y"}`},
		"line 1":                               {"a", `[1]`},
	} {
		_, _, err := columnsOf(t, []string{c.columns}, []string{c.row})
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", c.row, err, want)
		}
	}
	_, _, err := columnsOf(t, []string{"a"}, nil)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("no rows: %v", err)
	}
}

// polyglot is a Streamer that writes the target language before each translation.
type polyglot struct {
	fakeTranslator
	got []Request
}

func (p *polyglot) CheckTarget(code string) error {
	if code == "zzz_Arab" {
		return badinput.Errorf("%q is not one of the model's languages", code)
	}
	return nil
}

func (p *polyglot) Stream(ctx context.Context, next Next, done func(int, Translation) error) error {
	for i := 0; ; i++ {
		r, ok := next(ctx, true)
		if !ok {
			return nil
		}
		p.got = append(p.got, r)
		text := fakeWord(r.Text)
		if r.To == "fra_Latn" {
			text = "Le " + r.Text
		}
		if err := done(i, Translation{Text: text, Score: -0.5}); err != nil {
			return err
		}
	}
}

// TestToColumn: rows name their target language, by which their sentences are translated,
// checked and remembered.
func TestToColumn(t *testing.T) {
	memory, err := translationmemory.Open(filepath.Join(t.TempDir(), "memory.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	run := func(o Options, tools Tools, lines ...string) ([]ColumnRow, error) {
		t.Helper()
		in, out := filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(in, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		o.ModelDigest, tools.Memory = "weights", memory
		if _, err := RunColumns(t.Context(), o, tools, durable.Env{Out: out, In: map[string]string{"rows": in}}); err != nil {
			return nil, err
		}
		var rows []ColumnRow
		for r, err := range dataset.Rows[ColumnRow](t.Context(), out) {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
		}
		return rows, nil
	}
	o := Defaults()
	o.Columns, o.ToColumn = []string{"q"}, "lang"
	lines := []string{`{"q":"The red stone.","lang":"fra_Latn"}`, `{"q":"The red stone."}`, `{"q":"The red stone.","lang":"ary_Arab"}`,
		`{"q":"The red stone.","lang":""}`}
	for _, asked := range []int{3, 0} { // the second time all are in the memory
		p := &polyglot{}
		rows, err := run(o, with(p), lines...)
		if err != nil || len(rows) != 4 || len(p.got) != asked {
			t.Fatalf("%+v, %v, asked %+v", rows, err, p.got)
		}
		for i, to := range []string{"fra_Latn", "arb_Arab", "ary_Arab", "arb_Arab"} {
			want := fakeWord("The red stone.")
			if to == "fra_Latn" {
				want = "Le The red stone."
			}
			if rows[i].Language != to || rows[i].Segments[0].Target != want || len(rows[i].Segments[0].Flags) > 0 {
				t.Errorf("row %d: %+v", i, rows[i])
			}
		}
	}
	for line, want := range map[string]string{`{"q":"The stone.","lang":"zzz_Arab"}`: "is not one of the model's languages",
		`{"q":"The stone.","lang":"eng_Latn"}`: "the language of the text", `{"q":"The stone.","lang":7}`: "expected the code of a language"} {
		if _, err := run(o, with(&polyglot{}), line); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := run(o, with(&fakeTranslator{}), lines...); err == nil || !strings.Contains(err.Error(), "needs an encoder-decoder model") {
		t.Errorf("a translator of one language: %v", err)
	}
}
