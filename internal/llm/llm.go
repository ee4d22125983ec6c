// Package llm asks language models for text: the Client interface that stages
// use, and a client for any server that speaks OpenAI's chat completions API
// (vLLM, SGLang, llama.cpp, Ollama, or a provider).
package llm

import (
	"context"
	"fmt"

	"barka/internal/pipeline"
)

// Request is one conversation to continue.
type Request struct {
	Messages    []pipeline.Message
	Temperature float64
	TopP        float64
	MaxTokens   int
	Seed        int64
	Stop        []string
}

// Finish reasons.
const (
	FinishStop   = "stop"
	FinishLength = "length"
)

// Response is the model's answer.
type Response struct {
	Text             string
	FinishReason     string // FinishStop, FinishLength, or another word of the server's
	PromptTokens     int
	CompletionTokens int
	Model            string
}

// Client completes conversations. It is safe for concurrent use.
type Client interface {
	// Name identifies the model in provenance.
	Name() string
	// Complete returns the answer to a request; it retries what may pass by
	// itself.
	Complete(ctx context.Context, r Request) (Response, error)
}

// TooLong is the error of a conversation that does not fit into the model.
type TooLong struct{ Tokens, Limit int }

func (t *TooLong) Error() string {
	return fmt.Sprintf("the conversation has %d tokens, the model's limit is %d", t.Tokens, t.Limit)
}
