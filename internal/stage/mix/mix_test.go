package mix

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

func row(id, set string) dataset.Instruction {
	return dataset.Instruction{ID: id, Dataset: set, Language: "arb_Arab", Licence: "CC BY-SA 4.0",
		Generator: "gemma", Translator: "facebook/nllb-200-600M",
		Messages:   []chat.Message{{Role: "user", Content: "سؤال " + id}, {Role: "assistant", Content: "جواب طويل " + id}},
		MessagesEN: []chat.Message{{Role: "user", Content: "question"}, {Role: "assistant", Content: "a long answer"}}}
}

func rowsOf(set string, n int) []dataset.Instruction {
	var out []dataset.Instruction
	for i := range n {
		out = append(out, row(fmt.Sprintf("%s-%d", set, i), set))
	}
	return out
}

func mix(t *testing.T, o Options, seed int64, inputs ...string) (string, *dataset.Manifest) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "mix")
	in := map[string]string{}
	for i, path := range inputs {
		in[fmt.Sprintf("input%d", i)] = path
	}
	words := func(s string) int { return len(strings.Fields(s)) }
	m, err := Run(context.Background(), o, map[string]Counter{"words": words},
		durable.Env{Out: out, In: in, Seed: seed, Progress: progress.Silent})
	if err != nil {
		t.Fatal(err)
	}
	return out, m
}

