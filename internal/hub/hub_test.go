package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
)

func TestResolve(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("HF_HUB_CACHE", cache)
	root := filepath.Join(cache, "models--google--gemma-2-2b-it")
	snapshot := filepath.Join(root, "snapshots", "abc123")
	for path, text := range map[string]string{filepath.Join(root, "refs", "main"): "abc123\n",
		filepath.Join(snapshot, "config.json"): "{}"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, model := range []string{"google/gemma-2-2b-it", "google/gemma-2-2b-it@main", "google/gemma-2-2b-it@abc123", snapshot} {
		if dir, err := Resolve(model); err != nil || dir != snapshot {
			t.Errorf("%s: %s, %v", model, dir, err)
		}
	}
	for model, want := range map[string]string{
		"": "no model", "google/gemma-2-9b-it": "barka download", "no-such-dir": "hub id", "a/../b": "hub id",
		"google/gemma-2-2b-it@../../x": "revision", filepath.Join(snapshot, "config.json"): "is a file",
	} {
		if _, err := Resolve(model); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", model, err, want)
		}
	}
}
