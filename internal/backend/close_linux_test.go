package backend

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"barka/internal/chat"
	"barka/internal/golden"
	"barka/internal/llm"
	"barka/internal/stage/translate"
	"barka/internal/testfiles"
)

// TestCloseEndsModels: Close closes a model's files, however it was opened, also after use.
// A model that cannot be opened holds no files.
func TestCloseEndsModels(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	testfiles.Chain(t, dir)
	e := engine(t, 1)
	gemma, nllb := filepath.Join(dir, "models", "gemma2"), filepath.Join(dir, "models", "nllb")
	free := func(what string) {
		t.Helper()
		if maps, fds := golden.Held(t, dir); maps != 0 || fds != 0 {
			t.Errorf("%s: %d mappings and %d descriptors are left", what, maps, fds)
		}
	}
	closed := func(what string, m io.Closer) {
		t.Helper()
		if maps, fds := golden.Held(t, dir); maps == 0 || fds == 0 {
			t.Errorf("%s holds no file while it is open", what)
		}
		if err := errors.Join(m.Close(), m.Close()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		free(what)
	}
	d, err := e.OpenDecoder(gemma, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Chat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	closed("a chat", c)

	lazy := e.LazyChat("x", gemma)
	if err := lazy.Close(); err != nil {
		t.Error(err)
	}
	free("a chat that was not used")
	if _, err := lazy.Complete(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	closed("a lazy chat", lazy)

	o := TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: translate.DefaultDecoding()}
	o.Beam, o.MaxLength, o.LengthPenalty = 1, 8, 1
	tr, err := e.LazyTranslator("x", nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Translate(t.Context(), []string{"yes"}, nil); err != nil {
		t.Fatal(err)
	}
	closed("a translator", tr)

	if _, err := e.OpenDecoder(gemma, nllb); err == nil {
		t.Error("a model is taken for an adapter")
	}
	free("a decoder with a broken adapter")
	if _, err := e.OpenDecoder(nllb, ""); err == nil {
		t.Error("a translator is taken for a decoder")
	}
	free("a model of the wrong kind")
}

var hello = llm.Request{Messages: []chat.Message{{Role: "user", Content: "Hello"}}, MaxTokens: 3}
