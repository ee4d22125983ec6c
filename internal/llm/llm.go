// Package llm asks language models for text. It has the Client interface that stages use,
// and a client for servers with OpenAI's chat completions API (vLLM, SGLang, llama.cpp,
// Ollama, or a provider).
package llm

import (
	"context"
	"fmt"
	"unicode/utf8"

	"barka/internal/chat"
)

// Request is one conversation to continue.
type Request struct {
	Messages []chat.Message
	// Prompt, if not empty, is a text to continue as it is, without a chat template and
	// instead of Messages.
	Prompt      string
	Temperature float64
	TopP        float64
	MaxTokens   int
	Seed        int64
	Stop        []string
	// JSONSchema, if not nil, is a JSON Schema that the answer should follow. The
	// caller must not rely on it: a client that cannot enforce it ignores it.
	JSONSchema map[string]any
}

// Finish reasons.
const (
	FinishStop   = "stop"
	FinishLength = "length"
	FinishFilter = "content_filter"
)

// Response is the model's answer.
type Response struct {
	Text             string
	FinishReason     string // FinishStop, FinishLength, or another word of the server
	PromptTokens     int
	CompletionTokens int
	Model            string
	Cost             float64 // by the endpoint's prices; 0 without
}

// Client completes conversations. It is safe for concurrent use.
type Client interface {
	// Name identifies the model in provenance.
	Name() string
	// Complete returns the answer to a request. It retries after temporary errors.
	Complete(ctx context.Context, r Request) (Response, error)
}

// Sampler is a Client that can give several answers to one request, so that the prompt is
// paid for once.
type Sampler interface {
	Client
	// Samples returns at least one and at most n answers. The tokens and costs of all are
	// those of the request.
	Samples(ctx context.Context, r Request, n int) ([]Response, error)
}

// conversation returns the messages of a request that is no plain prompt.
func (r Request) conversation() []chat.Message {
	if r.Prompt != "" {
		return nil
	}
	return r.Messages
}

// tokens estimates the tokens that a request for n answers may use, at four characters per
// token of the prompt.
func (r Request) tokens(n int) int {
	chars := utf8.RuneCountInString(r.Prompt)
	for _, m := range r.conversation() {
		chars += utf8.RuneCountInString(m.Content)
	}
	return chars/4 + n*r.MaxTokens
}

// TooLong is the error of a conversation that does not fit into the model.
// Tokens and Limit are 0 if the server does not state them.
type TooLong struct{ Tokens, Limit int }

func (t *TooLong) Error() string {
	if t.Tokens == 0 || t.Limit == 0 {
		return "the conversation is longer than the model's limit"
	}
	return fmt.Sprintf("the conversation has %d tokens, more than the model's limit of %d", t.Tokens, t.Limit)
}
