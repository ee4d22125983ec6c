package wikitext

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden texts")

// TestGolden renders passages of English and Arabic pages (testdata/golden/README.md).
// reference/mediawiki/golden.py compares their texts with what MediaWiki makes of them.
func TestGolden(t *testing.T) {
	for _, lang := range []string{"en", "ar"} {
		w := New(Options{Language: lang})
		files, err := filepath.Glob(filepath.Join("testdata", "golden", lang, "*.wiki"))
		if err != nil || len(files) != 30 {
			t.Fatalf("%s: %d files, expected 30; %v", lang, len(files), err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, "wiki") + "txt"
			got := w.Text(string(source)) + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s:\n got %q\nwant %q", file, got, want)
			}
		}
	}
}
