package chat_test

import (
	"os"
	"path/filepath"
	"testing"

	"barka/internal/chat"
	"barka/internal/tokenizer"
)

// FuzzTokenizerConfig puts any tokenizer_config.json beside a tokenizer. Its
// template is one of those known, or refused.
func FuzzTokenizerConfig(f *testing.F) {
	const demo = "../../testdata/chain/models/gemma2"
	dir := f.TempDir()
	data, err := os.ReadFile(filepath.Join(demo, "tokenizer.json"))
	if err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), data, 0o644); err != nil {
		f.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(demo, "tokenizer_config.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(config)
	f.Add([]byte(`{"bos_token":{"content":"<s>"},"eos_token":null,"add_bos_token":true,` +
		`"chat_template":[{"name":"default","template":"{{ x }}"}]}`))
	f.Add([]byte(`{"tokenizer_class":"LlamaTokenizer","added_tokens_decoder":{"-1":{"content":"x"},"99999999999":{"content":""}}}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), config, 0o644); err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Load(dir)
		if err != nil {
			return
		}
		format, err := chat.For(tok)
		if err != nil {
			return
		}
		tokens, trained, err := format.Encode([]chat.Message{{Role: "user", Content: "مرحبا <bos>"}, {Role: "assistant", Content: "hello"}})
		if err == nil && len(tokens) != len(trained) {
			t.Errorf("%d tokens, %d marks", len(tokens), len(trained))
		}
	})
}
