package recipe

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"barka/internal/backend"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// answering is a server with a chat model that translates everything alike.
func answering(t *testing.T, answer string) (url string, prompts func() string) {
	t.Helper()
	var mu sync.Mutex
	var all strings.Builder
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Write([]byte(`{"data": [{"id": "chatty"}]}`))
			return
		}
		var body struct{ Messages []chat.Message }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		mu.Lock()
		fmt.Fprintln(&all, body.Messages)
		mu.Unlock()
		json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"finish_reason": "stop",
			"message": chat.Message{Role: "assistant", Content: answer}}}})
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1", func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

// translating is a recipe in testdata/chain's directory that translates two sets with a
// second translator, of the given settings.
func translating(t *testing.T, second, translate string) (*Runner, *Recipe) {
	t.Helper()
	path := testfiles.Chain(t, t.TempDir())
	dir := filepath.Dir(path)
	row := `{"id":"%s","dataset":"own","language":"eng_Latn","messages":[{"role":"user","content":"# Warm tea\n\nIs the tea warm now?"},` +
		`{"role":"assistant","content":"Yes, it is warm."}]}` + "\n"
	for name, text := range map[string]string{"a.jsonl": fmt.Sprintf(row, "a"), "b.jsonl": fmt.Sprintf(row, "b"),
		"terms.tsv": "warm\tدافئ\n", "shots.tsv": "Good day.\tنهارك سعيد.\n",
		"two.yaml": "name: two\ninputs: {instructions: {a: a.jsonl, b: b.jsonl}}\nmodels:\n  translator: models/nllb\n  second:\n" +
			"    model: chatty\n" + second + "translate:\n  checks: off\n" + translate} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(filepath.Join(dir, "two.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return &Runner{Out: filepath.Join(t.TempDir(), "out"), Engine: backend.NewEngine(0, r.DType, nil), Memory: "off",
		Say: func(Step) {}, Progress: progress.Silent, Log: slog.New(slog.DiscardHandler)}, r
}

// TestSecond: the second translator of a recipe gets a set as a whole and a kind of segment of
// another one, and is asked with the recipe's examples and glossary.
func TestSecond(t *testing.T) {
	url, prompts := answering(t, "شاي دافئ.")
	w, r := translating(t, "    endpoint: "+url+"\n    glossary: terms.tsv\n    examples: shots.tsv\n    sets: [b]\n",
		"  second_for: [heading]\n")
	checked, err := w.Check(t.Context(), r)
	if err != nil || checked.Err() != nil || len(checked.Warnings) > 0 {
		t.Fatal(err, checked.Err(), checked.Warnings)
	}
	if err := w.Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for set, want := range map[string]struct {
		translator string
		rungs      []string
	}{"a": {"models/nllb", []string{"second", "whole", "whole"}}, "b": {"chatty", []string{"whole", "whole", "whole"}}} {
		var rungs []string
		for row, err := range dataset.Rows[dataset.Instruction](t.Context(), filepath.Join(w.Out, translatedDir+"-"+set)) {
			if err != nil || row.Translator != want.translator {
				t.Fatalf("%s: %+v, %v", set, row, err)
			}
			for _, s := range row.Segments {
				rungs = append(rungs, s.Rung)
			}
		}
		if !slices.Equal(rungs, want.rungs) {
			t.Errorf("%s: %q, want %q", set, rungs, want.rungs)
		}
	}
	for _, want := range []string{"warm: دافئ", "Good day.", "نهارك سعيد."} {
		if !strings.Contains(prompts(), want) {
			t.Errorf("no %q in the prompts %s", want, prompts())
		}
	}
	plan, err := w.Plan(t.Context(), r, checked)
	if err != nil || !plan[len(plan)-2].Done {
		t.Errorf("%+v, %v", plan, err)
	}
}

// TestCheckOfASecond finds what is wrong with a second translator.
func TestCheckOfASecond(t *testing.T) {
	url, _ := answering(t, "شاي")
	at := "    endpoint: " + url + "\n"
	for _, c := range []struct{ second, translate, key, want string }{
		{at + "    sets: [c]\n", "", "models.second.sets", "no set of instructions is called c"},
		{at, "  second_for: [headings]\n", "translate.second_for", `"headings" is no kind of a segment; kinds: [sentence clause heading`},
		{at, "  second_for: [heading]\n  whole: true\n", "translate.second_for", "whole messages are not cut"},
		{at, "  columns: [question]\n", "translate.columns", "see barka translate --columns"},
		{at, "  second: chatty\n", "translate.second", "set models.second.model"},
		{at + "    glossary: term.tsv\n", "", "models.second.glossary", "did you mean terms.tsv?"},
		{at + "    family: gemma9\n", "", "models.second.family", `family "gemma9" is not known`},
		{"", "", "models.second.model", "chatty"},
		{"    endpoint: http://127.0.0.1:9/v1\n", "", "models.second.endpoint", "so that translate would fail"},
	} {
		w, r := translating(t, c.second, c.translate)
		checked, err := w.Check(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(checked.Problems, func(p Problem) bool {
			return p.Key == c.key && strings.Contains(p.Text, c.want) && p.Line > 0
		}) || len(checked.Problems) != 1 {
			t.Errorf("%q %q: %v, expected %s: %s", c.second, c.translate, checked.Problems, c.key, c.want)
		}
	}
}

// TestNetworkOfASecond: a run whose second translator is behind an address is not repeated
// without the network.
func TestNetworkOfASecond(t *testing.T) {
	r, err := Parse([]byte(`{"name": "n", "models": {"translator": "t", "base": "b",
		"second": {"model": "m", "endpoint": "http://second.test/v1"}}, "inputs": {"instructions": {"a": "x"}}, "translate": {},
		"mix": {"weights": {"a": 1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Network(); len(got) != 1 || got[0] != "models.second http://second.test/v1" {
		t.Errorf("the network: %q", got)
	}
}
