package bidi

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// visible writes isolates as brackets.
var visible = strings.NewReplacer(leftIsolate, "<L|", rightIsolate, "<R|", endIsolate, ">")

// TestLines holds the layout of lines: isolated, and in visual order. The visual order of
// these lines is that of the reference implementation of Unicode's algorithm applied to the
// isolated ones.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		in                 string
		isolated, reorders []string
	}{
		{"Plain English, 12 %.", []string{"Plain English, 12 %."}, []string{"Plain English, 12 %."}},
		{"القهوة مشروب محبوب (coffee) في العالم، عام 1990-1995 و 3 + 4 = 7.",
			[]string{"<R|القهوة مشروب محبوب (<L|coffee>) في العالم،>", "<R|عام <L|1990-1995> و <L|3 + 4 = 7>.>"},
			[]string{"،ﻢﻟﺎﻌﻟﺍ ﻲﻓ (coffee) ﺏﻮﺒﺤﻣ ﺏﻭﺮﺸﻣ ﺓﻮﻬﻘﻟﺍ", ".3 + 4 = 7 ﻭ 1990-1995 ﻡﺎﻋ"}},
		{"In Arabic, القهوة means coffee (1990\nكوب).",
			[]string{"<L|In Arabic, <R|القهوة> means coffee (1990>", "<R|كوب).>"},
			[]string{"In Arabic, ﺓﻮﻬﻘﻟﺍ means coffee (1990", ".(ﺏﻮﻛ"}},
		{"استخدم `go test ./...` ثم $x_1 = 2$ وTNF-α؛ 10 km و50% في ١٩٩٠.",
			[]string{"<R|استخدم <L|`go test ./...`> ثم <L|$x_1 = 2$>>", "<R|و<L|TNF-α>؛ <L|10 km> و<L|50%> في ١٩٩٠.>"},
			[]string{"$x_1 = 2$ ﻢﺛ `go test ./...` ﻡﺪﺨﺘﺳﺍ", ".١٩٩٠ ﻲﻓ 50%ﻭ 10 km ؛TNF-αﻭ"}},
		{"الأعوام 1990، 1991", []string{"<R|الأعوام <L|1990>، <L|1991>>"},
			[]string{"1991 ،1990 ﻡﺍﻮﻋﻷﺍ"}},
		{"الرمز:\n```\nقيمة = f(x)\n```", []string{"<R|الرمز:>", "```", "<L|<R|قيمة> = f(x)>", "```"},
			[]string{":ﺰﻣﺮﻟﺍ", "```", "ﺔﻤﻴﻗ = f(x)", "```"}},
	} {
		for mode, want := range map[Mode][]string{Isolate: c.isolated, Reorder: c.reorders} {
			var got []string
			for _, l := range (Layout{Mode: mode, Width: 40, Right: true}).Lines(Safe(c.in)) {
				bare := strings.NewReplacer(leftIsolate, "", rightIsolate, "", endIsolate, "").Replace(l)
				if rtl := strings.HasPrefix(strings.TrimLeft(l, " "), rightIsolate); rtl && Width(bare) != 40 {
					t.Errorf("%q has %d cells, want 40", bare, Width(bare))
				}
				got = append(got, strings.TrimLeft(visible.Replace(l), " "))
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%q in mode %d:\n%s\nwant\n%s", c.in, mode, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestMarks: a style covers its stretch in every mode, wherever lines break.
func TestMarks(t *testing.T) {
	const text = "كلمة خاطئة هنا"
	from := strings.Index(text, "خاطئة")
	mark := Mark{Span{from, from + len("خاطئة")}, "31"}
	for mode, want := range map[Mode]string{
		Plain:   "كلمة \x1b[31mخاطئة\x1b[0m هنا",
		Isolate: rightIsolate + "كلمة \x1b[31mخاطئة\x1b[0m هنا" + endIsolate,
		Reorder: "ﺎﻨﻫ \x1b[31mﺔﺌﻃﺎﺧ\x1b[0m ﺔﻤﻠﻛ",
	} {
		if got := (Layout{Mode: mode}).Lines(text, mark); len(got) != 1 || got[0] != want {
			t.Errorf("mode %d: %q, want %q", mode, got, want)
		}
	}
	if got := (Layout{Width: 9}).Lines(text, mark); len(got) != 2 || got[1] != "\x1b[31mخاطئة\x1b[0m هنا" {
		t.Errorf("wrapped: %q", got)
	}
}

// TestSafe: what a terminal would act upon, and what would hide, is written out.
func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\x1b[2J":                         `a    b\x1b[2J`,
		"\u2067x\u2069\u202eev\u2068il\u2069": `\u2067x\u2069\u202eev\u2068il\u2069`,
		"zero\u200bwidth\ufeff\u00ad":         `zero\u200bwidth\ufeff\u00ad`,
		"tag\U000e0041":                       `tag\U000e0041`,
		"می\u200cخواهم\u200f":                 "می\u200cخواهم\u200f",
		"\xff \ufffd \u0600":                  "\\xff \ufffd \u0600",
	} {
		if got := Safe(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// TestForms: every letter has one, two or four forms, and the joined forms are the
// letters again when decomposed.
func TestForms(t *testing.T) {
	letters, lamAlef := tables()
	if len(letters) < 45 || len(lamAlef) != 4 {
		t.Errorf("%d letters, %d lam-alefs", len(letters), len(lamAlef))
	}
	for letter, f := range letters {
		if len(f) != 1 && len(f) != 2 && len(f) != 4 {
			t.Errorf("%c has %d forms", letter, len(f))
		}
	}
	const text = "السلام عليكم، لا بأس ـ مَرْحَبًا"
	var b strings.Builder
	for _, c := range joined(clusters(text, Span{0, len(text)})) {
		b.WriteString(c.text)
	}
	if norm.NFKC.String(b.String()) != norm.NFKC.String(text) || b.String() == text {
		t.Errorf("%q", b.String())
	}
}

// FuzzLines: no layout loses or adds a character, a line is no wider than it may be, every
// isolate ends on its line, and nothing else acts on the terminal.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"القهوة (coffee) 3 + 4", "abc القهوة 12)", "```\nx\n```", "\x1b[0m\u202e\u2067\xff", "a b  c",
		"لا\u200cإ\u0651",
		"👩‍👩‍👧 ع", "$x$ ) ( \\( y", "١٢ 12-13 ab", "\ufffc ا \ufffc"} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		if len(s) > 2000 {
			return
		}
		text := Safe(s)
		if Safe(text) != text {
			t.Fatalf("Safe(%q) is not safe: %q", text, Safe(text))
		}
		width = 2 + abs(width)%60
		bare := strings.NewReplacer(" ", "", "\n", "")
		for _, mode := range []Mode{Plain, Isolate, Reorder} {
			var all strings.Builder
			for _, line := range (Layout{Mode: mode, Width: width, Right: true}).Lines(text) {
				depth := 0
				for _, r := range line {
					switch string(r) {
					case leftIsolate, rightIsolate:
						depth++
					case endIsolate:
						depth--
					default:
						all.WriteRune(r)
					}
					if depth < 0 || depth > 2 {
						t.Fatalf("%q: isolates of %q", s, line)
					}
				}
				if plain := Safe(strings.NewReplacer(leftIsolate, "", rightIsolate, "", endIsolate, "").Replace(line)); depth != 0 ||
					mode != Reorder && strings.ContainsAny(plain, "\u2066\u2067\u2069") {
					t.Fatalf("%q: line %q", s, line)
				}
				whole := strings.TrimLeft(line, " ")
				if mode == Plain && Width(line) > width && len(clusters(whole, Span{0, len(whole)})) > 1 {
					t.Fatalf("%q: %d cells in %q, at most %d wanted", s, Width(line), line, width)
				}
			}
			if got, want := bare.Replace(all.String()), bare.Replace(text); mode != Reorder && got != want {
				t.Fatalf("mode %d: %q became %q", mode, want, got)
			}
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return max(-n, 0)
	}
	return n
}
