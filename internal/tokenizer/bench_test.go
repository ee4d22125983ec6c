package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// benchText returns the lines that the small tokenizers were trained on.
func benchText(b *testing.B) []string {
	data, err := os.ReadFile(filepath.Join("..", "..", "reference", "tokenizers", "corpus.txt"))
	if err != nil {
		b.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}

func benchEncode(b *testing.B, t *Tokenizer, texts []string) {
	n := 0
	for _, s := range texts {
		n += len(s)
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range texts {
			t.Encode(s, true)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	texts := benchText(b)
	for _, name := range []string{"gemma2", "nllb", "nllb-nfkc", "neox", "llama3", "unigram", "spm-gemma2"} {
		b.Run(name, func(b *testing.B) { benchEncode(b, layout(b, filepath.Join("testdata", "layouts", name)), texts) })
	}
	for _, name := range []string{"gemma", "gpt_neox", "llama2", "llama32"} {
		b.Run("real-"+name, func(b *testing.B) { benchEncode(b, realTokenizer(b, name), texts) })
	}
}

// BenchmarkFiles reads the texts of texts.json, in the folder that
// BARKA_BENCH_TOKENIZERS names, with every other tokenizer there, each time
// with nothing remembered: reference/bench/tokenizer_files.py runs it.
func BenchmarkFiles(b *testing.B) {
	dir := os.Getenv("BARKA_BENCH_TOKENIZERS")
	if dir == "" {
		b.Skip("only with BARKA_BENCH_TOKENIZERS")
	}
	data, err := os.ReadFile(filepath.Join(dir, "texts.json"))
	var texts map[string][]string
	if err == nil {
		err = json.Unmarshal(data, &texts)
	}
	if err != nil {
		b.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		name, isJSON := strings.CutSuffix(f.Name(), ".json")
		name, isModel := strings.CutSuffix(name, ".model")
		if name == "texts" || !isJSON && !isModel {
			continue
		}
		tok := layout(b, filepath.Join(dir, name))
		for kind, sample := range texts {
			b.Run(name+"/"+kind, func(b *testing.B) {
				n := 0
				for _, s := range sample {
					n += len(s)
				}
				b.SetBytes(int64(n))
				for b.Loop() {
					fresh := tok.fresh()
					for _, s := range sample {
						fresh.Encode(s, true)
					}
				}
			})
		}
	}
}

// BenchmarkHostile: a long text that is one word to the model.
func BenchmarkHostile(b *testing.B) {
	t := layout(b, filepath.Join("testdata", "layouts", "gemma2"))
	benchEncode(b, t, []string{strings.Repeat("aab", 1<<16)})
}

func BenchmarkDecode(b *testing.B) {
	texts := benchText(b)
	for _, name := range []string{"gemma2", "nllb", "neox"} {
		b.Run(name, func(b *testing.B) {
			t := layout(b, filepath.Join("testdata", "layouts", name))
			var ids [][]int32
			n := 0
			for _, s := range texts {
				ids = append(ids, t.Encode(s, false))
				n += len(s)
			}
			b.SetBytes(int64(n))
			for b.Loop() {
				for _, l := range ids {
					t.Decode(l, true)
				}
			}
		})
	}
}

// BenchmarkParse: the time to start, for the largest real file.
func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		realTokenizer(b, "gemma")
	}
}
