package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// modelDir writes files, given by name as bytes, or as values to be JSON.
func modelDir(t *testing.T, files map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	for name, v := range files {
		b, ok := v.([]byte)
		if !ok {
			var err error
			if b, err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "layouts", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLoadConfig(t *testing.T) {
	dir := modelDir(t, map[string]any{
		"tokenizer.json": read(t, "gemma2.json"),
		"special_tokens_map.json": map[string]any{"eos_token": map[string]any{"content": "<eos>"},
			"unk_token": "<unk>", "additional_special_tokens": []string{"<start_of_turn>"}},
		"tokenizer_config.json": map[string]any{"bos_token": "<bos>", "pad_token": nil, "chat_template": "old",
			"additional_special_tokens":    nil,
			"clean_up_tokenization_spaces": true, "tokenizer_class": "GemmaTokenizerFast", "add_eos_token": true},
		"chat_template.jinja": []byte("new"),
	})
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Special(), (Special{BOS: 2, EOS: 1, Pad: -1, Unk: 3}); got != want {
		t.Errorf("special tokens %+v, expected %+v", got, want)
	}
	if tok.ChatTemplate() != "new" || !tok.CleanUp() || tok.Class() != "GemmaTokenizerFast" {
		t.Errorf("template %q, clean up %v, class %q", tok.ChatTemplate(), tok.CleanUp(), tok.Class())
	}
	// The class puts its own tokens around a text, whatever the file says.
	ids := tok.Encode("a", true)
	if ids[0] != 2 || ids[len(ids)-1] != 1 {
		t.Errorf("Encode gives %v, expected <bos> … <eos>", ids)
	}
}

// TestTemplates: the default template, wherever the files hold it, and the
// special tokens as templates get them.
func TestTemplates(t *testing.T) {
	type object = map[string]any
	for _, c := range []struct {
		files object
		want  string
	}{
		{object{"tokenizer_config.json": object{"chat_template": []any{object{"name": "tool_use", "template": "x"},
			object{"name": "default", "template": "y"}}}}, "y"},
		{object{"tokenizer_config.json": object{"chat_template": object{"rag": "x", "default": "y"}}}, "y"},
		{object{"tokenizer_config.json": object{"chat_template": []any{object{"name": "rag", "template": "x"}}}}, ""},
		{object{"tokenizer_config.json": object{"chat_template": nil}, "chat_template.json": object{"chat_template": "y"}}, "y"},
		{object{"tokenizer_config.json": object{"chat_template": "y"}, "chat_template.json": object{"chat_template": "x"}}, "y"},
		{object{"tokenizer_config.json": object{"chat_template": "x"}, "chat_template.jinja": []byte("y"),
			"chat_template.json": object{"chat_template": "x"}}, "y"},
		{object{"tokenizer_config.json": object{"chat_template": 1}}, ""},
	} {
		c.files["tokenizer.json"] = read(t, "qwen2.json")
		tok, err := Load(modelDir(t, c.files))
		if err != nil {
			t.Fatal(err)
		}
		if tok.ChatTemplate() != c.want {
			t.Errorf("%v: template %q, expected %q", c.files["tokenizer_config.json"], tok.ChatTemplate(), c.want)
		}
	}
	tok, err := Load(modelDir(t, object{"tokenizer.json": read(t, "qwen2.json"), "tokenizer_config.json": object{
		"bos_token": nil, "eos_token": object{"content": "<e>"}, "pad_token": "<p>", "additional_special_tokens": []any{"<a>",
			object{"content": "<b>"}}}}))
	if err != nil {
		t.Fatal(err)
	}
	want := object{"eos_token": "<e>", "pad_token": "<p>", "additional_special_tokens": []string{"<a>", "<b>"}}
	if got := tok.SpecialTexts(); !reflect.DeepEqual(got, want) {
		t.Errorf("special texts %v, expected %v", got, want)
	}
}

// TestLoadSentencePiece: a Llama directory without tokenizer.json adds <s>
// and parses special strings, which the bare model does not.
func TestLoadSentencePiece(t *testing.T) {
	model := read(t, "spm-llama2.model")
	bare, err := ParseSentencePiece(model)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Load(modelDir(t, map[string]any{"tokenizer.model": model, "tokenizer_config.json": map[string]any{
		"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "LlamaTokenizer",
		"added_tokens_decoder": map[string]any{"600": map[string]any{"content": "<|im_end|>", "special": true}}}}))
	if err != nil {
		t.Fatal(err)
	}
	text := "The virus spreads."
	if got, want := tok.Encode(text, true), append([]int32{1}, bare.Encode(text, true)...); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tok.Encode("</s><|im_end|>", false); !slices.Equal(got, []int32{2, 600}) {
		t.Errorf("special strings give %v", got)
	}
	if slices.Contains(bare.Encode("</s>", false), 2) {
		t.Error("the bare model parses </s>")
	}
	if tok.VocabSize() != 601 || tok.Decode([]int32{1, 600}, true) != "" {
		t.Errorf("%d tokens, special decoded to %q", tok.VocabSize(), tok.Decode([]int32{1, 600}, true))
	}
}

// TestLoadWithoutConfig: config.json tells the class, the model its tokens.
func TestLoadWithoutConfig(t *testing.T) {
	model := read(t, "spm-gemma2.model")
	tok, err := Load(modelDir(t, map[string]any{"tokenizer.model": model, "config.json": map[string]any{"model_type": "gemma2"}}))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Load(modelDir(t, map[string]any{"tokenizer.model": model}))
	if err != nil {
		t.Fatal(err)
	}
	text := "The virus spreads."
	plain := bare.Encode(text, true)
	if got := tok.Encode(text, true); !slices.Equal(got, append([]int32{2}, plain...)) {
		t.Errorf("Gemma gives %v, expected 2 and %v", got, plain)
	}
	if plain[0] == 2 {
		t.Error("a model alone adds a token")
	}
	if want := (Special{BOS: 2, EOS: 1, Pad: 0, Unk: 3}); tok.Special() != want || bare.Special() != want {
		t.Errorf("special tokens %+v and %+v, expected %+v", tok.Special(), bare.Special(), want)
	}
}

// TestLoadAddedTokens: the older added_tokens.json counts where
// added_tokens_decoder is missing.
func TestLoadAddedTokens(t *testing.T) {
	files := map[string]any{"tokenizer.model": read(t, "spm-llama2.model"), "added_tokens.json": map[string]int{"<pad>": 600, "<x>": 601},
		"tokenizer_config.json": map[string]any{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "pad_token": "<pad>"}}
	tok, err := Load(modelDir(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("<x><pad>", false); !slices.Equal(got, []int32{601, 600}) || !tok.IsSpecial(600) || tok.IsSpecial(601) {
		t.Errorf("got %v, special %v and %v", got, tok.IsSpecial(600), tok.IsSpecial(601))
	}
	files["added_tokens.json"] = map[string]int{"<x>": -1}
	if _, err := Load(modelDir(t, files)); err == nil || !strings.Contains(err.Error(), `token "<x>" has id -1`) || !badinput.Is(err) {
		t.Errorf("a negative id: %v", err)
	}
}

// TestLoadUnknownClass: a class that would treat text otherwise is refused.
func TestLoadUnknownClass(t *testing.T) {
	model := read(t, "spm-llama2.model")
	for name, files := range map[string]map[string]any{
		"T5Tokenizer":   {"tokenizer.model": model, "tokenizer_config.json": map[string]any{"tokenizer_class": "T5Tokenizer"}},
		"internlm":      {"tokenizer.model": model, "config.json": map[string]any{"model_type": "internlm"}},
		"NllbTokenizer": {"tokenizer.model": model, "tokenizer_config.json": map[string]any{"tokenizer_class": "NllbTokenizer"}},
		`""`:            {"tokenizer.model": model, "tokenizer_config.json": map[string]any{}},
	} {
		if _, err := Load(modelDir(t, files)); err == nil || !strings.Contains(err.Error(), name) || !badinput.Is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLoadNLLB: pieces are numbered as fairseq does, languages follow.
func TestLoadNLLB(t *testing.T) {
	model := read(t, "spm-nllb.model")
	bare, err := ParseSentencePiece(model)
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"ace_Arab", "arb_Arab", "eng_Latn", "<mask>"}
	tok, err := Load(modelDir(t, map[string]any{"sentencepiece.bpe.model": model,
		"special_tokens_map.json": map[string]any{"additional_special_tokens": codes,
			"mask_token": map[string]any{"content": "<mask>", "lstrip": true}},
		"tokenizer_config.json": map[string]any{"tokenizer_class": "NllbTokenizer",
			"additional_special_tokens": nil, "unk_token": "<unk>"}}))
	if err != nil {
		t.Fatal(err)
	}
	src, err := tok.ForTranslation("eng_Latn")
	if err != nil {
		t.Fatal(err)
	}
	text := "The virus 漢字 spreads."
	want := []int32{603}
	for _, id := range bare.Encode(text, false) {
		if id++; id == 1 {
			id = 3 // unknown
		}
		want = append(want, id)
	}
	want = append(want, 2)
	if got := src.Encode(text, true); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tok.Encode("a <mask>", false); got[len(got)-1] != 604 {
		t.Errorf("<mask> gives %v", got)
	}
	if got := tok.Decode(src.Encode("The virus spreads.", true), true); got != "The virus spreads." {
		t.Errorf("decoded %q", got)
	}
	if _, err := tok.ForTranslation("ar_AR"); err == nil || !strings.Contains(err.Error(), "arb_Arab") {
		t.Errorf("a wrong code: %v, expected a list with arb_Arab", err)
	}
	if id, err := tok.Language("arb_Arab"); err != nil || id != 602 {
		t.Errorf("arb_Arab is %d (%v), expected 602", id, err)
	}
}

// TestTranslationTemplate: the file's template, which names a language, makes
// way for the source language.
func TestTranslationTemplate(t *testing.T) {
	base := layout(t, filepath.Join("testdata", "layouts", "nllb"))
	tok, err := base.ForTranslation("fra_Latn")
	if err != nil {
		t.Fatal(err)
	}
	lang, _ := base.ID("fra_Latn")
	plain := base.Encode("Bonjour", false)
	if got, want := tok.Encode("Bonjour", true), slices.Concat([]int32{lang}, plain, []int32{2}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tok.EncodeOptions("</s>", EncodeOptions{NoParseSpecial: true}); slices.Contains(got, 2) {
		t.Errorf("plain text gives </s>: %v", got)
	}
	if _, err := layout(t, filepath.Join("testdata", "layouts", "neox")).ForTranslation("eng_Latn"); err == nil {
		t.Error("a tokenizer without languages translates")
	}
}

// TestErrors: what is wrong, and where, is said; it counts as bad input.
func TestErrors(t *testing.T) {
	bpe := `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	for text, want := range map[string]string{
		`{`:                              "tokenizer.json",
		`{}`:                             "model is missing",
		`{"model":{"type":"WordPiece"}}`: `model: type "WordPiece"`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`:            `model.merges[0]: "a" and "b"`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b c"]}}`:          "expected two tokens and one space",
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}}`:            "model.merges[0]",
		`{"model":{"type":"BPE","vocab":{"a":0.5},"merges":[]}}`:               "model.vocab",
		`{"model":{"type":"BPE","vocab":{"a":"0"},"merges":[]}}`:               `token "a"`,
		`{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}`:                `token "a" has id -1`,
		`{"model":{"type":"BPE","vocab":[],"merges":[]}}`:                      "needs vocab",
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}}`:   "dropout",
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"?"}}`: `unk_token "?"`,
		`{"model":{"type":"Unigram","vocab":[["a",0]]}}`:                       "unk_id",
		`{"normalizer":{"type":"Nmt"},` + bpe + `}`:                            `normalizer: type "Nmt"`,
		`{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"X"}]},` + bpe +
			`}`: `normalizer.normalizers[1]: type "X"`,
		`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"AQ=="},` + bpe + `}`: "precompiled_charsmap",
		`{"pre_tokenizer":{"type":"BertPreTokenizer"},` + bpe +
			`}`: `pre_tokenizer: type "BertPreTokenizer"`,
		`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?=x)"},"behavior":"Isolated"},` + bpe + `}`: `pattern "(?=x)"`,
		`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\bx"},"behavior":"Isolated"},` + bpe + `}`:  `\b is not supported`,
		`{"pre_tokenizer":{"type":"Split","pattern":{"String":"x"},"behavior":"Sideways"},` + bpe + `}`:    `behavior "Sideways"`,
		`{"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"odd"},` + bpe + `}`:      `prepend_scheme "odd"`,
		`{"post_processor":{"type":"RobertaProcessing"},` + bpe +
			`}`: `post_processor: type "RobertaProcessing"`,
		`{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}]},` + bpe + `}`: `token "x"`,
		`{"added_tokens":[{"id":-2,"content":"<s>"}],` + bpe + `}`:                                            "added_tokens[0]",
		`{"decoder":{"type":"WordPiece"},` + bpe + `}`:                                                        `decoder: type "WordPiece"`,
		"{\n\"model\":\"\xd8\"}": "tokenizer.json: line 2: not UTF-8: byte 0xd8 at offset 9",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		} else if !badinput.Is(err) {
			t.Errorf("%s: %v is not marked as bad input", text, err)
		}
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no tokenizer found") {
		t.Errorf("an empty folder: %v", err)
	}
	for _, b := range [][]byte{nil, []byte("hello"), read(t, "spm-nllb.model")[:5000], []byte("\n\x03\n\x01a")} {
		if _, err := ParseSentencePiece(b); err == nil || !strings.Contains(err.Error(), "sentencepiece") {
			t.Errorf("%d broken bytes: %v", len(b), err)
		}
	}
	if _, err := Load(modelDir(t, map[string]any{"sentencepiece.bpe.model": read(t,
		"spm-nllb.model")})); err == nil || !strings.Contains(err.Error(), "NllbTokenizer") {
		t.Errorf("pieces of unknown numbering: %v", err)
	}
}

// TestConcurrent: one tokenizer, many goroutines; for the race detector.
func TestConcurrent(t *testing.T) {
	tok := layout(t, filepath.Join("testdata", "layouts", "gemma2"))
	want := tok.Encode("The virus spreads in the air. الفيروس", true)
	done := make(chan bool)
	for range 8 {
		go func() {
			ok := true
			for range 200 {
				ok = ok && slices.Equal(tok.Encode("The virus spreads in the air. الفيروس", true), want)
			}
			done <- ok
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("results differ between goroutines")
		}
	}
}
