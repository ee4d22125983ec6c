package wordhash

import (
	"slices"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestWords: texts that compare as equal, and texts that differ.
func TestWords(t *testing.T) {
	for _, same := range [][]string{
		{"بغداد عاصمة العراق", "بَغْدَادُ، عـاصـمه  العراق!", "بغداد\u200f عاصمة\u200c العراق", "ﺑﻐﺪﺍﺩ عاصمة العراق"},
		{"أحمد إلى آخر ٱلطريق", "احمد الي اخر الطريق", "ا\u0654حمد إلى ا\u0653خر الطريق", "احمد الی اخر الطریق"},
		{"مؤمن شيئا ك", "مومن شييا ک"},
		{"سنة ١٩٧٥", "سنه 1975", "سنة ۱۹۷۵", "سنة １９７５"},
		{"Hello, World", "hello world", "ＨＥＬＬＯ—world", "hello\u200bworld"},
		{"x² ½", "x2 1 2"},
		{"", "؟ … «»", "\u064b"},
	} {
		want := Words(nil, same[0])
		for _, s := range same[1:] {
			if got := Words(nil, s); !slices.Equal(got, want) {
				t.Errorf("%q is not compared as %q is", s, same[0])
			}
		}
	}
	for _, s := range [][2]string{{"سار", "صار"}, {"علم نافع", "علمنافع"}, {"ab", "ba"}, {"1975", "1957"}} {
		if slices.Equal(Words(nil, s[0]), Words(nil, s[1])) {
			t.Errorf("%q is compared as %q is", s[0], s[1])
		}
	}
	if got := Words([]uint64{7}, "واحد اثنان"); len(got) != 3 || got[0] != 7 {
		t.Errorf("%d words after one", len(got)-1)
	}
}

// TestPlain: texts that skip normalisation would have the same words after it.
func TestPlain(t *testing.T) {
	for r := rune(1); r < 0x3000; r++ {
		for _, s := range []string{string(r), "ا" + string(r), "لا" + string(r) + "\u0651\u064e"} {
			if Plain(s) && !slices.Equal(Words(nil, s), Words(nil, norm.NFKC.String(s))) {
				t.Errorf("%U: other words when normalised", r)
				break
			}
		}
	}
}
