package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
)

// TestWhatIsDigestedIsWhatIsLoaded: a model that changes between the two, in
// either order, is refused with the file's name; so is an adapter.
func TestWhatIsDigestedIsWhatIsLoaded(t *testing.T) {
	for _, name := range []string{"model.safetensors", "tokenizer.json", "config.json"} {
		for _, first := range []string{"digest", "load"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(gemma)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			touch := func() {
				if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			e := engine(t, 1)
			var err error
			if first == "digest" {
				if _, err = e.Digest(dir); err != nil {
					t.Fatal(err)
				}
				touch()
				_, err = LazyChat(e, "model", dir).Complete(t.Context(), ask("Coffee?", 1))
			} else {
				d, errOpen := e.OpenDecoder(dir, "")
				if errOpen != nil {
					t.Fatal(errOpen)
				}
				touch()
				_, err = d.Evaluated()
			}
			if !badinput.Is(err) || !strings.Contains(err.Error(), path+" changed while it was being read") {
				t.Errorf("%s, %s first: %v", name, first, err)
			}
			if _, err := engine(t, 1).Digest(dir); err != nil {
				t.Errorf("another engine: %v", err)
			}
		}
	}
}
