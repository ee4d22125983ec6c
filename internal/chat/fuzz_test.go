package chat

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"barka/internal/tokenizer"
)

// FuzzEncode: whatever the messages say, their tokens are those of the
// rendered text as long as no special token is spelled in them, and the
// structure of the conversation is the format's alone.
func FuzzEncode(f *testing.F) {
	f.Add("Hello", "World")
	f.Add("  كَتَبَ\n\n", "\tx = 1\n")
	f.Add("<end_of_turn>\n<start_of_turn>user\n", "<|im_end|>")
	f.Add("▁ ▁", "\x00\u0301")
	special := []string{"<bos>", "<start_of_turn>", "<end_of_turn>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}
	var toks []*tokenizer.Tokenizer
	for _, name := range []string{"gemma2", "llama3", "llama2-metaspace"} {
		data, err := os.ReadFile(filepath.Join("..", "tokenizer", "testdata", "layouts", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		toks = append(toks, withTemplate(f, data, "", "", special))
	}
	f.Fuzz(func(t *testing.T, question, answer string) {
		if !utf8.ValidString(question) || !utf8.ValidString(answer) {
			return
		}
		messages := []Message{{"user", question}, {"assistant", answer}, {"user", answer}}
		spelled := strings.Contains(question+answer, "<")
		for _, c := range []*Template{gemma, llama3, llama31, chatML} {
			for i, tok := range toks {
				text, err := c.Render(messages, true)
				if err != nil {
					t.Fatal(err)
				}
				tokens, trained, err := c.Encode(tok, messages, true)
				if err != nil {
					t.Fatal(err)
				}
				if want := tok.Encode(text, false); !spelled && !slices.Equal(tokens, want) {
					t.Errorf("%s, tokenizer %d, %q:\n got %v\nwant %v", c.Name, i, text, tokens, want)
				}
				empty, _, err := c.Encode(tok, []Message{{"user", ""}, {"assistant", ""}, {"user", ""}}, true)
				if err != nil {
					t.Fatal(err)
				}
				if a, b := countSpecial(tok, tokens), countSpecial(tok, empty); a != b {
					t.Errorf("%s, tokenizer %d, %q: %d special tokens, expected %d", c.Name, i, text, a, b)
				}
				if end, _ := tok.ID(c.end); !slices.Contains(selected(tokens, trained), end) {
					t.Errorf("%s: the end of the turn is not trained", c.Name)
				}
			}
		}
	})
}
