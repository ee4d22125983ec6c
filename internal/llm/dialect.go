package llm

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// dialect records how the server deviates from the API, as its error responses show.
type dialect struct {
	noSchema        bool // the server rejects response_format with json_schema
	noSeed          bool // the server rejects seed
	completionLimit bool // the limit is called max_completion_tokens
	single          bool // the server rejects or ignores n
}

// body is the JSON body of a request.
type body struct {
	Model               string          `json:"model"`
	Messages            []message       `json:"messages,omitempty"`
	Prompt              string          `json:"prompt,omitempty"` // of the completions API
	N                   int             `json:"n,omitempty"`
	Temperature         float64         `json:"temperature"`
	TopP                float64         `json:"top_p,omitempty"`
	MaxTokens           int             `json:"max_tokens,omitempty"`
	MaxCompletionTokens int             `json:"max_completion_tokens,omitempty"`
	Seed                *int64          `json:"seed,omitempty"`
	Stop                []string        `json:"stop,omitempty"`
	ResponseFormat      *responseFormat `json:"response_format,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type responseFormat struct {
	Type       string     `json:"type"`
	JSONSchema jsonSchema `json:"json_schema"`
}

type jsonSchema struct {
	Name   string         `json:"name"`
	Strict bool           `json:"strict"`
	Schema map[string]any `json:"schema"`
}

// body returns the body of a request for n answers in the dialect.
func (d dialect) body(model string, r Request, n int) body {
	b := body{Model: model, Prompt: r.Prompt, Temperature: r.Temperature, TopP: r.TopP, MaxTokens: r.MaxTokens, Stop: r.Stop}
	for _, m := range r.conversation() {
		b.Messages = append(b.Messages, message{m.Role, m.Content})
	}
	if n > 1 && !d.single {
		b.N = n
	}
	if d.completionLimit {
		b.MaxTokens, b.MaxCompletionTokens = 0, r.MaxTokens
	}
	if !d.noSeed {
		b.Seed = &r.Seed
	}
	if r.JSONSchema != nil && !d.noSchema {
		b.ResponseFormat = &responseFormat{"json_schema", jsonSchema{"answer", true, r.JSONSchema}}
	}
	return b
}

func (c *HTTP) dialectNow() dialect {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dialect
}

// adapt learns from the text with which the server rejected a request in the dialect
// used. It reports whether the request is worth another try.
func (c *HTTP) adapt(used dialect, r Request, n int, text string) bool {
	var change func(d *dialect)
	note := ""
	switch lower := strings.ToLower(text); {
	case !used.completionLimit && strings.Contains(lower, "max_completion_tokens"):
		change, note = func(d *dialect) { d.completionLimit = true }, "takes max_completion_tokens instead of max_tokens"
	case r.JSONSchema != nil && !used.noSchema && (strings.Contains(lower, "response_format") || strings.Contains(lower, "json_schema")):
		change, note = func(d *dialect) { d.noSchema = true }, "does not take response_format; answers are read without it"
	case !used.noSeed && seedWord.MatchString(lower):
		change, note = func(d *dialect) { d.noSeed = true }, "does not take seed; its answers cannot be reproduced"
	case n > 1 && !used.single && choicesWords.MatchString(text):
		change, note = func(d *dialect) { d.single = true }, "does not take n; several answers are asked for one by one"
	default:
		return false
	}
	c.learn(used, change, note)
	return true
}

// learn changes the dialect that a request used, unless another request has changed it
// already.
func (c *HTTP) learn(used dialect, change func(*dialect), note string) {
	c.mu.Lock()
	first := c.dialect == used
	if first {
		change(&c.dialect)
	}
	c.mu.Unlock()
	if first {
		c.o.Note("endpoint " + c.o.BaseURL + " " + note)
	}
}

// choicesWords finds the parameter n in the text of an error: quoted, as JSON's path of a
// validation error has it, or in words.
var choicesWords = regexp.MustCompile("(?i)['\"`]n['\"`]|\\bn (?:must|should|has to|is not|>|=)" +
	"|one completion choice|multiple (?:choices|completions)")

var seedWord = regexp.MustCompile(`\bseed\b`)

// Error texts of servers for conversations that do not fit: OpenAI and vLLM,
// SGLang, llama.cpp.
var (
	tooLongWords = regexp.MustCompile(`(?i)context_length_exceeded|maximum context length|` +
		`longer than the model'?s context length|exceeds? the (?:maximum allowed length|available context size)|` +
		`exceed_context_size_error|exceed context window`)
	limitWords = regexp.MustCompile(`(?i)(?:maximum context length is|context length \(|maximum allowed length \(|context window of) ?(\d+)`)
	tokenWords = regexp.MustCompile(`(?i)(?:requested|input \(|input length \(|requested tokens \() ?(\d+)`)
)

// tooLong returns such an error if the response is one, whatever its status.
func tooLong(data []byte) error {
	text := string(data[:min(len(data), 4096)])
	if !tooLongWords.MatchString(text) {
		return nil
	}
	var llamaCPP struct {
		Error struct {
			Tokens int `json:"n_prompt_tokens"`
			Limit  int `json:"n_ctx"`
		} `json:"error"`
	}
	e := &TooLong{}
	if json.Unmarshal(data, &llamaCPP) == nil && llamaCPP.Error.Limit > 0 {
		e.Tokens, e.Limit = llamaCPP.Error.Tokens, llamaCPP.Error.Limit
		return e
	}
	e.Tokens, e.Limit = number(tokenWords, text), number(limitWords, text)
	return e
}

func number(pattern *regexp.Regexp, text string) int {
	if m := pattern.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 0
}
