package segment

import (
	"strings"
	"testing"
	"time"
	"unicode"
)

// words counts a token a word.
func words(s string) int { return len(strings.Fields(s)) }

func translated(pieces []Piece) []string {
	var out []string
	for _, p := range pieces {
		if p.Translate {
			out = append(out, p.Text)
		}
	}
	return out
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"sentences", "The sun rose. It was a warm day! Was it?", []string{"The sun rose.", "It was a warm day!", "Was it?"}},
		{"abbreviations", "Dr. Smith met Mr. J. Doe in the U.S. embassy. They talked.",
			[]string{"Dr. Smith met Mr. J. Doe in the U.S. embassy.", "They talked."}},
		{"options", "Which is a fruit?\n1. A date\n2) A stone\nA) Iron\n- Sand",
			[]string{"Which is a fruit?", "A date", "A stone", "Iron", "Sand"}},
		{"paragraphs", "One line.\n\nAnother line.\n", []string{"One line.", "Another line."}},
		{"code", "Run this:\n```\nx = 1 # say hello\n```\nThen stop.", []string{"Run this:", "Then stop."}},
		{"prices", "It costs $5 more than 99 + 5 = $104.", []string{"It costs $5 more than 99 + 5 = $104."}},
		{"prices and a formula", "He has 2+16=$18 if $x_1=2$ and $y = 3$.", []string{"He has 2+16=$18 if", "and"}},
		{"formula", "The area is $\\pi r^2$ of the disc.", []string{"The area is", "of the disc."}},
		{"calculator", "He pays 48/2 = <<48/2=24>>24 dollars.\n#### 24", []string{"He pays 48/2 =", "24 dollars."}},
		{"address", "See https://example.org/a?b=c for more.", []string{"See", "for more."}},
		{"numbers alone", "102\n3.5 %\n—", nil},
		{"already Arabic", "القهوة مشروب. Coffee is a drink.", []string{"Coffee is a drink."}},
		{"quotation marks around sentences", "« First sentence here. Second sentence here. »",
			[]string{"First sentence here.", "Second sentence here."}},
		{"table", "| Name | Age |\n| Ali | 12 |", []string{"Name", "Age", "Ali"}},
		{"empty", "", nil},
	} {
		pieces := Split(c.in, Options{Target: unicode.Arabic})
		if Join(pieces) != c.in {
			t.Errorf("%s: joined %q, want %q", c.name, Join(pieces), c.in)
		}
		if got := translated(pieces); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLongSentencesAreCutAtClauses(t *testing.T) {
	in := "The market was full of people who had come from far away, and the sellers of cloth and of perfume called out " +
		"their prices; but the old man walked on without a word, because he knew what he wanted."
	pieces := Split(in, Options{MaxTokens: 20, Count: words})
	if Join(pieces) != in {
		t.Fatal("the text changed")
	}
	for _, s := range translated(pieces) {
		if words(s) > 20 {
			t.Errorf("%d words: %q", words(s), s)
		}
	}
	if got := translated(pieces); !strings.HasSuffix(got[0], ",") && !strings.HasSuffix(got[0], ";") {
		t.Errorf("first cut is not at a clause: %q", got[0])
	}
	// Without any mark it falls back to words.
	in = strings.Repeat("word ", 99) + "word"
	for _, s := range translated(Split(in, Options{MaxTokens: 20, Count: words})) {
		if words(s) > 20 {
			t.Errorf("%d words without a mark", words(s))
		}
	}
}

func TestShortSentencesAreJoined(t *testing.T) {
	got := translated(Split("Yes. It is a large city in the north.", Options{MinWords: 3}))
	if len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a. b", "« x. y »", "```\n``", "1. $x$ `c` <<1>> http://x", "|a|b|\n", "\xff\xfe. A", "«««»",
		strings.Repeat("a,b;c ", 50)} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		for _, o := range []Options{{}, {MaxTokens: n%50 + 2, Count: words, MinWords: 3, Target: unicode.Arabic}} {
			if got := Join(Split(s, o)); got != s {
				t.Fatalf("%q became %q", s, got)
			}
		}
	})
}

// TestLongLines: a long line is cut in time linear in its length, whatever is in
// it. Time that grows with the square is minutes here.
func TestLongLines(t *testing.T) {
	for _, pattern := range []string{"a", " ", "«", "»", "« x ", "A. ", "Dr. ", "a. ", "a, ", ". ", "! ", "1 ", "$5 ", "$x=1$ ",
		`\( $x=1$ `, `\(x\) `, "`", "`c` ", "<a", "<<", "http://a ", "|a", "سلام، ",
		"a\n", "```\n", "x.   ", `x."`, "x.)", "\u00a0", "\u200d", "é", "\xff"} {
		text := strings.Repeat(pattern, 256<<10/len(pattern))
		start := time.Now()
		for _, s := range []string{"x. " + text + "x", "```\n" + strings.ReplaceAll(text, "```", "")} {
			pieces := Split(s, Options{MaxTokens: 64, Count: func(s string) int { return len(s) / 4 }, MinWords: 3, Target: unicode.Arabic})
			if Join(pieces) != s {
				t.Errorf("%q: the text changed", pattern)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%q: %s for 512 KiB", pattern, took)
		}
	}
}
