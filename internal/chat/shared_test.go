package chat

import (
	"testing"

	"barka/internal/testfiles"
	"barka/internal/tokenizer"
)

// genuineGemma loads Gemma 2's tokenizer from the shared reference data, or
// skips.
func genuineGemma(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Parse(testfiles.Read(t, testfiles.Shared(t, "tokenizers", "gemma2", "tokenizer.json.gz")))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
