package tokenizer

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// TestTranslationSources: sources as transformers' tokenizers of NLLB, with and
// without legacy_behaviour, and of M2M-100 make them: whole, cut to 8 tokens,
// and with the text of special tokens left text.
func TestTranslationSources(t *testing.T) {
	var want map[string][]struct {
		Text            string
		IDs, Cut, Plain []int32
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "models", "m2m100-untied", "sources.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	fast, slow := filepath.Join("..", "..", "testdata", "chain", "models", "nllb"), filepath.Join("testdata", "layouts", "slow-nllb")
	for name, c := range map[string]struct {
		dir, from string
		legacy    bool
	}{
		"nllb": {fast, "eng_Latn", false}, "nllb-legacy": {fast, "eng_Latn", true},
		"slow-nllb": {slow, "eng_Latn", false}, "slow-nllb-legacy": {slow, "eng_Latn", true},
		"m2m100": {filepath.Join("..", "..", "testdata", "models", "m2m100-untied"), "en", false},
	} {
		t.Run(name, func(t *testing.T) {
			if len(want[name]) == 0 {
				t.Fatal("no cases")
			}
			dir := withConfig(t, c.dir, func(settings map[string]any) { settings["legacy_behaviour"] = c.legacy })
			base, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := base.ForTranslation(c.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range want[name] {
				ids := tok.Encode(w.Text, true)
				if !slices.Equal(ids, w.IDs) {
					t.Errorf("%q: %v, want %v", w.Text, ids, w.IDs)
				}
				if cut := tok.Truncate(ids, 8); !slices.Equal(cut, w.Cut) {
					t.Errorf("%q cut to 8: %v, want %v", w.Text, cut, w.Cut)
				}
				if plain := tok.EncodeOptions(w.Text,
					EncodeOptions{AddSpecial: true, NoParseSpecial: true}); !slices.Equal(plain, w.Plain) {
					t.Errorf("%q as text: %v, want %v", w.Text, plain, w.Plain)
				}
			}
		})
	}
}

// withConfig copies a tokenizer with other settings in tokenizer_config.json.
func withConfig(t *testing.T, from string, change func(map[string]any)) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"tokenizer.json", "sentencepiece.bpe.model", "special_tokens_map.json",
		"added_tokens.json", "vocab.json", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			continue
		}
		if name == "tokenizer_config.json" {
			var settings map[string]any
			if err := json.Unmarshal(data, &settings); err != nil {
				t.Fatal(err)
			}
			change(settings)
			if data, err = json.Marshal(settings); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestM2M100Languages: codes are accepted with and without underscores, also in
// the layout of the published directories, which declare nothing beside the list.
func TestM2M100Languages(t *testing.T) {
	from := filepath.Join("..", "..", "testdata", "models", "m2m100-untied")
	declared, err := Load(from)
	if err != nil {
		t.Fatal(err)
	}
	bare := withConfig(t, from, func(settings map[string]any) {
		maps.DeleteFunc(settings, func(k string, _ any) bool { return k != "tokenizer_class" })
	})
	if err := os.Remove(filepath.Join(bare, "added_tokens.json")); err != nil {
		t.Fatal(err)
	}
	published, err := Load(bare)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []*Tokenizer{declared, published} {
		if n := len(tok.Languages()); n != 100 {
			t.Errorf("%d languages", n)
		}
		for _, code := range []string{"ar", "__ar__", "arb_Arab"} {
			if id, err := tok.Language(code); err != nil || id != 591 {
				t.Errorf("%s: %d, %v", code, id, err)
			}
		}
		if _, err := tok.Language("arz_Arab"); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), "similar ones: ar") {
			t.Errorf("arz_Arab: %v", err)
		}
		if text := tok.DecodeTranslation([]int32{2, 591, 57, 2}); text != "V" {
			t.Errorf("decoded %q", text)
		}
	}
}

func TestNLLBCode(t *testing.T) {
	if n := len(strings.Fields(nllbCodes)); n != len(strings.Fields(m2mCodes["m2m100"])) {
		t.Fatalf("%d codes", n)
	}
	for code, want := range map[string]string{"ar": "arb_Arab", "__ar__": "arb_Arab", "en": "eng_Latn",
		"zu": "zul_Latn", "sr": "srp_Cyrl", "arz_Arab": "arz_Arab", "": ""} {
		if got := NLLBCode(code); got != want {
			t.Errorf("%q: %q, want %q", code, got, want)
		}
	}
	for _, code := range strings.Fields(nllbCodes) {
		if !languageCode(code) || NLLBCode(m2mCode(code)) != code {
			t.Errorf("%s and %s are not each other's", code, m2mCode(code))
		}
	}
}

func TestM2M100Broken(t *testing.T) {
	from := filepath.Join("..", "..", "testdata", "models", "m2m100-untied")
	for want, breakIt := range map[string]func(dir string) error{
		"vocab.json: no such file": func(dir string) error { return os.Remove(filepath.Join(dir, "vocab.json")) },
		`token "a" has id -1`: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "vocab.json"), []byte(`{"a": -1}`), 0o644)
		},
		"token <s> is missing": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "vocab.json"), []byte(`{"a": 1}`), 0o644)
		},
		"vocab.json: ": func(dir string) error { return os.WriteFile(filepath.Join(dir, "vocab.json"), []byte(`["a"]`), 0o644) },
		`language_codes is "esperanto", expected m2m100 or wmt21`: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "tokenizer_config.json"),
				[]byte(`{"tokenizer_class": "M2M100Tokenizer", "language_codes": "esperanto"}`), 0o644)
		},
	} {
		dir := withConfig(t, from, func(map[string]any) {})
		if err := breakIt(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}
