package chat

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/testfiles"
)

// TestVariants: templates that differ from a well-known one in a detail (a
// default system message in a variable, .strip() for |trim, another newline, a
// trailing token, other role names, system messages dropped, refused or late)
// give the text of apply_chat_template and its ids, and train on the answers
// and the control token after each.
func TestVariants(t *testing.T) {
	conversations, _ := publishedTemplates(t)
	n, refused := 0, 0
	for _, line := range testfiles.Lines(t, filepath.Join("testdata", "variants.jsonl.gz")) {
		var v struct {
			Name, Template string
			Cases          []struct {
				Conversation string
				Generation   bool
				Text         *string
				Refused      string
			}
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		tok := load(t, map[string]any{"chat_template": v.Template, "bos_token": "<bos>", "eos_token": "<eos>"})
		c := open(t, tok, Options{})
		for _, g := range v.Cases {
			n++
			messages := conversations[g.Conversation]
			text, err := c.Render(messages, g.Generation)
			if g.Text == nil {
				refused++
				if err == nil || !strings.Contains(err.Error(), g.Refused) {
					t.Errorf("%s %s: %v, transformers refuses with %q", v.Name, g.Conversation, err, g.Refused)
				}
				continue
			}
			if err != nil || text != *g.Text {
				t.Errorf("%s %s: %v\n got %q\nwant %q", v.Name, g.Conversation, err, text, *g.Text)
				continue
			}
			ids, err := c.Tokens(messages, g.Generation)
			if want := tok.Encode(*g.Text, false); g.Conversation != "forged" && (err != nil || !slices.Equal(ids, want)) {
				t.Errorf("%s %s: %v\n got %v\nwant %v", v.Name, g.Conversation, err, ids, want)
			}
			if g.Generation {
				continue
			}
			_, trained, err := c.Encode(messages)
			if err != nil {
				t.Errorf("%s %s: %v", v.Name, g.Conversation, err)
				continue
			}
			answers := ""
			for _, m := range messages {
				if m.Role == "assistant" {
					answers += strings.TrimSpace(m.Content)
				}
			}
			got := strings.NewReplacer("<|im_end|>", "", "<|eot_id|>", "", "<end_of_turn>",
				"").Replace(tok.Decode(selected(ids, trained), false))
			if strip := strings.TrimSpace; strip(got) != strip(answers) && g.Conversation != "forged" {
				t.Errorf("%s %s: trains on %q, expected %q", v.Name, g.Conversation, got, answers)
			}
		}
	}
	if n < 200 || refused == 0 {
		t.Errorf("%d cases, %d refused", n, refused)
	}
}
