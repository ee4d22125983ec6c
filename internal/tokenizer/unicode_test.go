package tokenizer

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestLongRuns: marks in a row, however many, are only decomposed, ordered
// and composed. The library cuts long runs by a character of its own.
func TestLongRuns(t *testing.T) {
	const joiner = "\u034f"
	for _, f := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
		n, cut := form(f), false
		for _, mark := range []string{"\u0301", "\u0344", "\u0f73", "\u0f81", "\uff9e", "\u0323\u0301", "\u064e\u0651"} {
			for _, before := range []string{"", "a", "ᾂ", "한", "\u1fee"} {
				for count := range 70 {
					s := before + strings.Repeat(mark, count) + "b"
					cut = cut || strings.Contains(f.String(s), joiner)
					if got, want := n.normalize(s), normalizeLong(s, f); got != want {
						t.Fatalf("form %v of %+q:\n got %+q\nwant %+q", f, s, got, want)
					}
				}
			}
		}
		if !cut {
			t.Errorf("form %v: no run was long enough to be cut", f)
		}
	}
}
