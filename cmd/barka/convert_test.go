package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/hub/hubtest"
	"barka/internal/parquet"
)

type pairRow struct {
	Goal  string `parquet:"goal"`
	Sol1  string `parquet:"sol1"`
	Sol2  string `parquet:"sol2"`
	Label int64  `parquet:"label"`
}

type choiceRow struct {
	Question string `parquet:"question"`
	Choices  struct {
		Text  []string `parquet:"text,list"`
		Label []string `parquet:"label,list"`
	} `parquet:"choices"`
	AnswerKey string `parquet:"answerKey"`
}

func choiceOf(question string) (r choiceRow) {
	r.Question, r.AnswerKey = question, "B"
	r.Choices.Text, r.Choices.Label = []string{"a cup", "a hill"}, []string{"A", "B"}
	return r
}

// table is a Parquet file of rows.
func table[T any](t *testing.T, rows ...T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.parquet")
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// publishSets adds repositories in the layouts of the hub's: a program with converted tables,
// two sets in one repository, and a table of text.
func publishSets(t *testing.T, s *hubtest.Server) {
	s.Add("datasets", "ybisk/piqa", "main", map[string][]byte{"piqa.py": []byte("import datasets")})
	s.Add("datasets", "ybisk/piqa", "refs/convert/parquet", map[string][]byte{
		"plain_text/train/0000.parquet":      table(t, pairRow{"To clean a sink, you can", "use soap", "use sand", 0}),
		"plain_text/validation/0000.parquet": table(t, pairRow{"Not read", "a", "b", 0})})
	s.Add("datasets", "allenai/ai2_arc", "main", map[string][]byte{
		"ARC-Challenge/train-00000-of-00001.parquet": table(t, choiceOf("Where does coffee grow?")),
		"ARC-Challenge/test-00000-of-00001.parquet":  table(t, choiceOf("Where does tea grow?")),
		"ARC-Easy/train-00000-of-00002.parquet":      table(t, choiceOf("Where does rice grow?")),
		"ARC-Easy/train-00001-of-00002.parquet":      table(t, choiceOf("Where does wheat grow?"))})
	s.Add("datasets", "pkavumba/balanced-copa", "main", map[string][]byte{
		"train.csv": []byte("premise,question,choice1,choice2,label,mirrored\nIt rained.,effect,It was wet.,It was dry.,0,False\n"),
		"test.csv":  []byte("premise,question,choice1,choice2,label,mirrored\n")})
}

// TestConvertFromHub: a set without data comes from its repository, and only its files do. The
// cache serves later runs, also offline, and the manifest has the commit.
func TestConvertFromHub(t *testing.T) {
	s := testHub(t)
	publishSets(t, s)
	t.Setenv("HF_TOKEN", "hf_secret_of_the_test")
	data := t.TempDir()
	line := func(set string, more ...string) result {
		name := strings.Join(append([]string{set}, more...), "")
		return barka(t, "", append([]string{"convert", set, "--out", filepath.Join(data, name)}, more...)...)
	}
	r := barka(t, "", "convert", "piqa", "--dry-run")
	if r.code != exitDone || !strings.Contains(r.out, "ybisk/piqa@refs/convert/parquet at commit") ||
		!strings.Contains(r.out, "plain_text/train/0000.parquet") || strings.Contains(r.out, "validation") ||
		!strings.Contains(r.out, "to download") {
		t.Errorf("dry run: exit code %d, %s%s", r.code, r.out, r.err)
	}
	for _, q := range s.Requests() {
		if q.Store || strings.Contains(q.Path, "/resolve/") {
			t.Errorf("a dry run fetched %s", q.Path)
		}
	}
	for _, set := range []string{"piqa", "arc-challenge", "arc-easy", "copa"} {
		if r := line(set); r.code != exitDone || strings.Contains(r.out+r.err, "hf_secret") {
			t.Fatalf("%s: exit code %d, %s%s", set, r.code, r.out, r.err)
		}
	}
	if n := len(s.Requests()); n == 0 {
		t.Error("no requests")
	}
	var m struct {
		Options struct{ Source string }
		Inputs  map[string]any
		Rows    int
	}
	for set, want := range map[string]struct {
		source, input string
		rows          int
	}{
		"piqa":     {"ybisk/piqa@", "data/plain_text/train/0000.parquet", 1},
		"arc-easy": {"allenai/ai2_arc@", "data/ARC-Easy/train-00001-of-00002.parquet", 2},
		"copa":     {"pkavumba/balanced-copa@", "data/train.csv", 1},
	} {
		text, err := os.ReadFile(filepath.Join(data, set, "manifest.json"))
		if err == nil {
			m.Inputs = nil
			err = json.Unmarshal(text, &m)
		}
		if err != nil || m.Rows != want.rows || !strings.HasPrefix(m.Options.Source, want.source) ||
			len(m.Options.Source) != len(want.source)+40 || m.Inputs[want.input] == nil || strings.Contains(string(text), data) {
			t.Errorf("%s: %v\n%s", set, err, text)
		}
	}
	// All is in the cache now, and other files there do not matter.
	t.Setenv("HF_HUB_OFFLINE", "1")
	for _, set := range []string{"piqa", "arc-challenge", "arc-easy", "copa"} {
		if r := line(set); r.code != exitDone {
			t.Errorf("%s again: exit code %d, %s", set, r.code, r.err)
		}
	}
	if r := line("arc-easy", "--split", "test"); r.code != exitBadInput || !strings.Contains(r.err, "offline") {
		t.Errorf("another split, offline: exit code %d, %s", r.code, r.err)
	}
	if n := s.Requests(); len(n) != 0 {
		t.Errorf("requests although all is in the cache: %v", n)
	}
	t.Setenv("HF_HUB_OFFLINE", "")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"boolq"}, "there is no dataset google/boolq"},
		{[]string{"alpaca"}, "no repository of alpaca is known"},
		{[]string{"arc-easy", "--split", "validation"}, "has no file of the split validation"},
		{[]string{"arc-easy", "--config", "ARC-Hard"}, "in the configuration ARC-Hard"},
		{[]string{"copa", "--data", "no/such/file.jsonl"}, "no/such/file.jsonl"},
	} {
		if r := line(c.args[0], c.args[1:]...); r.code != exitBadInput || !strings.Contains(r.err, c.want) {
			t.Errorf("%v: exit code %d, %s", c.args, r.code, r.err)
		}
	}
}

