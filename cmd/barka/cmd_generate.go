package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/generate"
	"barka/internal/local"
)

type generateCmd struct {
	Model       string   `required:"" help:"Model directory, or hub id."`
	Adapter     string   `help:"LoRA adapter directory on top of the model."`
	DType       string   `name:"dtype" help:"Type of the weights: f32, bf16 or int8; the checkpoint's own by default."`
	Prompt      string   `required:"" help:"The prompt; - reads standard input."`
	Raw         bool     `help:"Give the prompt as it is, without the chat template."`
	MaxTokens   int      `help:"Most tokens to generate." default:"256"`
	Temperature float64  `help:"0 is greedy." default:"0"`
	TopP        float64  `help:"Sample from the smallest set of tokens of this probability." default:"1"`
	TopK        int      `help:"Sample from this many tokens; 0 is all." default:"0"`
	Penalty     float64  `name:"repetition-penalty" help:"Above 1 discourages repetition." default:"1"`
	Stop        []string `help:"Strings that end the text."`
}

func (generateCmd) Help() string {
	return `Example: barka generate --model google/gemma-2-2b-it --prompt "ما هي عاصمة الجزائر؟"

With --json one object: text, tokens, logprobs, finish_reason, prompt_tokens.`
}

func (c *generateCmd) Run(a *app) error {
	prompt, err := a.text(c.Prompt)
	if err != nil {
		return err
	}
	d, err := a.engine(c.DType).OpenDecoder(c.Model, c.Adapter)
	if err != nil {
		return err
	}
	req, err := c.request(a, d, prompt)
	if err != nil {
		return err
	}
	stream := d.Tokenizer.Stream(true)
	live := !a.JSON && len(c.Stop) == 0
	g := generate.Generator{Model: d.Model}
	results, err := g.Run(a.ctx, []generate.Request{req}, func(_ int, token int32) {
		if live {
			fmt.Fprint(a.stdout, stream.Push(token))
		}
	})
	if err != nil {
		return badinput.Wrap(err)
	}
	r := results[0]
	text := cut(d.Tokenizer.Decode(r.Tokens, true), c.Stop)
	switch {
	case a.JSON:
		return json.NewEncoder(a.stdout).Encode(map[string]any{
			"text": text, "tokens": r.Tokens, "logprobs": r.LogProbs, "finish_reason": r.Finish, "prompt_tokens": len(req.Prompt),
		})
	case live:
		fmt.Fprintln(a.stdout, stream.Flush())
	default:
		fmt.Fprintln(a.stdout, text)
	}
	return nil
}

func (c *generateCmd) request(a *app, d *local.Decoder, prompt string) (generate.Request, error) {
	req := generate.Request{MaxTokens: c.MaxTokens, Sampling: generate.Sampling{
		Temperature: c.Temperature, TopP: c.TopP, TopK: c.TopK, RepetitionPenalty: c.Penalty, Seed: a.Seed}}
	if c.Raw {
		req.Prompt = d.Tokenizer.Encode(prompt, true)
		if eos := d.Tokenizer.Special().EOS; eos >= 0 {
			req.Stop = []int32{eos}
		}
	} else {
		format, err := chat.For(d.Tokenizer)
		if err != nil {
			return req, err
		}
		if req.Prompt, _, err = format.Encode(d.Tokenizer, []chat.Message{{Role: "user", Content: prompt}}, true); err != nil {
			return req, err
		}
		if req.Stop, err = format.Stop(d.Tokenizer); err != nil {
			return req, err
		}
	}
	if len(c.Stop) > 0 {
		req.Until = func(tokens []int32) bool {
			text := d.Tokenizer.Decode(tokens, true)
			return len(cut(text, c.Stop)) < len(text)
		}
	}
	return req, nil
}

// cut ends a text before the first stop string.
func cut(s string, stops []string) string {
	for _, stop := range stops {
		if i := strings.Index(s, stop); i >= 0 && stop != "" {
			s = s[:i]
		}
	}
	return s
}
