package lines

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"barka/internal/badinput"
)

func read(r io.Reader) (got []string, err error) {
	for l, e := range Read("in.txt", r) {
		if e != nil {
			return got, e
		}
		if l.Number != len(got)+1 || l.Where() != fmt.Sprintf("in.txt: line %d", l.Number) {
			return got, fmt.Errorf("line %d is %q", len(got)+1, l.Where())
		}
		got = append(got, string(l.Data))
	}
	return got, nil
}

// TestLineEnds: \n and \r\n end lines and nothing else does; whatever the
// chunks that the text comes in.
func TestLineEnds(t *testing.T) {
	long := strings.Repeat("س", 1<<16)
	for text, want := range map[string][]string{
		"":                       nil,
		"\n":                     {""},
		"\r\n":                   {""},
		"a":                      {"a"},
		"a\n":                    {"a"},
		"a\n\nb":                 {"a", "", "b"},
		"a\r\nb\r\n":             {"a", "b"},
		"a\r\r\nb\r":             {"a\r", "b\r"},
		"a\rb\r\n\r":             {"a\rb", "\r"},
		"\ufeffa\n\ufeffb":       {"\ufeffa", "\ufeffb"},
		"a\u0085b\u2028c\v\f\nd": {"a\u0085b\u2028c\v\f", "d"},
		"\x00\n \t\n":            {"\x00", " \t"},
		long + "\r\n" + long:     {long, long},
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)),
			iotest.DataErrReader(strings.NewReader(text))} {
			if got, err := read(r); err != nil || !slices.Equal(got, want) {
				t.Errorf("%.40q: %.60q, %v; want %.60q", text, got, err, want)
			}
		}
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\xff\n":                         "in.txt: line 2: not UTF-8: byte 0xff at offset 1 of the line",
		"\xd9":                               "in.txt: line 1: not UTF-8: byte 0xd9 at offset 0",
		"a\n\ufffd\xed\xa0\x80":              "in.txt: line 2: not UTF-8: byte 0xed at offset 3",
		"a\n" + strings.Repeat("x", Max+1):   "in.txt: line 2: longer than 64 MiB",
		strings.Repeat("x", Max+1) + "\r\n":  "in.txt: line 1: longer than 64 MiB",
		strings.Repeat("x", 2*Max) + "\nabc": "in.txt: line 1: longer than 64 MiB",
	} {
		if _, err := read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || !badinput.Is(err) {
			t.Errorf("%.20q: error %v, want %q", text, err, want)
		}
	}
	for _, end := range []string{"", "\n", "\r\n"} {
		if got, err := read(strings.NewReader(strings.Repeat("x", Max) + end)); err != nil || len(got) != 1 || len(got[0]) != Max {
			t.Errorf("a line of the longest length with end %q: %d lines, %v", end, len(got), err)
		}
	}
	broken := errors.New("broken pipe")
	got, err := read(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
	if len(got) != 1 || !errors.Is(err, broken) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%q, error %v; the unfinished line is not a line", got, err)
	}
}

func TestCheck(t *testing.T) {
	if err := Check("x", []byte("سلام\r\n\ufffd")); err != nil {
		t.Error(err)
	}
	if err := Check("x", []byte("سلام\n\n\ta\xc0")); err == nil ||
		!strings.Contains(err.Error(), "x: line 3: not UTF-8: byte 0xc0 at offset 2") {
		t.Errorf("error %v", err)
	}
}

func TestSkipMark(t *testing.T) {
	for text, want := range map[string]string{"": "", "\ufeff": "", "\ufeff\ufeffa": "\ufeffa", "ab": "ab", "\xef\xbb": "\xef\xbb"} {
		if got, err := io.ReadAll(SkipMark(strings.NewReader(text))); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// FuzzRead: the lines, put together with their ends, are the text.
func FuzzRead(f *testing.F) {
	f.Add("a\r\n\rb\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := read(strings.NewReader(text))
		rest := text
		for _, l := range got {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, l); !ok {
				t.Fatalf("%q is not at the beginning of %q", l, rest)
			}
			if rest, ok = strings.CutPrefix(rest, "\r\n"); !ok {
				rest = strings.TrimPrefix(rest, "\n")
			}
		}
		if err == nil && rest != "" {
			t.Fatalf("%q: %q is left", text, rest)
		}
	})
}
