package tokenizer

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHostile: an eighth of a megabyte of the worst kind of text takes time in proportion
// to its length; anything quadratic would take minutes.
func TestHostile(t *testing.T) {
	units := []string{"a", "ab", "<", "<s", " ", "\n", "▁", "\u0301", "e\u0301\u0323", "\u200d", "👩‍", "ك", "كَ", "1",
		"'", "\x00", "\xff", "漢", "e ", "ㇿ\u3099"}
	for _, name := range []string{"gemma2", "nllb", "neox", "llama3", "unigram", "odd", "spm-gemma2", "spm-unigram"} {
		tok := layout(t, filepath.Join("testdata", "layouts", name))
		for _, u := range units {
			text := strings.Repeat(u, 1<<17/len(u))
			start := time.Now()
			ids := tok.Encode(text, false)
			encoded := time.Since(start)
			tok.Decode(ids, false)
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("%s: an eighth of a megabyte of %q takes %v (encoding %v)", name, u, d, encoded)
			} else if d > 300*time.Millisecond {
				t.Logf("%s: %q takes %v (encoding %v)", name, u, d, encoded)
			}
		}
	}
}
