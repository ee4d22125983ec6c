package synth

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/testfiles"
)

// promptDir writes a copy of the shipped prompts with some files replaced. Files that are
// replaced by "" are left out.
func promptDir(t *testing.T, replace map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := fs.ReadDir(shipped, "prompts/english")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := shipped.ReadFile("prompts/english/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := replace[f.Name()]; !ok {
			write(t, filepath.Join(dir, f.Name()), string(text))
		}
	}
	for name, text := range replace {
		if text != "" {
			write(t, filepath.Join(dir, name), text)
		}
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDraw: a turn's draw depends on its seed alone, kinds come by their weights, and in a
// conversation the model writes every question.
func TestDraw(t *testing.T) {
	p, err := LoadPrompts("")
	if err != nil {
		t.Fatal(err)
	}
	const n = 20000
	drawn, weights := map[string]int{}, 0
	for seed := range int64(n) {
		d := p.draw(seed, false)
		if again := p.draw(seed, false); again != d {
			t.Fatalf("seed %d gives %+v and %+v", seed, d, again)
		}
		drawn[d.kind.Name]++
		if d.kind.Fixed != (d.form == "" && d.length == "") {
			t.Errorf("%s with form %q and length %q", d.kind.Name, d.form, d.length)
		}
		if d = p.draw(seed, true); d.kind.Ask == "" {
			t.Fatalf("a conversation draws %s", d.kind.Name)
		}
	}
	for _, k := range p.Kinds {
		weights += k.Weight
	}
	for _, k := range p.Kinds {
		if got, want := drawn[k.Name], n*k.Weight/weights; got < want*9/10 || got > want*11/10 {
			t.Errorf("%s is drawn %d times of %d, expected about %d", k.Name, got, n, want)
		}
	}
	if len(p.Kinds) < 10 {
		t.Errorf("only %d kinds", len(p.Kinds))
	}
}

// TestTask: the message of a task shows the passage and needs no call, and the model gets
// the passage once.
func TestTask(t *testing.T) {
	dir := promptDir(t, map[string]string{kindsFile: `
kinds:
  - {name: why, weight: 1, ask: Ask why.}
  - {name: short, weight: 1000000, shape: task, messages: ["Sum this up.\n\n{{.Passage}}"], answer: Two sentences.}
`})
	s := &scripted{answer: polite}
	at := testEnv(t, testfiles.JSONLines(t, passage(1, 10)))
	o := plain()
	o.Prompts, o.LongChars = dir, 1<<20
	m, err := Run(context.Background(), o, Models{Generator: s}, at)
	if err != nil || m.Counts["out"] != 1 || m.Counts["kind_short"] != 1 || len(s.calls) != 1 {
		t.Fatalf("%v, %d calls, %v", err, len(s.calls), m)
	}
	text := passage(1, 10).Text
	if prompt := s.calls[0].Messages[0].Content; strings.Count(prompt, text) != 1 || !strings.Contains(prompt, "Question: Sum this up.") ||
		!strings.Contains(prompt, "Two sentences.") {
		t.Errorf("the prompt is %q", prompt)
	}
	r := read(t, at.Out)[0]
	if r.Messages[0].Content != "Sum this up.\n\n"+text || r.Form != dataset.FormInstruction || r.Kind != "short" {
		t.Errorf("row %+v", r)
	}
	if e, err := Plan(context.Background(), o, at.Seed, at.In["passages"]); err != nil || e.Calls != 1 {
		t.Errorf("planned %+v, %v", e, err)
	}
}

// TestArabicPrompts: a set of prompts has its own language, which the rows name.
func TestArabicPrompts(t *testing.T) {
	o := Defaults()
	o.LongChars = 1 << 20
	o.Prompts = promptDir(t, map[string]string{
		kindsFile:      "language: arb_Arab\nkinds:\n  - {name: why, ask: اكتب سؤالا يبدأ بكلمة لماذا.}\n",
		questionPrompt: "اقرأ النص عن {{.Title}}. {{.Kind}}\n\n{{.Passage}}", answerPrompt: "أجب.\n\n{{.Passage}}\n\nالسؤال: {{.Question}}"})
	s := &scripted{answer: func(_ int, r llm.Request) (llm.Response, error) {
		if strings.Contains(r.Messages[0].Content, "السؤال") {
			return stop("نشأت القهوة في اليمن، ثم انتقلت إلى مصر والشام، ومنها إلى سائر بلاد العالم.")
		}
		return stop("لماذا انتشرت القهوة من اليمن؟")
	}}
	p := dataset.Passage{ID: "p1", Title: "القهوة", Licence: "CC BY-SA 4.0",
		Text: "نشأت القهوة في اليمن، ثم انتقلت إلى مصر والشام، ومنها إلى سائر بلاد العالم. وانتشرت لأن الصوفية شربوها في الليل."}
	at := testEnv(t, testfiles.JSONLines(t, p))
	m, err := Run(context.Background(), o, Models{Generator: s}, at)
	if err != nil || m.Counts["out"] != 1 {
		t.Fatalf("%v: %v", err, m)
	}
	if r := read(t, at.Out)[0]; r.Language != "arb_Arab" || r.Kind != "why" {
		t.Errorf("row %+v", r)
	}
	if !strings.Contains(s.calls[0].Messages[0].Content, "اكتب سؤالا يبدأ") {
		t.Errorf("the kind is not in the prompt: %s", s.calls[0].Messages[0].Content)
	}
}

// TestPromptsAreIdentity: the content of the prompts belongs to the dataset's identity,
// their directory does not.
func TestPromptsAreIdentity(t *testing.T) {
	at := testEnv(t, testfiles.JSONLines(t, passage(1, 10)))
	o := plain()
	if _, err := Run(context.Background(), o, Models{Generator: &scripted{answer: polite}}, at); err != nil {
		t.Fatal(err)
	}
	s := &scripted{answer: polite}
	moved := promptDir(t, map[string]string{kindsFile: "", repairPrompt: "", judgePrompt: ""})
	for _, f := range promptFiles {
		text, err := os.ReadFile(filepath.Join(o.Prompts, f))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(moved, f), string(text))
	}
	o.Prompts = moved
	if _, err := Run(context.Background(), o, Models{Generator: s}, at); err != nil || len(s.calls) != 0 {
		t.Errorf("the same prompts in another directory: %v, %d calls", err, len(s.calls))
	}
	write(t, filepath.Join(moved, answerPrompt), "Answer: {{.Question}}")
	if _, err := Run(context.Background(), o, Models{Generator: s}, at); err == nil || !strings.Contains(err.Error(), "prompts_digest") {
		t.Errorf("other prompts: %v", err)
	}
}