// TestRunSetsFromHub: a recipe whose blocks have no data downloads the sets, and its dry run says
// how much.
func TestRunSetsFromHub(t *testing.T) {
	s := testHub(t)
	publishSets(t, s)
	dir := t.TempDir()
	path := filepath.Join(dir, "recipe.yaml")
	text := "name: sets\nconvert:\n  piqa:\n  arc-easy: {few_shot: 1}\n  easy: {benchmark: arc-easy, data: allenai/ai2_arc, split: train}\n" +
		"mix: {name: Sets}\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	r := barka(t, "", "run", path, "--out", out, "--dry-run")
	if r.code != exitDone || !strings.Contains(r.out, "known when the data are downloaded") ||
		!strings.Contains(r.err, "allenai/ai2_arc at commit") {
		t.Errorf("dry run: exit code %d, %s%s", r.code, r.out, r.err)
	}
	if r = barka(t, "", "run", path, "--out", out); r.code != exitDone || !strings.Contains(r.out, "1 rows") {
		t.Fatalf("exit code %d, %s%s", r.code, r.out, r.err)
	}
	s.Requests()
	if r = barka(t, "", "run", path, "--out", out); r.code != exitDone || len(s.Requests()) != 0 {
		t.Errorf("again: exit code %d, %s", r.code, r.err)
	}
}

// TestShowTemplates prints the files, without data or output.
func TestShowTemplates(t *testing.T) {
	r := barka(t, "", "convert", "boolq", "--show-templates")
	if r.code != exitDone || !strings.Contains(r.out, "==> boolq.yaml <==") || strings.Contains(r.out, "choice.yaml") {
		t.Errorf("exit code %d, %s%s", r.code, r.out, r.err)
	}
	for _, args := range [][]string{{"convert"}, {"convert", "boolq"}, {"convert", "copa", "--justify", "--out", "x"}} {
		if r := barka(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.err)
		}
	}
}
