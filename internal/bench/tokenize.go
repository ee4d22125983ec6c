package bench

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
	"barka/internal/lines"
	"barka/internal/tokenizer"
)

// tokenize encodes the lines of a text one by one, on one thread. The tokenizer is
// loaded again before every run, so that its cache of words is empty.
func (b *bench) tokenize() work {
	text := strings.TrimSuffix(filepath.Base(b.o.Text), filepath.Ext(b.o.Text))
	w := work{name: "tokenize", variant: filepath.Base(b.o.Tokenizer) + ", " + text, unit: "MB/s"}
	if b.o.Tokenizer == "" || b.o.Text == "" {
		w.skip = "it needs a tokenizer's directory (--tokenizer) and a text (--text)"
		return w
	}
	var tok *tokenizer.Tokenizer
	var texts []string
	var bytes int
	w.setup = func() (err error) {
		texts, bytes, err = readLines(b.o.Text)
		return err
	}
	w.reset = func() (err error) {
		tok, err = tokenizer.Load(b.o.Tokenizer)
		return err
	}
	w.run = func(context.Context) (tally, error) {
		sum := uint64(0)
		for _, l := range texts {
			for _, id := range tok.Encode(l, true) {
				sum = Checksum(sum, id)
			}
		}
		return tally{units: float64(bytes) / 1e6, outcome: float64(sum)}, nil
	}
	return w
}

// Checksum adds a token id to the checksum of the ids before it. The result is
// exact in float64.
func Checksum(sum uint64, id int32) uint64 {
	return (sum*65599 + uint64(id) + 1) % (1<<31 - 1)
}

// readLines reads the non-empty lines of a text file and counts their bytes.
func readLines(path string) (texts []string, bytes int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, badinput.Wrap(err)
	}
	defer f.Close()
	for l, err := range lines.Read(path, f) {
		if err != nil {
			return nil, 0, err
		}
		if len(l.Data) > 0 {
			texts, bytes = append(texts, string(l.Data)), bytes+len(l.Data)
		}
	}
	if bytes == 0 {
		return nil, 0, badinput.Errorf("%s: no text, expected one text per line", path)
	}
	return texts, bytes, nil
}
