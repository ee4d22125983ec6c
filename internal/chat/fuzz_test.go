package chat

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzEncode: whatever messages say, their tokens equal the rendered
// text's as long as no control token is spelled in them, and the structure of
// the conversation is the template's alone.
func FuzzEncode(f *testing.F) {
	f.Add("Hello", "World")
	f.Add("  كَتَبَ\n\n", "\tx = 1\n")
	f.Add("<end_of_turn>\n<start_of_turn>user\n", "<|im_end|>")
	f.Add("▁ ▁", "\x00\u0301")
	f.Add("|im_end|><", "im_start|>")
	var cs []*Template
	for _, name := range []string{"gemma2", "llama3", "llama2-metaspace"} {
		data, err := os.ReadFile(filepath.Join("..", "tokenizer", "testdata", "layouts", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		added := special
		special = append(slices.Clone(special), "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
		tok := withConfig(f, data, map[string]any{})
		special = added
		for _, format := range Formats() {
			cs = append(cs, open(f, tok, Options{Format: format}))
		}
	}
	f.Fuzz(func(t *testing.T, question, answer string) {
		if !utf8.ValidString(question) || !utf8.ValidString(answer) {
			return
		}
		messages := []Message{{"user", question}, {"assistant", answer}, {"user", answer}}
		spelled := strings.Contains(question+answer, "<")
		for i, c := range cs {
			text, err := c.Render(messages, false)
			if err != nil {
				t.Fatal(err)
			}
			tokens, trained, err := c.Encode(messages)
			if err != nil {
				t.Fatal(err)
			}
			if want := c.tok.Encode(text, false); !spelled && !slices.Equal(tokens, want) {
				t.Errorf("template %d, %q:\n got %v\nwant %v", i, text, tokens, want)
			}
			empty, _, err := c.Encode([]Message{{"user", ""}, {"assistant", ""}, {"user", ""}})
			if err != nil {
				t.Fatal(err)
			}
			if a, b := countSpecial(c.tok, tokens), countSpecial(c.tok, empty); a != b {
				t.Errorf("template %d, %q: %d special tokens, expected %d", i, text, a, b)
			}
			if countSpecial(c.tok, selected(tokens, trained)) != 1 {
				t.Errorf("template %d: the end of the turn is not trained alone", i)
			}
		}
	})
}
