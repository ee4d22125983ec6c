package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSpeed prints the speed of the tokenizers of BARKA_DIFFERENTIAL, for
// reference/tokenizers/differential.py --speed.
func TestSpeed(t *testing.T) {
	dir := os.Getenv("BARKA_DIFFERENTIAL")
	data, err := os.ReadFile(filepath.Join(dir, "speed.txt"))
	if dir == "" || err != nil {
		t.Skip("only with BARKA_DIFFERENTIAL")
	}
	texts := strings.Split(string(data), "\n")
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := strings.TrimSuffix(f, ".jsonl.gz")
		tok := layout(t, path)
		best := time.Hour
		for range 5 {
			start := time.Now()
			for _, s := range texts {
				tok.Encode(s, true)
			}
			best = min(best, time.Since(start))
		}
		mb := float64(len(data)-len(texts)+1) / 1e6
		t.Logf("speed MB/s %s %.3f", filepath.Base(path), mb/best.Seconds())
	}
}
