package dataset

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestDigestIsRemembered digests a large file that is old enough, then one with the same
// size and modification time and other bytes.
func TestDigestIsRemembered(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("waits for two seconds, and needs change times")
	}
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	write := func(row string) (digest string) {
		t.Helper()
		if err := os.WriteFile(path, bytes.Repeat([]byte(row), 200_000), 0o666); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2100 * time.Millisecond)
		for range 2 {
			info, err := Examine(context.Background(), path)
			if err != nil || info.Rows != 200_000 || digest != "" && info.Digest != digest {
				t.Fatalf("%+v after %s, %v", info, digest, err)
			}
			digest = info.Digest
		}
		return digest
	}
	if a, b := write(`{"a":1}`+"\n"), write(`{"a":2}`+"\n"); a == b {
		t.Error("the digest of a rewritten file is that of the old one")
	}
	if entries, err := filepath.Glob(filepath.Join(cache, "*", "*", "*.json")); err == nil && runtime.GOOS == "linux" && len(entries) != 2 {
		t.Errorf("entries %v", entries)
	}
}
