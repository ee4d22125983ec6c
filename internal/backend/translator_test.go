package backend

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/golden"
	"barka/internal/stage/translate"
)

// altered copies a model directory and changes settings in its JSON files.
func altered(t *testing.T, from string, settings map[string]map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if change := settings[e.Name()]; change != nil {
			var v map[string]any
			if err := json.Unmarshal(data, &v); err != nil {
				t.Fatal(err)
			}
			for key, value := range change {
				v[key] = value
			}
			if data, err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// translated is an output recorded by reference/translation.py.
type translated struct {
	Source, Tokens []int32
	Score          float64
	Text           string
}

// TestM2M100 compares a model in M2M-100's own layout with transformers, from text to text:
// with separate embeddings of encoder and decoder and a separate head, and with all of them
// tied to one matrix.
func TestM2M100(t *testing.T) {
	from := golden.Dir("m2m100-untied")
	data, err := os.ReadFile(filepath.Join(from, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Texts        []string
		Untied, Tied []translated
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	tied := altered(t, from, map[string]map[string]any{"config.json": {"tie_word_embeddings": true}})
	for _, c := range []struct {
		dir   string
		want  []translated
		notes []string
	}{
		{from, want.Untied, nil},
		{tied, want.Tied,
			[]string{"encoder.embed_tokens.weight differs", "decoder.embed_tokens.weight differs",
				"lm_head.weight differs from model.shared.weight and is not used"}},
	} {
		var notes []string
		e := NewEngine(1, "f32", func(s string) { notes = append(notes, s) })
		o := TranslatorOptions{From: "en", To: "__ar__",
			Decoding: translate.Decoding{Beam: 3, LengthPenalty: 1, MaxLength: 16, RepetitionPenalty: 1, Patience: 1, TopP: 1}, ParseSpecial: true}
		tr, err := e.OpenTranslator(c.dir, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tr.Run(context.Background(), want.Texts, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.want) != len(got) || len(got) == 0 {
			t.Fatalf("%d outputs, want %d", len(got), len(c.want))
		}
		for i, w := range c.want {
			if !slices.Equal(tr.Tokens(want.Texts[i]), w.Source) {
				t.Errorf("%q: source %v, want %v", want.Texts[i], tr.Tokens(want.Texts[i]), w.Source)
			}
			if g := got[i]; !slices.Equal(g.IDs, w.Tokens) || math.Abs(float64(g.Score)-w.Score) > 1e-4 || g.Text != w.Text {
				t.Errorf("%q: %v (%g) %q, want %v (%g) %q", want.Texts[i], g.IDs, g.Score, g.Text, w.Tokens, w.Score, w.Text)
			}
		}
		all := strings.Join(notes, "\n")
		for _, n := range c.notes {
			if !strings.Contains(all, n) {
				t.Errorf("no note that %s: %q", n, all)
			}
		}
		if len(notes) != len(c.notes) {
			t.Errorf("notes: %q", notes)
		}
	}
}

// TestUntiedWithoutHead: an untied head that the checkpoint lacks is reported as missing.
func TestUntiedWithoutHead(t *testing.T) {
	dir := altered(t, nllb, map[string]map[string]any{"config.json": {"tie_word_embeddings": false}})
	_, err := engine(t, 1).OpenTranslator(dir, TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: translate.DefaultDecoding()})
	if err == nil || !strings.Contains(err.Error(), "lm_head.weight is missing") ||
		!strings.Contains(err.Error(), "tie_word_embeddings is false") {
		t.Errorf("%v", err)
	}
}

// TestTextStaysText: the text of a special token is translated as text, unless ParseSpecial
// is set, as in transformers; reference/translation.py records both.
func TestTextStaysText(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(golden.Dir("m2m100-untied"), "sources.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]struct {
		Text       string
		IDs, Plain []int32
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	o := TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: translate.DefaultDecoding()}
	parsing := o
	parsing.ParseSpecial = true
	text, err := engine(t, 1).OpenTranslator(nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	lazy, err := engine(t, 1).LazyTranslator("nllb", nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := engine(t, 1).OpenTranslator(nllb, parsing)
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for _, w := range want["nllb"] {
		if ids := text.Tokens(w.Text); !slices.Equal(ids, w.Plain) || lazy.CountTokens(w.Text) != len(w.Plain) {
			t.Errorf("%q as text: %v, want %v; %d tokens counted", w.Text, ids, w.Plain, lazy.CountTokens(w.Text))
		}
		if ids := parsed.Tokens(w.Text); !slices.Equal(ids, w.IDs) {
			t.Errorf("%q parsed: %v, want %v", w.Text, ids, w.IDs)
		}
		if !slices.Equal(w.Plain, w.IDs) {
			differ++
		}
	}
	if differ < 5 {
		t.Errorf("only %d texts spell special tokens", differ)
	}
}

// TestSeveralEndTokens: each token of a list in generation_config.json ends an
// output.
func TestSeveralEndTokens(t *testing.T) {
	o := TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: translate.DefaultDecoding()}
	o.Beam, o.MaxLength = 1, 24
	run := func(dir string) Output {
		tr, err := engine(t, 1).OpenTranslator(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tr.Run(context.Background(), []string{"Coffee is served in small cups."}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	whole := run(nllb)
	if len(whole.IDs) < 6 {
		t.Fatalf("the output is too short: %v", whole.IDs)
	}
	end := whole.IDs[4]
	short := run(altered(t, nllb, map[string]map[string]any{"generation_config.json": {"eos_token_id": []int32{2, end}}}))
	if n := slices.Index(whole.IDs, end) + 1; !slices.Equal(short.IDs, whole.IDs[:n]) || short.HitMax {
		t.Errorf("%v, expected %v", short.IDs, whole.IDs[:n])
	}
}

// TestDigestOfGeneration: of generation_config.json, a digest depends on the start and end
// tokens only.
func TestDigestOfGeneration(t *testing.T) {
	digest := func(settings map[string]any) string {
		d, err := Digest(altered(t, nllb, map[string]map[string]any{"generation_config.json": settings}))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	plain := digest(nil)
	if digest(map[string]any{"temperature": 0.5, "eos_token_id": []int{2}}) != plain {
		t.Error("a temperature, or a list of the one end token, changes the digest")
	}
	if digest(map[string]any{"eos_token_id": []int{2, 7}}) == plain || digest(map[string]any{"decoder_start_token_id": 0}) == plain {
		t.Error("another end or start does not change the digest")
	}
}
