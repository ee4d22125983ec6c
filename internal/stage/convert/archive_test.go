package convert

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/durable"
	"barka/internal/testfiles"
)

// zipped writes an archive of files, by their names in it.
func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "set.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestArchives: an archive gives the rows that its files give as a directory, with the labels
// beside them, and nothing of it is left behind.
func TestArchives(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp) // on Windows
	for _, benchmark := range []string{"race", "piqa"} {
		dir := filepath.Join("testdata", "in", inputs[benchmark])
		want, _, _ := convert(t, options(benchmark), dir)
		files := map[string]string{"__MACOSX/._x.jsonl": "\x00", "README.md": "read me"}
		for name, text := range testfiles.Tree(t, dir) {
			files["top/"+filepath.ToSlash(name)] = text
		}
		path := zipped(t, files)
		got, _, _ := convert(t, options(benchmark), path)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", benchmark, diff)
		}
		if e, err := Plan(t.Context(), options(benchmark), 42, map[string]string{"data": path}); err != nil || e.Rows != len(want) {
			t.Errorf("%s: planned %+v, %v", benchmark, e, err)
		}
	}
	if options("race").IsHubID("data/race.zip") {
		t.Error("an archive is taken for a repository")
	}
	for _, c := range []struct {
		path string
		want []string
	}{
		{zipped(t, map[string]string{"train.jsonl": "{\"goal\": 1"}), []string{"set.zip", "train.jsonl:1", "JSON"}},
		{zipped(t, map[string]string{"test.jsonl": "{}"}), []string{"set.zip", "no file of the split train"}},
		{zipped(t, map[string]string{"../train.jsonl": "{}"}), []string{"set.zip", "outside"}},
		{zipped(t, map[string]string{"a.json": "1", "a.json/train.json": "{}"}), []string{"set.zip", "a.json"}},
		{zipped(t, map[string]string{"train.json": "{}", "./train.json": "{}"}), []string{"set.zip", "twice"}},
		{filepath.Join("testdata", "no.zip"), []string{"no.zip"}},
		{renamed(t, "not a zip"), []string{"set.zip", "zip archive is expected"}},
	} {
		env := durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"data": c.path}}
		_, err := Run(t.Context(), options("piqa"), nil, env)
		for _, want := range c.want {
			if !badinput.Is(err) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "barka-convert-") {
				t.Errorf("%s: %v, want %q", c.path, err, want)
			}
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func renamed(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "set.zip")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
