package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/hub"
)

// TestModels lists and removes what the cache holds: revisions share contents, a lock of
// another process is respected, and the freed bytes are those of the disk.
func TestModels(t *testing.T) {
	s := testHub(t)
	cache := os.Getenv("HF_HUB_CACHE")
	if out := ok(t, "", "models"); strings.Count(out, "\n") > 1 {
		t.Errorf("an empty cache has %s", out)
	}
	big, other, config := make([]byte, 3<<20), []byte(strings.Repeat("x", 1<<20)), []byte(`{"model_type": "x"}`)
	s.Add("models", "org/m", "v1", map[string][]byte{"config.json": config, "model.safetensors": big})
	s.Add("models", "org/m", "main", map[string][]byte{"config.json": config, "model.safetensors": big, "a.model": other})
	s.Add("datasets", "org/d", "main", map[string][]byte{"a.jsonl": []byte("{}")})
	ok(t, "", "download", "org/m", "--revision", "v1")
	ok(t, "", "download", "org/m")
	ok(t, "", "download", "--dataset", "org/d")
	blobs := filepath.Join(cache, "models--org--m", "blobs")
	if err := os.WriteFile(filepath.Join(blobs, strings.Repeat("0", 64)+".incomplete"), make([]byte, 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	list := ok(t, "", "models", "--revisions")
	for _, want := range []string{"org/m\tmodel\t4 MiB\t", "4.9 KiB unfinished", "org/d\tdataset\t", "main\t\t4 MiB\t3 files",
		"v1\t\t3 MiB\t2 files"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in %s", want, list)
		}
	}
	var first hub.CachedRepo
	if err := json.Unmarshal([]byte(strings.SplitN(ok(t, "", "models", "--json"), "\n", 2)[0]), &first); err != nil || first.ID != "org/m" ||
		len(first.Revisions) != 2 || first.Unfinished != 5000 || time.Since(first.Modified) > time.Hour {
		t.Errorf("%+v, %v", first, err)
	}
	refused := func(want string, args ...string) {
		t.Helper()
		if r := barka(t, "", append([]string{"models", "rm"}, args...)...); r.code != exitBadInput || !strings.Contains(r.err, want) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.err)
		}
	}
	refused("is not in the cache", "org/other")
	refused("is not in the cache", "org/d")
	refused("has no revision v2", "org/m@v2")
	refused("is not a hub id", "../m")

	// Of main goes what v1 does not have.
	if out := ok(t, "", "models", "rm", "org/m@main"); !strings.Contains(out, "1 MiB freed") {
		t.Errorf("%s", out)
	}
	weights, err := filepath.Glob(filepath.Join(cache, "models--org--m", "snapshots", "*", "model.safetensors"))
	if info, err2 := os.Stat(strings.Join(weights, " ")); err != nil || err2 != nil || info.Size() != 3<<20 {
		t.Errorf("v1 is damaged: %v, %v", weights, err2)
	}
	if r := barka(t, "", "tokenize", "--model", "org/m", "--offline"); r.code != exitBadInput {
		t.Errorf("main is there: %s%s", r.out, r.err)
	}
	if out := ok(t, "", "models", "rm", "org/m"); !strings.Contains(out, "3 MiB freed") {
		t.Errorf("%s", out)
	}
	if entries, _ := os.ReadDir(cache); len(entries) != 2 { // .locks and the dataset
		t.Errorf("left %v", entries)
	}
	ok(t, "", "models", "rm", "--dataset", "org/d")
}
