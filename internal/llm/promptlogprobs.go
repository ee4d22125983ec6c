package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"barka/internal/badinput"
	"barka/internal/pause"
)

// PromptScorer asks an OpenAI-compatible completions endpoint for the
// log-probabilities of a prompt's own tokens. Prompts are sent as token ids if
// the server accepts them, so that the server's tokenizer is not involved. It
// is safe for concurrent use.
//
// There are three ways to ask: prompt_logprobs of vLLM, whose answer names every token by
// id and rank; echo with logprobs, from OpenAI's older API; and echo with the prompt as
// text. The first request finds out which of them the server supports.
type PromptScorer struct {
	http *HTTP
	ways []way

	mu   sync.Mutex
	way  way
	none error // set if the server supports none of them
}

// Text is the text of tokens, for servers that do not accept ids. Pieces holds the texts
// of the tokens after the first one, the BOS token, which such a server adds to every
// prompt. Whole is the text of all pieces.
type Text struct {
	Whole  string
	Pieces []string
}

// TokenScore is the natural log-probability of a token after those before it. Greedy is
// set if no other token was more likely.
type TokenScore struct {
	LogProb float64
	Greedy  bool
}

// AnswerError is the error of an answer that cannot be used for its request.
type AnswerError struct{ err error }

func (e *AnswerError) Error() string { return e.err.Error() }
func (e *AnswerError) Unwrap() error { return e.err }

func unusable(format string, args ...any) error {
	return badinput.Wrap(&AnswerError{fmt.Errorf(format, args...)})
}

// NewPromptScorer checks the options and returns a client. text turns tokens
// into their text; if it is nil, prompts are not sent as text.
func NewPromptScorer(o Options, text func(tokens []int32) (Text, error)) (*PromptScorer, error) {
	c, err := NewHTTP(o)
	if err != nil {
		return nil, err
	}
	c.url = strings.TrimSuffix(c.url, "/chat/completions") + "/completions"
	p := &PromptScorer{http: c, ways: []way{vllm{}, echo{0}, echo{1}}}
	if text != nil {
		p.ways = append(p.ways, textEcho{text})
	}
	return p, nil
}

// Name is the model's.
func (p *PromptScorer) Name() string { return p.http.o.Model }

