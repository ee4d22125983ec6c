package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/generate"
	"barka/internal/jsonl"
	"barka/internal/lines"
	"barka/internal/printable"
	"barka/internal/tokenizer"
)

// prompt is a line of Options.SamplePrompts.
type prompt struct {
	ID       json.RawMessage `json:"id,omitempty"`
	Text     *string         `json:"prompt,omitempty"`
	Messages []chat.Message  `json:"messages,omitempty"`

	tokens []int32
	stop   []int32
}

// answered is a line of samples.jsonl: what the model answers after a step, greedily.
type answered struct {
	Step int `json:"step"`
	prompt
	Answer string `json:"answer"`
	Tokens int    `json:"tokens"`
	Finish string `json:"finish_reason"` // stop or length
}

// sampledTogether bounds the answers that are written in one batch, and thereby the memory of
// their keys and values. An answer does not depend on it.
const sampledTogether = 4

// readPrompts reads the prompts that are answered during a run. A line is the text of a
// prompt, or an object with prompt or messages. With ObjectiveText prompts are continued
// as they are; otherwise they are the user's turn of a conversation.
func readPrompts(o Options, tok *tokenizer.Tokenizer, positions int) ([]prompt, error) {
	if o.SamplePrompts == "" {
		return nil, nil
	}
	var format *chat.Template
	if o.Objective != ObjectiveText {
		var err error
		if format, err = chat.Open(tok, o.chat()); err != nil {
			return nil, err
		}
	}
	var all []prompt
	asJSON := jsonl.Has(o.SamplePrompts)
	for line, err := range jsonl.Lines(o.SamplePrompts) {
		if err != nil {
			return nil, fmt.Errorf("train: sample_prompts: %w", err)
		}
		asJSON = asJSON || len(all) == 0 && json.Valid(line.Data) && bytes.HasPrefix(bytes.TrimSpace(line.Data), []byte("{"))
		p, err := readPrompt(line, asJSON)
		if err == nil {
			err = p.encode(tok, format)
		}
		if err == nil && positions > 0 && len(p.tokens) >= positions {
			err = badinput.Errorf("the prompt has %d tokens, and the model has %d positions; shorten it", len(p.tokens), positions)
		}
		if err != nil {
			return nil, badinput.Errorf("train: sample_prompts: %s: %w", line.Where(), err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, badinput.Errorf("train: sample_prompts: %s has no prompt, expected one per line", o.SamplePrompts)
	}
	return all, nil
}

// CheckPrompts reports what is wrong with the prompts of samples for a model with a number of
// positions.
func (o Options) CheckPrompts(tok *tokenizer.Tokenizer, positions int) error {
	_, err := readPrompts(o, tok, positions)
	return err
}

func readPrompt(line lines.Line, asJSON bool) (p prompt, err error) {
	if !asJSON {
		text := string(line.Data)
		return prompt{Text: &text}, nil
	}
	if err := jsonl.Strict(line.Data, &p); err != nil {
		return p, err
	}
	if (p.Text == nil) == (len(p.Messages) == 0) {
		return p, badinput.Errorf("expected either prompt (a text) or messages (a list)")
	}
	return p, nil
}

// encode sets the tokens of a prompt, with a chat format those of its conversation.
func (p *prompt) encode(tok *tokenizer.Tokenizer, format *chat.Template) (err error) {
	if format == nil {
		if p.Text == nil {
			return badinput.Errorf("messages are for objectives sft and dpo; with objective text a prompt is a text that is continued")
		}
		p.tokens = tok.EncodeOptions(*p.Text, tokenizer.EncodeOptions{AddSpecial: true, NoParseSpecial: true})
		if eos := tok.Special().EOS; eos >= 0 {
			p.stop = []int32{eos}
		}
		if len(p.tokens) == 0 {
			return badinput.Errorf("the prompt has no tokens")
		}
		return nil
	}
	messages := p.Messages
	if p.Text != nil {
		messages = []chat.Message{{Role: "user", Content: *p.Text}}
	}
	if p.tokens, err = format.Tokens(messages, true); err != nil {
		return err
	}
	p.stop, err = format.Stop()
	return err
}

// shown returns the last text that the model answers.
func (p *prompt) shown() string {
	if p.Text != nil {
		return *p.Text
	}
	return p.Messages[len(p.Messages)-1].Content
}

// cacheRows returns how many rows of keys and values the answers need that are written together.
func cacheRows(prompts []prompt, o Options) (rows int) {
	var need []int
	for _, p := range prompts {
		need = append(need, len(p.tokens)+o.SampleTokens)
	}
	slices.SortFunc(need, func(a, b int) int { return b - a })
	for _, n := range need[:min(sampledTogether, len(need))] {
		rows += n
	}
	return rows
}

// sample answers the prompts with the model as it is.
func (t *trainer) sample(ctx context.Context) ([]answered, error) {
	prompts := t.plan.prompts
	if len(prompts) == 0 {
		return nil, nil
	}
	requests := make([]generate.Request, len(prompts))
	for i, p := range prompts {
		requests[i] = generate.Request{Prompt: p.tokens, MaxNewTokens: t.o.SampleTokens, Stop: p.stop, Tokenizer: t.in.Tokenizer}
	}
	g := generate.Generator{Model: t.model, MaxSequences: sampledTogether, MaxBatchTokens: generate.BatchTokens,
		CacheBytes: int64(cacheRows(prompts, t.o)) * t.model.NewCache().RowBytes()}
	results, err := g.Run(ctx, requests, nil)
	if err != nil {
		return nil, err
	}
	samples := make([]answered, len(prompts))
	for i, r := range results {
		samples[i] = answered{Step: t.step, prompt: prompts[i], Answer: r.Text, Tokens: len(r.Tokens), Finish: r.Finish}
	}
	return samples, nil
}

// sampleEvent is a sample as an event.
type sampleEvent struct {
	Step   int    `json:"step"`
	Number int    `json:"number"` // of the prompt, from 1
	Prompt string `json:"prompt"`
	Answer string `json:"answer"`
}

// text is the line of a sample.
func (e sampleEvent) text() string {
	return fmt.Sprintf("sample %d after step %d: %s → %s", e.Number, e.Step, abridged(e.Prompt), abridged(e.Answer))
}

// abridged returns a text as at most 160 characters of a line. samples.jsonl has all of it.
func abridged(text string) string {
	const most = 160
	runes := []rune(printable.Text(strings.Join(strings.Fields(text), " ")))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most]) + " …"
}