// TestBadPrompts: a mistake in a set is found before anything is asked.
func TestBadPrompts(t *testing.T) {
	for want, replace := range map[string]map[string]string{
		"answer.txt":                 {answerPrompt: ""},
		"can't evaluate field Titel": {questionPrompt: "{{.Titel}}"},
		"unclosed action":            {followupPrompt: "{{.Title"},
		"has no kinds":               {kindsFile: "language: eng_Latn\n"},
		"unknown field":              {kindsFile: "kinds: [{name: a, ask: b, form: c}]"},
		"weight is -1":               {kindsFile: "kinds: [{name: a, ask: b, weight: -1}]"},
		"shape is \"poem\"":          {kindsFile: "kinds: [{name: a, ask: b, shape: poem}]"},
		"neither ask nor messages":   {kindsFile: "kinds: [{name: a}]"},
		"twice":                      {kindsFile: "kinds: [{name: a, ask: b}, {name: a, ask: b}]"},
		"no kind has ask":            {kindsFile: "kinds: [{name: a, messages: [b]}]"},
		"language is \"english\"":    {kindsFile: "language: english\nkinds: [{name: a, ask: b}]"},
		"name of one word":           {kindsFile: "kinds: [{ask: b}]"},
		"expected 0":                 {kindsFile: "kinds: [{name: a, ask: b, min_answer_words: -1}]"},
		"did you mean short_answer":  {kindsFile: "kinds: [{name: a, ask: b}]\ncomplaints: {short_answr: Longer.}"},
		"no field":                   {kindsFile: "kinds: [{name: a, ask: b, messages: ['{{.Nothing}}']}]"},
	} {
		_, err := LoadPrompts(promptDir(t, replace))
		if want == "no field" {
			want = "Nothing"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", replace, err, want)
		}
	}
	if _, err := LoadPrompts(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that does not exist is accepted")
	}
}
