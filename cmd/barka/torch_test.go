package main

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/hub/hubtest"
	"barka/internal/torchfile/torchtest"
)

// TestTorchFilesFromHub translates with a repository whose weights are shards of
// pytorch_model.bin, as in NLLB-200-3.3B: by hub id, in a recipe, and in doctor.
func TestTorchFilesFromHub(t *testing.T) {
	s := testHub(t)
	dir := inputs(t)
	model, twin := filepath.Join(dir, "models", "nllb"), t.TempDir()
	torchtest.Twin(t, model, twin, 3)
	addRepo(t, s, "models", "org/nllb", twin)
	const text = "Coffee is served in small cups.\nWhere is the market?\n"
	want := ok(t, text, "translate", "--model", model)

	if got := ok(t, text, "translate", "--model", "org/nllb"); got != want {
		t.Errorf("translated %q, want %q", got, want)
	}
	var fetched []string
	for _, q := range s.Requests() {
		if strings.Contains(q.Path, "/resolve/") {
			fetched = append(fetched, path.Base(q.Path))
		}
	}
	for _, name := range []string{"pytorch_model-00001-of-00003.bin", "pytorch_model-00003-of-00003.bin",
		"pytorch_model.bin.index.json", "config.json", "tokenizer.json"} {
		if !slices.Contains(fetched, name) {
			t.Errorf("%s was not fetched: %v", name, fetched)
		}
	}
	s.Close()
	recipe := filepath.Join(dir, "torch.yaml")
	err := os.WriteFile(recipe, []byte(`name: torch
language: arb_Arab
dtype: f32
models: {translator: org/nllb}
convert: {questions: {benchmark: alpaca, data: data/questions.jsonl, licence: CC0}}
translate: {beam: 2}
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if out := ok(t, "", "run", recipe, "--out", filepath.Join(dir, "run"), "--offline"); !strings.Contains(out, "translate questions") {
		t.Errorf("the recipe printed %s", out)
	}
	out := ok(t, "", "doctor", "--fast", "--model", "org/nllb")
	for _, part := range []string{"PyTorch, 3 files", "M2M100ForConditionalGeneration", "bf16 ",
		"tokenizer.json is not the original of NLLB-200"} {
		if !strings.Contains(out, part) {
			t.Errorf("doctor does not print %q:\n%s", part, out)
		}
	}
}

// TestOneFormatFromHub: if a repository has both formats, one is downloaded. Of an adapter
// in PyTorch's format both files are downloaded.
func TestOneFormatFromHub(t *testing.T) {
	s := testHub(t)
	model, both := filepath.Join(inputs(t), "models", "nllb"), t.TempDir()
	torchtest.Twin(t, model, both, 1)
	files, err := hubtest.ReadDir(model)
	if err != nil {
		t.Fatal(err)
	}
	more, err := hubtest.ReadDir(both)
	if err != nil {
		t.Fatal(err)
	}
	files["pytorch_model.bin"] = more["pytorch_model.bin"]
	s.Add("models", "org/both", "main", files)
	s.Add("models", "org/adapter", "main", map[string][]byte{"adapter_config.json": []byte("{}"),
		"adapter_model.bin": []byte("x"), "training_args.bin": []byte("x")})
	for id, want := range map[string]string{"org/both": "model.safetensors", "org/adapter": "adapter_model.bin"} {
		dir := strings.TrimSpace(ok(t, "", "download", id))
		var got []string
		for _, pattern := range []string{"*.bin", "*.safetensors"} {
			paths, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, p := range paths {
				got = append(got, filepath.Base(p))
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("of %s weights %v were fetched, want %s", id, got, want)
		}
	}
}

// TestHostileModel: a model whose pickle names a program is refused with that name before
// anything else happens.
func TestHostileModel(t *testing.T) {
	dir := t.TempDir()
	torchtest.Twin(t, filepath.Join(inputs(t), "models", "gemma2"), dir, 1)
	mark := filepath.Join(dir, "executed")
	code := torchtest.NewPickle().Global("os", "mkdir").Op("(").Text(mark).Op("tR.")
	archive := torchtest.Archive(t, torchtest.Member{Name: "x/data.pkl", Data: code.Bytes()})
	if err := os.WriteFile(filepath.Join(dir, "pytorch_model.bin"), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"generate", "--prompt", "x"}, {"doctor", "--fast"}, {"score"},
	} {
		r := barka(t, "", append(args, "--model", dir)...)
		if r.code != exitBadInput || !strings.Contains(r.err, `"os.mkdir"`) || !strings.Contains(r.err, "pytorch_model.bin") {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.err)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program was executed")
	}
}
