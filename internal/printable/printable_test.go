package printable

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\nof two lines":        "plain\ttext\nof two lines",
		"مرحبا\u200f بالعالم\u200c\u200e!": "مرحبا\u200f بالعالم\u200c\u200e!",
		"\x1b[2Jgone":                   `\x1b[2Jgone`,
		"\x1b]0;title\x07":              `\x1b]0;title\x07`,
		"a\rb\bc\x7f\x00":               `a\x0db\x08c\x7f\x00`,
		"\u009b31mC1":                   `\u009b31mC1`,
		"\x9b31mbyte \xff":              `\x9b31mbyte \xff`,
		"abc\u202egnp.exe\u2066x\u2069": `abc\u202egnp.exe\u2066x\u2069`,
		"\u2028\u2029":                  `\u2028\u2029`,
		"answers \u2068صح\u2069 to all": "answers \u2068صح\u2069 to all",
		"\u2068a\u2068b\u2069c\u2069":   `\u2068a` + "\u2068b\u2069" + `c\u2069`,
		"\u2068a\nb\u2069":              `\u2068a` + "\n" + `b\u2069`,
		"\u2068\u2066a\u2069\u2069":     `\u2068\u2066a\u2069\u2069`,
		"a \ufffd that stands there":    "a \ufffd that stands there",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	const key = "sk-a+b/c=very-secret"
	for in, want := range map[string]string{
		"No. \x1b[31mRed\u202e\x07\nkey " + key:                        "No. Red key [secret]",
		"key sk-a+b\xff/c=very-secret, key sk-a%2Bb%2Fc%3Dvery-secret": "key [secret], key [secret]",
		`proxy "http://me:pass@proxy:3128" is broken`:                  `proxy "http://proxy:3128" is broken`,
		strings.Repeat("ص", 50):                                        strings.Repeat("ص", 40) + "…",
	} {
		if got := Line(in, 40, key, "", "ke"); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"https://host:8000/v1":             "https://host:8000/v1",
		"https://user:pw@host/v1":          "https://…@host/v1",
		"user:pw@host/v1":                  "…@host/v1",
		"ftp://host/v1?api_key=pw":         "ftp://host/v1…",
		"http://host/v1#pw":                "http://host/v1…",
		"http://user:p/w@host/v1":          "http://…/@host/v1",
		"https://host/@person/page":        "https://host/@person/page",
		"https://user:pw@ho st:x/v1?k=pw@": "https://…@ho st:x/v1…",
	} {
		if got := Address(in); got != want || strings.Contains(got, "pw") {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[0m\u202e\x9b", "key")
	f.Add("http://a:b@c/key?key", "key")
	f.Fuzz(func(t *testing.T, s, secret string) {
		text := Text(s)
		closed := regexp.MustCompile("\u2068([^\u2068\u2069\n]*)\u2069").ReplaceAllString(text, "$1")
		if !utf8.ValidString(text) || strings.ContainsFunc(closed, acts) || Text(text) != text {
			t.Errorf("%q gives %q", s, text)
		}
		line := Line(s, 100, secret)
		if strings.ContainsFunc(line, func(r rune) bool {
			return unicode.IsControl(r) ||
				unicode.Is(unicode.Cf, r)
		}) || utf8.RuneCountInString(line) > 101 {
			t.Errorf("%q gives %q", s, line)
		}
		Address(s)
	})
}

// TestWriter: in whatever parts a text comes, it is written as Text makes it.
func TestWriter(t *testing.T) {
	const text = "قهوة \x1b[2J\u009b \u202e😀 \xf0\x9f"
	for n := 1; n < len(text); n++ {
		var b strings.Builder
		w := NewWriter(&b)
		for i := 0; i < len(text); i += n {
			part := text[i:min(i+n, len(text))]
			if wrote, err := w.Write([]byte(part)); wrote != len(part) || err != nil {
				t.Fatal(wrote, err)
			}
		}
		if err := w.Flush(); err != nil || b.String() != Text(text) {
			t.Errorf("in parts of %d: %q, %v; want %q", n, b.String(), err, Text(text))
		}
	}
}
