package pytext

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// The expected texts of this file were printed by CPython 3.11.

func TestFloat(t *testing.T) {
	for want, f := range map[string]float64{
		"0.22": 0.22, "0.041633319989322695": 0.041633319989322695, "1.0": 1, "-0.0": math.Copysign(0, -1), "0.0": 0,
		"1e-05": 1e-5, "0.0001": 1e-4, "1e+16": 1e16, "1000000000000000.0": 1e15, "9999999999999998.0": 9999999999999998,
		"1.5e+300": 1.5e300, "5e-324": 5e-324, "nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1),
		"-12.345678329467773": float64(float32(-12.345678)), "0.3333333333333333": 1.0 / 3, "123456789.125": 123456789.125,
	} {
		if got := Float(f); got != want {
			t.Errorf("Float(%g) = %s, want %s", f, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"a":               `'a'`,
		"it's":            `"it's"`,
		`"it's"`:          `'"it\'s"'`,
		`back\slash`:      `'back\\slash'`,
		"a\n\t\r\x00":     `'a\n\t\r\x00'`,
		"صح":              `'صح'`,
		"\u200fنعم\u00a0": `'\u200fنعم\xa0'`,
		"\ufeff\u2028":    `'\ufeff\u2028'`,
		"😀\U000e0001":     `'😀\U000e0001'`,
		"ﷺ é":             `'ﷺ é'`,
	} {
		if got := Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestRepr(t *testing.T) {
	v := []any{int64(1), 2.0, nil, true, "س", []any{}, []string{"a", "b"}}
	if got, want := Repr(v), `[1, 2.0, None, True, 'س', [], ['a', 'b']]`; got != want {
		t.Errorf("Repr = %s, want %s", got, want)
	}
	if got := Value("plain"); got != "plain" {
		t.Errorf("Value of a string = %s", got)
	}
}

func TestRStrip(t *testing.T) {
	kept, removed := RStrip("الإجابة:\n    \u00a0\u2003\u3000\x1c\u0085")
	if kept != "الإجابة:" || removed != "\n    \u00a0\u2003\u3000\x1c\u0085" {
		t.Errorf("RStrip = %q, %q", kept, removed)
	}
	// Zero-width space and the byte-order mark are no white space.
	for _, s := range []string{"a\u200b", "a\ufeff"} {
		if kept, _ := RStrip(s); kept != s {
			t.Errorf("RStrip(%q) = %q", s, kept)
		}
	}
}

// TestIsSpaceSet holds the whole set, listed by CPython's str.isspace.
func TestIsSpaceSet(t *testing.T) {
	want := []rune{9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 0x85, 0xa0, 0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004,
		0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000}
	var got []rune
	for r := rune(0); r < 0x110000; r++ {
		if IsSpace(r) {
			got = append(got, r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("white space = %x, want %x", got, want)
	}
}

func TestJSON(t *testing.T) {
	n := 5
	o := Object{{"a", nil}, {"é", []string{}}, {"list", []any{1, 2.5, "س\n😀\x7f\"\\\x01"}}, {"o", Object{}},
		{"nested", Object{{"t", true}, {"nan", math.NaN()}}}, {"p", &n}, {"q", (*int)(nil)}}
	want := "{\n  \"a\": null,\n  \"\\u00e9\": [],\n  \"list\": [\n    1,\n    2.5,\n    " +
		"\"\\u0633\\n\\ud83d\\ude00\\u007f\\\"\\\\\\u0001\"\n  ],\n" +
		"  \"o\": {},\n  \"nested\": {\n    \"t\": true,\n    \"nan\": NaN\n  },\n  \"p\": 5,\n  \"q\": null\n}"
	got, err := JSON(o)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("JSON =\n%s\nwant\n%s", got, want)
	}
	if _, err := JSON(Object{{"k", struct{}{}}}); err == nil || !strings.Contains(err.Error(), "k") {
		t.Errorf("a struct: error %v, want one that names the key", err)
	}
}

func TestCSV(t *testing.T) {
	text := "\ufeffa,\"b \"\"q\"\"\r\nx\",c\r\n\n1,2\"3,\n\"x\"y,z"
	want := [][]string{{"a", "b \"q\"\r\nx", "c"}, {"1", `2"3`, ""}, {"xy", "z"}}
	got, err := CSV(text, ',')
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("record %d = %q, want %q", i, got[i], want[i])
		}
	}
	if _, err := CSV("a\n\"open", ','); err == nil || !strings.Contains(err.Error(), "record 2") {
		t.Errorf("open quote: error %v, want one naming record 2", err)
	}
}

func TestStringList(t *testing.T) {
	got, err := StringList(`['a', "b'c", 'd\'e\n\x41\u0633\101\q', "x" 'y', '''t'
u''', ]`)
	want := []string{"a", "b'c", "d'e\nAسA\\q", "xy", "t'\nu"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("StringList = %q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{"", "a", "['a'", "['a' b]", "['a'] x", "['\\x4']", "[1]", "['a\nb']", "[\"a\\", "['\\UFFFFFFFF']",
		"['\\ud83d\\ude00']", "['\\N{BULLET}']", "['a', None]", "['a', ['b']]", "['a',, 'b']", "u'a'", "['a\\']", "{'a'}", "['\xff']"} {
		if got, err := StringList(bad); err == nil {
			t.Errorf("StringList(%q) = %q, want an error", bad, got)
		}
	}
}

func FuzzStringList(f *testing.F) {
	f.Add(`['a', "b"]`)
	f.Add("['\\u0633' 'x',]")
	f.Fuzz(func(t *testing.T, s string) {
		items, err := StringList(s)
		if err != nil {
			return
		}
		// What was read, written by Python's repr, reads back the same.
		again, err := StringList(Repr(items))
		if err != nil || !slices.Equal(items, again) {
			t.Errorf("%q reads as %q, and again as %q (%v)", s, items, again, err)
		}
	})
}

func FuzzCSV(f *testing.F) {
	f.Add("a,b\n\"c\"\"d\",e\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		records, err := CSV(s, ',')
		if err != nil {
			return
		}
		for i, r := range records {
			if len(r) == 0 {
				t.Errorf("record %d of %q is empty", i, s)
			}
		}
	})
}
