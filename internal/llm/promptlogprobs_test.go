package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
)

var prompt = []int32{5, 6, 7}

const (
	ranked = `{"choices":[{"text":"x","prompt_logprobs":[null,{"6":{"logprob":-0.5,"rank":1,` +
		`"decoded_token":"a"}},{"7":{"logprob":-2.5,"rank":3},"9":{"logprob":-0.25,"rank":1}}]}],` +
		`"usage":{"prompt_tokens":3,"completion_tokens":1}}`
	echoed = `{"choices":[{"text":"abc","logprobs":{"tokens":["a","b","c"],"token_logprobs":[null,-0.5,-2.5],` +
		`"top_logprobs":[null,{"b":-0.5},{"d":-0.25}]}}],"usage":{"prompt_tokens":3}}`
	echoed1 = `{"choices":[{"text":"abcd","logprobs":{"tokens":["a","b","c","d"],` +
		`"token_logprobs":[null,-0.5,-2.5,-1],"top_logprobs":[null,{"b":-0.5},{"d":-0.25},{"d":-1}]}}]}`
	onlyNew = `{"choices":[{"text":"d","logprobs":{"tokens":["d"],"token_logprobs":[-1],"top_logprobs":[{"d":-1}]}}]}`
)

var wantScores = []TokenScore{{-0.5, true}, {-2.5, false}}

// completions answers each dialect with its entry of answers: ranked for prompt_logprobs,
// echo0 and echo1 for echo with that max_tokens.
func completions(t *testing.T, answers map[string]string) (*PromptScorer, *[]string) {
	t.Helper()
	var asked []string
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		var b struct {
			Model  string
			Prompt []int32
			Max    *int `json:"max_tokens"`
			Ranked *int `json:"prompt_logprobs"`
			Echo   bool
		}
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil || r.URL.Path != "/v1/completions" ||
			b.Model != "m" || !slices.Equal(b.Prompt, prompt) || b.Max == nil {
			t.Errorf("%s: %+v, %v", r.URL.Path, b, err)
		}
		way := "ranked"
		if b.Echo {
			way = fmt.Sprintf("echo%d", *b.Max)
		}
		asked = append(asked, way)
		text := answers[way]
		if refused, ok := strings.CutPrefix(text, "400 "); ok {
			w.WriteHeader(400)
			text = refused
		}
		fmt.Fprint(w, text)
	})
	p, err := NewPromptScorer(Options{BaseURL: s.URL + "/v1", Model: "m", Retries: 1,
		Sleep: func(context.Context, time.Duration) error { return nil }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, &asked
}

// TestPromptScores: the first request finds the supported dialect, and the others use it.
func TestPromptScores(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string]string
		asked   string
	}{
		"vllm":   {map[string]string{"ranked": ranked}, "ranked ranked"},
		"openai": {map[string]string{"ranked": onlyNew, "echo0": echoed}, "ranked echo0 echo0"},
		"strict": {map[string]string{"ranked": "400 Unrecognized request argument: prompt_logprobs",
			"echo0": echoed}, "ranked echo0 echo0"},
		"must generate": {map[string]string{"ranked": onlyNew, "echo0": "400 max_tokens must be at least 1",
			"echo1": echoed1}, "ranked echo0 echo1 echo1"},
		"ignores the echo": {map[string]string{"ranked": onlyNew, "echo0": onlyNew, "echo1": echoed1}, "ranked echo0 echo1 echo1"},
	} {
		p, asked := completions(t, c.answers)
		for range 2 {
			if got, err := p.Score(context.Background(), prompt, 2); err != nil || !slices.Equal(got, wantScores) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
		if got := strings.Join(*asked, " "); got != c.asked {
			t.Errorf("%s: asked %s, want %s", name, got, c.asked)
		}
	}
}

// TestNoPromptScores: a server without prompt scores is refused at its first answer.
func TestNoPromptScores(t *testing.T) {
	nulls := `{"choices":[{"logprobs":{"tokens":["a","b","c"],"token_logprobs":[null,null,null],"top_logprobs":[null,null,null]}}]}`
	for name, c := range map[string]struct{ text, want string }{
		"none":   {`{"choices":[{"text":"x"}]}`, "has 0 "},
		"new":    {onlyNew, "has 1 "},
		"nulls":  {nulls, "all null"},
		"no top": {strings.Replace(echoed, "top_logprobs", "other", 1), "most likely"},
		"strict": {"400 no such argument", "no such argument"},
	} {
		p, asked := completions(t, map[string]string{"ranked": c.text, "echo0": c.text, "echo1": c.text})
		_, err := p.Score(context.Background(), prompt, 2)
		var answer *AnswerError
		if !badinput.Is(err) || errors.As(err, &answer) || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), "no log-probabilities of the prompt's tokens") || len(*asked) != 3 {
			t.Errorf("%s: %v after %v", name, err, *asked)
		}
	}
}

