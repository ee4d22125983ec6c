package eval

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/eval/shard"
	"barka/internal/hostile"
)

// TestDamagedFiles merges a shard with damaged files: a sample, or a share of
// BARKA_HOSTILE_FILES (.ci/long).
func TestDamagedFiles(t *testing.T) {
	files := 24
	if n, err := strconv.Atoi(os.Getenv("BARKA_HOSTILE_FILES")); err == nil {
		files = n / 20
	}
	root := runShards(t, 1, fixtureOptions(t, "acva:Iraq,piqa_ar,boolq_ar"), newHashModel)[0]
	dir, err := filepath.Glob(filepath.Join(root, "shards", "*", "*", "*", shard.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	var tally hostile.Tally
	rng := rand.New(rand.NewPCG(1, 0))
	for i := range files {
		path := dir[0]
		if i%4 == 3 {
			path = filepath.Join(filepath.Dir(path), shard.QuestionsFile)
		}
		valid, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, hostile.Mutate(rng, valid), 0o666); err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		tally.Read(fmt.Sprintf("%s, file %d", filepath.Base(path), i), path, func() error {
			_, err := Merge(t.Context(), []string{root}, to, nil)
			return err
		})
		if err := os.WriteFile(path, valid, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d damaged files of shards: %s", files, &tally)
	for _, p := range tally.Problems {
		t.Error(p)
	}
}

// TestClaims: the numbers of a manifest that decide how much memory is allocated are
// checked.
func TestClaims(t *testing.T) {
	for want, change := range map[string]func(*shard.Manifest){
		"shard 0 of 1000000000000":              func(m *shard.Manifest) { m.Shards = 1e12 },
		"1000000000000 questions":               func(m *shard.Manifest) { m.Tasks[0].Count = 1e12 },
		"-1 questions":                          func(m *shard.Manifest) { m.Tasks[0].Count = -1 },
		"1000000000000 examples before":         func(m *shard.Manifest) { m.Tasks[0].Shots.K = 1e12 },
		"expected at most 1048576 in all tasks": func(m *shard.Manifest) { m.Tasks[0].Count = 1<<20 + 1 },
	} {
		root := runShards(t, 1, fixtureOptions(t, "acva:Iraq"), newHashModel)[0]
		path, err := filepath.Glob(filepath.Join(root, "shards", "*", "*", "*", shard.ManifestFile))
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, path[0], change)
		if _, err := Merge(t.Context(), []string{root}, t.TempDir(), nil); !badinput.Is(err) ||
			!strings.Contains(err.Error(), path[0]) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
