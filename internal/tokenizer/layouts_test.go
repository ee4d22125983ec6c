package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/testfiles"
)

// recorded is a line of a golden file of reference/tokenizers: a text with
// its ids, or ids alone, and the text that the reference decodes them to.
type recorded struct {
	Text        *string  `json:"text"`
	IDs         []int32  `json:"ids"`
	Special     *[]int32 `json:"special"`      // with the post-processor; absent: as IDs
	Plain       *[]int32 `json:"plain"`        // special strings as text; absent: as IDs
	Decoded     *string  `json:"decoded"`      // absent: not asked
	DecodedSkip *string  `json:"decoded_skip"` // without special tokens; absent: as Decoded
}

// TestLayouts: small tokenizers of every layout against what the reference
// libraries made of the same texts. BARKA_DIFFERENTIAL names another folder
// of the same form, which reference/tokenizers/differential.py fills.
func TestLayouts(t *testing.T) {
	dir := filepath.Join("testdata", "layouts")
	if d := os.Getenv("BARKA_DIFFERENTIAL"); d != "" {
		dir = d
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", dir, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".jsonl.gz")
		t.Run(name, func(t *testing.T) {
			tok := layout(t, filepath.Join(dir, name))
			cases := readRecorded(t, f)
			bad := 0
			for i, c := range cases {
				if !checkRecorded(t, tok, c, bad < 5) {
					bad++
					if bad <= 5 {
						t.Errorf("case %d differs", i+1)
					}
				}
			}
			t.Logf("%d cases, %d differ", len(cases), bad)
		})
	}
}

// layout reads NAME.json, NAME.model or the model directory NAME.
func layout(t testing.TB, path string) *Tokenizer {
	t.Helper()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		tok, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	data, err := os.ReadFile(path + ".json")
	parse := Parse
	if err != nil {
		data, err = os.ReadFile(path + ".model")
		parse = ParseSentencePiece
	}
	if err != nil {
		t.Fatal(err)
	}
	tok, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func readRecorded(t testing.TB, path string) []recorded {
	t.Helper()
	var out []recorded
	for _, line := range testfiles.Lines(t, path)[1:] { // after the provenance
		var r recorded
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no cases", path)
	}
	return out
}

func checkRecorded(t *testing.T, tok *Tokenizer, c recorded, report bool) bool {
	ok := true
	same := func(what string, got, want []int32) {
		if !slices.Equal(got, want) {
			ok = false
			if report {
				t.Errorf("%s of %q:\n got %v\nwant %v", what, *c.Text, got, want)
			}
		}
	}
	or := func(p *[]int32) []int32 {
		if p == nil {
			return c.IDs
		}
		return *p
	}
	if c.Text != nil {
		same("Encode", tok.Encode(*c.Text, false), c.IDs)
		same("Encode with special", tok.Encode(*c.Text, true), or(c.Special))
		same("Encode of plain text", tok.EncodeOptions(*c.Text, EncodeOptions{NoParseSpecial: true}), or(c.Plain))
	}
	for _, skip := range []bool{false, true} {
		text := c.Decoded
		if skip && c.DecodedSkip != nil {
			text = c.DecodedSkip
		}
		if text == nil {
			continue
		}
		want := *text
		if got := tok.Decode(c.IDs, skip); got != want {
			ok = false
			if report {
				t.Errorf("Decode of %v (skip %v):\n got %q\nwant %q", c.IDs, skip, got, want)
			}
		}
		s := tok.Stream(skip)
		var streamed strings.Builder
		for _, id := range c.IDs {
			streamed.WriteString(s.Push(id))
		}
		streamed.WriteString(s.Flush())
		if streamed.String() != want {
			ok = false
			if report {
				t.Errorf("Stream of %v (skip %v):\n got %q\nwant %q", c.IDs, skip, streamed.String(), want)
			}
		}
	}
	return ok
}
