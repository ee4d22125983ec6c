package segment

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// words counts a token a word.
func words(s string) int { return len(strings.Fields(s)) }

func translated(pieces []Segment) []string {
	var out []string
	for _, p := range pieces {
		if p.Translated() {
			out = append(out, p.Text)
		}
	}
	return out
}

// brackets is the placeholder of these tests.
var brackets = Form{"[", "]"}

func masked(segments []Segment) []string {
	var out []string
	for _, s := range segments {
		if s.Translated() {
			out = append(out, brackets.Mask(s))
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
		{"months and titles", "J. Smith went there in Jan. 2020. Gov. Brown met Sen. Lee. He left at 5 p.m. The rest stayed.",
			[]string{"J. Smith went there in Jan. 2020.", "Gov. Brown met Sen. Lee.", "He left at 5 p.m.", "The rest stayed."}},
		{"numbered and answered", "See No. 5 and Fig. 3 there. Is it? No. It is not.",
			[]string{"See No. 5 and Fig. 3 there.", "Is it?", "No.", "It is not."}},
		{"options", "Which is a fruit?\n1. A date\n2) A stone\nA) Iron\n- Sand",
			[]string{"Which is a fruit?", "A date", "A stone", "Iron", "Sand"}},
		{"lettered options", "A. Iron\nB. Gold is heavy\nG. Smith was here", []string{"Iron", "Gold is heavy", "G. Smith was here"}},
		{"an initial alone", "C. S. Lewis wrote books.", []string{"C. S. Lewis wrote books."}},
		{"options alone", "B. The moon\nD. Food supply decreases.", []string{"The moon", "Food supply decreases."}},
		{"Arabic options", "أ) Iron\n(ب) Gold\n(1) One\n١) Two\n[D] Third", []string{"Iron", "Gold", "One", "Two", "Third"}},
		{"options in a line", "Which? (A) red paint (B) blue paint (C) no paint",
			[]string{"Which?", "red paint", "blue paint", "no paint"}},
		{"labels in a line", "Answer1: a marsh Answer2: a desert", []string{"Answer1:", "a marsh", "Answer2:", "a desert"}},
		{"enumeration", "It needs (1) more care; (2) more time; and (3) money.",
			[]string{"It needs (1) more care; (2) more time; and (3) money."}},
		{"a decimal", "1.5 million people live here.", []string{"1.5 million people live here."}},
		{"paragraphs", "One line.\n\nAnother line.\n", []string{"One line.", "Another line."}},
		{"code block", "Run this:\n```\nx = 1 # say hello\n```\nThen stop.", []string{"Run this:", "Then stop."}},
		{"tildes", "Run this:\n~~~ sh\nsay hello\n```\n~~~\nThen stop.", []string{"Run this:", "Then stop."}},
		{"longer fence", "````\n```\nsay hello\n````\nThen stop.", []string{"Then stop."}},
		{"unclosed", "Run this:\n```\nx = 1\nsay hello", []string{"Run this:"}},
		{"three ticks in a line", "```x = 1``` is code.\nThis is not.", []string{"[1] is code.", "This is not."}},
		{"indented code", "Run this:\n\n    x = foo(1)\n    say hello\n\nThen stop.", []string{"Run this:", "Then stop."}},
		{"indented prose", "    The night was dark.\n\tNobody knew.", []string{"The night was dark.", "Nobody knew."}},
		{"tabs", "Name\tCity of birth\nAli\tCairo", []string{"Name", "City of birth", "Ali", "Cairo"}},
		{"display formula", "We know:\n$$\nx = the sum\n$$\nand\n\\[\nx\n\\]\nThen stop.", []string{"We know:", "and", "Then stop."}},
		{"inline code", "Use `a. B` now. Then stop.", []string{"Use [1] now.", "Then stop."}},
		{"prices", "It costs $5 more than 99 + 5 = $104.", []string{"It costs $5 more than 99 + 5 = $104."}},
		{"prices and a formula", "He has 2+16=$18 if $x_1=2$ and $y = 3$.", []string{"He has 2+16=$18 if [1] and [2]."}},
		{"prices with a note", "He pays 86/2=$<<86/2=43>>43 of the $86 earned into it so 43/1=$<<43/1=43>>43 remain.",
			[]string{"He pays [1] of the $86 earned into it so [2] remain."}},
		{"formula", "The area is $\\pi r^2$ of the disc, and $n$ is \\(a + b\\) or \\frac{1}{2}.",
			[]string{"The area is [1] of the disc, and [2] is [3] or [4]."}},
		{"calculator", "He pays 48/2 = <<48/2=24>>24 dollars.\n#### 24", []string{"He pays [1] dollars."}},
		{"addresses", "See https://example.org/a_(b)?c=d. Or (www.a.org), or me@example.com.", []string{"See [1].", "Or ([2]), or [3]."}},
		{"files", "Open report_1.pdf in /usr/lib/x and C:\\me\\a.txt with --force.", []string{"Open [1] in [2] and [3] with [4]."}},
		{"not files", "He and/or she ate 1/2 of it, i.e. a lot.", []string{"He and/or she ate 1/2 of it, i.e. a lot."}},
		{"placeholders", "Dear {name}, %(user)s has %d of {{count}} and ${more}, 50% off.",
			[]string{"Dear [1], [2] has [3] of [4] and [5], 50% off."}},
		{"tags", "<p>Hello <b>big</b> world.<br/></p>", []string{"Hello [1]big[2] world."}},
		{"comparison", "It is so if x < 5 and y > 3 holds.", []string{"It is so if x < 5 and y > 3 holds."}},
		{"emphasis", "This is **very** *good*. **All of this.** And 2*3*4 or a * b.",
			[]string{"This is [1]very[2] [3]good[4].", "All of this.", "And 2*3*4 or a * b."}},
		{"links", "See [the manual](https://x.org) and ![a cat](c.png).", []string{"See [1]the manual[2] and [3]a cat[4]."}},
		{"code over two lines", "Run `barka\nbleu` or ``a\n ` b\nc`` now.", []string{"Run [1]", "[1] or [2]", "[1] now."}},
		{"code is not open over a blank line, an item or a heading", "A `tick.\n\nB` c.\n\nD `x.\n- E` f.\n\n# G `y.\nH` i.",
			[]string{"A `tick.", "B` c.", "D `x.", "E` f.", "G `y.", "H` i."}},
		{"a link over two lines", "See [the\nmanual](https://x.org) first.", []string{"See [the", "manual[1] first."}},
		{"blanks", "The capital is ____. It is big.", []string{"The capital is [1].", "It is big."}},
		{"an answer's letter", "The answer is B. \nAnswer: C", []string{"The answer is [1].", "Answer: [1]"}},
		{"numbers alone", "102\n3.5 %\n—", nil},
		{"letters and units alone", "A\nB.\n5 kg\n12 m/s\n25°C\nH2O\nkm", nil},
		{"short words", "A cat\nGold\n5 cats\nin\nno", []string{"A cat", "Gold", "5 cats", "in", "no"}},
		{"already Arabic", "القهوة مشروب. Coffee is a drink.", []string{"Coffee is a drink."}},
		{"control and bidi", "One\x07two \u202bcat\u202c here\xff now.", []string{"One", "two [1]cat[2] here[3] now."}},
		{"quotation marks around sentences", "« First sentence here. Second sentence here. »",
			[]string{"First sentence here.", "Second sentence here."}},
		{"table", "| Name | **Big** age |\n|---|:-:|\n| Ali | `a|b` |\nName | Age\n--- | ---\nOmar | 12 kg",
			[]string{"Name", "[1]Big[2] age", "Ali", "Name", "Age", "Omar"}},
		{"empty", "", nil},
	} {
		segments := Split(c.in, Options{Target: unicode.Arabic, Form: brackets})
		if Join(segments) != c.in {
			t.Errorf("%s: joined %q, want %q", c.name, Join(segments), c.in)
		}
		got := masked(segments)
		// A placeholder's number counts from 1 in each sentence.
		if strings.Join(got, "|") != strings.Join(c.want, "|") && renumbered(got) != renumbered(c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

var placeholderNumber = regexp.MustCompile(`\[\d+\]`)

func renumbered(s []string) string {
	return placeholderNumber.ReplaceAllString(strings.Join(s, "|"), "[]")
}

// TestKinds: each segment records what it is.
func TestKinds(t *testing.T) {
	in := "# Title\n1. An item\n(A) An option\n| A cell |\nAnswer1: aa Answer2: bb\n```\nx\n```\nA sentence `x`.\n`x`\n5 kg\nقهوة"
	want := []Kind{Marker, Heading, Marker, Item, Marker, Option, Rule, Cell, Rule, Label, Option, Label, Option, Code, Code, Code,
		Sentence, Span, Symbol, Native}
	var got []Kind
	for _, s := range Split(in, Options{Target: unicode.Arabic}) {
		if s.Kind != Blank {
			got = append(got, s.Kind)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
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

// echoed returns what an identity translator makes of a text.
func echoed(segments []Segment, f Form, o Options) string {
	var b strings.Builder
	for _, s := range segments {
		if !s.Translated() {
			b.WriteString(s.Text)
			continue
		}
		smaller := Join(Smaller(s, o))
		switch {
		case f.Holds(s):
			b.WriteString(f.Unmask(s, f.Mask(s), nil).Text)
		case smaller == "" && len(s.Spans) == 0:
			b.WriteString(s.Text)
		default:
			b.WriteString(smaller)
		}
		if smaller != "" && smaller != s.Text {
			b.WriteString("(smaller: " + smaller + ")")
		}
	}
	return b.String()
}

// FuzzSplit: the segments are the text, and so is what an identity translator returns.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a. b", "« x. y »", "```\n``", "1. $x$ `c` <<1>> http://x", "|a|b|\n", "\xff\xfe. A", "«««»",
		"[2 `a`] [1] [x](y) **b** {n} <b>c</b> %d [ 7 ] x[9", "@`a`@1@2@ __`b`1__ XX`c`1XX",
		"(A) x (B) y\n\tz\u202e. Q: Answer1: a Answer2: b",
		strings.Repeat("a,b;c ", 50)} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		form := Forms[abs(n%len(Forms))]
		for _, o := range []Options{{}, {MaxTokens: abs(n%50) + 2, Count: words, MinWords: 3, Target: unicode.Arabic, Form: form}} {
			segments := Split(s, o)
			if got := Join(segments); got != s {
				t.Fatalf("%q became %q", s, got)
			}
			if got := echoed(segments, o.Form, o); got != s {
				t.Fatalf("%q was echoed as %q", s, got)
			}
		}
	})
}

// TestPieces: marks beside a span stay with it when the text between the spans is translated
// alone; a translator would lose them.
func TestPieces(t *testing.T) {
	s := Split("They record values (`a.b`), then call f(`c`) and `d`.", Options{})[0]
	var got []string
	for _, p := range Smaller(s, Options{}) {
		if p.Translated() {
			got = append(got, p.Text)
		}
	}
	if want := []string{"They record values", "then call f(", "and"}; !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
	if got := Join(Smaller(s, Options{})); got != s.Text {
		t.Errorf("%q became %q", s.Text, got)
	}
}
