package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/generate"
	"barka/internal/lines"
	"barka/internal/progress"
)

type generateCmd struct {
	Model       string   `required:"" help:"Model directory or hub id." placeholder:"MODEL"`
	Adapter     string   `help:"LoRA adapter on top of the model: directory or hub id." placeholder:"ADAPTER"`
	DType       string   `name:"dtype" help:"Type of the weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	Prompt      *string  `help:"The prompt; - reads all of standard input." placeholder:"TEXT"`
	Input       string   `help:"Many prompts, plain or JSON lines; - reads standard input." placeholder:"FILE"`
	Raw         bool     `help:"Use prompts as they are, without the chat template."`
	ChatFormat  string   `help:"Chat format for a model without a template: ${chat_formats}." placeholder:"NAME"`
	ChatDate    string   `help:"Date for chat templates that ask for today's; default: ${chat_date}." placeholder:"YYYY-MM-DD"`
	From        string   `help:"Language of the prompts, for translators' chat templates such as TranslateGemma's." placeholder:"CODE"`
	To          string   `help:"Language to translate into, with --from; codes are those of the template, such as ar." placeholder:"CODE"`
	Thinking    string   `help:"Whether a reasoning model thinks before it answers; default: its template's." placeholder:"on|off"`
	MaxTokens   int      `help:"Largest number of tokens to generate." default:"256"`
	Temperature float64  `help:"Divides the logits; 0 takes the most likely token." default:"0"`
	TopK        int      `help:"Sample from this many of the most likely tokens; 0 is all." default:"0"`
	TopP        float64  `help:"Sample from the smallest set of tokens with this probability; 1 is all." default:"1"`
	MinP        float64  `help:"Exclude tokens below this fraction of the highest probability; 0 is off." default:"0"`
	Penalty     float64  `name:"repetition-penalty" help:"Above 1 makes tokens of prompt and text less likely." default:"1"`
	Stop        []string `help:"String that ends the text and is not part of it; repeatable." sep:"none" placeholder:"TEXT"`
	CacheGiB    float64  `name:"cache-gib" help:"Largest KV cache in GiB; 0 is a quarter of the free memory." default:"0"`
}

func (generateCmd) Help() string {
	return `Example:

  barka generate --model google/gemma-2-2b-it --prompt "ما هي عاصمة الجزائر؟"

Many prompts, decoded in one batch and answered in their order:

  barka generate --model DIR --input prompts.jsonl --temperature 0.8 --top-p 0.95 --json > answers.jsonl

The model's chat template is executed as by apply_chat_template of transformers. Text of a message
that spells a control token, such as <|im_end|>, stays text. --raw leaves the template out and
parses control tokens; the end tokens of generation_config.json then end a text.

A line of --input is a prompt. If the first line is a JSON object, every line is one:
{"prompt": TEXT} or {"messages": [{"role": "user", "content": TEXT}, ...]}, optionally with "id" and,
instead of the flags' values, "max_tokens", "temperature", "top_k", "top_p", "min_p",
"repetition_penalty", "stop" and "seed". Other fields are errors. Blank lines are skipped. The seed
of the n-th prompt is --seed plus n-1. An answer depends only on its own line.

With --json one object per prompt: id (if given), text, tokens, logprobs, finish_reason and
prompt_tokens. Without it an empty line separates the texts.`
}

// readAhead is the number of prompts submitted before the next text is written,
// so that a long answer does not leave the engine idle.
const readAhead = 128

func (c *generateCmd) chat() chat.Options {
	return chat.Options{Format: c.ChatFormat, Date: c.ChatDate, Thinking: c.Thinking, From: c.From, To: c.To}
}

func (c *generateCmd) Run(a *app) error {
	if (c.Prompt == nil) == (c.Input == "") {
		return usagef("generate: expected either --prompt or --input")
	}
	if c.Raw && (c.ChatFormat != "" || c.ChatDate != "" || c.Thinking != "" || c.From != "" || c.To != "") {
		return usagef("generate: --chat-format, --chat-date, --thinking, --from and --to are settings of the chat template; " +
			"leave them out with --raw")
	}
	if err := c.chat().Validate(); err != nil {
		return err
	}
	if c.CacheGiB < 0 {
		return usagef("generate: --cache-gib is %g, expected a positive number, or 0 for a quarter of the free memory", c.CacheGiB)
	}
	if err := a.ensure(weights(c.Model), adapter(c.Adapter)); err != nil {
		return err
	}
	engine := a.engine(c.DType)
	engine.CacheBytes = int64(c.CacheGiB * (1 << 30))
	d, err := engine.OpenDecoder(c.Model, c.Adapter)
	if err != nil {
		return err
	}
	defer d.Close()
	e := d.Generator()
	w := &promptRunner{a: a, c: c, d: d, e: e}
	if !c.Raw {
		if w.format, err = chat.Open(d.Tokenizer, c.chat()); err != nil {
			return err
		}
		if w.stop, err = w.format.Stop(); err != nil {
			return err
		}
	}
	if w.stop, err = d.EndTokens(w.stop...); err != nil {
		return err
	}
	if c.Prompt != nil {
		return w.one(*c.Prompt)
	}
	return w.many()
}

// promptRunner submits prompts to the engine and writes the answers in order.
type promptRunner struct {
	a      *app
	c      *generateCmd
	d      *backend.Decoder
	e      *generate.Engine
	format *chat.Template // nil with --raw
	stop   []int32        // the tokens that end a text
	queue  []pending
	wrote  int
}

// pending is a prompt that was submitted to the engine.
type pending struct {
	id   json.RawMessage
	call *generate.Call
	n    int // tokens of the prompt
}

// one answers a single prompt; without --json the text is written as it is generated.
func (w *promptRunner) one(prompt string) error {
	text, err := w.a.text(prompt)
	if err != nil {
		return err
	}
	req, err := w.request(&promptLine{Prompt: &text}, 0)
	if err != nil {
		return err
	}
	if !w.a.JSON {
		req.OnText = func(s string) { fmt.Fprint(w.a.stdout, s) }
	}
	call, err := w.e.Submit(w.a.ctx, req)
	if err != nil {
		return err
	}
	r, err := call.Wait()
	if err != nil {
		return err
	}
	if w.a.JSON {
		return w.json(nil, r, len(req.Prompt))
	}
	_, err = fmt.Fprintln(w.a.stdout)
	return err
}

// many answers the prompts of the input.
func (w *promptRunner) many() error {
	p := w.a.ui.Progress()
	total := int64(-1)
	if w.c.Input != "-" {
		total = 0
		if err := w.a.prompts(w.c.Input, func(lines.Line, *promptLine) error { total++; return nil }); err != nil {
			return err
		}
	}
	p.Start("generate", total, "prompts")
	defer p.Done()
	n := int64(0)
	err := w.a.prompts(w.c.Input, func(line lines.Line, prompt *promptLine) error {
		req, err := w.request(prompt, n)
		if err == nil {
			var call *generate.Call
			if call, err = w.e.Submit(w.a.ctx, req); err == nil {
				w.queue = append(w.queue, pending{prompt.ID, call, len(req.Prompt)})
			}
		}
		if err != nil {
			return line.Errorf("%w", err)
		}
		n++
		if len(w.queue) < readAhead {
			return nil
		}
		return w.write(p)
	})
	for len(w.queue) > 0 && w.a.ctx.Err() == nil { // answers before a bad line are written before its error
		if e := w.write(p); e != nil {
			return e
		}
	}
	if err == nil {
		err = w.a.ctx.Err()
	}
	return err
}

// write waits for the oldest pending answer and writes it.
func (w *promptRunner) write(p progress.Reporter) error {
	q := w.queue[0]
	w.queue = slices.Delete(w.queue, 0, 1)
	r, err := q.call.Wait()
	if err != nil {
		return err
	}
	p.Add(1)
	if w.a.JSON {
		return w.json(q.id, r, q.n)
	}
	if w.wrote > 0 {
		fmt.Fprintln(w.a.stdout)
	}
	w.wrote++
	_, err = fmt.Fprintln(w.a.stdout, r.Text)
	return err
}

func (w *promptRunner) json(id json.RawMessage, r generate.Result, prompt int) error {
	return json.NewEncoder(w.a.stdout).Encode(struct {
		ID           json.RawMessage `json:"id,omitempty"`
		Text         string          `json:"text"`
		Tokens       []int32         `json:"tokens"`
		LogProbs     []float32       `json:"logprobs"`
		FinishReason string          `json:"finish_reason"`
		PromptTokens int             `json:"prompt_tokens"`
	}{id, r.Text, r.Tokens, r.LogProbs, r.Finish, prompt})
}

// request returns the engine's request for prompt n, counted from 0.
func (w *promptRunner) request(l *promptLine, n int64) (generate.Request, error) {
	c, tok := w.c, w.d.Tokenizer
	req := generate.Request{
		MaxNewTokens: orDefault(l.MaxTokens, c.MaxTokens), Tokenizer: tok, StopStrings: c.Stop,
		Sampling: generate.Sampling{
			Temperature: orDefault(l.Temperature, c.Temperature),
			TopK:        orDefault(l.TopK, c.TopK), TopP: orDefault(l.TopP, c.TopP), MinP: orDefault(l.MinP, c.MinP),
			RepetitionPenalty: orDefault(l.RepetitionPenalty, c.Penalty), Seed: orDefault(l.Seed, w.a.Seed+n),
		},
	}
	if l.Stop != nil {
		req.StopStrings = l.Stop
	}
	switch { // the engine takes 0 as off, but a user who writes 0 means the strictest setting
	case req.Sampling.TopP == 0:
		return req, badinput.Errorf("top-p is 0, expected a number above 0, up to 1 (off); for the most likely token set temperature to 0")
	case req.Sampling.RepetitionPenalty == 0:
		return req, badinput.Errorf("repetition penalty is 0, expected a positive number; 1 is off")
	}
	messages := l.Messages
	if l.Prompt != nil {
		if w.format == nil {
			req.Prompt, req.Stop = tok.Encode(*l.Prompt, true), w.stop
			return req, nil
		}
		messages = []chat.Message{{Role: "user", Content: *l.Prompt}}
	}
	if w.format == nil {
		return req, badinput.Errorf("messages need the chat template; leave out --raw, or use prompt")
	}
	var err error
	if req.Prompt, err = w.format.Tokens(messages, true); err != nil {
		return req, err
	}
	req.Stop = w.stop
	return req, nil
}

// orDefault returns the value of a line, or the flag's if the line has none.
func orDefault[T any](value *T, flag T) T {
	if value != nil {
		return *value
	}
	return flag
}
