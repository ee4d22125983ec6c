package convert

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
)

// TestTemplatesAreDrawn: the same seed draws the same, another seed others, the first is the
// most frequent, and each row names its template.
func TestTemplatesAreDrawn(t *testing.T) {
	var lines []map[string]any
	for i := range 300 {
		lines = append(lines, map[string]any{"premise": fmt.Sprintf("Lamp %d went out.", i), "choice1": "It fell.", "choice2": "It rained.",
			"question": "cause", "label": i % 2})
	}
	path := jsonRows(t, lines...)
	run := func(seed int64) []dataset.Instruction {
		out := filepath.Join(t.TempDir(), "out")
		o := Defaults()
		o.Benchmark = "copa"
		if _, err := Run(t.Context(), o, nil, durable.Env{Out: out, In: map[string]string{"data": path}, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		return rows[dataset.Instruction](t, out)
	}
	a, again, b := run(1), run(1), run(2)
	count, same, wordings := map[string]int{}, 0, map[string]bool{}
	for i := range a {
		if a[i].Template == "" || a[i].Template != again[i].Template || a[i].Messages[0] != again[i].Messages[0] {
			t.Fatalf("row %d: %+v and %+v", i, a[i], again[i])
		}
		count[a[i].Template]++
		if a[i].Template == b[i].Template {
			same++
		}
		for line := range strings.Lines(a[i].Messages[0].Content) {
			if strings.HasSuffix(strings.TrimSpace(line), "?") {
				wordings[strings.TrimSpace(line)] = true
			}
		}
	}
	if len(count) != 4 || count["ordinal"] < 120 || count["bullets"] < 15 || same > 200 || len(wordings) != 3 {
		t.Errorf("%v, %d with the same template under another seed, wordings %v", count, same, wordings)
	}
}

func jsonRows(t *testing.T, rows ...map[string]any) string {
	t.Helper()
	var b strings.Builder
	for _, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	path := filepath.Join(t.TempDir(), "train.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOwnTemplates: a file replaces the built-in one, belongs to the identity, and is tried
// before any row.
func TestOwnTemplates(t *testing.T) {
	o := options("arc-easy")
	o.Templates = t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(o.Templates, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("choice.yaml", "templates:\n- name: mine\n  user: 'Q: {{.Question}}\n\n    {{.Options \"A.\"}}'\n  assistant: '{{.Right \"A.\"}}'\n")
	data := filepath.Join("testdata", "in", inputs["arc-easy"])
	got, m, out := convert(t, o, data)
	if got[0].Template != "mine" || !strings.HasPrefix(got[0].Messages[0].Content, "Q: ") {
		t.Errorf("%+v", got[0])
	}
	if strings.Contains(string(m.Options), o.Templates) || !strings.Contains(string(m.Options), "templates_digest") {
		t.Errorf("options %s", m.Options)
	}
	o.Templates = ""
	if _, err := Run(t.Context(), o, nil, durable.Env{Out: out, In: map[string]string{"data": data}, Seed: 42}); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "templates_digest") {
		t.Errorf("with other templates: %v", err)
	}
	o.Templates = t.TempDir()
	for _, c := range []struct{ user, assistant, want string }{
		{"{{.Question}}", `{{.Right "1."}}`, "lacks the options"},
		{`{{.Options "1."}}`, `{{.Right "1."}}`, "lacks the question"},
		{`{{.Question}}  {{.Options "1."}}`, `{{.Right "1."}}`, "lacks the options"}, // on the question's line
		{`{{.Question}}` + "\n" + `{{.Options "1."}}`, `Yes.`, "does not name the right option"},
		{`{{.Question}}` + "\n" + `{{.Options "1."}}`, `{{.Letter}}`, "does not name the right option"},
		{`{{.Question}}` + "\n" + `{{.Options "1."}}`, `1. the apple`, "worded alike"},
		{`{{.Question}}` + "\n" + `{{.Options "*"}}`, `{{.Text}}`, "the styles are 1."},
		{`{{.Question}}` + "\n" + `{{.Options "1."}} {{.Nothing}}`, `{{.Text}}`, "Nothing"},
		{`{{.Question}}` + "\n" + `{{.Options "1."}}`, `{{.Say "a" "b"}}`, "not true or false"},
		{`{{.Question}}` + "\n" + `{{.Options "1."}}` + "\n" + `{{.Text}}`, `{{.Text}}`, "depends on the answer"},
	} {
		text, err := json.Marshal(map[string]any{"templates": []layout{{Name: "x", User: c.user, Assistant: c.assistant}}})
		if err != nil {
			t.Fatal(err)
		}
		write("choice.yaml", string(text))
		_, err = Run(t.Context(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"data": data}})
		if !badinput.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "choice.yaml") {
			t.Errorf("%q, %q: %v, want %q", c.user, c.assistant, err, c.want)
		}
	}
	write("choise.yaml", "")
	if _, err := LoadTemplates(o.Templates, "arc-easy"); !badinput.Is(err) || !strings.Contains(err.Error(), "did you mean choice.yaml?") {
		t.Errorf("a misspelt name: %v", err)
	}
}

// TestShippedTemplates: every set has several, and the first has the most weight.
func TestShippedTemplates(t *testing.T) {
	for name, b := range benchmarks {
		tpl, err := LoadTemplates("", name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b.files == "" {
			continue
		}
		if len(tpl.list) < 3 {
			t.Errorf("%s: %d templates", name, len(tpl.list))
		}
		for _, l := range tpl.list[1:] {
			if l.Weight >= tpl.list[0].Weight {
				t.Errorf("%s: %s has the weight of the first", name, l.Name)
			}
		}
	}
	text, err := ShowTemplates("", "")
	if err != nil || !strings.Contains(text, "==> toxigen.yaml <==") || strings.Count(text, "==> choice.yaml <==") != 1 ||
		!strings.Contains(text, "==> justify.txt <==") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestAmbiguousAnswers: where a number alone would be the text of another option, the answer
// has the option's text.
func TestAmbiguousAnswers(t *testing.T) {
	tpl, err := LoadTemplates("", "arc-easy")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options []string
		want    string
	}{
		{[]string{"2", "3", "4"}, "The third option is correct:\n3. 4"},
		{[]string{"red", "green", "blue"}, "3"},
	} {
		e := &entry{item: item{question: "Which?", options: c.options, gold: 2}}
		if err := tpl.lay(e, tpl.named("label"), "", AnswerLabel, ""); err != nil || e.out.Messages[1].Content != c.want {
			t.Errorf("%v: %q, %v; want %q", c.options, e.out.Messages[1].Content, err, c.want)
		}
	}
}

// TestVerify: what is missing from a message, or is no text of the row, is an error that
// names row and field.
func TestVerify(t *testing.T) {
	r := &row{where: "train.jsonl:7", fields: map[string]any{"passage": "Coffee grows on hills.", "question": "Where does coffee grow?",
		"choices": []any{"on hills", "in 3 lakes"}}}
	it := item{context: "Coffee grows on hills.", question: "Where does coffee grow?", options: []string{"on hills", "in 3 lakes"}, gold: 1}
	v := verifier{row: r, clean: func(s string) string { return s }}
	good := "« Coffee grows on hills. »\n\nWhere does coffee grow?\n1. on hills\n2. in 3 lakes"
	for _, c := range []struct{ user, assistant, want string }{
		{good, "2) in 3 lakes", ""},
		{good, "The second option is correct:\n2. in 3 lakes", ""},
		{good, "1) on hills", "option 1 (on hills), the right one is option 2"},
		{good, "1) in 3 lakes", "does not name the right option"},
		{good, "2) in lakes", "does not name the right option"},
		{strings.Replace(good, "3 lakes", "4 lakes", 1), "2) in 3 lakes", "field choices[1] (option 2) is not whole"},
		{strings.Replace(good, "on hills.", "on hill.", 1), "2) in 3 lakes", "field passage (passage) is not whole"},
		{strings.Replace(good, "Where does", "Where did", 1), "2) in 3 lakes", "field question (question) is not whole"},
		{"« Coffee grows on hills. »\n\nWhere does coffee grow?\n1. in 3 lakes\n2. on hills", "1) in 3 lakes", "in order"},
	} {
		err := v.check(it.pieces(), it, []chat.Message{{Content: c.user}, {Content: c.assistant}}, "x", false)
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "train.jsonl:7") {
			t.Errorf("%q, %q: %v, want %q", c.user, c.assistant, err, c.want)
		}
	}
	foreign := it
	foreign.options = []string{"on hills", "nowhere"}
	if err := v.check(foreign.pieces(), foreign, []chat.Message{{Content: good}, {Content: ""}}, "x", false); err == nil ||
		!strings.Contains(err.Error(), `option 2 ("nowhere") is not a text of the row`) {
		t.Errorf("%v", err)
	}
}
