package benchdata

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"barka/internal/hub"
	"barka/internal/hub/hubtest"
	"barka/internal/parquet"
)

// TestDeclared: cards in the forms that datasets documents.
func TestDeclared(t *testing.T) {
	files := []string{"data/a.csv", "data/b.csv", "data/sub/c.csv", "Iraq/test-00000-of-00001.parquet",
		"Iraq/validation-00000-of-00001.parquet", "raw/iran_questions.tsv", "test.jsonl"}
	for name, c := range map[string]struct{ card, subset, split, want string }{
		"list of splits": {"configs:\n- config_name: Iraq\n  data_files:\n  - split: test\n    path: Iraq/test-*\n  " +
			"- split: validation\n    path: Iraq/validation-*", "Iraq", "test", "Iraq/test-00000-of-00001.parquet"},
		"another split": {"configs:\n- config_name: Iraq\n  data_files:\n  - split: validation\n    path: Iraq/validation-*",
			"Iraq", "dev", "Iraq/validation-00000-of-00001.parquet"},
		"paths": {"configs:\n- config_name: x\n  data_files:\n  - split: test\n    path:\n    - " +
			"data/b.csv\n    - data/*.csv", "x", "test", "data/b.csv data/a.csv"},
		"mapping": {"configs:\n- config_name: Iran\n  data_files: {test: raw/iran_*.tsv}", "Iran", "test", "raw/iran_questions.tsv"},
		"one pattern": {"configs:\n- config_name: default\n  data_files: \"data/**.csv\"", "default", "train",
			"data/a.csv data/b.csv data/sub/c.csv"},
		"directory": {"configs:\n- config_name: x\n  data_dir: data\n  data_files:\n  - split: train\n    path: \"*.csv\"",
			"x", "train", "data/a.csv data/b.csv"},
		"no name": {"license: mit\nconfigs:\n- data_files:\n  - split: train\n    path: data/a.csv", "default", "train", "data/a.csv"},
		"only one": {"configs:\n- config_name: questions\n  data_files:\n  - split: train\n    path: data/b.csv", "default",
			"train", "data/b.csv"},
		"names decide": {"license: mit", "Iraq", "test", "Iraq/test-00000-of-00001.parquet"},
		"not yaml":     {"configs: [", "Iraq", "test", "Iraq/test-00000-of-00001.parquet"},
		"nothing there": {"configs:\n- config_name: Iraq\n  data_files:\n  - split: test\n    path: other/*", "Iraq", "test",
			"Iraq/test-00000-of-00001.parquet"},
		"by a word":      {"", "default", "test", "test.jsonl"},
		"no such subset": {"configs:\n- config_name: Iraq\n  data_files: \"*\"", "Yemen", "test", ""},
	} {
		slices.Sort(files)
		got, err := match(configs([]byte("---\r\n"+strings.ReplaceAll(c.card, "\n", "\r\n")+"\r\n---\r\n# text")), files, c.subset, c.split)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
	if got := unnamed([]string{"my_test2_file.csv", "protest.csv", "train.csv"}, []string{"test"}); !reflect.DeepEqual(got,
		[]string{"my_test2_file.csv"}) {
		t.Errorf("by a word with a number: %v", got)
	}
	if got := unnamed([]string{"a.csv", "b.csv", "b.json"}, []string{"train"}); !reflect.DeepEqual(got, []string{"b.json"}) {
		t.Errorf("one format of the training rows: %v", got)
	}
	shards := []string{"d/x-00000-of-00002.parquet", "d/y-00000-of-00001.parquet", "d/x-00001-of-00002.parquet"}
	if err := numbered(shards); err != nil {
		t.Error(err)
	}
	for _, lacking := range [][]string{shards[:2], {"a/test/0001.parquet"}, {"a/test/0000.parquet", "a/test/0002.parquet"}} {
		if err := numbered(lacking); err == nil {
			t.Errorf("%v: no part is missed", lacking)
		}
	}
}

// TestCardsThatBite: values that double with every line, nesting without end
// and cards without end cost nothing.
func TestCardsThatBite(t *testing.T) {
	bomb := "---\nconfigs:\n- config_name: a\n  a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("  a%d: &a%d [", i, i) + strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9) + "]\n"
	}
	begun := time.Now()
	for name, card := range map[string]string{
		"doubling":   bomb + "  data_files: *a8\n---\n",
		"nested":     "---\nconfigs: " + strings.Repeat("[", 200_000) + "\n---\n",
		"by dashes":  "---\nconfigs:\n" + strings.Repeat("- ", 100_000) + "\n---\n",
		"by columns": "---\nconfigs:\n" + strings.Repeat(" ", 60) + "- a\n---\n",
		"large":      "---\nconfigs:\n" + strings.Repeat("- config_name: x\n  data_files: a\n", 100_000) + "---\n",
		"endless":    "---\nconfigs:\n- config_name: x\n",
	} {
		if c := configs([]byte(card)); c != nil {
			t.Errorf("%s: %d subsets", name, len(c))
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func FuzzConfigs(f *testing.F) {
	f.Add([]byte("---\nconfigs:\n- config_name: a\n  data_files:\n  - split: test\n    path: [a, b]\n---\n"))
	f.Add([]byte("---\nconfigs: &a [*a]\n---\n"))
	f.Add([]byte("---\nconfigs: !a]\n---]\n*a]\n---\n")) // the library panics
	f.Fuzz(func(t *testing.T, card []byte) { declared(configs(card), []string{"a/b.csv"}, "a", "test") })
}

type row struct {
	Question string `parquet:"question"`
	Answer   string `parquet:"answer"`
}

func parquetFile(t *testing.T, rows ...row) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func gz(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFetch: the layouts of repositories; what is fetched is what Locate finds,
// and then nothing is asked any more.
func TestFetch(t *testing.T) {
	s := hubtest.New()
	defer s.Close()
	cache := t.TempDir()
	for name, value := range map[string]string{"HF_HUB_CACHE": cache, "HF_ENDPOINT": s.URL(), "HF_HUB_OFFLINE": "",
		"HF_TOKEN": "", "HF_HOME": t.TempDir()} {
		t.Setenv(name, value)
	}
	card := func(yaml string) []byte { return []byte("---\n" + yaml + "\n---\n") }
	one := row{"س", "صح"}
	s.Add("datasets", "o/shards", "main", map[string][]byte{"README.md": card("configs:\n- config_name: Iraq\n  " +
		"data_files:\n  - split: test\n    path: Iraq/test-*"), "Iraq/test-00000-of-00002.parquet": parquetFile(t, one),
		"Iraq/test-00001-of-00002.parquet": parquetFile(t, one, one), "Iran/test-00000-of-00001.parquet": parquetFile(t, one)})
	s.Add("datasets", "o/csv", "main", map[string][]byte{"README.md": card("configs:\n- config_name: Iraq\n  " +
		"data_files:\n  - split: test\n    path: acva/questions about Iraq/*.csv"),
		"acva/questions about Iraq/2.csv": []byte("question,answer\nb,صح\n"), "acva/questions about " +
			"Iraq/1.csv": []byte("question,answer\na,خطأ\n"), "acva/other/1.csv": []byte("question\n")})
	s.Add("datasets", "o/gz", "main", map[string][]byte{"Iraq/test.jsonl.gz": gz(t, "{\"question\": \"س\"}\n"),
		"train.csv.gz": gz(t, "question\nx\ny\n")})
	s.Add("datasets", "o/program", "main", map[string][]byte{"program.py": []byte("import os"), "README.md": []byte("# text")})
	s.Add("datasets", "o/program", hub.ConvertRevision, map[string][]byte{"ar/eval/0000.parquet": parquetFile(t, one),
		"ar/eval/0001.parquet": parquetFile(t, one), "ar/training/0000.parquet": parquetFile(t, one)})
	s.Add("datasets", "o/code", "main", map[string][]byte{"code.py": []byte("import os")})
	s.Add("datasets", "o/gated", "main", map[string][]byte{"Iraq/test.csv": []byte("question\n")})
	s.Gate("datasets", "o/gated")
	needs := []Need{{"o/shards", "Iraq", "test"}, {"o/csv", "Iraq", "test"}, {"o/csv", "Yemen", "test"}, {"o/gz", "Iraq",
		"test"}, {"o/gz", "default", "train"}, {"o/program", "ar", "eval"},
		{"o/code", "ar", "eval"}, {"o/gated", "Iraq", "test"}, {"o/none", "Iraq", "test"}}
	lacking := []Need{{"o/csv", "Yemen", "test"}, {"o/code", "ar", "eval"}, {"o/gated", "Iraq", "test"}, {"o/none", "Iraq", "test"}}

	client, err := hub.New(hub.Options{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	store, err := Open(cache)
	if err != nil {
		t.Fatal(err)
	}
	if got := store.Lacking(append(needs, needs...)); !reflect.DeepEqual(got, needs) {
		t.Fatalf("before: lacking %v", got)
	}
	d, err := Downloads(t.Context(), client, needs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, repositories := d.Bytes(); n < 1000 || repositories != 5 {
		t.Errorf("%d bytes from %d repositories", n, repositories)
	}
	if err := d.Fetch(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	for repo, want := range map[string]string{"o/gated": "accept its terms at " + s.URL() + "/datasets/o/gated",
		"o/none": "there is no dataset o/none",
		"o/csv":  "no file for subset Yemen, split test", "o/code": "no file for subset ar, split eval"} {
		if d.Why[repo] == nil || !strings.Contains(d.Why[repo].Error(), want) {
			t.Errorf("%s: %v", repo, d.Why[repo])
		}
	}
	if len(d.Why) != 4 {
		t.Errorf("why: %v", d.Why)
	}
	if store, err = Open(cache); err != nil {
		t.Fatal(err)
	}
	s.Requests()
	if got := store.Lacking(needs); !reflect.DeepEqual(got, lacking) {
		t.Errorf("after: lacking %v", got)
	}
	rows := map[string]int{}
	for _, n := range needs {
		if slices.Contains(lacking, n) {
			continue
		}
		files, err := store.Locate(n.Repo, n.Subset, n.Split)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Read(files)
		if err != nil {
			t.Fatal(err)
		}
		rows[n.Repo+" "+n.Subset] = len(table.Rows)
		if n.Repo == "o/csv" && table.Rows[0][0] != "a" {
			t.Errorf("files out of order: %v", table.Rows)
		}
	}
	if want := map[string]int{"o/shards Iraq": 3, "o/csv Iraq": 2, "o/gz Iraq": 1, "o/gz default": 2, "o/program " +
		"ar": 2}; !reflect.DeepEqual(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests for what is there", n)
	}
	snapshots, err := hub.Snapshots(cache, "o/shards")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(snapshots[0], "Iran")); err == nil {
		t.Error("a subset that nobody needs was fetched")
	}

	// A part that is lost is fetched again, the others are not.
	lost, _ := filepath.Glob(filepath.Join(cache, "datasets--o--shards", "snapshots", "*", "Iraq", "test-00001-*"))
	blob, err := filepath.EvalSymlinks(lost[0])
	if err != nil || os.Remove(lost[0]) != nil || os.Remove(blob) != nil {
		t.Fatal(err)
	}
	store, _ = Open(cache)
	if again := store.Lacking(needs[:2]); !reflect.DeepEqual(again, needs[:1]) {
		t.Fatalf("lacking %v", again)
	}
	d, err = Downloads(t.Context(), client, needs[:1], nil)
	if err != nil || len(d.Plans) != 1 || d.Plans[0].Missing != 1 || d.Fetch(t.Context(), client) != nil {
		t.Fatalf("%+v, %v", d, err)
	}
	store, _ = Open(cache)
	if again := store.Lacking(needs[:1]); again != nil {
		t.Errorf("lacking %v", again)
	}

	// A hub that is away is asked once, and is the reason for all.
	s.Close()
	pauses := 0
	client, err = hub.New(hub.Options{Cache: cache, Sleep: func(context.Context, time.Duration) error { pauses++; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	d, err = Downloads(t.Context(), client, lacking, nil)
	if err != nil || len(d.Why) != 4 || !hub.IsUnreachable(d.Why["o/none"]) || pauses != 2 {
		t.Errorf("%v, %v, %d pauses", d, err, pauses)
	}
}
