package local

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/generate"
	"barka/internal/llm"
)

// Chat is an llm.Client on a local model. Requests that come at the same time
// are decoded together; each answer depends on its own request alone.
type Chat struct {
	d      *Decoder
	format *chat.Template
	stop   []int32

	requests chan *chatCall
	once     sync.Once
}

type chatCall struct {
	ctx    context.Context
	req    generate.Request
	result generate.Result
	err    error
	done   chan struct{}
}

// maxTogether bounds the conversations decoded together.
const maxTogether = 32

// Chat returns a client of the model, which must have a chat template.
func (d *Decoder) Chat() (*Chat, error) {
	format, err := chat.For(d.Tokenizer)
	if err != nil {
		return nil, err
	}
	stop, err := format.Stop(d.Tokenizer)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	return &Chat{d: d, format: format, stop: stop, requests: make(chan *chatCall, maxTogether)}, nil
}

// Name implements llm.Client.
func (c *Chat) Name() string { return c.d.Name }

// Complete implements llm.Client.
func (c *Chat) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	c.once.Do(func() { go c.serve() })
	var messages []chat.Message
	for _, m := range r.Messages {
		messages = append(messages, chat.Message{Role: m.Role, Content: m.Content})
	}
	prompt, _, err := c.format.Encode(c.d.Tokenizer, messages, true)
	if err != nil {
		return llm.Response{}, err
	}
	if limit := c.d.Model.Info().MaxPositions; limit > 0 && len(prompt)+1 >= limit {
		return llm.Response{}, &llm.TooLong{Tokens: len(prompt), Limit: limit}
	}
	call := &chatCall{ctx: ctx, done: make(chan struct{}), req: generate.Request{
		Prompt: prompt, MaxTokens: r.MaxTokens, Stop: c.stop,
		Sampling: generate.Sampling{Temperature: r.Temperature, TopP: r.TopP, Seed: r.Seed},
	}}
	if len(r.Stop) > 0 {
		call.req.Until = func(tokens []int32) bool { _, cut := cutAt(c.d.Tokenizer.Decode(tokens, true), r.Stop); return cut }
	}
	select {
	case c.requests <- call:
	case <-ctx.Done():
		return llm.Response{}, ctx.Err()
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		return llm.Response{}, ctx.Err()
	}
	if call.err != nil {
		return llm.Response{}, call.err
	}
	text, _ := cutAt(c.d.Tokenizer.Decode(call.result.Tokens, true), r.Stop)
	return llm.Response{
		Text: text, FinishReason: call.result.Finish, Model: c.d.Name,
		PromptTokens: len(prompt), CompletionTokens: len(call.result.Tokens),
	}, nil
}

// cutAt ends a text before the first of the stop strings.
func cutAt(s string, stops []string) (string, bool) {
	end := len(s)
	for _, stop := range stops {
		if i := strings.Index(s, stop); i >= 0 && stop != "" {
			end = min(end, i)
		}
	}
	return s[:end], end < len(s)
}

// serve decodes whatever requests wait, together.
func (c *Chat) serve() {
	for first := range c.requests {
		calls := []*chatCall{first}
	more:
		for len(calls) < maxTogether {
			select {
			case call := <-c.requests:
				calls = append(calls, call)
			default:
				break more
			}
		}
		c.run(calls)
	}
}

func (c *Chat) run(calls []*chatCall) {
	var live []*chatCall
	var reqs []generate.Request
	for _, call := range calls {
		if call.err = call.ctx.Err(); call.err != nil {
			close(call.done)
			continue
		}
		live, reqs = append(live, call), append(reqs, call.req)
	}
	if len(live) == 0 {
		return
	}
	g := generate.Generator{Model: c.d.Model, MaxSequences: maxTogether}
	ctx, cancel := whileAnyWaits(live)
	defer cancel()
	results, err := g.Run(ctx, reqs, nil)
	for i, call := range live {
		if call.err = err; err == nil {
			call.result = results[i]
		}
		close(call.done)
	}
}

// whileAnyWaits returns a context that ends when those of all calls have.
func whileAnyWaits(calls []*chatCall) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	var left atomic.Int32
	left.Store(int32(len(calls)))
	for _, call := range calls {
		stop := context.AfterFunc(call.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
		context.AfterFunc(ctx, func() { stop() })
	}
	return ctx, cancel
}
