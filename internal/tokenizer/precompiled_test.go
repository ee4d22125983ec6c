package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"barka/internal/testfiles"
)

// TestKeptCharacters compares the fast ways of normalize with the grapheme search over the whole
// text, on random texts of characters that join, change or stand alone.
func TestKeptCharacters(t *testing.T) {
	var file struct {
		Normalizer struct {
			Charsmap    []byte `json:"precompiled_charsmap"`
			Normalizers []struct {
				Charsmap []byte `json:"precompiled_charsmap"`
			}
		}
	}
	if err := json.Unmarshal(testfiles.Read(t, "testdata/layouts/nllb.json"), &file); err != nil {
		t.Fatal(err)
	}
	data := file.Normalizer.Charsmap
	for _, n := range file.Normalizer.Normalizers {
		data = append(data, n.Charsmap...)
	}
	p, err := newPrecompiled(data)
	if err != nil || len(p.trie) == 0 {
		t.Fatalf("no character map: %v", err)
	}
	kept := 0
	for _, k := range p.kept {
		if k {
			kept++
		}
	}
	if kept < 300 {
		t.Errorf("%d characters are kept, expected most Latin, Cyrillic and Arabic letters", kept)
	}
	letters := strings.Fields("a Z 7 é e\u0301 ب لا ﷺ ﻻ ـ ٣ ّ َ \u0600 \u200d \u200c " +
		"👨\u200d👩 🇪🇬 각 ᄀ ᅡ 中 ½ ﬁ Ａ ¼ \u00ad ❤️ \xff \xd8 \xe2\x80 ▁ \x01 \u0903")
	letters = append(letters, " ", "\n", "\r", "\r\n", "\t", "\u00a0", "\u3000")
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var text strings.Builder
		for range rng.IntN(8) {
			if rng.IntN(3) > 0 {
				text.WriteString(letters[rng.IntN(3)*5+rng.IntN(3)]) // mostly letters that are kept
			}
			text.WriteString(letters[rng.IntN(len(letters))])
		}
		var slow strings.Builder
		p.graphemes(&slow, text.String())
		if got := p.normalize(text.String()); got != slow.String() {
			t.Fatalf("%q becomes %q, expected %q", text.String(), got, slow.String())
		}
	}
}
