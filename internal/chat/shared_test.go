package chat

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/tokenizer"
)

// genuineGemma loads Gemma 2's tokenizer from the shared reference data, or
// skips.
func genuineGemma(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	root := os.Getenv("BARKA_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(root, "data", "tokenizers", "gemma2", "tokenizer.json.gz"))
	if err != nil {
		t.Skip("the shared reference data is not here")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
