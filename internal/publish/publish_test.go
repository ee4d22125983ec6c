package publish

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/hub"
	"barka/internal/progress"
	"barka/internal/stage/mix"
	"barka/internal/testfiles"
	"barka/internal/yamltext"
)

// set makes a mixed dataset of rows under licences, in a directory of a name below root.
func set(t *testing.T, root, name string, licences ...string) string {
	t.Helper()
	var rows []dataset.Instruction
	for i, l := range licences {
		rows = append(rows, dataset.Instruction{ID: fmt.Sprint("r", i), Dataset: fmt.Sprint("set", i), Language: "arb_Arab", Licence: l,
			Messages: []chat.Message{{Role: "user", Content: "سؤال"}, {Role: "assistant", Content: fmt.Sprint("جواب ", i)}}})
	}
	out := filepath.Join(root, name)
	o := mix.Defaults()
	o.Name, o.Validation = "Set", 0
	if _, err := mix.Run(t.Context(), o, nil, durable.Env{Out: out, In: map[string]string{"in": testfiles.JSONLines(t, rows...)},
		Progress: progress.Silent}); err != nil {
		t.Fatal(err)
	}
	return out
}

// adapter writes an adapter that names a base, trained on a dataset unless that is "".
func adapter(t *testing.T, root, base, data string) string {
	t.Helper()
	dir := filepath.Join(root, "adapter")
	files := map[string]string{"adapter_config.json": fmt.Sprintf(`{"task_type": "CAUSAL_LM", "base_model_name_or_path": %q, "r": 4,
		"lora_alpha": 8, "target_modules": ["q_proj"], "peft_type": "LORA", "extra": {"kept": 1}}`, base), "adapter_model.safetensors": "x",
		"optimizer.pt": "x", ".lock": "x", "checkpoints/step-1": "x"}
	if data != "" {
		digest, err := dataset.Digest(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		files["trainer_state.json"] = fmt.Sprintf(`{"global_step": 3, "num_train_epochs": 1, "options": {"rank": 4, "alpha": 8, "lr": 0.001},
			"data_digest": %q, "model_digest": "abc-f32"}`, digest)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	race = "RACE terms: non-commercial research only"
	sa   = "CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0/"
)

// refused fails the test unless a publication ends with a part of an error.
func refused(t *testing.T, dir string, o Options, want string) *Package {
	t.Helper()
	p, err := Open(t.Context(), dir, "me/x", o)
	if want == "" && err != nil || want != "" && (err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s with %+v: %v, want %q", filepath.Base(dir), o, err, want)
	}
	return p
}

// TestDatasetLicences: a dataset's licence must keep what its rows ask for.
func TestDatasetLicences(t *testing.T) {
	dir := set(t, t.TempDir(), "mix", sa, "MIT")
	for tag, want := range map[string]string{"cc0-1.0": "rows of set0 are under", "cc-by-4.0": "must be passed on under cc-by-sa-4.0",
		"cc-by-sa-4.0": "", "other": "", "CC 0": "is not a tag"} {
		p := refused(t, dir, Options{License: tag}, want)
		if want == "" && (p.License != tag || !strings.Contains(string(p.Card), "\nlicense: "+tag+"\n") || len(p.Notes) != 0) {
			t.Errorf("%s: %s, %q\n%.200s", tag, p.License, p.Notes, p.Card)
		}
	}
	p := refused(t, dir, Options{}, "")
	if p.License != "cc-by-sa-4.0" || p.Kind() != hub.Dataset || !p.Generated {
		t.Errorf("%+v", p)
	}
	if names := strings.Join(p.files(), " "); !strings.HasPrefix(names, "README.md croissant.json manifest.json part-00000-of-00001.parquet") {
		t.Errorf("files %s", names)
	}
	refused(t, set(t, t.TempDir(), "mix", race), Options{License: "mit"}, "non-commercial research only")
	refused(t, dir, Options{BaseModel: "me/base"}, "is for adapters and models")
	// A damaged file is not published.
	part := filepath.Join(dir, "part-00000-of-00001.parquet")
	if err := os.WriteFile(part, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, Options{}, "part-00000-of-00001.parquet")
}

// TestModelLicences: an adapter keeps the terms of its base, and its data's on the use of
// the result. Data are recognised by their digest.
func TestModelLicences(t *testing.T) {
	for _, c := range []struct{ base, data, tag, want string }{
		{"google/gemma-2-2b-it", "MIT", "apache-2.0", "it is under gemma, which must be passed on under its own terms"},
		{"google/gemma-2-2b-it", "MIT", "my-own", "its own terms"},
		{"google/gemma-2-2b-it", race, "gemma", "contradicts the training data: 1 rows of set0"},
		{"google/gemma-2-2b-it", race, "other", ""},
		{"google/gemma-2-2b-it", sa, "gemma", ""},
		{"HuggingFaceTB/SmolLM2-135M", "CC BY-NC 4.0", "apache-2.0", "forbids commercial use"},
		{"HuggingFaceTB/SmolLM2-135M", "CC BY-NC 4.0", "cc-by-nc-4.0", ""},
		{"me/unheard-of", "MIT", "mit", ""},
	} {
		root := t.TempDir()
		dir := adapter(t, root, c.base, set(t, root, "data", c.data))
		refused(t, dir, Options{License: c.tag}, c.want)
	}
	for _, c := range []struct{ base, data, want string }{
		{"google/gemma-2-2b-it", "MIT", "gemma"}, {"google/gemma-2-2b-it", race, "other"},
		{"HuggingFaceTB/SmolLM2-135M", sa, "apache-2.0"}, {"me/unheard-of", "MIT", "unknown"},
	} {
		root := t.TempDir()
		p := refused(t, adapter(t, root, c.base, set(t, root, "data", c.data)), Options{}, "")
		if p.License != c.want || (len(p.Notes) > 0) != (c.want == "other" || c.want == "unknown") {
			t.Errorf("%s on %s: %s, %q", c.base, c.data, p.License, p.Notes)
		}
	}
}

// TestAdapter: the card states what is known, and the base gets its name on the hub.
func TestAdapter(t *testing.T) {
	root := t.TempDir()
	data := set(t, root, "data", sa, "MIT")
	dir := adapter(t, root, filepath.Join(root, "base"), data)
	refused(t, dir, Options{}, "give --base-model")
	refused(t, dir, Options{BaseModel: "no id"}, "--base-model")
	refused(t, dir, Options{BaseModel: "me/base", Data: set(t, t.TempDir(), "other", "MIT")}, "data with the digest")
	p := refused(t, dir, Options{BaseModel: "google/gemma-2-2b", Dataset: "me/data"}, "")
	text := string(p.Card)
	for _, want := range []string{"---\nlicense: gemma\nbase_model:\n- \"google/gemma-2-2b\"\nbase_model_relation: adapter\n" +
		"datasets:\n- \"me/data\"\nlanguage:\n- \"ar\"\nlibrary_name: peft\n", "| method | LoRA, rank 4, alpha 8", "Gemma Terms of Use",
		"| set0 | 1 | CC BY-SA 4.0", "abc-f32"} {
		if !strings.Contains(text, want) {
			t.Errorf("the card lacks %q:\n%s", want, text)
		}
	}
	if _, err := yamltext.JSON(header.FindSubmatch(p.Card)[1]); err != nil {
		t.Error(err)
	}
	if got := strings.Join(p.files(), " "); got != "README.md adapter_config.json adapter_model.safetensors trainer_state.json" {
		t.Errorf("files %s", got)
	}
	slices.Sort(p.Left)
	if got := strings.Join(p.Left, " "); got != ".lock checkpoints/ optimizer.pt" {
		t.Errorf("left %s", got)
	}
	for _, s := range p.Sources {
		if s.Path == "adapter_config.json" && (!strings.Contains(string(s.Data), `"base_model_name_or_path": "google/gemma-2-2b"`) ||
			!strings.Contains(string(s.Data), `"kept": 1`) || strings.Contains(string(s.Data), root)) {
			t.Errorf("%s", s.Data)
		}
		if strings.Contains(string(s.Data), root) {
			t.Errorf("%s names a local directory", s.Path)
		}
	}
}

// TestCards: a generated card is recognised until somebody edits it, and the directory's own
// card is published as it is.
func TestCards(t *testing.T) {
	dir := adapter(t, t.TempDir(), "me/base", "")
	p := refused(t, dir, Options{License: "mit"}, "")
	if !ours(p.Card) || !p.Generated {
		t.Fatalf("not ours:\n%s", p.Card)
	}
	edited := strings.Replace(string(p.Card), "Intended", "Unintended", 1)
	for _, c := range []struct {
		there string
		kept  bool
	}{{string(p.Card), false}, {edited, true}, {strings.ReplaceAll(string(p.Card), "\n", "\r\n"), false}, {"# theirs\n", true}} {
		q := refused(t, dir, Options{License: "mit"}, "")
		if q.Keep([]byte(c.there)) != c.kept || slices.Contains(q.files(), cardFile) == c.kept {
			t.Errorf("kept is not %t for\n%s", c.kept, c.there)
		}
	}
	if p.Keep(nil) {
		t.Error("nothing is kept")
	}
	own := "---\nlicense: mit\n---\n# mine\n"
	if err := os.WriteFile(filepath.Join(dir, cardFile), []byte(own), 0o644); err != nil {
		t.Fatal(err)
	}
	if p = refused(t, dir, Options{}, ""); string(p.Card) != own || p.Generated || p.License != "mit" || p.Keep([]byte("theirs")) {
		t.Errorf("%+v", p)
	}
	refused(t, dir, Options{License: "gemma"}, "states the licence mit")
	for text, want := range map[string]string{"---\nlicense: [\n---\n": "cannot be read", "---\nlicense: 3\n---\n": "is no text",
		"---\n- a\n---\n": "no mapping"} {
		if err := os.WriteFile(filepath.Join(dir, cardFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, Options{}, want)
	}
}

// TestOther: what is nothing that barka makes is refused.
func TestOther(t *testing.T) {
	dir := t.TempDir()
	refused(t, dir, Options{}, "is neither a dataset")
	refused(t, filepath.Join(dir, "gone"), Options{}, "gone")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Open(ctx, set(t, dir, "mix", "MIT"), "me/x", Options{}); err == nil {
		t.Error("not interrupted")
	}
}
