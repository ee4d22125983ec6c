package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEvalPack: an archive of the benchmarks gives the scores of the hub's cache, on a machine
// that has neither cache nor network. Equal data give equal archives.
func TestEvalPack(t *testing.T) {
	dir := inputs(t)
	s := quickstartHub(t, dir)
	root := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache"))
	t.Setenv("HOME", root)
	pack := filepath.Join(root, "a.zip")
	tasks := []string{"--tasks", "arabic_exams,copa_ext_ar"}
	ok(t, "", append([]string{"eval", "pack", pack}, tasks...)...)
	ok(t, "", append([]string{"eval", "pack", filepath.Join(root, "b.zip"), "--offline"}, tasks...)...)
	a, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(root, "b.zip")); err != nil || !bytes.Equal(a, b) {
		t.Errorf("two archives of the same data differ: %v", err)
	}
	line := func(out string, more ...string) []string {
		return append([]string{"eval", "--model", filepath.Join(dir, "models", "gemma2"), "--quiet", "--output-dir",
			filepath.Join(root, out)}, more...)
	}
	ok(t, "", line("x-eval-hub", tasks...)...)
	s.Close()
	if err := os.RemoveAll(os.Getenv("HF_HUB_CACHE")); err != nil {
		t.Fatal(err)
	}
	ok(t, "", line("y-eval-pack", "--pack", pack, "--offline")...)
	want, got := files(t, filepath.Join(root, "x-eval-hub")), files(t, filepath.Join(root, "y-eval-pack"))
	if len(want) == 0 || len(want) != len(got) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	for name, data := range want {
		if strings.Contains(name, "details") && !bytes.Equal(got[name], data) {
			t.Errorf("%s differs", name)
		}
	}

	// What is damaged or changed is refused, and no pack is half used.
	damaged := bytes.Clone(a)
	at := bytes.Index(damaged, []byte("data/OALL/Arabic_EXAMS/test.jsonl")) + 60
	damaged[at] ^= 0xff
	for name, c := range map[string]struct {
		data []byte
		want string
	}{"damaged": {damaged, "Arabic_EXAMS/test.jsonl"}, "cut": {a[:len(a)/2], "is not a pack"}, "text": {[]byte("no zip"), "is not a pack"}} {
		path := filepath.Join(root, name+".zip")
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache-"+name))
		if r := barka(t, "", line("z-"+name, "--pack", path)...); r.code != exitBadInput || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: exit code %d, %s", name, r.code, r.err)
		}
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache"))
	unpacked, err := filepath.Glob(filepath.Join(root, "cache", "barka", "packs", "*", "data", "OALL", "Arabic_EXAMS", "test.jsonl"))
	if err != nil || len(unpacked) != 1 {
		t.Fatal(unpacked, err)
	}
	if err := os.WriteFile(unpacked[0], []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := barka(t, "", line("z-changed", "--pack", pack)...); r.code != exitBadInput || !strings.Contains(r.err, "have changed") {
		t.Errorf("changed: exit code %d, %s", r.code, r.err)
	}
	if r := barka(t, "", line("z-both", "--pack", pack, "--data", dir)...); r.code != exitUsage {
		t.Errorf("--pack and --data: exit code %d, %s", r.code, r.err)
	}
	if r := barka(t, "", "eval", "pack", filepath.Join(root, "c.zip"), "--tasks", "piqa_ar", "--offline"); r.code != exitBadInput ||
		!strings.Contains(r.err, "barka download --dataset OALL/") {
		t.Errorf("data that are not there: exit code %d, %s", r.code, r.err)
	}
}
