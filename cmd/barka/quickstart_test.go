package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"barka/internal/hub/hubtest"
)

// quickstartPath writes the quickstart recipe for testdata/chain's models beside them.
func quickstartPath(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "quickstart.yaml")
	text := quickstart(t, dir, filepath.Join("..", "..", "recipes", "quickstart.yaml"))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// quickstart returns a quickstart recipe for testdata/chain's tiny generator, which reads a
// dump and has prompts of its own. All else is as it is in the file.
func quickstart(t *testing.T, dir, from string) string {
	t.Helper()
	shipped, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	demo, err := os.ReadFile(filepath.Join(dir, "recipe.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	block := func(text, name, next string) string {
		_, text, found := strings.Cut(text, "\n"+name+":\n")
		text, _, ended := strings.Cut(text, "\n"+next+":\n")
		if !found || !ended {
			t.Fatalf("no block %s before %s", name, next)
		}
		return name + ":\n" + text + "\n" + next + ":\n"
	}
	text := string(shipped)
	text = strings.Replace(text, block(text, "wiki", "synth"), block(string(demo), "wiki", "synth"), 1)
	synth := strings.TrimSuffix(block(string(demo), "synth", "convert"), "convert:\n")
	text = strings.Replace(text, "\nsynth:\n", "\n"+synth, 1)
	text = strings.Replace(text, "\nfilter:\n", "\nfilter:\n  min_answer_words: 3\n", 1)
	return text
}

// quickstartHub starts a hub with what the quickstart recipe names: tiny models and a few
// questions under the names of the real ones.
func quickstartHub(t *testing.T, dir string) *hubtest.Server {
	t.Helper()
	s := testHub(t)
	for id, from := range map[string]string{"Qwen/Qwen3-1.7B": "gemma2", "Qwen/Qwen3-0.6B": "gemma2", "facebook/m2m100_418M": "nllb"} {
		addRepo(t, s, "models", id, filepath.Join(dir, "models", from))
	}
	benchmarks := filepath.Join(dir, "data", "benchmarks", "OALL")
	addRepo(t, s, "datasets", "OALL/Arabic_EXAMS", filepath.Join(benchmarks, "Arabic_EXAMS"))
	translated, err := hubtest.ReadDir(filepath.Join(benchmarks, "AlGhafa-Arabic-LLM-Benchmark-Translated"))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range []string{"arc_easy_ar", "openbook_qa_ext_ar"} {
		var rows strings.Builder
		for i := range 5 {
			fmt.Fprintf(&rows, "{\"query\": \"ما العدد %d؟\", \"sol1\": \"واحد\", \"sol2\": \"اثنان\", \"sol3\": \"ثلاثة\", "+
				"\"sol4\": \"أربعة\", \"label\": \"%d\"}\n", i, i%4)
		}
		translated[task+"/test.jsonl"], translated[task+"/validation.jsonl"] = []byte(rows.String()), []byte(rows.String())
	}
	s.Add("datasets", "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated", "main", translated)
	return s
}

// evaluatedOf reads what an evaluation of a run has recorded.
func evaluatedOf(t *testing.T, dir string) (e struct {
	Benchmarks string
	Revisions  map[string][]string
	Found      struct{ Questions int }
}) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "evaluated.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestQuickstart: the quickstart recipe runs from models and benchmarks of the hub to two
// evaluations of the same questions, also if the hub has others in the meantime, and then
// without the hub.
func TestQuickstart(t *testing.T) {
	dir := inputs(t)
	s, path, out := quickstartHub(t, dir), quickstartPath(t, dir), filepath.Join(t.TempDir(), "quickstart")
	r := barka(t, "", "run", path, "--dry-run", "--out", out)
	if r.code != exitDone || !strings.Contains(r.out, "known when the data are downloaded") ||
		!strings.Contains(r.err, "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated at commit") {
		t.Fatalf("dry run: exit code %d, %s%s", r.code, r.out, r.err)
	}
	offline := barka(t, "", "run", path, "--offline", "--out", out)
	if offline.code != exitBadInput || !strings.Contains(offline.err, "`barka download --dataset OALL/") {
		t.Errorf("offline with nothing in the cache: exit code %d, %s", offline.code, offline.err)
	}
	ok(t, "", "run", path, "--out", out, "--quiet")
	base, tuned := filepath.Join(out, "8-eval-base"), filepath.Join(out, "9-eval-tuned")
	first := evaluatedOf(t, base)
	got := evaluatedOf(t, tuned)
	if first.Found.Questions != 19 || len(first.Revisions) != 2 || !reflect.DeepEqual(got.Revisions, first.Revisions) {
		t.Errorf("base %+v, tuned %+v", first, got)
	}

	// The hub has new questions, and the cache too; the tuned model is asked the old ones.
	s.Add("datasets", "OALL/Arabic_EXAMS", "main", map[string][]byte{
		"test.jsonl": []byte(`{"question": "س", "A": "1", "B": "2", "C": "3", "D": "4", "answer": "A", "subject": "م"}` + "\n")})
	ok(t, "", "download", "--dataset", "OALL/Arabic_EXAMS", "--quiet")
	if err := os.RemoveAll(tuned); err != nil {
		t.Fatal(err)
	}
	ok(t, "", "run", path, "--out", out, "--quiet", "--offline")
	if got = evaluatedOf(t, tuned); !reflect.DeepEqual(got.Revisions, first.Revisions) || got.Benchmarks != first.Benchmarks {
		t.Errorf("after a change on the hub: %+v, want %+v", got, first)
	}
	s.Requests()
	r = barka(t, "", "run", path, "--out", out, "--offline")
	if r.code != exitDone || strings.Count(r.err, "done before") != 2 || len(s.Requests()) > 0 {
		t.Errorf("again: exit code %d, %s", r.code, r.err)
	}
}

// TestQuickstartDownloadsFail: a dataset that the hub cuts off stops the run before it has
// begun, and the same command goes on.
func TestQuickstartDownloadsFail(t *testing.T) {
	dir := inputs(t)
	s, path, out := quickstartHub(t, dir), quickstartPath(t, dir), filepath.Join(t.TempDir(), "quickstart")
	s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
		if !strings.Contains(r.URL.Path, "/Arabic_EXAMS/") || strings.HasPrefix(r.URL.Path, "/api/datasets/") {
			return false
		}
		http.Error(w, "gone for lunch", http.StatusForbidden)
		return true
	})
	r := barka(t, "", "run", path, "--out", out, "--quiet")
	if r.code == exitDone || !strings.Contains(r.err, "OALL/Arabic_EXAMS") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the run began")
	}
	s.SetFault(nil)
	ok(t, "", "run", path, "--out", out, "--quiet")
}