// Limit returns the largest number of tokens of prompt and answer together, or 0 if the
// server does not state it. vLLM does.
func (p *PromptScorer) Limit(ctx context.Context) (int, error) {
	var list struct {
		Data []struct {
			ID    string `json:"id"`
			Limit int    `json:"max_model_len"`
		} `json:"data"`
	}
	url := strings.TrimSuffix(p.http.url, "/completions") + "/models"
	err := p.http.attempts(ctx, 0, place{}, func() error {
		data, err := p.http.try(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		_ = json.Unmarshal(data, &list) // a server without this list has some other answer
		return nil
	})
	if err != nil && (!badinput.Is(err) || ctx.Err() != nil) {
		return 0, err
	}
	for _, m := range list.Data {
		if m.ID == p.http.o.Model {
			return max(m.Limit, 0), nil
		}
	}
	return 0, nil
}

// Score returns the scores of the last n tokens; the first token has none. An error that
// concerns only this prompt is an *AnswerError, a *TooLong or a *RequestError; any other
// concerns all prompts.
func (p *PromptScorer) Score(ctx context.Context, tokens []int32, n int) ([]TokenScore, error) {
	p.mu.Lock()
	if w := p.way; w != nil {
		p.mu.Unlock()
		out, err := p.ask(ctx, w, tokens, n)
		var none *noScores
		if errors.As(err, &none) {
			err = unusable("%v", none)
		}
		return out, err
	}
	defer p.mu.Unlock() // other requests wait until the way to ask is known
	if p.none != nil {
		return nil, p.none
	}
	var reasons []string
	for _, w := range p.ways {
		out, err := p.ask(ctx, w, tokens, n)
		var none *noScores
		var refused *refusal
		var answer *AnswerError
		var failed *RequestError
		switch {
		case errors.As(err, &failed) && failed.Kind == Filtered:
			return nil, err // another prompt will find out the way
		case errors.As(err, &none):
			reasons = append(reasons, fmt.Sprintf("\n  %s: %v", w, none))
		case errors.As(err, &refused):
			reasons = append(reasons, fmt.Sprintf("\n  %s: %v", w, refused))
		case err == nil || errors.As(err, &answer):
			p.way = w
			return out, err
		default:
			return nil, err
		}
	}
	p.none = badinput.Errorf("endpoint %s, model %s: the server returns no log-probabilities of the prompt's "+
		"tokens, which scoring choices needs; use one that does, such as vLLM. Tried:%s",
		p.http.o.BaseURL, p.http.o.Model, strings.Join(reasons, ""))
	return nil, p.none
}

// ask makes one request.
func (p *PromptScorer) ask(ctx context.Context, w way, tokens []int32, n int) (out []TokenScore, err error) {
	body, err := w.body(p.http.o.Model, tokens)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	err = p.http.attempts(ctx, uint64(len(tokens)), place{tokens: len(tokens)}, func() error {
		data, err := p.http.try(ctx, http.MethodPost, p.http.url, payload)
		if err == nil {
			out, err = p.parse(w, data, tokens, n)
		}
		return err
	})
	return out, err
}

// way is one of the ways to ask.
type way interface {
	fmt.Stringer
	body(model string, tokens []int32) (map[string]any, error)
	// scores reads the scores of the last n tokens from the first choice of an
	// answer. It returns *noScores if there are none.
	scores(c choice, tokens []int32, n int) ([]TokenScore, error)
}

// noScores is the error of an answer without scores, after which another way is tried.
type noScores struct{ text string }

func (n *noScores) Error() string { return n.text }

// choice holds the fields of the answers in all ways.
type choice struct {
	PromptLogProbs []map[string]rankedLogProb `json:"prompt_logprobs"`
	LogProbs       *promptEcho                `json:"logprobs"`
}

// promptEcho holds one entry per token.
type promptEcho struct {
	Tokens   []json.RawMessage     `json:"tokens"`
	LogProbs []*float64            `json:"token_logprobs"`
	Top      []map[string]*float64 `json:"top_logprobs"`
}

type rankedLogProb struct {
	LogProb *float64 `json:"logprob"`
	Rank    *int     `json:"rank"`
}

// notFinite matches NaN and the infinities as Python writes them. They are not valid JSON.
var notFinite = regexp.MustCompile(`[:,\[\s](NaN|-?Infinity)\b`)

func (p *PromptScorer) parse(w way, data []byte, tokens []int32, n int) ([]TokenScore, error) {
	var a struct {
		Error   json.RawMessage `json:"error"`
		Choices []choice        `json:"choices"`
		Usage   struct {
			Prompt *int `json:"prompt_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		if found := notFinite.FindSubmatch(data); found != nil {
			return nil, unusable("the answer has a log-probability of %s, expected a finite number", found[1])
		}
		return nil, notJSON(data, err)
	}
	if len(a.Choices) == 0 {
		if err := tooLong(data); err != nil {
			return nil, err
		}
		if len(a.Error) > 0 && string(a.Error) != "null" {
			return nil, &pause.Passing{Err: fmt.Errorf("the server says: %s", p.http.said(data))}
		}
		return nil, &pause.Passing{Err: errors.New("the answer has no choice")}
	}
	if n := a.Usage.Prompt; n != nil && *n != 0 && *n != len(tokens) {
		return nil, unusable("the server read %d prompt tokens, expected the %d that were sent", *n, len(tokens))
	}
	return w.scores(a.Choices[0], tokens, n)
}

// vllm asks for prompt_logprobs. One token has to be generated.
type vllm struct{}

func (vllm) String() string { return "prompt_logprobs" }

func (vllm) body(model string, tokens []int32) (map[string]any, error) {
	return map[string]any{"model": model, "prompt": tokens, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 1}, nil
}

func (vllm) scores(c choice, tokens []int32, n int) ([]TokenScore, error) {
	if len(c.PromptLogProbs) < len(tokens) {
		return nil, &noScores{fmt.Sprintf("the answer has %d entries, expected %d, one per token", len(c.PromptLogProbs), len(tokens))}
	}
	if n := len(c.PromptLogProbs); n > len(tokens) {
		return nil, unusable("the answer has %d log-probabilities, expected %d, one per token", n, len(tokens))
	}
	out := make([]TokenScore, 0, n)
	for i := len(tokens) - n; i < len(tokens); i++ {
		entry, id := c.PromptLogProbs[i], strconv.Itoa(int(tokens[i]))
		own, ok := entry[id]
		if !ok {
			return nil, unusable("the answer has no log-probability of token %d (counted from 0), which is %s", i, id)
		}
		best := math.Inf(-1)
		for _, other := range entry {
			if other.LogProb != nil {
				best = max(best, *other.LogProb)
			}
		}
		s, err := scored(i, own.LogProb, best)
		if err != nil {
			return nil, err
		}
		if own.Rank != nil {
			s.Greedy = *own.Rank == 1 || s.Greedy && len(entry) > 1
		}
		out = append(out, s)
	}
	return out, nil
}

// scored checks a token's log-probability against the best one at its position.
func scored(i int, logProb *float64, best float64) (TokenScore, error) {
	switch {
	case logProb == nil:
		return TokenScore{}, unusable("the log-probability of token %d (counted from 0) is null, which only the first token's may be", i)
	case math.IsNaN(*logProb) || math.IsInf(*logProb, 0) || *logProb > 1e-3:
		return TokenScore{}, unusable("the log-probability of token %d (counted from 0) is %g", i, *logProb)
	case math.IsInf(best, -1):
		return TokenScore{}, unusable("the answer does not name the most likely token at the position of token %d (counted from 0)", i)
	}
	return TokenScore{*logProb, *logProb >= best}, nil
}

// echo asks for the prompt with logprobs. Some servers have to generate a token as well.
type echo struct{ generated int }

func (e echo) String() string { return fmt.Sprintf("echo, logprobs and max_tokens %d", e.generated) }

func (e echo) body(model string, tokens []int32) (map[string]any, error) {
	return map[string]any{"model": model, "prompt": tokens, "max_tokens": e.generated, "temperature": 0, "echo": true, "logprobs": 1}, nil
}

func (e echo) scores(c choice, tokens []int32, n int) ([]TokenScore, error) {
	if err := c.LogProbs.check(len(tokens), e.generated); err != nil {
		return nil, err
	}
	return c.LogProbs.last(len(tokens), 0, n)
}

// check returns an error unless an answer has an entry for each token of the prompt. A
// server that may generate a token can also generate none.
func (l *promptEcho) check(prompt, generated int) error {
	if l == nil {
		l = new(promptEcho)
	}
	switch n := len(l.LogProbs); {
	case n < prompt:
		return &noScores{fmt.Sprintf("the answer has %d log-probabilities, expected %d, one per token", n, prompt)}
	case !slices.ContainsFunc(l.LogProbs[:prompt], func(p *float64) bool { return p != nil }):
		return &noScores{"the prompt's log-probabilities are all null"}
	case len(l.Top) < prompt:
		return &noScores{"the answer does not name the most likely tokens (top_logprobs)"}
	case n > prompt+generated:
		return unusable("the answer has %d log-probabilities, expected at most %d", n, prompt+generated)
	}
	return nil
}

// last returns the scores of the last n tokens. The first token of the prompt
// has no entry.
func (l *promptEcho) last(tokens, without, n int) ([]TokenScore, error) {
	out := make([]TokenScore, 0, n)
	for i := tokens - n; i < tokens; i++ {
		best := math.Inf(-1)
		for _, p := range l.Top[i-without] {
			if p != nil {
				best = max(best, *p)
			}
		}
		s, err := scored(i, l.LogProbs[i-without], best)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// textEcho is echo for a server that takes only texts, adds the beginning token to them and
// does not echo it, such as llama-cpp-python's. Token texts are compared to check that the
// server tokenised as Barka does. max_tokens is 1, because these servers read 0 as
// unlimited.
type textEcho struct {
	text func(tokens []int32) (Text, error)
}

func (textEcho) String() string { return "echo, logprobs, max_tokens 1 and the prompt as text" }

func (t textEcho) body(model string, tokens []int32) (map[string]any, error) {
	text, err := t.text(tokens)
	if err != nil {
		return nil, badinput.Wrap(&AnswerError{err})
	}
	return map[string]any{"model": model, "prompt": text.Whole, "max_tokens": 1, "temperature": 0, "echo": true, "logprobs": 1}, nil
}

func (t textEcho) scores(c choice, tokens []int32, n int) ([]TokenScore, error) {
	text, err := t.text(tokens)
	if err != nil {
		return nil, unusable("%w", err)
	}
	l := c.LogProbs
	if err := l.check(len(tokens)-1, 1); err != nil {
		return nil, err
	}
	for i, piece := range text.Pieces {
		var theirs string
		if i >= len(l.Tokens) || json.Unmarshal(l.Tokens[i], &theirs) != nil {
			return nil, unusable("the answer does not name its tokens")
		}
		if !samePiece(piece, theirs) {
			return nil, unusable("token %d (counted from 0) is %q here and %q on the server, which takes only texts; give its "+
				"tokenizer with --tokenizer", i+1, piece, theirs)
		}
	}
	return l.last(len(tokens), 1, n)
}

// samePiece compares the texts of one token. A part of a character has no text,
// and servers differ in whether a space before a word belongs to its text.
func samePiece(a, b string) bool {
	const part = "\ufffd"
	if strings.Contains(a, part) || strings.Contains(b, part) || b == "" {
		return true
	}
	return strings.TrimLeft(a, " ") == strings.TrimLeft(b, " ")
}
