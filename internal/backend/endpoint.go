package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"barka/internal/badinput"
	"barka/internal/eval"
	"barka/internal/eval/lighteval"
	"barka/internal/hub"
	"barka/internal/llm"
	"barka/internal/model"
	"barka/internal/panics"
	"barka/internal/tokenizer"
)

// EndpointOptions describes a model that a server runs.
type EndpointOptions struct {
	llm.Options
	// Tokenizer is a model directory or hub id; its weights are not read.
	Tokenizer string
	// Concurrency bounds the requests in flight; 0 means 8.
	Concurrency int
	// MaxLength bounds an input in tokens. 0 means the lower of the limits of
	// config.json and of the server.
	MaxLength int
}

// Endpoint is an eval.Model on a server's completions. Every choice is a
// separate request, which may cost money.
type Endpoint struct {
	templater
	client *llm.PromptScorer
	tok    evalTokenizer
	o      EndpointOptions
	length int
}

// OpenEndpoint loads the tokenizer and asks the server for its longest input.
func OpenEndpoint(ctx context.Context, o EndpointOptions) (*Endpoint, error) {
	if o.Tokenizer == "" {
		return nil, badinput.Errorf("endpoint %s: no tokenizer is given; set --tokenizer to the directory or hub id of the "+
			"model that the server runs", o.BaseURL)
	}
	dir, err := hub.Resolve(o.Tokenizer)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	padding, err := newEvalTokenizer("tokenizer "+o.Tokenizer, tok)
	if err != nil {
		return nil, err
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 8
	}
	e := &Endpoint{templater: newTemplater(tok), tok: padding, o: o}
	if e.client, err = llm.NewPromptScorer(o.Options, e.text); err != nil {
		return nil, err
	}
	e.length, err = e.maxLength(ctx, dir)
	return e, err
}

// maxLength returns the longest input: the model's limit, and at most the
// server's limit minus two. The last token of a continuation is sent too, and
// one token may have to be generated.
func (e *Endpoint) maxLength(ctx context.Context, dir string) (int, error) {
	served, err := e.client.Limit(ctx)
	if err != nil {
		return 0, err
	}
	n := e.o.MaxLength
	if n == 0 {
		if n, err = positions(dir); err != nil {
			return 0, err
		}
		if served > 2 && (n == 0 || n > served-2) {
			n = served - 2
		}
	} else if served > 0 && n > served-2 {
		return 0, badinput.Errorf("endpoint %s: --max-length is %d, expected at most %d, two less than the server's limit; "+
			"lower it, or start the server with a larger --max-model-len",
			e.o.BaseURL, n, served-2)
	}
	return maxLength(n, 0), nil
}

// positions returns the longest input that config.json states, or 0 if there is none.
func positions(dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		return 0, nil // a directory with only a tokenizer
	}
	text, err := model.ReadConfig(dir)
	if err != nil {
		return 0, err
	}
	var c struct {
		NPositions   int `json:"n_positions"`
		MaxPositions int `json:"max_position_embeddings"`
		NCtx         int `json:"n_ctx"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return 0, badinput.Errorf("%s/config.json: %w", dir, err)
	}
	for _, n := range []int{c.NPositions, c.MaxPositions, c.NCtx} {
		if n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// Name implements eval.Model.
func (e *Endpoint) Name() string { return lighteval.ModelName(e.client.Name()) }

// Info implements eval.Model. The weights and their type are unknown, so scores are
// stored under the address and the name of the model.
func (e *Endpoint) Info() eval.ModelInfo {
	return eval.ModelInfo{Digest: "completions of " + e.client.Name() + " at " + e.o.BaseURL, Paid: true}
}

// MaxLength implements eval.Model.
func (e *Endpoint) MaxLength() int { return e.length }

// Tokenizer implements eval.Model.
func (e *Endpoint) Tokenizer() eval.Tokenizer { return e.tok }

// Score implements eval.Model. After an error it sends no more requests. Answers to
// requests in flight are kept, because they may cost money. It returns the error of
// the earliest failed request.
func (e *Endpoint) Score(ctx context.Context, reqs []eval.Request, done func(i int, s eval.Score) error) error {
	more, stop := context.WithCancel(ctx)
	defer stop()
	next := make(chan int)
	errs := make([]error, len(reqs))
	wg := panics.Group{Stop: stop}
	for range min(e.o.Concurrency, len(reqs)) {
		wg.Go(func() {
			for i := range next {
				s, err := e.scoreOne(ctx, reqs[i])
				if err != nil {
					err = &eval.RequestError{Index: i, Err: err, Stop: !ofOneRequest(err)}
				} else {
					err = done(i, s)
				}
				if err != nil {
					errs[i] = err
					stop()
				}
			}
		})
	}
	for i := 0; i < len(reqs) && more.Err() == nil; i++ {
		select {
		case next <- i:
		case <-more.Done():
		}
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// ofOneRequest reports whether an error concerns one request and not the server, so that
// other requests may succeed.
func ofOneRequest(err error) bool {
	var answer *llm.AnswerError
	var long *llm.TooLong
	var failed *llm.RequestError
	return errors.As(err, &answer) || errors.As(err, &long) || errors.As(err, &failed) && failed.Kind != llm.Unanswered
}

// text returns the text of tokens that start with BOS, for a server that
// tokenises itself.
func (e *Endpoint) text(tokens []int32) (llm.Text, error) {
	bos := e.tok.Special().BOS
	if bos < 0 || tokens[0] != bos {
		return llm.Text{}, fmt.Errorf("the server takes only texts, and adds a beginning token to each; this prompt does not "+
			"begin with that token, or lost it when it was cut to %d tokens", e.length)
	}
	t := llm.Text{Whole: e.tok.Decode(tokens[1:], false)}
	if !slices.Equal(e.tok.Encode(t.Whole, true), tokens) {
		return t, fmt.Errorf("the server takes only texts, and no text has exactly the tokens of this prompt: %.60q", t.Whole)
	}
	for _, id := range tokens[1:] {
		t.Pieces = append(t.Pieces, e.tok.Decode([]int32{id}, false))
	}
	return t, nil
}

// scoreOne truncates a request as score.Scorer does and sends it. A choice
// without tokens needs no request.
func (e *Endpoint) scoreOne(ctx context.Context, r eval.Request) (eval.Score, error) {
	out := eval.Score{Greedy: true}
	if len(r.Continuation) == 0 {
		return out, nil
	}
	tokens := append(append(make([]int32, 0, len(r.Context)+len(r.Continuation)), r.Context...), r.Continuation...)
	if cut := len(tokens) - 1 - e.length; cut > 0 {
		tokens = tokens[cut:]
	}
	if len(r.Continuation) >= len(tokens) {
		return out, badinput.Wrap(&llm.TooLong{Tokens: len(r.Continuation), Limit: e.length})
	}
	scores, err := e.client.Score(ctx, tokens, len(r.Continuation))
	var long *llm.TooLong
	if errors.As(err, &long) {
		return out, badinput.Errorf("choice and prompt have %d tokens, which the server refuses: %w; use a "+
			"lower --max-length", len(tokens), err)
	}
	if err != nil {
		return out, err
	}
	for _, s := range scores {
		out.LogProb += s.LogProb
		out.Greedy = out.Greedy && s.Greedy
		out.PerToken = append(out.PerToken, s.LogProb)
	}
	return out, nil
}
