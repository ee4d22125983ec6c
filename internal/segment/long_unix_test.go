//go:build unix

package segment

import (
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
)

// TestLongLines: a long line is cut in time linear in its length, whatever is in
// it. With the square of it, many of these take seconds.
func TestLongLines(t *testing.T) {
	const limit = time.Second
	for _, pattern := range []string{"a", " ", "«", "»", "« x ", "A. ", "Dr. ", "a. ", "a, ", ". ", "! ", "1 ", "$5 ", "$x=1$ ",
		`\( $x=1$ `, `\(x\) `, "`", "`c` ", "<a", "<<", "http://a ", "|a", "سلام، ",
		"a\n", "`\n", "``` `\n", "a ` ``\n", "- `\n", "```\n", "x.   ", `x."`, "x.)", "\u00a0", "\u200d", "é", "\xff",
		"[", "](", "[x](", "![", "[x](y) ", "{", "{{", "{a} ", "<b>", "<b> ", "<b>x</b> ",
		"<a1 ", "</", "%d ", `\frac{`, `\(`, "*", "**a** ", "*a ",
		"_", "__a ", "a_b ", "~~", "(A) x ", "A. x\n", "(1) ", "Answer1: ",
		"@", "a@b.", "a/", "/a", "./", "www.", "((((", "\t", "\u202a", "\x00",
		"$$", "$a", "${", "1 = <<1=1>>1 ", "1 + ", "&a", "&amp;", "[1]", ">", "- ", "    x\n", "~~~ a\n", "\\[\n", "J. ", "answer is A. "} {
		text := strings.Repeat(pattern, 100_000/len(pattern))
		start := cpu(t)
		for _, s := range []string{"x. " + text + "x", "```\n" + strings.ReplaceAll(text, "```", "")} {
			o := Options{MaxTokens: 64, Count: func(s string) int { return len(s) / 4 }, MinWords: 3,
				Target: unicode.Arabic, Form: brackets}
			segments := Split(s, o)
			if Join(segments) != s || echoed(segments, brackets, o) != s {
				t.Errorf("%q: the text changed", pattern)
			}
		}
		if took := cpu(t) - start; took > limit {
			t.Errorf("%q: %s of processor time for 100,000 characters", pattern, took)
		}
	}
}

// cpu returns the processor time of this process: the machine may be busy with others.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
