package train_test

import (
	"os"
	"path/filepath"
	"testing"

	"barka/internal/golden"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/tensor/cpu"
)

// TestMergeIsWholeOrNotThere: two at once, killed ones, other people's files
// and damage.
func TestMergeIsWholeOrNotThere(t *testing.T) {
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	base := golden.Dir("gemma2")
	id := train.Merged{Base: "b", Adapter: "a"}
	merge := func(out string, p progress.Reporter) error {
		return train.Merge(t.Context(), dev, base, filepath.Join(base, "adapter"), out, id, p)
	}
	dir := t.TempDir()
	out, killed := filepath.Join(dir, "out"), filepath.Join(dir, "killed")
	disturbed := false
	err := merge(out, &each{Reporter: progress.Silent, do: func() {
		if disturbed {
			return
		}
		disturbed = true
		mustRefuse(t, "second merge", merge(out, progress.Silent), "another process is working on this output")
		copyTree(t, out+".partial", killed+".partial")
		if _, err := os.Stat(out); err == nil {
			t.Error("the output is there before it is whole")
		}
	}})
	if err != nil || !disturbed {
		t.Fatalf("%v, disturbed: %t", err, disturbed)
	}
	want := outputs(t, out)
	if want["model.safetensors"] == "" || want["config.json"] == "" || want[train.MergedFile] == "" {
		t.Fatalf("files %d", len(want))
	}
	if err := merge(killed, progress.Silent); err != nil {
		t.Fatal(err)
	}
	same(t, "after a killed merge", outputs(t, killed), want)
	if left, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(left) > 0 {
		t.Errorf("left %v", left)
	}

	foreign := filepath.Join(dir, "foreign")
	notes := filepath.Join(foreign+".partial", "notes.txt")
	if err := os.Mkdir(foreign+".partial", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(notes, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, "a foreign directory", merge(foreign, progress.Silent), "notes.txt")
	if text, err := os.ReadFile(notes); err != nil || string(text) != "mine" {
		t.Errorf("the foreign file holds %q, %v", text, err)
	}

	if err := merge(out, progress.Silent); err != nil {
		t.Errorf("merged already: %v", err)
	}
	weights := filepath.Join(out, "model.safetensors")
	flipped := []byte(want["model.safetensors"])
	flipped[len(flipped)-3] ^= 4
	for _, text := range [][]byte{flipped, flipped[:1000]} { // the short one stays
		if err := os.WriteFile(weights, text, 0o644); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, "damage", merge(out, progress.Silent), "model.safetensors", "merge again")
	}

	// Merged by an earlier version, which recorded no digests.
	if err := os.WriteFile(filepath.Join(out, train.MergedFile), []byte(`{"base_digest": "b", "adapter_digest": "a"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, "a short file of an earlier version", merge(out, progress.Silent), "merge again")
	if err := os.WriteFile(weights, []byte(want["model.safetensors"]), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := merge(out, progress.Silent); err != nil {
		t.Errorf("merged by an earlier version: %v", err)
	}
}

// each calls do at every report of progress.
type each struct {
	progress.Reporter
	do func()
}

func (e *each) Add(int64) { e.do() }
