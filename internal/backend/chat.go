package backend

import (
	"context"
	"errors"
	"io"

	"barka/internal/chat"
	"barka/internal/generate"
	"barka/internal/llm"
	"barka/internal/tokenizer"
)

// maxTogether bounds the number of sequences in one batch.
const maxTogether = 32

// Generator returns the model's decoding engine. All callers share one engine, and
// thereby its passes and its cache.
func (d *Decoder) Generator() *generate.Engine {
	d.once.Do(func() {
		bytes := d.engine.CacheBytes
		if bytes <= 0 {
			bytes = d.engine.cacheBytes()
		}
		d.generator = &generate.Engine{Model: d.Model, MaxSequences: maxTogether, Threads: d.engine.threads, CacheBytes: bytes}
	})
	return d.generator
}

// cacheBytes returns the bound of the KV cache. On a GPU the cache leaves half of the free memory.
func (e *Engine) cacheBytes() int64 {
	free := e.Available()
	if e.gpu != nil && free > 0 {
		return min(cacheBytes(free), free/2)
	}
	return cacheBytes(free)
}

// cacheBytes returns the bound of the KV cache: a quarter of the free memory. The rest
// is for the garbage collector, which lets the heap grow to twice the memory in use,
// and for other programs.
func cacheBytes(free int64) int64 {
	if free == 0 {
		return 1 << 30
	}
	return max(free/4, 64<<20)
}

// Chat is an llm.Client on a model of this machine. Concurrent requests are decoded in
// one batch. An answer depends only on its own request.
type Chat struct {
	d      *Decoder
	format *chat.Template // nil: only plain prompts are continued
	stop   []int32
}

// Chat returns a client of the model, which must have a chat template. A reasoning
// model is told not to think, because all of its text becomes data.
func (d *Decoder) Chat() (*Chat, error) {
	format, stop, err := answering(d.Tokenizer)
	if err != nil {
		return nil, err
	}
	if stop, err = d.EndTokens(stop...); err != nil {
		return nil, err
	}
	return &Chat{d: d, format: format, stop: stop}, nil
}

// answering opens a model's chat format and finds the tokens that end an
// answer.
func answering(tok *tokenizer.Tokenizer) (*chat.Template, []int32, error) {
	format, err := chat.Open(tok, chat.Options{Thinking: "off"})
	if err != nil {
		return nil, nil, err
	}
	stop, err := format.Stop()
	return format, stop, err
}

// Close closes the model.
func (c *Chat) Close() error { return c.d.Close() }

// Name implements llm.Client.
func (c *Chat) Name() string { return c.d.Name }

// Complete implements llm.Client.
func (c *Chat) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	prompt, err := c.tokens(r)
	if err != nil {
		return llm.Response{}, err
	}
	if limit := c.d.Model.Info().MaxPositions; limit > 0 && len(prompt)+1 >= limit {
		return llm.Response{}, &llm.TooLong{Tokens: len(prompt), Limit: limit}
	}
	call, err := c.d.Generator().Submit(ctx, generate.Request{
		Prompt: prompt, MaxNewTokens: r.MaxTokens, Stop: c.stop, Tokenizer: c.d.Tokenizer, StopStrings: r.Stop,
		Sampling: generate.Sampling{Temperature: r.Temperature, TopP: r.TopP, Seed: r.Seed},
	})
	if err != nil {
		return llm.Response{}, err
	}
	result, err := call.Wait()
	if err != nil {
		return llm.Response{}, err
	}
	return llm.Response{
		Text: result.Text, FinishReason: result.Finish, Model: c.d.Name,
		PromptTokens: len(prompt), CompletionTokens: len(result.Tokens),
	}, nil
}

// tokens returns the tokens of a request. Text of a plain prompt that spells a control
// token stays text.
func (c *Chat) tokens(r llm.Request) ([]int32, error) {
	if r.Prompt != "" {
		return c.d.Tokenizer.EncodeOptions(r.Prompt, tokenizer.EncodeOptions{AddSpecial: true, NoParseSpecial: true}), nil
	}
	return c.format.Tokens(r.Messages, true)
}

// lazyChat opens its model with the first request, so that a finished stage loads no
// weights.
type lazyChat struct {
	lazy[*Chat]
	name string
}

// LazyChat returns a client of the model in dir, which is loaded with the first
// request. name is the model's name in answers. Close closes the model if it was loaded.
func (e *Engine) LazyChat(name, dir string) interface {
	llm.Client
	io.Closer
} {
	return &lazyChat{newLazy(func() (*Chat, error) {
		d, err := e.quiet().OpenDecoder(dir, "")
		if err != nil {
			return nil, err
		}
		d.Name = name
		c, err := d.Chat()
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		return c, nil
	}), name}
}

func (l *lazyChat) Name() string { return l.name }

func (l *lazyChat) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	c, err := l.open()
	if err != nil {
		return llm.Response{}, err
	}
	return c.Complete(ctx, r)
}
