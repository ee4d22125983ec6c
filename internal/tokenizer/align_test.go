package tokenizer

import (
	"math/rand/v2"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// placePlain is alignment.place by prefixes of the whole text.
func placePlain(n normalizer, raw, normalized string, from, to int) (int, int) {
	switch {
	case raw == normalized:
		return from, to
	case from == 0 && to == len(normalized):
		return 0, len(raw)
	}
	var ends []int
	for i := 0; i < len(raw); {
		_, n := utf8.DecodeRuneInString(raw[i:])
		i += n
		ends = append(ends, i)
	}
	length := func(i int) int { return len(n.normalize(raw[:ends[i]])) }
	first := sort.Search(len(ends), func(i int) bool { return length(i) > from })
	last := sort.Search(len(ends), func(i int) bool { return length(i) >= to })
	start, end := 0, len(raw)
	if first > 0 {
		start = ends[first-1]
	}
	if last < len(ends) {
		end = ends[last]
	}
	return min(start, end), end
}

// rises reports whether longer prefixes of a text never have shorter normalized texts.
// Otherwise there is more than one right place.
func rises(n normalizer, raw string) bool {
	last := 0
	for i := range raw {
		length := len(n.normalize(raw[:i]))
		if length < last {
			return false
		}
		last = length
	}
	return true
}

// TestAlignment: places found block by block are those found in the whole text,
// for the normalizers of published layouts and for one that acts on the ends.
func TestAlignment(t *testing.T) {
	norms := map[string]normalizer{"ends": normalizers{prepend("▁▁"), replace{old: " ", with: "▁"}, normalizerFunc(lowercase)}}
	// Others drop spaces depending on what follows, so that more than one place is right.
	for _, name := range []string{"gemma2", "llama2", "qwen2", "neox"} {
		tok, err := parseFile(filepath.Join("testdata", "layouts", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if tok.norm != nil {
			norms[name] = tok.norm
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"<s>", "a", " ", "  ", "كِتاب", "é", "İ", "ﬁ", "\n", "Ⅷ", "word", "한"}
	for name, n := range norms {
		compared := 0
		for i := range 40 {
			var b strings.Builder
			for range r.IntN(400) {
				b.WriteString(words[r.IntN(len(words)-i%2*6)])
			}
			raw := b.String()
			normalized := n.normalize(raw)
			if !rises(n, raw) {
				continue
			}
			compared++
			a := alignment{norm: n, raw: raw, normalized: normalized}
			for range 20 {
				from := r.IntN(len(normalized) + 1)
				to := from + r.IntN(len(normalized)+1-from)
				if from == to {
					continue
				}
				start, end := a.place(from, to)
				if wantStart, wantEnd := placePlain(n, raw, normalized, from, to); start != wantStart || end != wantEnd {
					t.Fatalf("%s: bytes %d to %d of %q: %d to %d, want %d to %d", name, from, to, normalized, start, end, wantStart, wantEnd)
				}
			}
		}
		if compared < 10 {
			t.Errorf("%s: %d texts compared", name, compared)
		}
	}
}

// TestManySpecialTokens: a text with 200,000 special tokens that match normalized
// text is read in time linear in their number.
func TestManySpecialTokens(t *testing.T) {
	tok := trustedTokenizer(t)
	begin := time.Now()
	for _, c := range []struct {
		text string
		want int
	}{{strings.Repeat("<e> ", 200_000), 400_000}, {"a " + strings.Repeat("<e>", 200_000), 200_001},
		{strings.Repeat(" ", 200_000) + "<e>", 2}, {strings.Repeat("a ", 200_000) + "<e>", 2}} {
		if got := tok.Stretches(c.text, EncodeOptions{NoParseSpecial: true, Trusted: [][2]int{{0, len(c.text)}}}); len(got) != c.want {
			t.Errorf("%d stretches of %.20q…, want %d", len(got), c.text, c.want)
		}
		if got := tok.EncodeOptions(c.text, EncodeOptions{NoParseSpecial: true}); len(got) < len(c.text)*9/10 {
			t.Errorf("%d tokens of %.20q… of %d bytes, all plain text", len(got), c.text, len(c.text))
		}
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("%s", took)
	}
}
