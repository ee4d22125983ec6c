package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/testfiles"
	"barka/internal/tokenizer"
)

// axolotlTemplates are the formats of axolotl's fixtures, as templates.
var axolotlTemplates = map[string]string{
	"conversation.tokenized_llama2chat.json": `{% set system = messages[0]['content'] %}{% for m in messages[1:] %}` +
		`{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' }}` +
		`{% if loop.first %}{{ '<<SYS>>\n' + system + '\n<</SYS>>\n\n' }}{% endif %}{{ m['content'] + ' [/INST]' }}` +
		`{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}`,
	"conversation.tokenized.json": `{{ bos_token + messages[0]['content'] }}{% for m in messages[1:] %}` +
		`{% if m['role'] == 'user' %}{{ ' USER: ' + m['content'] + ' ' }}{% else %}{{ ' ASSISTANT: ' + m['content'] + eos_token }}{% endif %}` +
		`{% endfor %}`,
}

// TestAxolotlMasks: of a conversation of six turns, the answers that axolotl trains are those that
// are trained here, each with its end. In the format of Llama 2 all tokens and labels are the
// same. In Vicuna's axolotl encodes the parts of a turn one by one, and trains the end twice,
// first as the text "</s>"; the texts of the answers are compared. The fixtures are those of
// axolotl (Apache-2.0), the tokenizer is Llama 2's.
func TestAxolotlMasks(t *testing.T) {
	fixtures := testfiles.Shared(t, "sft", "axolotl")
	genuine := testfiles.Shared(t, "tokenizers", "llama2", "tokenizer.json")
	for name, template := range axolotlTemplates {
		t.Run(name, func(t *testing.T) {
			var fixture struct {
				IDs    []int32 `json:"input_ids"`
				Labels []int32 `json:"labels"`
			}
			readFixture(t, filepath.Join(fixtures, name), &fixture)
			c := axolotlFormat(t, genuine, template)
			tokens, trained, err := c.Encode(axolotlConversation(t, fixtures, c.tok, fixture.IDs))
			if err != nil {
				t.Fatal(err)
			}
			labels := make([]int32, len(tokens))
			for i, id := range tokens {
				if labels[i] = -100; trained[i] {
					labels[i] = id
				}
			}
			got, want := answerTexts(c.tok, tokens, labels), answerTexts(c.tok, fixture.IDs, fixture.Labels)
			if len(got) != 6 || !slices.Equal(got, want) {
				t.Errorf("answers %q, want %q", got, want)
			}
			if strings.Contains(name, "llama2chat") {
				n := len(tokens)
				if !slices.Equal(tokens, fixture.IDs[:n]) || !slices.Equal(labels, fixture.Labels[:n]) {
					t.Errorf("ids or labels differ")
				}
				// What follows in the fixture is the beginning of a next turn, and padding.
				if rest := fixture.IDs[n:]; n < 2000 || slices.ContainsFunc(rest[1:], func(id int32) bool { return id != 0 }) {
					t.Errorf("%d tokens, then %v", n, rest[:min(9, len(rest))])
				}
			}
		})
	}
}

func readFixture(t *testing.T, path string, v any) {
	t.Helper()
	if err := json.Unmarshal(testfiles.Read(t, path), v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// axolotlFormat returns a chat format of Llama 2's tokenizer.
func axolotlFormat(t *testing.T, genuine, template string) *Template {
	t.Helper()
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "chat_template": template})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), config, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer.json"), testfiles.Read(t, genuine), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(tok, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// axolotlConversation returns the fixture's conversation, after the system message that is in its
// tokens.
func axolotlConversation(t *testing.T, fixtures string, tok *tokenizer.Tokenizer, ids []int32) []Message {
	t.Helper()
	text := tok.Decode(ids, false)
	_, system, chat := strings.Cut(text, "<<SYS>>\n")
	if chat {
		system, _, _ = strings.Cut(system, "\n<</SYS>>")
	} else {
		system, _, _ = strings.Cut(strings.TrimPrefix(text, "<s>"), "USER: ")
		system = strings.TrimSpace(system)
	}
	var file struct {
		Conversations []struct{ From, Value string }
	}
	readFixture(t, filepath.Join(fixtures, "conversation.json"), &file)
	messages := []Message{{Role: "system", Content: system}}
	for _, m := range file.Conversations {
		messages = append(messages, Message{Role: map[string]string{"human": "user", "gpt": "assistant"}[m.From], Content: m.Value})
	}
	return messages
}

// answerTexts returns the texts of consecutive labels, which must end with the end token, without
// the ends.
func answerTexts(tok *tokenizer.Tokenizer, ids, labels []int32) (texts []string) {
	for i := 0; i < len(ids); {
		j := i
		for j < len(ids) && (labels[j] == -100) == (labels[i] == -100) {
			j++
		}
		if labels[i] != -100 {
			text := strings.TrimSuffix(tok.Decode(ids[i:j], false), "<s>")
			if !strings.HasSuffix(text, "</s>") {
				text = "no end: " + text
			}
			texts = append(texts, strings.TrimSpace(strings.ReplaceAll(text, "</s>", "")))
		}
		i = j
	}
	return texts
}
