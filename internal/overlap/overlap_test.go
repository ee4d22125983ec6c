package overlap

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestOriginal takes passage, question and options from the columns of published
// benchmarks. Labels and ids are no proofs.
func TestOriginal(t *testing.T) {
	type row = map[string]any
	for _, c := range []struct {
		row               row
		passage, question string
		proof             []string
	}{
		{row{"id": "M_1", "question": "Why do birds  sing?", "answerKey": "A",
			"choices": row{"text": []any{"to attract mates", "to rest"}, "label": []any{"A", "B"}}},
			"", "Why do birds sing?", []string{"to attract mates", "to rest"}},
		{row{"article": "A long text.", "question": "Who?", "options": []any{"he", "she"}, "answer": "A", "example_id": "x"},
			"A long text.", "Who?", []string{"he", "she"}},
		{row{"goal": "boil an egg", "sol1": "in water", "sol2": "in sand", "label": int64(0)}, "", "boil an egg",
			[]string{"in water", "in sand"}},
		{row{"ctx": "A man sits down. He", "ctx_a": "A man sits down.", "endings": []any{"eats", "flies"}}, "", "A man sits down. He",
			[]string{"eats", "flies"}},
		{row{"statement": "The sky is green.", "label": "no"}, "", "no\nThe sky is green.", nil},
		{row{"question": "Is it?", "note": "other text"}, "", "Is it?", []string{"other text"}},
	} {
		passage, question, proof := Original(c.row)
		if passage != c.passage || question != c.question || fmt.Sprint(proof) != fmt.Sprint(c.proof) {
			t.Errorf("%v: passage %q, question %q, proof %q", c.row, passage, question, proof)
		}
	}
}

// TestRows reads the formats that benchmarks are published in.
func TestRows(t *testing.T) {
	for name, text := range map[string]string{"a.jsonl": `{"question": "Why?"}` + "\n", "a.json": `[{"question": "Why?"}]`,
		"a.csv": "question\nWhy?\n"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		n := 0
		for row, err := range Rows(t.Context(), path) {
			if n++; err != nil || row["question"] != "Why?" {
				t.Errorf("%s: %v, %v", name, row, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d rows", name, n)
		}
	}
}

// TestMark marks whole runs of characters, also where a run has two words or the matched
// words are in several places.
func TestMark(t *testing.T) {
	x := NewIndex(4, []Question{{Text: "one two three four five six"}, {Text: "seven eight nine ten"}})
	for text, want := range map[string]string{
		"so One, two-three four; five, and seven eight nine ten": "so ⟦One, two-three four; five,⟧ and seven eight nine ten",
		"two three four": "two three four",
		"":               "",
		"ONE TWO THREE FOUR x three four five six.": "⟦ONE TWO THREE FOUR⟧ x ⟦three four five six.⟧",
		"zero-one two three four-zero":              "⟦zero-one two three four-zero⟧",
	} {
		if got := x.Mark(0, text, "⟦", "⟧"); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
