package literals

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRequired: the strings of which every match has one.
func TestRequired(t *testing.T) {
	for expression, want := range map[string][]string{
		`abc`:                   {"abc"},
		`(?:x|yz)+ text`:        {" text"},
		`(?:a|b)(?:c|d)?e`:      {"ace", "ade", "ae", "bce", "bde", "be"},
		`^\s*(?:one|two)\b.*`:   {"one", "two"},
		`[0-9]+ (?:km|miles)`:   {" km", " miles"},
		`ab{0,3}|cd{2}`:         {"a", "c"},
		`\bI am`:                {"i am"},
		`[^\pL]*(?:لا|نعم)[.،]`: {"لا.", "لا،", "نعم.", "نعم،"},
		`(ab|x)`:                {"ab", "x"},
		`a*`:                    nil,
		`.|abc`:                 nil,
	} {
		got := required(expression)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
	if got := required(`(?i)this`); !slices.Equal(got, []string{"this", "ſ", "\u212A"}) {
		t.Errorf("%q", got)
	}
}

// TestScan: of random texts, the first ends of strings are those that a search for each finds,
// and every match of an expression has a string.
func TestScan(t *testing.T) {
	all := []string{`(?i)she|\bhers?\b`, `his (?:own|hat)+`, `(?i)(?:is|kit|sit)\s*\.`, `لا [أا]|ـلا`, `ab(?:ab)?c[xy]?`, `a{2,}b`,
		`\bit\b|^own|his$`}
	var expressions []*regexp.Regexp
	for _, e := range all {
		expressions = append(expressions, regexp.MustCompile(e))
	}
	set := New(expressions...)
	pieces := strings.Split("s|h|e|is|his|own|hat|HE|She| |.|ſ|\u212A|it|لا|أ|ا|ـ|a|b|ab|c|x|\xd8|\xff", "|")
	rng := rand.New(rand.NewPCG(1, 2))
	matches := 0
	for range 20_000 {
		var b strings.Builder
		for range rng.IntN(60) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		text := b.String()
		found := set.Scan(text)
		for i, e := range expressions {
			want := uint32(0)
			for _, s := range required(all[i]) {
				if at := strings.Index(lower(text), s); at >= 0 && (want == 0 || uint32(at+len(s)) < want) {
					want = uint32(at + len(s))
				}
			}
			if found[i] != want {
				t.Fatalf("%q: %s at %d, want %d", text, e, found[i], want)
			}
			cut := text[:rng.IntN(len(text)+1)]
			if got, want := set.Find(i, cut, found[i]), e.FindStringIndex(cut); !slices.Equal(got, want) {
				t.Fatalf("%q: %s at %d, want %d", cut, e, got, want)
			}
			if e.MatchString(text) {
				if matches++; found[i] == 0 {
					t.Fatalf("%q matches %s, but has none of its strings", text, e)
				}
			}
		}
	}
	if matches < 5000 {
		t.Errorf("%d matches", matches)
	}
}
