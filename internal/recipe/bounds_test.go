package recipe

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
)

// mostText is the largest text that package yamltext parses.
const mostText = 64 << 10

// TestBounds: text that expands to gigabytes, or is nested too deeply, is refused before it
// takes memory. Any other recipe of the largest size is read or refused quickly.
func TestBounds(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, mostText/len(s)) }
	block := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}
	laughs := "a0: &a0 [x, x]\n"
	for i := range 20 {
		laughs += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"infinity":             {"name: x\ntrain:\n  lr: .inf\n", "line 3: .inf is not a value that a setting can have"},
		"less than all":        {"name: x\ntrain:\n  targets: [1, -.Inf]\n", "line 3: -.Inf is not a value"},
		"not a number":         {"name: .NaN\n", "line 1: .NaN is not a value"},
		"lists":                {fill("["), "nested more than 32"},
		"mappings":             {fill("{a: "), "nested more than 32"},
		"block lists":          {fill("- "), "nested more than 32"},
		"block mappings":       {block(300), "nested more than 32"},
		"explicit keys":        {fill("? "), "nested more than 32"},
		"laughs":               {laughs, "an alias (*name) within"},
		"many aliases":         {"a: &a b\nc: [" + strings.Repeat("*a, ", 100) + "]", "more than 64 anchors"},
		"long":                 {strings.Repeat("# comment\n", mostText/10) + "name: x\n# and more than that", "expected at most 65536"},
		"a list":               {"name: [" + fill("x, ")[:mostText-100] + "]", ""},
		"keys":                 {fill("a: b\n"), ""},
		"anchors":              {fill("&a "), "more than 64 anchors"},
		"tags":                 {fill("! "), "more than 64 anchors"},
		"a string":             {"name: \"" + strings.Repeat("x", mostText-100) + "\"", ""},
		"an unfinished string": {"name: \"" + strings.Repeat("x", mostText-100), ""},
		"plain lines":          {"name:\n" + fill(" x\n")[:mostText-100], ""},
		"a block of text":      {"name: |\n" + fill(" x\n")[:mostText-100], ""},
		"documents":            {fill("---\n"), ""},
		"closing brackets":     {fill("]"), "] without its beginning"},
		"colons":               {fill(":"), ""},
		"control characters":   {fill("\x1b"), ""},
		"quotes":               {fill("'' "), ""},
		"commas":               {fill(","), ""},
		"empty lists":          {fill("[] "), ""},
		"list of lists":        {"a: [" + fill("[],")[:mostText-100] + "]", ""},
		"list of mappings":     {"a: [" + fill("{a: b}, ")[:mostText-104] + "]", ""},
		"entries":              {fill("- a\n"), ""},
		"tabs":                 {fill("\t"), ""},
	} {
		start := time.Now()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readDocument([]byte(c.text))
		runtime.ReadMemStats(&after)
		if c.want != "" && (!badinput.Is(err) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %.300v, want %q", name, err, c.want)
		}
		took, memory := time.Since(start), (after.TotalAlloc-before.TotalAlloc)>>20
		if took > 20*time.Second || memory > 2048 {
			t.Errorf("%s: %s, %d MiB", name, took, memory)
		}
	}
	deep := "name: x\nwiki:\n  titles: {a: [b, {c: [d]}]}\nsynth: &s\n  turns: 1\nx: *s\n"
	if _, err := readDocument([]byte(deep)); err != nil {
		t.Error(err)
	}
}
