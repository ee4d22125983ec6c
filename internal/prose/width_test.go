package prose

import "testing"

// TestWidth: a sign of Chinese, Japanese or Korean counts three times, everything else once.
func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc é": 5, "سلام": 4, "हिन्दी": 6, "中文": 6, "かな、": 7, "한글 x": 8, "😀": 1} {
		if got := Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
}
