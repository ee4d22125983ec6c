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

// publishedTemplates returns the conversations and, by name, the templates of
// package jinja's goldens.
func publishedTemplates(t *testing.T) (conversations map[string][]Message, templates map[string]string) {
	templates = map[string]string{}
	for _, line := range testfiles.Lines(t, filepath.Join("..", "jinja", "testdata", "published.jsonl.gz")) {
		var p struct {
			Name, Template string
			Conversations  map[string][]Message
		}
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		if p.Conversations != nil {
			conversations = p.Conversations
		} else {
			templates[p.Name] = p.Template
		}
	}
	return conversations, templates
}

// tokenizersDir is where reference/chat/render.py put the tokenizers of npm
// packages, or "".
func tokenizersDir(t *testing.T) string {
	shared, _ := testfiles.FindShared(t, "chat-tokenizers")
	for _, dir := range []string{os.Getenv("BARKA_TOKENIZERS"), shared} {
		if _, err := os.Stat(filepath.Join(dir, "qwen3", "tokenizer.json")); dir != "" && err == nil {
			return dir
		}
	}
	return ""
}

// TestPublishedIDs: published templates with the tokenizers of their families
// give the ids of apply_chat_template, and {% generation %} its mask.
func TestPublishedIDs(t *testing.T) {
	dir := tokenizersDir(t)
	if dir == "" {
		t.Skip("BARKA_TOKENIZERS is no folder that reference/chat/render.py filled")
	}
	conversations, templates := publishedTemplates(t)
	toks, cs := map[string]*tokenizer.Tokenizer{}, map[string]*Template{}
	n, masks, found := 0, 0, 0
	for _, line := range testfiles.Lines(t, filepath.Join("testdata", "ids.jsonl.gz")) {
		var c struct {
			Tokenizer, Template, Conversation string
			Generation                        bool
			IDs                               []int32
			Mask                              string
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		var err error
		if toks[c.Tokenizer] == nil {
			if toks[c.Tokenizer], err = tokenizer.Load(filepath.Join(dir, c.Tokenizer)); err != nil {
				t.Fatal(err)
			}
		}
		key := c.Tokenizer + " " + c.Template
		if cs[key] == nil {
			source := templates[c.Template]
			if c.Template == "" {
				source = toks[c.Tokenizer].ChatTemplate()
			}
			if cs[key], err = compile(toks[c.Tokenizer], source, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		n++
		messages := conversations[c.Conversation]
		ids, err := cs[key].Tokens(messages, c.Generation)
		if err != nil || !slices.Equal(ids, c.IDs) {
			t.Errorf("%s %s: %v\n got %v\nwant %v", key, c.Conversation, err, ids, c.IDs)
		}
		if !strings.Contains(c.Mask, "1") {
			continue
		}
		masks++
		_, trained, err := cs[key].Encode(messages)
		if err != nil || maskOf(trained) != c.Mask {
			t.Errorf("%s %s: %v\n got %s\nwant %s", key, c.Conversation, err, maskOf(trained), c.Mask)
		}
		// The same conversation by the template without marks: what trl marks
		// beside the answer and its end are line breaks and thinking tags.
		plain, ok := templates[strings.TrimSuffix(c.Template, "_training")]
		if !ok || plain == templates[c.Template] {
			continue
		}
		b, err := compile(toks[c.Tokenizer], plain, Options{Thinking: "off"})
		if err != nil {
			t.Fatal(err)
		}
		same, trained, err := b.Encode(messages)
		if err != nil {
			t.Errorf("%s %s, without marks: %v", key, c.Conversation, err)
		}
		if !slices.Equal(same, ids) {
			continue
		}
		found++
		var beside []int32
		for i, is := range trained {
			switch {
			case is && c.Mask[i] == '0':
				t.Errorf("%s %s: token %d trains, which trl does not mark", key, c.Conversation, i)
			case !is && c.Mask[i] == '1':
				beside = append(beside, ids[i])
			}
		}
		text := strings.NewReplacer("<think>", "", "</think>", "").Replace(b.tok.Decode(beside, false))
		if strings.TrimSpace(text) != "" {
			t.Errorf("%s %s: %q does not train, which trl marks", key, c.Conversation, text)
		}
	}
	t.Logf("%d conversations, %d masks, %d found without marks too, %d templates on a tokenizer", n, masks, found, len(cs))
}

func maskOf(trained []bool) string {
	var b strings.Builder
	for _, is := range trained {
		b.WriteByte(map[bool]byte{false: '0', true: '1'}[is])
	}
	return b.String()
}
