package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	path := filepath.Join(dir, "x.log")
	kept, err := OpenTexts(dir, "x", "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[TextKey]string{TextKeyOf("a", "b"): "سطر\nثان", TextKeyOf("ab"): "", TextKeyOf("a", "b", ""): "\u2028 \"x\""}
	for key, text := range want {
		if err := kept.Put(key, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(kept.Close(), kept.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data string
		n    int
	}{"whole": {string(data), 3}, "torn": {string(data[:len(data)-3]),
		2}, "damaged": {strings.Replace(string(data), "x", "y", 1), 2}, "foreign": {"x\ny z\n", 0}} {
		if err := os.WriteFile(path, []byte(c.data), 0o644); err != nil {
			t.Fatal(err)
		}
		kept, err := OpenTexts(dir, "x", "")
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for key, text := range want {
			if got, ok := kept.Get(key); ok && got != text {
				t.Errorf("%s: %q, want %q", name, got, text)
			} else if ok {
				found++
			}
		}
		if found != c.n {
			t.Errorf("%s: %d texts, want %d", name, found, c.n)
		}
		kept.Close()
	}
}