// TestBrokenPromptScores: an error in one answer does not affect the others.
func TestBrokenPromptScores(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"short":       {strings.Replace(ranked, "[null,", "[", 1), "2 entries, expected 3"},
		"long":        {strings.Replace(ranked, "[null,", "[null,null,", 1), "4 log-probabilities, expected 3"},
		"other token": {strings.Replace(ranked, `"7":`, `"8":`, 1), "token 2 (counted from 0), which is 7"},
		"null":        {strings.Replace(ranked, "-2.5", "null", 1), "of token 2 (counted from 0) is null"},
		"null entry": {strings.Replace(ranked, `{"6":{"logprob":-0.5,"rank":1,"decoded_token":"a"}}`, "null", 1),
			"token 1 (counted from 0)"},
		"nan":           {strings.Replace(ranked, "-2.5", "NaN", 1), "NaN"},
		"infinite":      {strings.Replace(ranked, "-2.5", "-Infinity", 1), "-Infinity"},
		"positive":      {strings.Replace(ranked, "-2.5", "2.5", 1), "is 2.5"},
		"other number":  {strings.Replace(ranked, `"prompt_tokens":3`, `"prompt_tokens":2`, 1), "read 2 prompt tokens, expected the 3"},
		"more than all": {strings.Replace(ranked, `"prompt_tokens":3`, `"prompt_tokens":9`, 1), "read 9 prompt tokens, expected the 3"},
	} {
		answers := map[string]string{"ranked": ranked}
		p, _ := completions(t, answers)
		if _, err := p.Score(context.Background(), prompt, 2); err != nil {
			t.Fatal(err)
		}
		answers["ranked"] = c.text
		_, err := p.Score(context.Background(), prompt, 2)
		var answer *AnswerError
		if !badinput.Is(err) || !errors.As(err, &answer) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, asked := completions(t, map[string]string{"ranked": `{"choices":[{"prompt_log`})
	if _, err := p.Score(context.Background(), prompt, 2); err == nil ||
		!strings.Contains(err.Error(), "not valid JSON") || len(*asked) != 2 {
		t.Errorf("cut off: %v after %v", err, *asked)
	}
}

// TestServerLimit: the model's length is read from vLLM; other servers do not state it.
func TestServerLimit(t *testing.T) {
	for text, want := range map[string]int{
		`{"data":[{"id":"x","max_model_len":9},{"id":"m","max_model_len":4096}]}`: 4096,
		`{"data":[{"id":"m"}]}`: 0, `{"data":[{"id":"x","max_model_len":9}]}`: 0, "<html>": 0, "[]": 0,
	} {
		s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v1/models" {
				t.Errorf("%s %s", r.Method, r.URL.Path)
			}
			fmt.Fprint(w, text)
		})
		p, err := NewPromptScorer(Options{BaseURL: s.URL + "/v1", Model: "m"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Limit(context.Background()); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	s, _ := server(t, answer(404, "no such page"))
	p, _ := NewPromptScorer(Options{BaseURL: s.URL + "/v1", Model: "m"}, nil)
	if got, err := p.Limit(context.Background()); err != nil || got != 0 {
		t.Errorf("no list: %d, %v", got, err)
	}
}

// FuzzPromptScores: no answer crashes the client or gives a wrong number of scores.
func FuzzPromptScores(f *testing.F) {
	for _, s := range []string{ranked, echoed, echoed1, onlyNew, "null", "[]",
		`{"choices":[{"prompt_logprobs":[{}]}]}`, `{"choices":[{"logprobs":{"token_logprobs":[1]}}]}`} {
		f.Add([]byte(s))
	}
	p := &PromptScorer{http: &HTTP{}}
	f.Fuzz(func(t *testing.T, data []byte) {
		text := func([]int32) (Text, error) { return Text{"bc", []string{"b", "c"}}, nil }
		for _, w := range []way{vllm{}, echo{0}, echo{1}, textEcho{text}} {
			if out, err := p.parse(w, data, prompt, 2); err == nil && len(out) != len(prompt)-1 {
				t.Errorf("%s: %d scores", data, len(out))
			}
		}
	})
}
