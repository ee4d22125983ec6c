package tokenizer

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestSpans: tokens lie where the tokenizers library says (reference/tokenizers/offsets.py
// recorded its offsets). The library counts spaces before a word to the word or not,
// depending on a setting, and gives the bytes of several characters all of them.
func TestSpans(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "offsets.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Layout, Text string
		IDs          []int32
		Offsets      [][2]int
	}
	if err := json.NewDecoder(z).Decode(&cases); err != nil || len(cases) < 100 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	layouts := map[string]*Tokenizer{}
	for _, c := range cases {
		tok := layouts[c.Layout]
		if tok == nil {
			if tok, err = parseFile(filepath.Join("testdata", "layouts", c.Layout+".json")); err != nil {
				t.Fatal(err)
			}
			layouts[c.Layout] = tok
		}
		ids, spans := tok.EncodeSpans(c.Text, EncodeOptions{AddSpecial: true})
		if !slices.Equal(ids, c.IDs) || !slices.Equal(ids, tok.Encode(c.Text, true)) || len(spans) != len(ids) {
			t.Errorf("%s %q: ids %v, want %v", c.Layout, c.Text, ids, c.IDs)
			continue
		}
		covered := 0
		for i, s := range spans {
			if s.Start > s.End || s.Start < 0 || s.End > len(c.Text) {
				t.Fatalf("%s %q: token %d is at %v", c.Layout, c.Text, i, s)
			}
			covered = max(covered, s.End)
			got, want := withoutSpaces(c.Text, characters(c.Text, s)), withoutSpaces(c.Text, runes(c.Text, c.Offsets[i]))
			text, _ := tok.Token(ids[i])
			within := func(a, b Span) bool { return b.Start <= a.Start && a.End <= b.End }
			if !within(got, want) && !within(want, got) && text != spaceMark {
				t.Errorf("%s %q: token %d %q is at %v, want %v", c.Layout, c.Text, i, text, got, want)
			}
		}
		if rest := strings.TrimSpace(c.Text[covered:]); rest != "" {
			t.Errorf("%s %q: %q has no token", c.Layout, c.Text, rest)
		}
	}
}

// characters extends a span to whole characters, as the library's offsets are.
func characters(text string, s Span) Span {
	for s.Start > 0 && s.Start < len(text) && !utf8.RuneStart(text[s.Start]) {
		s.Start--
	}
	for s.End < len(text) && !utf8.RuneStart(text[s.End]) {
		s.End++
	}
	return s
}

// runes converts offsets in characters.
func runes(text string, at [2]int) Span {
	all := []rune(text)
	return Span{len(string(all[:at[0]])), len(string(all[:at[1]]))}
}

func withoutSpaces(text string, s Span) Span {
	inside := text[s.Start:s.End]
	s.Start += len(inside) - len(strings.TrimLeft(inside, " "))
	s.End -= len(inside) - len(strings.TrimRight(inside, " "))
	if s.End <= s.Start {
		return Span{}
	}
	return s
}

// TestSpansOfBytes: tokens that share a character have their own bytes.
func TestSpansOfBytes(t *testing.T) {
	for _, layout := range []string{"gemma2", "llama2", "llama3", "neox"} {
		tok, err := parseFile(filepath.Join("testdata", "layouts", layout+".json"))
		if err != nil {
			t.Fatal(err)
		}
		text := "a 🙂 b"
		ids, spans := tok.EncodeSpans(text, EncodeOptions{})
		var joined strings.Builder
		parts := 0
		for _, s := range spans {
			joined.WriteString(text[s.Start:s.End])
			if !utf8.ValidString(text[s.Start:s.End]) {
				parts++
			}
		}
		if joined.String() != text || parts < 2 {
			t.Errorf("%s: spans %v of %d tokens give %q, with %d parts of characters", layout, spans, len(ids), joined.String(), parts)
		}
	}
}

// TestSpansOfAllLayouts: spans are in order, and together they hold all of a text but spaces,
// for SentencePiece models and directories of slow tokenizers as well.
func TestSpansOfAllLayouts(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "layouts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range paths {
		var tok *Tokenizer
		switch info, _ := os.Stat(path); {
		case info.IsDir():
			tok, err = Load(path)
		case filepath.Ext(path) == ".json" && filepath.Base(path) != "odd.json":
			tok, err = parseFile(path)
		case filepath.Ext(path) == ".model" && filepath.Base(path) != "spm-suffix.model":
			var data []byte
			if data, err = os.ReadFile(path); err == nil {
				tok, err = ParseSentencePiece(data)
			}
		default:
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		checked++
		for _, text := range []string{"Hello world, كيف حالك؟ 12345", "🙂🙃 emoji 한국어", "مرحبا بكم في الجزائر", "日本語テキスト a  b", "x", ""} {
			ids, spans := tok.EncodeSpans(text, EncodeOptions{AddSpecial: true})
			if !slices.Equal(ids, tok.Encode(text, true)) {
				t.Errorf("%s %q: other ids", path, text)
			}
			at := 0
			for i, s := range spans {
				if s.Start < at && s.End < at || s.End < s.Start || s.Start > at && strings.TrimSpace(text[at:s.Start]) != "" {
					t.Errorf("%s %q: token %d is at %v, after byte %d", path, text, i, s, at)
				}
				at = max(at, s.End)
			}
			if strings.TrimSpace(text[at:]) != "" {
				t.Errorf("%s %q: no token has %q", path, text, text[at:])
			}
		}
	}
	if checked < 18 {
		t.Errorf("%d layouts", checked)
	}
}
