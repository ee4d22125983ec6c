package convert

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sharedEnglish finds the benchmark files that cannot be committed: a
// directory named shared beside the repository, or BARKA_SHARED.
func sharedEnglish(t *testing.T) string {
	t.Helper()
	root := os.Getenv("BARKA_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for ; root == "" && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				root = filepath.Join(filepath.Dir(dir), "shared")
			}
		}
	}
	path := filepath.Join(root, "data", "english")
	if _, err := os.Stat(path); err != nil {
		t.Skip("no benchmark files in ", path)
	}
	return path
}

// unzip unpacks an archive into a new directory, archives inside it too.
func unzip(t *testing.T, path string) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := t.TempDir()
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") || !filepath.IsLocal(f.Name) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRealRows converts real rows of each set in its archive's layout.
func TestRealRows(t *testing.T) {
	dir := sharedEnglish(t)
	for _, c := range []struct {
		benchmark, path, split string
		rows, rejected         int64
	}{
		{"boolq", "boolq/fewglue_train_32.jsonl", "train", 32, 0},
		{"boolq", "hf-dummy/boolq_dummy_0.1.0.zip", "train", 3, 0},
		{"boolq", "hf-dummy/super_glue_dummy_boolq_1.0.2.zip", "train", 3, 0},
		{"copa", "copa/train.jsonl", "train", 368, 0},
		{"copa", "copa/val.jsonl", "train", 100, 0},
		{"copa", "hf-dummy/super_glue_copa.zip", "train", 3, 0},
		{"gsm8k", "gsm8k/train.jsonl", "train", 7473, 0},
		{"gsm8k", "gsm8k/test.jsonl", "train", 1319, 0},
		{"hellaswag", "hf-dummy/hellaswag_dummy_0.1.0.zip", "train", 2, 0},
		{"race", "hf-dummy/race_dummy_all_0.1.0.zip", "train", 22, 0},
		{"race", "hf-dummy/race_dummy_high_0.1.0.zip", "validation", 6, 0},
		{"sciq", "hf-dummy/sciq_dummy_0.1.0.zip", "train", 3, 0},
		{"arc-challenge", "hf-dummy/ai2_arc_dummy_ARC-Challenge_1.0.0.zip", "train", 3, 0},
		{"arc-easy", "hf-dummy/ai2_arc_dummy_ARC-Easy_1.0.0.zip", "train", 3, 0},
		{"openbookqa", "hf-dummy/openbookqa_dummy_main_1.0.1.zip", "train", 4, 0},
		{"piqa", "hf-dummy/piqa_dummy_plain_text_1.1.0.zip", "train", 5, 0},
		{"alpaca", "llm-adapters/ARC-Challenge/train.json", "train", 1118, 1},
	} {
		path := filepath.Join(dir, filepath.FromSlash(c.path))
		if strings.HasSuffix(path, ".zip") {
			path = unzip(t, path)
		}
		o := options(c.benchmark)
		o.Split = c.split
		got, m, _ := convert(t, o, path)
		if m.Rows != c.rows || m.Counts["rejected"] != c.rejected {
			t.Errorf("%s %s: %d rows, counts %v; want %d and %d rejected", c.path, c.split, m.Rows, m.Counts, c.rows, c.rejected)
		}
		for _, r := range got {
			for _, msg := range r.Messages {
				for _, mark := range []string{"<<", "####", "[title]", "[header]", "« None", "  ", " .\n", " , "} {
					if strings.Contains(msg.Content, mark) && c.benchmark != "alpaca" {
						t.Errorf("%s: %q in %q", c.path, mark, msg.Content)
					}
				}
			}
		}
		if testing.Verbose() && len(got) > 0 {
			text, _ := json.MarshalIndent(got[len(got)/2].Messages, "", " ")
			t.Logf("%s\n%s", c.path, text)
		}
	}
}
