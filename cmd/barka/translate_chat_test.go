package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// TestTranslateByEndpoint: lines and a dataset are translated by a chat model behind an
// endpoint. A finished dataset asks nothing, and another glossary is another dataset.
func TestTranslateByEndpoint(t *testing.T) {
	var asked atomic.Int32
	var last atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var body struct{ Messages []chat.Message }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		prompt := body.Messages[len(body.Messages)-1].Content
		last.Store(prompt)
		text := strings.NewReplacer("Coffee", "قهوة", "is", "هي", "hot", "ساخنة").Replace(prompt[strings.LastIndex(prompt, "\n")+1:])
		json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"finish_reason": "stop",
			"message": chat.Message{Role: "assistant", Content: "Here is the translation:\n\n\"" + text + "\""}}},
			"usage": map[string]int{"prompt_tokens": 100, "completion_tokens": 10}})
	}))
	defer s.Close()
	dir := t.TempDir()
	glossary := filepath.Join(dir, "terms.tsv")
	row := `{"id":"1","messages":[{"role":"user","content":"Coffee is hot. Coffee is hot."},{"role":"assistant","content":"Coffee is hot."}]}`
	for path, text := range map[string]string{glossary: "coffee\tقهوة\n", filepath.Join(dir, "in.jsonl"): row + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flags := []string{"translate", "--model", "hy-mt", "--endpoint", s.URL + "/v1,concurrency=2"}
	if out := ok(t, "Coffee is hot.\n\n- Coffee\n", flags...); out != "قهوة هي ساخنة.\n\n- قهوة\n" {
		t.Errorf("%q", out)
	}
	if p := last.Load().(string); !strings.HasPrefix(p, "Translate the following segment into Arabic, without additional explanation.") {
		t.Errorf("prompt %q", p)
	}
	out := filepath.Join(dir, "out")
	run := append(flags, "--in", filepath.Join(dir, "in.jsonl"), "--out", out)
	asked.Store(0)
	priced := append([]string{"translate", "--model", "hy-mt", "--endpoint", s.URL + "/v1,price-in=5000"}, run[5:]...)
	if r := barka(t, "", append(priced, "--glossary", glossary)...); r.code != 0 || !strings.Contains(r.err, "1 requests of hy-mt, paid 0.5") {
		t.Errorf("%d %q, expected what was paid", r.code, r.err)
	}
	if n := asked.Load(); n != 1 || !strings.Contains(last.Load().(string), "coffee 翻译成 قهوة") {
		t.Errorf("%d requests for one sentence, the last %q", n, last.Load())
	}
	for r, err := range dataset.Rows[dataset.Instruction](t.Context(), out) {
		if err != nil || r.Messages[0].Content != "قهوة هي ساخنة. قهوة هي ساخنة." || r.Translator != "hy-mt" {
			t.Errorf("%+v, %v", r, err)
		}
	}
	ok(t, "", append(run, "--glossary", glossary)...)
	if n := asked.Load(); n != 1 {
		t.Errorf("a finished dataset asked %d times", n)
	}
	if r := barka(t, "", run...); r.code != exitBadInput || !strings.Contains(r.err, "model_digest") {
		t.Errorf("without the glossary: %d %q", r.code, r.err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{append(flags, "--length-penalty", "2"), exitUsage, "only --temperature and --top-p"},
		{append(flags, "--family", "nope"), exitBadInput, "family \"nope\" is not known"},
		{append(flags, "--examples", glossary+"x"), exitBadInput, "no such file"},
		{append(flags, "--temperature", "3"), exitBadInput, "temperature is 3"},
		{[]string{"translate", "--model", filepath.Join(inputs(t), "models", "nllb"), "--glossary", glossary}, exitUsage,
			"--glossary is only for chat models"},
	} {
		if r := barka(t, "x\n", c.args...); r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%v: %d %q, expected %q", c.args, r.code, r.err, c.want)
		}
	}
}

// TestSecondTranslator: a sentence that fails its checks is translated by the chat model, in
// lines and datasets, and the identity has that model.
func TestSecondTranslator(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"finish_reason": "stop",
			"message": chat.Message{Role: "assistant", Content: "الأرقام هي 48213 و77."}}}})
	}))
	defer s.Close()
	dir := t.TempDir()
	const text = "The numbers are 48213 and 77."
	row := `{"id":"1","messages":[{"role":"user","content":"` + text + `"},{"role":"assistant","content":"` + text + `"}]}`
	if err := os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(row+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	nllb := []string{"translate", "--model", filepath.Join(inputs(t), "models", "nllb"), "--memory", "off"}
	with := append(nllb, "--second", "m", "--second-endpoint", s.URL+"/v1")
	args := append(with, "--in", filepath.Join(dir, "in.jsonl"), "--out", filepath.Join(dir, "out"))
	ok(t, "", args...)
	for r, err := range dataset.Rows[dataset.Instruction](t.Context(), filepath.Join(dir, "out")) {
		if err != nil || len(r.Segments) != 2 || r.Segments[0].Rung != "second" || r.Messages[0].Content != "الأرقام هي 48213 و77." {
			t.Errorf("%+v, %v", r, err)
		}
	}
	without := append(nllb, "--in", filepath.Join(dir, "in.jsonl"), "--out", filepath.Join(dir, "out"))
	if r := barka(t, "", without...); r.code != exitBadInput || !strings.Contains(r.err, "second") {
		t.Errorf("without the second translator: %d %q", r.code, r.err)
	}
	lines := append([]string{"translate", "--model", filepath.Join(inputs(t), "models", "nllb")}, with[5:]...)
	if out := ok(t, text+"\n", lines...); out != "الأرقام هي 48213 و77.\n" {
		t.Errorf("%q", out)
	}
	for _, flags := range [][]string{{"--raw"}, {"--checks", "off"}} {
		if r := barka(t, "x\n", append(lines, flags...)...); r.code != exitUsage || !strings.Contains(r.err, "it has no effect") {
			t.Errorf("%v: %d %q", flags, r.code, r.err)
		}
	}
	for kinds, code := range map[string]int{"heading": exitUsage, "titles": exitBadInput} {
		args := append(nllb[:3:3], "--second-for", kinds)
		if r := barka(t, "x\n", args...); r.code != code || !strings.Contains(r.err, "second") {
			t.Errorf("%s: %d %q", kinds, r.code, r.err)
		}
	}
	if out := ok(t, "# Numbers 48213 and 77\n", append(lines, "--second-for", "heading,item", "--json")...); !strings.Contains(out,
		`"rung":"second","retried":null,"translator":"m"`) {
		t.Errorf("%s", out)
	}
	if r := barka(t, "x\n", append(nllb[:3:3], "--second-endpoint", s.URL)...); r.code != exitUsage {
		t.Errorf("%d %q", r.code, r.err)
	}
}

// TestTranslateByLocalChat: a chat model of this machine is recognised, with a chat template
// and without one.
func TestTranslateByLocalChat(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	for _, family := range []string{"plain", "gemmax2"} {
		args := []string{"translate", "--model", model, "--family", family, "--json", "--dtype", "f32"}
		first, second := ok(t, "Is it sweet?\n", args...), ok(t, "Is it sweet?\nCoffee.\n", args...)
		var got struct {
			Segments []struct{ Source, Rung string }
		}
		if err := json.Unmarshal([]byte(first), &got); err != nil || len(got.Segments) != 1 || got.Segments[0].Source != "Is it sweet?" {
			t.Errorf("%s: %s (%v)", family, first, err)
		}
		if !strings.HasPrefix(second, first) {
			t.Errorf("%s: %s alone, %s with another line", family, first, second)
		}
	}
}
