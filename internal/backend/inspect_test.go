package backend

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/golden"
	"barka/internal/torchfile/torchtest"
)

// TestInspect: the description of a directory does not depend on the format of the weights.
func TestInspect(t *testing.T) {
	twin := t.TempDir()
	torchtest.Twin(t, nllb, twin, 3)
	a, err := Inspect(nllb)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Inspect(twin)
	if err != nil {
		t.Fatal(err)
	}
	if a.Format != checkpoint.Safetensors || a.Files != 1 || b.Format != checkpoint.Torch || b.Files != 3 || b.Stored < a.Stored {
		t.Errorf("%+v and %+v", a, b)
	}
	if a.Values == 0 || a.Values != b.Values || a.Tensors != b.Tensors || !slices.Equal(a.Types, b.Types) ||
		a.Tokenizer != b.Tokenizer || a.Architecture != "M2M100ForConditionalGeneration" {
		t.Errorf("%+v, want %+v", b, a)
	}
	for dir, want := range map[string]string{
		withTokenizer(t, golden.Dir("gemma2")):                             "more than the 320 of the model's vocabulary",
		filepath.Join("..", "..", "testdata", "chain", "models", "gemma2"): "; its chat template ends an answer with <end_of_turn>",
	} {
		if i, err := Inspect(dir); err != nil || !strings.Contains(i.Tokenizer, want) {
			t.Errorf("%+v, %v; want %q", i, err, want)
		}
	}
	if _, err := Inspect(golden.TorchDir("m2m100")); !badinput.Is(err) {
		t.Errorf("a model without a tokenizer: %v", err)
	}
}

// TestGenuineTokenizer: the tokenizer files of NLLB-200 are recognised by their digests.
func TestGenuineTokenizer(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(nllb, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	text, err := inspectTokenizer(nllb, nllbVocabulary)
	want := fmt.Sprintf("tokenizer.json is not the original of NLLB-200: its SHA-256 is %.12s…, expected e316b82de11d…", digest)
	if err != nil || !strings.Contains(text, want) {
		t.Errorf("%q, %v; want %q", text, err, want)
	}
	before := genuine["tokenizer.json"]
	defer func() { genuine["tokenizer.json"] = before }()
	genuine["tokenizer.json"] = digest // the real file cannot be distributed
	if text, err = inspectTokenizer(nllb, nllbVocabulary); err != nil ||
		!strings.Contains(text, "tokenizer.json is the original of NLLB-200") {
		t.Errorf("%q, %v", text, err)
	}
	if text, err = inspectTokenizer(gemma, 2000); err != nil || strings.Contains(text, "NLLB") {
		t.Errorf("of Gemma: %q, %v", text, err)
	}
}
