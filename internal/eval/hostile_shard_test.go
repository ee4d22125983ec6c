package eval

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"barka/internal/badinput"
	"barka/internal/eval/shard"
	"barka/internal/jsonl"
)

// TestHostileManifests: names and numbers of shard.json are checked before they become
// paths or sizes, and nothing is written outside the output directory.
func TestHostileManifests(t *testing.T) {
	whole := runShards(t, 1, fixtureOptions(t, "community|arabic_mmlu:anatomy|2|1"), newHashModel)[0]
	found, err := filepath.Glob(filepath.Join(whole, "shards", "*", "*", "*", shard.ManifestFile))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	questions, err := os.ReadFile(filepath.Join(filepath.Dir(found[0]), shard.QuestionsFile))
	if err != nil {
		t.Fatal(err)
	}
	model := func(name string) func(m *shard.Manifest) { return func(m *shard.Manifest) { m.Model.Name = name } }
	for name, c := range map[string]struct {
		change func(m *shard.Manifest)
		want   string
	}{
		"above":               {model("../../../escaped"), "stays below the output directory"},
		"above in the middle": {model("a/../../../escaped"), "stays below the output directory"},
		"absolute":            {model("/tmp/escaped"), "stays below the output directory"},
		"empty":               {model(""), "stays below the output directory"},
		"a dot":               {model("."), ""},
		"not clean":           {model("a//b"), "stays below the output directory"},
		"an escape":           {model("a\x1b[2J"), "stays below the output directory"},
		"an override":         {model("a\u202eb"), "stays below the output directory"},
		"an unknown task":     {func(m *shard.Manifest) { m.Tasks[0].Task = "../x" }, "no task is called ../x"},
		"an unknown board":    {func(m *shard.Manifest) { m.Options.Leaderboard = "../x" }, "no task is called"},
		"fewer questions":     {func(m *shard.Manifest) { m.Tasks[0].Count-- }, "does not fit its task"},
		"more questions":      {func(m *shard.Manifest) { m.Tasks[0].Count++ }, "no shard holds question"},
	} {
		var m shard.Manifest
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		c.change(&m)
		root := t.TempDir()
		dir := filepath.Join(root, "in", "shard")
		out := filepath.Join(root, "x", "y", "out")
		writeShard(t, dir, m, questions)
		_, err := Merge(t.Context(), []string{dir}, out, nil)
		if c.want != "" && (!badinput.Is(err) || !strings.Contains(err.Error(), c.want)) || err != nil &&
			strings.ContainsAny(err.Error(), "\x1b\u202e") {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		outside(t, name, root)
	}
}

// TestHostileQuestions: the index of a right answer that is not among the choices is
// refused.
func TestHostileQuestions(t *testing.T) {
	whole := runShards(t, 1, fixtureOptions(t, "community|arabic_mmlu:anatomy|2|1"), newHashModel)[0]
	found, err := filepath.Glob(filepath.Join(whole, "shards", "*", "*", "*", shard.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, gold := range []int{-1, 4, 1 << 60} {
		text, err := os.ReadFile(found[0])
		var m shard.Manifest
		if err != nil || json.Unmarshal(text, &m) != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, shard.QuestionsFile)
		w, err := jsonl.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for q, err := range jsonl.Read[map[string]any](filepath.Join(filepath.Dir(found[0]), shard.QuestionsFile)) {
			if err != nil {
				t.Fatal(err)
			}
			q["doc"].(map[string]any)["Gold"] = gold
			if err := w.Write(q); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		m.QuestionsHash = fileHash(t, path)
		writeShard(t, dir, m, nil)
		if _, err := Merge(t.Context(), []string{dir}, t.TempDir(), nil); !badinput.Is(err) ||
			!strings.Contains(err.Error(), "does not fit its task") {
			t.Errorf("right answer %d: %v", gold, err)
		}
	}
}

func writeShard(t *testing.T, dir string, m shard.Manifest, questions []byte) {
	t.Helper()
	text, err := json.Marshal(m)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, shard.ManifestFile), text, 0o644)
	}
	if err == nil && questions != nil {
		err = os.WriteFile(filepath.Join(dir, shard.QuestionsFile), questions, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// outside fails the test if root holds anything except the shard and the output.
func outside(t *testing.T, name, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if rel != "." && rel != "x" && rel != filepath.Join("x", "y") && rel != filepath.Join("x", "y", "out") &&
			!strings.HasPrefix(rel, filepath.Join("x", "y", "out")+"/") && rel != "in" &&
			!strings.HasPrefix(rel, filepath.Join("in", "shard")) {
			return fmt.Errorf("%s is there", rel)
		}
		return err
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// fileHash returns the digest of a file as in a manifest.
func fileHash(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%016x", xxhash.Sum64(data))
}
