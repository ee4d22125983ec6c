package merge_test

import (
	"os"
	"path/filepath"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/golden"
	"barka/internal/progress"
	"barka/internal/stage/merge"
	"barka/internal/tensor/cpu"
	"barka/internal/testfiles"
)

// TestMergeIsWholeOrNotThere: two at once, killed ones, other people's files
// and damage.
func TestMergeIsWholeOrNotThere(t *testing.T) {
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	base := golden.Dir("gemma2")
	id := merge.Origin{Base: "b", Adapter: "a"}
	run := func(out string, p progress.Reporter) error {
		return merge.Run(t.Context(), dev, base, filepath.Join(base, "adapter"), out, id, p)
	}
	dir := t.TempDir()
	out, killed := filepath.Join(dir, "out"), filepath.Join(dir, "killed")
	disturbed := false
	err := run(out, &each{Reporter: progress.Silent, do: func() {
		if disturbed {
			return
		}
		disturbed = true
		badinputtest.Want(t, run(out, progress.Silent), "another process is working on this output")
		if err := os.CopyFS(killed+".partial", os.DirFS(out+".partial")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Error("the output is there before it is whole")
		}
	}})
	if err != nil || !disturbed {
		t.Fatalf("%v, disturbed: %t", err, disturbed)
	}
	want := testfiles.Tree(t, out)
	if want["model.safetensors"] == "" || want["config.json"] == "" || want[merge.OriginFile] == "" {
		t.Fatalf("files %d", len(want))
	}
	if err := run(killed, progress.Silent); err != nil {
		t.Fatal(err)
	}
	testfiles.Same(t, "after a killed merge", testfiles.Tree(t, killed), want)
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
	badinputtest.Want(t, run(foreign, progress.Silent), "notes.txt")
	if text, err := os.ReadFile(notes); err != nil || string(text) != "mine" {
		t.Errorf("the foreign file holds %q, %v", text, err)
	}

	if err := run(out, progress.Silent); err != nil {
		t.Errorf("merged already: %v", err)
	}
	weights := filepath.Join(out, "model.safetensors")
	flipped := []byte(want["model.safetensors"])
	flipped[len(flipped)-3] ^= 4
	for _, text := range [][]byte{flipped, flipped[:1000]} { // the short one stays
		if err := os.WriteFile(weights, text, 0o644); err != nil {
			t.Fatal(err)
		}
		badinputtest.Want(t, run(out, progress.Silent), "model.safetensors", "merge again")
	}

	// Merged by an earlier version, which recorded no digests.
	if err := os.WriteFile(filepath.Join(out, merge.OriginFile), []byte(`{"base_digest": "b", "adapter_digest": "a"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	badinputtest.Want(t, run(out, progress.Silent), "merge again")
	if err := os.WriteFile(weights, []byte(want["model.safetensors"]), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(out, progress.Silent); err != nil {
		t.Errorf("merged by an earlier version: %v", err)
	}
}

// each calls do at every report of progress.
type each struct {
	progress.Reporter
	do func()
}

func (e *each) Add(int64) { e.do() }