func read(t *testing.T, path string) []dataset.Conversation {
	t.Helper()
	var out []dataset.Conversation
	for c, err := range dataset.Rows[dataset.Conversation](context.Background(), path) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func ids(cs []dataset.Conversation) []string {
	var out []string
	for _, c := range cs {
		out = append(out, c.ID)
	}
	return out
}

func TestShuffleIsOfSeedAndRow(t *testing.T) {
	a, b := testfiles.JSONLines(t, rowsOf("a", 30)...), testfiles.JSONLines(t, rowsOf("b", 10)...)
	dir, m := mix(t, Defaults(), 1, a)
	alone := ids(read(t, dir))
	if len(alone) != 30 || m.Counts["out"] != 30 {
		t.Fatalf("%d rows, counts %v", len(alone), m.Counts)
	}
	if slices.IsSorted(alone) {
		t.Error("the rows are in their first order")
	}
	dir, _ = mix(t, Defaults(), 1, b, a)
	both := slices.DeleteFunc(ids(read(t, dir)), func(id string) bool { return strings.HasPrefix(id, "b-") })
	if !slices.Equal(both, alone) {
		t.Errorf("another dataset reorders the rows:\n%v\n%v", both, alone)
	}
	dir, _ = mix(t, Defaults(), 2, a)
	if slices.Equal(ids(read(t, dir)), alone) {
		t.Error("another seed gives the same order")
	}
}

func TestBothSpellings(t *testing.T) {
	dir, _ := mix(t, Defaults(), 1, testfiles.JSONLines(t, row("x", "a")))
	c := read(t, dir)[0]
	want := []dataset.Turn{{From: "human", Value: "سؤال x"}, {From: "gpt", Value: "جواب طويل x"}}
	if !slices.Equal(c.Conversations, want) || c.Messages[1].Role != "assistant" || c.Messages[1].Content != "جواب طويل x" {
		t.Errorf("%+v", c)
	}
}

func TestValidationKeepsItsRows(t *testing.T) {
	o := Defaults()
	o.Validation = 0.25
	dir, m := mix(t, o, 1, testfiles.JSONLines(t, rowsOf("a", 200)...))
	held := ids(read(t, filepath.Join(dir, ValidationName)))
	if n := len(held); n < 30 || n > 70 || m.Counts["validation"] != int64(n) || m.Counts["train"] != int64(200-n) {
		t.Fatalf("%d rows held, counts %v", len(held), m.Counts)
	}
	for _, c := range read(t, dir) {
		if slices.Contains(held, c.ID) {
			t.Errorf("%s is in both sets", c.ID)
		}
	}
	// With more data the rows that were held stay held.
	dir, _ = mix(t, o, 1, testfiles.JSONLines(t, rowsOf("a", 200)...), testfiles.JSONLines(t, rowsOf("b", 50)...))
	more := ids(read(t, filepath.Join(dir, ValidationName)))
	for _, id := range held {
		if !slices.Contains(more, id) {
			t.Errorf("%s was held and is trained on after data was added", id)
		}
	}
}

// TestDrop leaves out what an audit lists, and is another run than without.
func TestDrop(t *testing.T) {
	rows := testfiles.JSONLines(t, rowsOf("a", 10)...)
	drop := filepath.Join(t.TempDir(), "drop.jsonl")
	list := func(text string) Options {
		if err := os.WriteFile(drop, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		o := Defaults()
		o.Drop = drop
		return o
	}
	dir, m := mix(t, list(`{"dataset":"a","row":4,"id":"a-3","task":"community|acva:Iraq","question":7,"share":1}
{"id":"a-8"}
{"id":"elsewhere"}
`), 1, rows)
	if got := ids(read(t, dir)); len(got) != 8 || slices.Contains(got, "a-3") || slices.Contains(got, "a-8") {
		t.Errorf("kept %v", got)
	}
	if m.Counts["rejected_dropped"] != 2 {
		t.Errorf("counts %v, want 2 rejected as dropped", m.Counts)
	}
	env := durable.Env{Out: dir, In: map[string]string{"input0": rows}, Seed: 1, Progress: progress.Silent}
	words := map[string]Counter{"words": func(s string) int { return len(strings.Fields(s)) }}
	if _, err := Run(t.Context(), Defaults(), words, env); err == nil {
		t.Error("the same output without the list was taken for done")
	}
	for text, want := range map[string]string{`{"row":1}`: "row 1 has no id",
		`{"id":"elsewhere"}`: "none of its 1 ids", `{"id"`: "drop.jsonl: line 1"} {
		env.Out = filepath.Join(t.TempDir(), "mix")
		if _, err := Run(t.Context(), list(text), words, env); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestLimitsAndRefusals(t *testing.T) {
	system := row("system", "b")
	system.Messages = append([]chat.Message{{Role: "system", Content: "أجب باختصار."}}, system.Messages...)
	noAnswer, order, empty, open := row("no-answer", "b"), row("order", "b"), row("empty", "b"), row("open", "b")
	noAnswer.Messages = noAnswer.Messages[:1]
	order.Messages[0].Role = "assistant"
	empty.Messages[1].Content = " "
	open.Messages = append(open.Messages, chat.Message{Role: "user", Content: "و؟"})
	o := Defaults()
	o.Limits = map[string]int{"a": 4}
	dir, m := mix(t, o, 1, testfiles.JSONLines(t, rowsOf("a", 10)...),
		testfiles.JSONLines(t, noAnswer, order, empty, open, row("", "b"), row("fine", "b"), row("fine", "b"), system))
	want := map[string]int64{"out": 6, "rejected": 12, "rejected_over_limit": 6, "rejected_no_answer": 2,
		"rejected_role_order": 1, "rejected_empty_message": 1,
		"rejected_no_id": 1, "rejected_duplicate_id": 1}
	for k, n := range want {
		if m.Counts[k] != n {
			t.Errorf("%s is %d, want %d", k, m.Counts[k], n)
		}
	}
	all := read(t, dir)
	if len(all) != 6 {
		t.Errorf("%d rows", len(all))
	}
	for _, c := range all {
		if c.ID == "system" && (c.Conversations[0] != dataset.Turn{From: "system", Value: "أجب باختصار."} || len(c.Messages) != 3) {
			t.Errorf("system message: %+v", c)
		}
	}
}

func TestCardAndTokens(t *testing.T) {
	o := Defaults()
	o.Name = "Arab culture"
	dir, m := mix(t, o, 1, testfiles.JSONLines(t, rowsOf("a", 3)...), testfiles.JSONLines(t, rowsOf("b", 2)...))
	if m.Tokens["arb_Arab/words"] != 5*5 || m.Tokens["eng_Latn/words"] != 5*4 {
		t.Errorf("tokens %v", m.Tokens)
	}
	card, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"license: cc-by-sa-4.0", "- ar\n", "# Arab culture", "5 to train on",
		"| a | 3 | 3 | 3 | 0 | 3 |", "| a | 15 → 15 | 12 → 12 |", "| **all** | 25 → 25 | 20 → 20 |",
		"by gemma", "| a | 3 | CC BY-SA 4.0 | machine: gemma | machine: facebook/nllb-200-600M |", "- **Share " +
			"alike** (cc-by-sa-4.0): a, b.", "CC BY-NC 4.0"} {
		if !strings.Contains(string(card), want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}
}

func TestChangedOptionsAreRefused(t *testing.T) {
	in := map[string]string{"input": testfiles.JSONLines(t, rowsOf("a", 3)...)}
	env := durable.Env{Out: filepath.Join(t.TempDir(), "mix"), In: in, Seed: 1, Progress: progress.Silent}
	if _, err := Run(context.Background(), Defaults(), nil, env); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Limits = map[string]int{"a": 1}
	if _, err := Run(context.Background(), o, nil, env); err == nil || !strings.Contains(err.Error(), "limits") {
		t.Errorf("error %v, want one that names the limits", err)
	}
	for _, bad := range []Options{{}, {Name: "x", Validation: 1}, {Name: "x", Limits: map[string]int{"a": -1}}} {
		if bad.Validate() == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
}
