package generate

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"barka/internal/tokenizer"
)

func demoTokenizer(t *testing.T, name string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Load("../../testdata/chain/models/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// ggufTokenizer is a tokenizer as transformers converts it from a GGUF file.
func ggufTokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	data, err := os.ReadFile("../tokenizer/testdata/layouts/gguf.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// answerOf adds tokens until a stop string is complete. It returns the text, the pieces
// passed to onText, and the number of tokens used.
func answerOf(tok *tokenizer.Tokenizer, tokens []int32, stops ...string) (text string, pieces []string, n int) {
	a := newAnswer(tok, stops, func(s string) { pieces = append(pieces, s) })
	for i, id := range tokens {
		if a.push(id) {
			return string(a.text), pieces, i + 1
		}
	}
	a.end()
	return string(a.text), pieces, len(tokens)
}

// TestStopStringsAnywhere: the text ends just before the stop string, wherever that lies in
// tokens and their bytes, and the pieces passed to onText add up to the text.
func TestStopStringsAnywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for name, tok := range map[string]*tokenizer.Tokenizer{
		"gemma2": demoTokenizer(t, "gemma2"), "nllb": demoTokenizer(t, "nllb"), "gguf": ggufTokenizer(t)} {
		for i := range 400 {
			tokens := make([]int32, 1+r.IntN(30))
			for j := range tokens {
				tokens[j] = int32(r.IntN(tok.VocabSize()))
			}
			if i%2 == 0 {
				tokens = tok.Encode("كيف حالك؟ "+strings.Repeat("نعم\n", r.IntN(4))+"😀!", false)
			}
			whole := tok.Decode(tokens, true)
			if text, pieces, _ := answerOf(tok, tokens); text != whole || strings.Join(pieces, "") != whole {
				t.Fatalf("%s, %v: text %q, pieces %q, decoded %q", name, tokens, text, pieces, whole)
			}
			if whole == "" {
				continue
			}
			runes := []rune(whole)
			from := r.IntN(len(runes))
			stop := string(runes[from:min(len(runes), from+1+r.IntN(6))])
			text, pieces, _ := answerOf(tok, tokens, "", stop, "\x00never")
			if want := whole[:strings.Index(whole, stop)]; text != want || strings.Join(pieces, "") != want {
				t.Fatalf("%s, %v, stop %q: text %q, pieces %q, want %q", name, tokens, stop, text, pieces, want)
			}
			for _, p := range pieces {
				if p == "" || !utf8.ValidString(p) {
					t.Fatalf("piece %q", p)
				}
			}
		}
	}
}

// TestStopStringsAcrossTokens: text that may be the start of a stop string is held back.
// The first of several stop strings counts, and decoding ends with the token that completes
// it.
func TestStopStringsAcrossTokens(t *testing.T) {
	tok := demoTokenizer(t, "gemma2")
	var letters []int32
	for _, c := range []string{"a", "b", "a", "b", "a", "c", "d"} {
		id, ok := tok.ID(c)
		if !ok {
			t.Fatalf("no token %q", c)
		}
		letters = append(letters, id)
	}
	for _, c := range []struct {
		stops  []string
		text   string
		pieces string
		n      int
	}{
		{nil, "ababacd", "a|b|a|b|a|c|d", 7},
		{[]string{"abac"}, "ab", "ab", 6},
		{[]string{"abax"}, "ababacd", "ab|abac|d", 7},
		{[]string{"cd", "bac"}, "aba", "a|ba", 6},
		{[]string{"b"}, "a", "a", 2},
		{[]string{"a"}, "", "", 1},
		{[]string{"d!"}, "ababacd", "a|b|a|b|a|c|d", 7},
	} {
		text, pieces, n := answerOf(tok, letters, c.stops...)
		if text != c.text || strings.Join(pieces, "|") != c.pieces || n != c.n {
			t.Errorf("stops %q: %q, pieces %q, %d tokens; want %q, %q, %d", c.stops, text, pieces, n, c.text, c.pieces, c.n)
		}
	}
}
