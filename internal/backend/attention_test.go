package backend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/generate"
	"barka/internal/stage/translate"
	"barka/internal/tokenizer"
)

// TestIgnored plants translations that omit the second half of their source. The demonstration's
// model knows the complete ones by heart: none of them ignores much of its source, and most of
// the others do.
func TestIgnored(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "chain", "models", "nllb")
	m, err := NewEngine(1, "f32", nil).OpenTranslator(dir, TranslatorOptions{From: "eng_Latn", To: "arb_Arab",
		Decoding: translate.DefaultDecoding(), Attention: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text, err := os.ReadFile(filepath.Join("..", "..", "reference", "demo_parallel.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	ignored := func(source, target string) float64 {
		ids := m.Tokens(source)
		out := append([]int32{m.search.Start, m.target}, m.base.EncodeOptions(target, tokenizer.EncodeOptions{NoParseSpecial: true})...)
		attention, err := generate.Attention(m.model, ids, append(out, m.search.EOS[0]), 2)
		if err != nil {
			t.Fatal(err)
		}
		return float64(m.ignored(ids, attention))
	}
	most := translate.Defaults().MaxIgnored
	sentences, found := 0, 0
	for line := range strings.Lines(string(text)) {
		source, target, ok := strings.Cut(strings.TrimSpace(line), "\t")
		words := strings.Fields(target)
		if !ok || strings.HasPrefix(line, "#") || len(words) < 8 {
			continue
		}
		sentences++
		if share := ignored(source, target); share > most {
			t.Errorf("%.0f %% ignored by the complete %q of %q", 100*share, target, source)
		}
		if ignored(source, strings.Join(words[:len(words)/2], " ")) > most {
			found++
		}
	}
	t.Logf("%d of %d translations of half of the source found", found, sentences)
	if sentences < 40 || found*10 < sentences*7 {
		t.Errorf("only %d of %d translations of half of the source found", found, sentences)
	}
}

// TestTranslationsHaveIgnored: what the search ignores reaches the translation, whose language and
// end tokens do not count.
func TestTranslationsHaveIgnored(t *testing.T) {
	m := &Translator{special: map[int32]bool{7: true, 2: true}}
	if got := m.ignored([]int32{7, 11, 12, 13, 14, 2}, []float32{0, 0.1, 1, 0.19, 0.2, 0}); got != 0.5 {
		t.Errorf("ignored %g, want 0.5", got)
	}
	if got := m.ignored([]int32{7, 11, 2}, nil); got != 0 {
		t.Errorf("without attention %g", got)
	}
}