// TestEvalRevisions: barka eval reads the revision of a dataset that it is given.
func TestEvalRevisions(t *testing.T) {
	dir := inputs(t)
	s := quickstartHub(t, dir)
	question := func(text string) map[string][]byte {
		row := `{"question": "` + text + `", "A": "1", "B": "2", "C": "3", "D": "4", "answer": "A", "subject": "م"}` + "\n"
		return map[string][]byte{"test.jsonl": []byte(row)}
	}
	commit := s.Add("datasets", "OALL/Arabic_EXAMS", "main", question("سؤال قديم"))
	s.Add("datasets", "OALL/Arabic_EXAMS", "main", question("سؤال جديد"))
	out := filepath.Join(t.TempDir(), "evals")
	line := []string{"eval", "--model", filepath.Join(dir, "models", "gemma2"), "--tasks", "arabic_exams", "--output-dir", out, "--quiet"}
	ok(t, "", append(line, "--output-dir", out+"-main")...)
	ok(t, "", append(line, "--revisions", "OALL/Arabic_EXAMS="+commit)...)
	digest := func(dir string) string {
		paths, err := filepath.Glob(filepath.Join(dir, "results", "*", "results_*.json"))
		if err != nil || len(paths) != 1 {
			t.Fatal(paths, err)
		}
		data, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`"hash_examples": "\w+"`).FindString(string(data))
	}
	old := digest(out)
	if now := digest(out + "-main"); old == "" || now == old {
		t.Errorf("the questions of the pinned commit have the digest %s, and those of main %s", old, now)
	}
	s.Close()
	ok(t, "", append(line, "--revisions", "OALL/Arabic_EXAMS="+commit, "--output-dir", out+"-again", "--offline")...)
	if again := digest(out + "-again"); again != old {
		t.Errorf("from the cache: %s, want %s", again, old)
	}
	for _, c := range []struct{ flag, want string }{{"OALL/Arabic_EXAMS=a b", "neither a name nor a commit"}, {"=main", "is not a hub id"}} {
		if r := barka(t, "", append(line, "--revisions", c.flag)...); r.code != exitBadInput || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: exit code %d, %s", c.flag, r.code, r.err)
		}
	}
	if r := barka(t, "", append(line, "--revisions", "OALL/Arabic_EXAMS=main", "--data", dir)...); r.code != exitUsage {
		t.Errorf("beside --data: exit code %d, %s", r.code, r.err)
	}
}
