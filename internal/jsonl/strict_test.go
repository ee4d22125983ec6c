package jsonl

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/badinput"
)

type request struct {
	ID        json.RawMessage `json:"id"`
	Prompt    *string         `json:"prompt"`
	MaxTokens *int            `json:"max_tokens"`
	TopP      float64         `json:"top_p"`
	Messages  []message       `json:"messages"`
	Names     map[string]message
	Hidden    string `json:"-"`
	common
}

type message struct {
	Role string `json:"role"`
}

type common struct {
	Seed int64 `json:"seed"`
}

func TestStrict(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":{"any":1,"thing":[{"x":2}]},"prompt":"a","max_tokens":null,"top_p":0.5,` +
			`"messages":[{"role":"user"}],"Names":{"whoever":{"role":"a"}},"seed":3}`: "",
		`{"prompt":"\ud83d\ude00 \\ud83d \u0041"}`: "",

		`{"max_token":5}`: `unknown field "max_token"; did you mean max_tokens? ` +
			`(fields: Names, id, max_tokens, messages, prompt, seed, top_p)`,
		`{"Prompt":"a"}`: `unknown field "Prompt"; did you mean prompt?`,
		`{"prompt":"a","messages":[{"rol":"b"}]}`:  `unknown field "messages[0].rol"; did you mean role? (fields: role)`,
		`{"Names":{"x":{"content":""}}}`:           `unknown field "Names.x.content" (fields: role)`,
		`{"Hidden":"a"}`:                           `unknown field "Hidden"`,
		`{"prompt":"a","seed":1,"prompt":"b"}`:     `field "prompt" appears twice`,
		`{"max_tokens":"5"}`:                       `max_tokens: expected a whole number, found string`,
		`{"seed":"5"}`:                             `seed: expected a whole number, found string`,
		`{"max_tokens":1.5}`:                       `max_tokens: expected a whole number, found number 1.5`,
		`{"messages":{}}`:                          `messages: expected a list, found object`,
		`[1]`:                                      `expected an object, found array`,
		`{"prompt":"a"`:                            `unexpected end of JSON input`,
		`{"prompt":"a"} x`:                         `invalid character 'x' after top-level value`,
		`{"prompt":"a \ud83d"}`:                    `\ud83d is half of a character`,
		`{"prompt":"\uDE00"}`:                      `\uDE00 is half of a character`,
		`{"prompt":"\\\ud83d\u0041"}`:              `\ud83d is half of a character`,
		`{"id":"\ud83d\ud83d\ude00"}`:              `\ud83d is half of a character`,
		`{"seed":1,"\udc00":2}`:                    `unknown field`,
		`{"messages":[{"role":"\ud800"}],"id":{}}`: `\ud800 is half`,
	} {
		var r request
		switch err := Strict([]byte(text), &r); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "common")):
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// TestNothingIsReplaced: text that json.Unmarshal would change is an error that
// names file and line.
func TestNothingIsReplaced(t *testing.T) {
	for text, want := range map[string]string{
		"{\"text\":\"a\xffb\"}": "line 2: not UTF-8: byte 0xff at offset 10",
		`{"text":"\udc00"}`:     `line 2: \udc00 is half of a character`,
	} {
		path := filepath.Join(t.TempDir(), "x.jsonl")
		os.WriteFile(path, []byte("{}\n"+text), 0o666)
		var last error
		for _, err := range Read[record](path) {
			last = err
		}
		if !badinput.Is(last) || !strings.Contains(last.Error(), "x.jsonl: "+want) {
			t.Errorf("%s: error %v, want %q", text, last, want)
		}
	}
}

// FuzzStrict: what it accepts, json.Unmarshal reads into the same value, and
// nothing of it is replaced.
func FuzzStrict(f *testing.F) {
	f.Add([]byte(`{"id":1,"prompt":"\ud83d\ude00","messages":[{"role":"a"}]}`))
	f.Add([]byte(`{"Names":{"a":null},"seed":1,"\\u":"\ud83d"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b request
		if Strict(data, &a) != nil {
			return
		}
		if err := json.Unmarshal(data, &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%q: %+v and %+v, %v", data, a, b, err)
		}
	})
}
