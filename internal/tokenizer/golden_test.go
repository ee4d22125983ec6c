package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"barka/internal/testfiles"
)

// shared returns a file or a folder of the reference data, or skips.
func shared(t testing.TB, parts ...string) string {
	t.Helper()
	return testfiles.Shared(t, append([]string{"tokenizers"}, parts...)...)
}

// realTokenizer loads one of the genuine tokenizers.
func realTokenizer(t testing.TB, name string) *Tokenizer {
	t.Helper()
	var data []byte
	parse := Parse
	switch name {
	case "gemma":
		data = testfiles.Read(t, shared(t, "gemma2", "tokenizer.json.gz"))
	case "gpt_neox":
		data = testfiles.Read(t, shared(t, "gpt-neox", "20B_tokenizer.json"))
	case "llama2":
		data = testfiles.Read(t, shared(t, "llama2", "tokenizer.json"))
	case "llama2-model":
		data = testfiles.Read(t, shared(t, "llama2", "tokenizer.model"))
		parse = ParseSentencePiece
	case "llama32":
		data = llama3JSON(t, shared(t, "llama3.2"))
	}
	tok, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// llama3JSON builds the tokenizer.json that Llama 3 ships from its
// vocabulary and merges.
func llama3JSON(t testing.TB, dir string) []byte {
	t.Helper()
	vocab, err := os.ReadFile(filepath.Join(dir, "encoder.json"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "vocab.bpe"))
	if err != nil {
		t.Fatal(err)
	}
	var merges []string
	for _, l := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
		if !strings.HasPrefix(l, "#version") {
			merges = append(merges, l)
		}
	}
	doc := map[string]any{
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": llama3Pattern}, "behavior": "Isolated", "invert": false},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
		}},
		"decoder": map[string]any{"type": "ByteLevel"},
		"model":   map[string]any{"type": "BPE", "vocab": json.RawMessage(vocab), "merges": merges, "ignore_merges": true},
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goldenLines returns the lines of a golden file; the files write line breaks
// inside a text as \n and a final space as \s.
func goldenLines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(shared(t, "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func unescape(s string) string { return strings.NewReplacer(`\n`, "\n", `\s`, " ").Replace(s) }

// TestGoldenIDs: the genuine tokenizers against recorded ids.
func TestGoldenIDs(t *testing.T) {
	for _, c := range []struct{ tokenizer, file string }{
		{"gemma", "spm_%s_tokens_gemma.txt"}, {"gpt_neox", "hf_%s_tokens_gpt_neox.txt"},
		{"llama2", "hf_%s_tokens_llama2.txt"}, {"llama32", "hf_%s_tokens_llama32.txt"}, {"llama32", "hf_%s_tokens_llama33.txt"},
		{"llama2-model", "spm_%s_tokens_llama2.txt"},
	} {
		tok := realTokenizer(t, c.tokenizer)
		for _, set := range []string{"small", "mixed"} {
			inputs, wants := goldenLines(t, set+"_input.txt"), goldenLines(t, fmt.Sprintf(c.file, set))
			if len(inputs) != len(wants) {
				t.Fatalf("%s: %d inputs, %d golden lines", c.file, len(inputs), len(wants))
			}
			bad := 0
			for i, in := range inputs {
				var want []int32
				for _, f := range strings.FieldsFunc(wants[i], func(r rune) bool { return r == ',' || r == ' ' }) {
					v, err := strconv.Atoi(f)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, int32(v))
				}
				got := tok.Encode(unescape(in), false)
				if !slices.Equal(got, want) {
					if bad++; bad <= 3 {
						t.Errorf("%s %s line %d %q:\n got %v\nwant %v", c.tokenizer, set, i+1, in, got, want)
					}
				}
			}
			if bad > 0 {
				t.Errorf("%s %s: %d of %d lines differ", c.tokenizer, set, bad, len(inputs))
			}
		}
	}
}

// TestGoldenTexts: decoding gives the recorded texts.
func TestGoldenTexts(t *testing.T) {
	for _, c := range []struct{ tokenizer, tokens, texts string }{
		{"gpt_neox", "hf_small_tokens_gpt_neox.txt", "hf_small_output_gpt_neox.txt"},
		{"gpt_neox", "hf_mixed_tokens_gpt_neox.txt", "hf_mixed_output_gpt_neox.txt"},
		{"llama2", "hf_small_tokens_llama2.txt", "hf_small_output_llama2.txt"},
	} {
		tok := realTokenizer(t, c.tokenizer)
		wants := goldenLines(t, c.texts)
		for i, l := range goldenLines(t, c.tokens) {
			var ids []int32
			for _, f := range strings.FieldsFunc(l, func(r rune) bool { return r == ',' || r == ' ' }) {
				v, err := strconv.Atoi(f)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, int32(v))
			}
			if got := tok.Decode(ids, false); got != unescape(wants[i]) {
				t.Errorf("%s line %d: %q, want %q", c.texts, i+1, got, unescape(wants[i]))
			}
			s := tok.Stream(false)
			var text strings.Builder
			for _, id := range ids {
				text.WriteString(s.Push(id))
			}
			text.WriteString(s.Flush())
			if text.String() != unescape(wants[i]) {
				t.Errorf("%s line %d, streamed: %q, want %q", c.texts, i+1, text.String(), unescape(wants[i]))
			}
		}
	}
}
