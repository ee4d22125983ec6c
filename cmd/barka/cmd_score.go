package main

import (
	"bufio"
	"encoding/json"

	"barka/internal/backend"
	"barka/internal/jsonl"
	"barka/internal/lines"
	"barka/internal/score"
)

type scoreCmd struct {
	Model    string `required:"" help:"Model directory or hub id." placeholder:"MODEL"`
	Adapter  string `help:"LoRA adapter on top of the model: directory or hub id." placeholder:"ADAPTER"`
	DType    string `name:"dtype" help:"Type of the weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	PerToken bool   `help:"Add token_logprobs, the log-probability of each token."`
}

func (scoreCmd) Help() string {
	return `Reads JSON lines {"context": s, "continuations": [s, ...]} from standard input and writes a line for
each, {"logprobs": [...], "tokens": [...], "greedy": [...]}. These are, per continuation, the sum of
the natural log-probabilities of its tokens, their number, and whether each of them is the most
likely one.

Context and continuation are encoded together. White space at the end of a context stays in it;
barka eval, like other harnesses, moves it to the choice. A line with more tokens than the model has
positions is an error.

Example:

  echo '{"context": "2+2=", "continuations": ["4", "5"]}' | barka score --model DIR`
}

func (c *scoreCmd) Run(a *app) error {
	if err := a.ensure(weights(c.Model), adapter(c.Adapter)); err != nil {
		return err
	}
	d, err := a.engine(c.DType).OpenDecoder(c.Model, c.Adapter)
	if err != nil {
		return err
	}
	s := &score.Scorer{Model: d.Model, Options: score.Options{NoTruncation: true}}
	out := bufio.NewWriter(a.stdout)
	err = a.each(a.stdinLines(), func(line lines.Line) error {
		var in struct {
			Context       string   `json:"context"`
			Continuations []string `json:"continuations"`
		}
		if err := jsonl.Strict(line.Data, &in); err != nil {
			return line.Errorf("%w", err)
		}
		if len(in.Continuations) == 0 {
			return line.Errorf("continuations is empty or missing, expected a list of strings")
		}
		reply, err := scoreLine(a, s, d, in.Context, in.Continuations)
		if err != nil {
			return line.Errorf("%w", err)
		}
		if !c.PerToken {
			reply.TokenLogProbs = nil
		}
		if err := json.NewEncoder(out).Encode(reply); err != nil {
			return err
		}
		return out.Flush()
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

type scoreReply struct {
	LogProbs []float64 `json:"logprobs"`
	Tokens   []int     `json:"tokens"`
	Greedy   []bool    `json:"greedy"`
	// TokenLogProbs holds the summands of LogProbs.
	TokenLogProbs [][]float32 `json:"token_logprobs,omitempty"`
}

func scoreLine(a *app, s *score.Scorer, d *backend.Decoder, context string, continuations []string) (*scoreReply, error) {
	ctx := d.Tokenizer.Encode(context, true)
	if len(ctx) == 0 {
		// The first token needs a position that predicts it: the end token stands for
		// an empty context.
		if eos := d.Tokenizer.Special().EOS; eos >= 0 {
			ctx = []int32{eos}
		}
	}
	var reqs []score.Request
	for _, text := range continuations {
		whole := d.Tokenizer.Encode(context+text, true)
		if context == "" {
			whole = append(ctx[:len(ctx):len(ctx)], d.Tokenizer.Encode(text, false)...)
		}
		reqs = append(reqs, score.Request{Context: ctx, Continuation: whole[min(len(ctx), len(whole)):]})
	}
	results, err := s.LogLikelihoods(a.ctx, reqs, nil)
	if err != nil {
		return nil, err
	}
	r := &scoreReply{}
	for _, x := range results {
		r.LogProbs = append(r.LogProbs, x.LogProb)
		r.Tokens = append(r.Tokens, len(x.Tokens))
		r.Greedy = append(r.Greedy, x.Greedy)
		r.TokenLogProbs = append(r.TokenLogProbs, x.Tokens)
	}
	return r, nil
}
