package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trustedTokenizer has special tokens that match raw text and one that
// matches normalized text, in which spaces are longer than they were.
func trustedTokenizer(t *testing.T) *Tokenizer {
	t.Helper()
	tok, err := Parse([]byte(`{"version":"1.0",
		"added_tokens":[{"id":0,"content":"<s>","special":true,"normalized":false},{"id":1,"content":"<e>","special":true,"normalized":true},
			{"id":2,"content":"<p>","special":false,"normalized":false},{"id":3,"content":"<s><s>","special":true,"normalized":false}],
		"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},
		"pre_tokenizer":null,"post_processor":null,"decoder":null,
		"model":{"type":"BPE","vocab":{"<":10,"s":11,">":12,"e":13,"p":14,"a":15,"▁":16,"<s>":0,"<e>":1},"merges":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestTrusted: special tokens are parsed inside the ranges alone, whether they
// match raw or normalized text, and other added tokens everywhere.
func TestTrusted(t *testing.T) {
	tok := trustedTokenizer(t)
	for _, c := range []struct {
		text string // what | encloses is trusted
		want []int32
	}{
		{"|<s>|a|<e>|", []int32{0, 15, 1}},
		{"<s>|<s>|", []int32{10, 11, 12, 0}},
		{"a <e> |<e>|", []int32{15, 16, 10, 13, 12, 16, 1}},
		{"| <e>| <e>", []int32{16, 1, 16, 10, 13, 12}},
		{"<p>|a|", []int32{2, 15}},
		{"<|s>|", []int32{10, 11, 12}},
		{"<s|>|", []int32{10, 11, 12}},
		{"<s>|<s>|<s>", []int32{10, 11, 12, 0, 10, 11, 12}},
		{"|<s><s>|", []int32{3}},
		{"<|<s>|", []int32{10, 0}},
		{"a a", []int32{15, 16, 15}},
	} {
		o := EncodeOptions{NoParseSpecial: true}
		parts := strings.Split(c.text, "|")
		at := 0
		for i, p := range parts {
			if i%2 == 1 {
				o.Trusted = append(o.Trusted, [2]int{at, at + len(p)})
			}
			at += len(p)
		}
		text := strings.Join(parts, "")
		if got := tok.EncodeOptions(text, o); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, expected %v", c.text, got, c.want)
		}
		var ids []int32
		end := 0
		for _, s := range tok.Stretches(text, o) {
			if s.Start != end || s.Special && text[s.Start:s.End] != mustToken(tok, s.IDs[0]) {
				t.Errorf("%q: a stretch [%d, %d) after %d, tokens %v", c.text, s.Start, s.End, end, s.IDs)
			}
			ids, end = append(ids, s.IDs...), s.End
		}
		if !slices.Equal(ids, c.want) || end != len(text) {
			t.Errorf("%q: stretches have %v, up to %d of %d", c.text, ids, end, len(text))
		}
	}
}

func mustToken(t *Tokenizer, id int32) string { s, _ := t.Token(id); return s }

// TestStretchesOfLayouts: with all of a text trusted the stretches have the
// ids of Encode, whatever the layout.
func TestStretchesOfLayouts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "layouts", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d layouts, %v", len(files), err)
	}
	text := "<s>Hello  <|eot_id|>\n كَتَبَ</s> <end_of_turn>x\n\n<bos><eos>"
	n := 0
	for _, f := range files {
		tok, err := parseFile(f)
		if err != nil {
			continue // goldens lie beside the tokenizers
		}
		n++
		var ids []int32
		for _, s := range tok.Stretches(text, EncodeOptions{NoParseSpecial: true, Trusted: [][2]int{{0, len(text)}}}) {
			ids = append(ids, s.IDs...)
		}
		if want := tok.Encode(text, false); !slices.Equal(ids, want) {
			t.Errorf("%s: %v, expected %v", f, ids, want)
		}
	}
	if n < 5 {
		t.Errorf("%d tokenizers", n)
	}
}

func parseFile(path string) (*Tokenizer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}
