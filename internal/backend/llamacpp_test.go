package backend

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/eval"
	"barka/internal/llm"
)

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "llamacpp", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestLlamaCPPServer: a server that accepts only texts, does not echo the BOS token and
// answers ids with status 500 gives the scores of the local model. Its answers are genuine;
// see testdata/llamacpp.
func TestLlamaCPPServer(t *testing.T) {
	var request struct{ Prompt string }
	if err := json.Unmarshal(recorded(t, "request.json"), &request); err != nil {
		t.Fatal(err)
	}
	answer := recorded(t, "response.json")
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/completions" {
			w.WriteHeader(404)
			return
		}
		asked++
		var b struct {
			Prompt json.RawMessage
			Max    int `json:"max_tokens"`
			Echo   bool
		}
		var text string
		if json.NewDecoder(r.Body).Decode(&b) != nil || json.Unmarshal(b.Prompt, &text) != nil {
			w.WriteHeader(500)
			w.Write(recorded(t, "refused.json"))
			return
		}
		// This server reads max_tokens 0 as unlimited.
		if text != request.Prompt || b.Max != 1 || !b.Echo {
			t.Errorf("asked for %q, %d tokens", text, b.Max)
		}
		w.Write(answer)
	}))
	defer s.Close()
	e, err := OpenEndpoint(t.Context(), EndpointOptions{Options: llm.Options{BaseURL: s.URL + "/v1", Model: "demo"}, Tokenizer: gemma})
	if err != nil {
		t.Fatal(err)
	}
	here, err := decoder(t, 2).EvalModel()
	if err != nil {
		t.Fatal(err)
	}
	tokens := e.Tokenizer().Encode(request.Prompt, true)
	for _, n := range []int{1, 5, len(tokens) - 2} {
		req := []eval.Request{{Context: tokens[:len(tokens)-n], Continuation: tokens[len(tokens)-n:]}}
		got, err := scores(e, req)
		if err != nil {
			t.Fatal(err)
		}
		want, err := scores(here, req)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range want[0].PerToken {
			// The local model is in BF16, the server's in F32.
			if math.Abs(got[0].PerToken[i]-p) > 0.03*math.Max(1, -p) {
				t.Errorf("%d tokens, number %d: %g, here %g", n, i, got[0].PerToken[i], p)
			}
		}
	}
	if asked != 3+3 { // ids in three dialects, then texts
		t.Errorf("asked %d times", asked)
	}
	for name, c := range map[string]struct {
		answer string
		req    eval.Request
		want   string
	}{
		"first token": {string(answer), eval.Request{Context: tokens[:1], Continuation: tokens[1:]},
			"of token 1 (counted from 0) is null"},
		"other tokens": {strings.Replace(string(answer), `" virus"`, `" vi"`, 1),
			eval.Request{Context: tokens[:9], Continuation: tokens[9:]}, `is " virus"`},
		"fewer tokens": {strings.Replace(string(answer), `"prompt_tokens":`, `"prompt_tokens":1`, 1),
			eval.Request{Context: tokens[:9], Continuation: tokens[9:]}, "prompt tokens, expected the"},
		"no beginning token": {string(answer), eval.Request{Context: tokens[1:9], Continuation: tokens[9:]}, "does not begin with that token"},
		"no text's tokens": {string(answer),
			eval.Request{Context: tokens[:9], Continuation: []int32{'a' + 225, 'b' + 225, 341}}, "no text has exactly the tokens of this prompt"},
	} {
		answer = []byte(c.answer)
		if _, err := scores(e, []eval.Request{c.req}); !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		answer = recorded(t, "response.json")
	}
}
