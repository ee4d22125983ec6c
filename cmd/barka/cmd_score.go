package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/jsonl"
	"barka/internal/lines"
	"barka/internal/score"
	"barka/internal/tokenizer"
	"barka/internal/ui"
)

type scoreCmd struct {
	Model    string `required:"" help:"Model directory or hub id." placeholder:"MODEL"`
	Adapter  string `help:"LoRA adapter on top of the model: directory or hub id." placeholder:"ADAPTER"`
	DType    string `name:"dtype" help:"Type of the weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	PerToken bool   `help:"Add token_logprobs, the log-probability of each token."`
	Tokens   bool   `help:"Add token_scores: log-probability, rank, text and place of each token."`
}

func (scoreCmd) Help() string {
	return `Reads JSON lines {"context": s, "continuations": [s, ...]} from standard input and writes a line for
each, {"logprobs": [...], "tokens": [...], "greedy": [...]}. These are, per continuation, the sum of
the natural log-probabilities of its tokens, their number, and whether each of them is the most
likely one.

Context and continuation are encoded together. White space at the end of a context stays in it;
barka eval, like other harnesses, moves it to the choice. An empty context scores the whole text. A
line with more tokens than the model has positions is an error.

With --tokens each line also has "token_scores": for each continuation a list of {"id", "token",
"text", "bytes", "chars", "logprob", "rank"}. A terminal shows a table.

  token         the spelling in the vocabulary
  text          the stretch of context + continuation that the token stands for
  bytes, chars  where it starts and ends there, in bytes of UTF-8 and in code points; a token that
                is a part of a character has its own bytes, and the whole character in chars
  rank          1 for the most likely token: one more than the number of tokens with a larger
                logit, or an equal logit and a lower id

Continuations of a line share the pass over its context. Every figure has the same bits as alone.

Examples:

  echo '{"context": "2+2=", "continuations": ["4", "5"]}' | barka score --model DIR
  echo '{"context": "", "continuations": ["The whole text."]}' | barka score --model DIR --tokens`
}

func (c *scoreCmd) Run(a *app) error {
	if err := a.ensure(weights(c.Model), adapter(c.Adapter)); err != nil {
		return err
	}
	d, err := a.engine(c.DType).OpenDecoder(c.Model, c.Adapter)
	if err != nil {
		return err
	}
	defer d.Close()
	s := &score.Scorer{Model: d.Model, Options: score.Options{NoTruncation: true, Ranks: c.Tokens}}
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
		if c.Tokens && a.ui.Terminal() {
			return reply.tables(a.ui)
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
	TokenLogProbs [][]float32    `json:"token_logprobs,omitempty"`
	TokenScores   [][]tokenScore `json:"token_scores,omitempty"`
}

// tokenScore is one token of a continuation.
type tokenScore struct {
	ID      int32   `json:"id"`
	Token   string  `json:"token"`
	Text    string  `json:"text"`
	Bytes   [2]int  `json:"bytes"`
	Chars   [2]int  `json:"chars"`
	LogProb float32 `json:"logprob"`
	Rank    int32   `json:"rank"`
}

// encodedPair is a context and a continuation in tokens.
type encodedPair struct {
	score.Request
	text  string           // of both
	spans []tokenizer.Span // of the continuation's tokens, in text
}

// encodePair encodes context and continuation together. A context without tokens becomes
// the end token: there must be something to predict from.
func encodePair(tok *tokenizer.Tokenizer, context, continuation string) encodedPair {
	special := tokenizer.EncodeOptions{AddSpecial: true}
	before := tok.EncodeOptions(context, special)
	if eos := tok.Special().EOS; len(before) == 0 && eos >= 0 {
		before = []int32{eos}
	}
	p := encodedPair{text: context + continuation, Request: score.Request{Context: before}}
	if context == "" {
		p.Continuation, p.spans = tok.EncodeSpans(continuation, tokenizer.EncodeOptions{})
		return p
	}
	ids, spans := tok.EncodeSpans(p.text, special)
	n := min(len(before), len(ids))
	p.Continuation, p.spans = ids[n:], spans[n:]
	return p
}

func scoreLine(a *app, s *score.Scorer, d *backend.Decoder, context string, continuations []string) (*scoreReply, error) {
	var pairs []encodedPair
	var reqs []score.Request
	for _, text := range continuations {
		p := encodePair(d.Tokenizer, context, text)
		pairs, reqs = append(pairs, p), append(reqs, p.Request)
	}
	results, err := s.LogLikelihoods(a.ctx, reqs, nil)
	if err != nil {
		return nil, err
	}
	r := &scoreReply{}
	for i, x := range results {
		if math.IsNaN(x.LogProb) || math.IsInf(x.LogProb, 0) {
			return nil, badinput.Errorf("continuation %d has log-probability %g; the weights are damaged, or overflow in this "+
				"type (try --dtype f32)", i+1, x.LogProb)
		}
		r.LogProbs = append(r.LogProbs, x.LogProb)
		r.Tokens = append(r.Tokens, len(x.Tokens))
		r.Greedy = append(r.Greedy, x.Greedy)
		r.TokenLogProbs = append(r.TokenLogProbs, x.Tokens)
		if s.Ranks {
			r.TokenScores = append(r.TokenScores, pairs[i].scores(d.Tokenizer, x))
		}
	}
	return r, nil
}

// scores describes the continuation's tokens.
func (p encodedPair) scores(tok *tokenizer.Tokenizer, r score.Result) []tokenScore {
	out := []tokenScore{}
	for i, id := range p.Continuation {
		at := p.spans[i]
		token, _ := tok.Token(id)
		out = append(out, tokenScore{ID: id, Token: token, Text: p.text[at.Start:at.End], Bytes: [2]int{at.Start, at.End},
			Chars: characters(p.text, at), LogProb: r.Tokens[i], Rank: r.Ranks[i]})
	}
	return out
}

// characters returns the first code point of a span and the one after its last.
func characters(text string, at tokenizer.Span) [2]int {
	first, end := at.Start, at.End
	for first > 0 && first < len(text) && !utf8.RuneStart(text[first]) {
		first--
	}
	for end > first && end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	n := utf8.RuneCountInString(text[:first])
	return [2]int{n, n + utf8.RuneCountInString(text[first:end])}
}

// tables shows the tokens to a person, one table per continuation.
func (r *scoreReply) tables(u *ui.UI) error {
	for i, tokens := range r.TokenScores {
		var rows [][]any
		for _, t := range tokens {
			rows = append(rows, []any{strconv.Quote(t.Text), t.ID, fmt.Sprintf("%d–%d", t.Bytes[0], t.Bytes[1]),
				fmt.Sprintf("%.4f", t.LogProb), fmt.Sprintf("%.2f %%", 100*math.Exp(float64(t.LogProb))), t.Rank})
		}
		if err := u.Table([]string{"text", "id", "bytes", "log-probability", "probability", "rank"}, rows); err != nil {
			return err
		}
		sum := fmt.Sprintf("continuation %d: %.4f in %d tokens", i+1, r.LogProbs[i], r.Tokens[i])
		if n := float64(r.Tokens[i]); n > 0 {
			sum += fmt.Sprintf(", perplexity %.2f", math.Exp(-r.LogProbs[i]/n))
		}
		if err := u.Print(sum, nil); err != nil {
			return err
		}
	}
	return nil
}
