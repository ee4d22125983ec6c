package gguf

import (
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/tokenizer"
)

// wordsFile is a tokenizer as a GGUF file has it, and the ids of texts by the tokenizers
// library (reference/gguf_words.py).
type wordsFile struct {
	Pre            string
	Tokens, Merges []string
	Cases          []struct {
		Text string
		IDs  []int32
	}
}

func readWords(t *testing.T, path string, into any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *wordsFile) check(t *testing.T) {
	t.Helper()
	c := contents{settings: map[string]any{"tokenizer.ggml.pre": w.Pre, "tokenizer.ggml.model": "gpt2"}}
	data, err := c.bpe(&vocabulary{tokens: w.Tokens, merges: w.Merges})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range w.Cases {
		if got := tok.Encode(x.Text, false); !slices.Equal(got, x.IDs) {
			t.Errorf("%q: ids %v, want %v", x.Text, got, x.IDs)
		}
	}
	if len(w.Cases) < 30 {
		t.Errorf("%d texts", len(w.Cases))
	}
}

// TestWords: texts are cut into words as by the pre-tokenizers of the models' own
// tokenizer.json.
func TestWords(t *testing.T) {
	var files []wordsFile
	readWords(t, filepath.Join("testdata", "words.json.gz"), &files)
	for _, w := range files {
		t.Run(w.Pre, w.check)
	}
	if len(files) < 7 {
		t.Errorf("%d names", len(files))
	}
}

// TestGenuineWords: genuine tokenizers, read as GGUF files hold them, give the ids of the
// tokenizers library. BARKA_TOKENIZERS is the folder of reference/gguf_words.py.
func TestGenuineWords(t *testing.T) {
	folder := os.Getenv("BARKA_TOKENIZERS")
	if folder == "" {
		t.Skip("BARKA_TOKENIZERS is not set")
	}
	paths, _ := filepath.Glob(filepath.Join(folder, "*.json.gz"))
	if len(paths) == 0 {
		t.Skipf("%s has no tokenizers of reference/gguf_words.py", folder)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var w wordsFile
			readWords(t, path, &w)
			w.check(t)
		})
	}
}

// TestBeginsByItself: a file that does not say whether a text begins with the first token
// leaves it to the kind of tokenizer.
func TestBeginsByItself(t *testing.T) {
	for _, c := range []struct {
		pre  string
		said any
		want bool
	}{
		{"llama-bpe", nil, true}, {"tekken", nil, true}, {"qwen2", nil, false}, {"smaug-bpe", nil, false},
		{"llama-bpe", false, false}, {"qwen2", true, true},
	} {
		in := contents{settings: map[string]any{"tokenizer.ggml.pre": c.pre, "tokenizer.ggml.model": "gpt2",
			"tokenizer.ggml.bos_token_id": int64(1)}}
		if c.said != nil {
			in.settings["tokenizer.ggml.add_bos_token"] = c.said
		}
		v := &vocabulary{tokens: []string{"a", "<s>"}, merges: []string{}}
		data, err := in.bpe(v)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		ids := tok.Encode("a", true)
		if begins := len(ids) == 2 && ids[0] == 1; begins != c.want || in.tokenizerConfig(v)["add_bos_token"] != c.want {
			t.Errorf("%s, add_bos_token %v: ids %v, want a first token: %v", c.pre, c.said, ids, c.want)
		}
	}
}

// TestNamesAreDocumented: docs/models.md has every name of words and every architecture.
func TestNamesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(doc)), " ")
	if list := strings.Join(slices.Sorted(maps.Keys(wordsOf)), ", ") + "."; !strings.Contains(text, list) {
		t.Errorf("docs/models.md does not list %s", list)
	}
	for name := range families {
		if !strings.Contains(text, name) {
			t.Errorf("docs/models.md does not name %s", name)
		}
	}
}
