// Package chattranslator translates with a chat model, on this machine or behind an
// endpoint. Families of models have prompts of their own, in the files of families.
package chattranslator

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/llm"
)

// Options are everything that changes what a model is asked.
type Options struct {
	// From and To are the languages, by NLLB's, M2M-100's or BCP 47's codes.
	From string `json:"from"`
	To   string `json:"to"`
	// Family is the name of a family, or the path of a YAML file; "" is the model's own.
	Family string `json:"family"`
	// Examples are translations that every request shows, Glossary terms that a request
	// shows if its text has them.
	Examples []Term `json:"examples,omitempty"`
	Glossary []Term `json:"glossary,omitempty"`
	// Temperature 0 takes the most likely token.
	Temperature float64 `json:"temperature"`
	TopP        float64 `json:"top_p"`
	// MaxTokens bounds an answer. A short text has a lower bound.
	MaxTokens int `json:"max_tokens"`

	Seed int64 `json:"-"` // of drawn answers
	// Concurrency is the number of requests in flight; 0 means 8.
	Concurrency int `json:"-"`
	// OwnTemplate: the client's chat template gets the languages itself, as
	// Family.OwnTemplate has it.
	OwnTemplate bool `json:"-"`
}

// Defaults returns the options without languages.
func Defaults() Options { return Options{TopP: 1, MaxTokens: 2048} }

// Validate reports the first option that makes no sense.
func (o Options) Validate() error {
	switch {
	case !(o.Temperature >= 0 && o.Temperature <= 2):
		return badinput.Errorf("second translator: temperature is %g, expected 0 to 2", o.Temperature)
	case !(o.TopP > 0 && o.TopP <= 1):
		return badinput.Errorf("second translator: top_p is %g, expected a number above 0 and at most 1", o.TopP)
	case o.MaxTokens < 1:
		return badinput.Errorf("second translator: max_tokens is %d, expected at least 1", o.MaxTokens)
	case o.Concurrency < 0:
		return badinput.Errorf("second translator: concurrency is %d, expected at least 1", o.Concurrency)
	}
	return nil
}

// Translator asks a chat model for translations. It is safe for concurrent use.
type Translator struct {
	client   llm.Client
	o        Options
	family   *Family
	from, to Language
	glossary *Glossary
	plain    *Family
	spent    *spending // shared with the translators into other languages
}

type spending struct {
	mu sync.Mutex
	Spent
}

func (s *spending) add(r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Calls++
	s.PromptTokens += int64(r.PromptTokens)
	s.CompletionTokens += int64(r.CompletionTokens)
	s.Cost += r.Cost
}

// Spent is what the requests so far used.
type Spent struct {
	Calls            int64   `json:"calls"`
	PromptTokens     int64   `json:"prompt_tokens"`
	CompletionTokens int64   `json:"completion_tokens"`
	Cost             float64 `json:"cost"` // by the endpoints' prices
}

// Result is what became of one text.
type Result struct {
	// Text is the translation, without what the model put around it.
	Text string `json:"text"`
	// Reason is a code for why there is no translation, such as refusal; "" if there is one.
	// Failed marks a request that failed and may succeed later.
	Reason           string  `json:"reason,omitempty"`
	Failed           bool    `json:"failed,omitempty"`
	PromptTokens     int     `json:"prompt_tokens"`
	CompletionTokens int     `json:"completion_tokens"`
	Cost             float64 `json:"cost,omitempty"`
}

// Reasons of results. A finish reason other than stop is "finish_" and the server's word,
// and a failed request is "request_" and the kind of llm.RequestError.
const (
	ReasonEmpty   = "empty"
	ReasonRefusal = "refusal"
	ReasonTooLong = "too_long"
)

// New returns a translator that asks the client's model.
func New(client llm.Client, o Options) (*Translator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	t := &Translator{client: client, o: o, plain: familyOf(""), spent: &spending{}}
	if t.o.Concurrency == 0 {
		t.o.Concurrency = 8
	}
	var err error
	if t.family, err = OpenFamily(o.Family, client.Name()); err != nil {
		return nil, err
	}
	if t.from, err = LanguageOf(o.From); err != nil {
		return nil, err
	}
	if t.to, err = LanguageOf(o.To); err != nil {
		return nil, err
	}
	if len(o.Glossary) > 0 {
		if t.ownTemplate() {
			return nil, badinput.Errorf("second translator: the chat template of %s takes a text and two languages, but no glossary; "+
				"leave the glossary out, or serve the model behind an endpoint", client.Name())
		}
		if t.glossary, err = NewGlossary(o.Glossary); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Translator) ownTemplate() bool { return t.o.OwnTemplate && t.family.OwnTemplate }

// Name identifies the model in provenance.
func (t *Translator) Name() string { return t.client.Name() }

// Family returns how the model is asked.
func (t *Translator) Family() *Family { return t.family }

// Identity returns everything but the model that decides a translation: the options, and
// the texts of the family's templates.
func (t *Translator) Identity() (json.RawMessage, error) {
	o := t.o
	o.Family = t.family.Name
	return json.Marshal(struct {
		Options
		System   *string  `json:"system,omitempty"`
		User     string   `json:"user"`
		Terms    string   `json:"terms"`
		Stop     []string `json:"stop,omitempty"`
		Raw      bool     `json:"raw"`
		Template bool     `json:"own_template"`
	}{o, t.family.System, t.family.User, t.family.Glossary, t.family.Stop, t.family.Raw, t.ownTemplate()})
}

// Spent returns what the requests so far used, those that failed at last not counted.
func (t *Translator) Spent() Spent {
	t.spent.mu.Lock()
	defer t.spent.mu.Unlock()
	return t.spent.Spent
}

// Into returns a translator into another language. They count what is spent together.
func (t *Translator) Into(to string) (*Translator, error) {
	o := t.o
	o.To = to
	other, err := New(t.client, o)
	if err == nil {
		other.spent = t.spent
	}
	return other, err
}

// Item is a text with terms of its own, which count as those of the glossary.
type Item struct {
	Text  string
	Terms []Term
}

// Translate translates texts, several at once. each, if not nil, is called with every
// result as it comes, one at a time, so that a paid answer can be kept. A request that
// fails by itself becomes a Result with a reason; an error that concerns all requests, an
// error of each, and the context's end are returned.
func (t *Translator) Translate(ctx context.Context, texts []string, each func(i int, r Result) error) ([]Result, error) {
	items := make([]Item, len(texts))
	for i, text := range texts {
		items[i].Text = text
	}
	return t.TranslateItems(ctx, items, each)
}

// TranslateItems is Translate for texts with terms.
func (t *Translator) TranslateItems(ctx context.Context, items []Item, each func(i int, r Result) error) ([]Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]Result, len(items))
	next := make(chan int)
	var workers sync.WaitGroup
	var keep sync.Mutex
	for range min(t.o.Concurrency, len(items)) {
		workers.Go(func() {
			for i := range next {
				r, err := t.one(ctx, items[i])
				if err == nil && each != nil {
					keep.Lock()
					err = each(i, r)
					keep.Unlock()
				}
				if err != nil {
					cancel(err)
				}
				results[i] = r
			}
		})
	}
feed:
	for i := range items {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return results, nil
}

// one translates a text.
func (t *Translator) one(ctx context.Context, item Item) (Result, error) {
	text := item.Text
	if strings.TrimSpace(text) == "" {
		return Result{Text: text}, nil
	}
	request, err := t.request(text, item.Terms...)
	if err != nil {
		return Result{}, err
	}
	answer, err := t.client.Complete(ctx, request)
	var long *llm.TooLong
	var failed *llm.RequestError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case errors.As(err, &long):
		return Result{Reason: ReasonTooLong}, nil
	case errors.As(err, &failed):
		return Result{Reason: "request_" + failed.Kind, Failed: failed.Kind != llm.Filtered}, nil
	default:
		return Result{}, err
	}
	r := Result{PromptTokens: answer.PromptTokens, CompletionTokens: answer.CompletionTokens, Cost: answer.Cost}
	t.spent.add(r)
	r.Text = clean(strings.ToValidUTF8(answer.Text, "\ufffd"), text, t.to.Name)
	switch {
	case answer.FinishReason != llm.FinishStop:
		r.Reason = "finish_" + llm.Code(answer.FinishReason)
	case r.Text == "":
		r.Reason = ReasonEmpty
	case refuses(r.Text, text):
		r.Reason = ReasonRefusal
	}
	return r, nil
}

// terms returns the terms of the glossary, and of its own, that a text has.
func (t *Translator) terms(text string, own []Term) ([]Term, error) {
	terms := t.glossary.In(text)
	if len(own) == 0 || t.ownTemplate() {
		return terms, nil
	}
	more, err := NewGlossary(own)
	for _, term := range more.In(text) {
		if !slices.ContainsFunc(terms, func(known Term) bool { return strings.EqualFold(known.Source, term.Source) }) {
			terms = append(terms, term)
		}
	}
	return terms, err
}

// request returns what the model is asked for a text with terms of its own.
func (t *Translator) request(text string, own ...Term) (llm.Request, error) {
	terms, err := t.terms(text, own)
	if err != nil {
		return llm.Request{}, err
	}
	r := llm.Request{Temperature: t.o.Temperature, TopP: t.o.TopP, Seed: t.seed(text),
		// An answer that is much longer than the text is no translation. Four tokens per
		// character are enough for a vocabulary that spells a script in bytes.
		MaxTokens: min(t.o.MaxTokens, 64+4*utf8.RuneCountInString(text))}
	if !strings.Contains(text, "\n") {
		r.Stop = t.family.Stop
	}
	if t.family.Raw {
		return t.rawRequest(r, text, terms)
	}
	if s := t.family.System; s != nil && !t.ownTemplate() {
		r.Messages = append(r.Messages, chat.Message{Role: "system", Content: *s})
	}
	for _, e := range t.o.Examples {
		prompt, err := t.prompt(e.Source, nil)
		if err != nil {
			return r, err
		}
		r.Messages = append(r.Messages, chat.Message{Role: "user", Content: prompt}, chat.Message{Role: "assistant", Content: e.Target})
	}
	prompt, err := t.prompt(text, terms)
	r.Messages = append(r.Messages, chat.Message{Role: "user", Content: prompt})
	return r, err
}

// rawRequest is request for a model without a chat template. Examples precede the text as
// prompts with their answers.
func (t *Translator) rawRequest(r llm.Request, text string, terms []Term) (llm.Request, error) {
	var b strings.Builder
	for _, e := range t.o.Examples {
		prompt, err := t.prompt(e.Source, nil)
		if err != nil {
			return r, err
		}
		fmt.Fprintf(&b, "%s %s\n\n", prompt, e.Target)
	}
	prompt, err := t.prompt(text, terms)
	b.WriteString(prompt)
	r.Prompt = b.String()
	return r, err
}

// prompt renders the prompt for a text. A family without a form for terms gets the plain
// one.
func (t *Translator) prompt(text string, terms []Term) (string, error) {
	if t.ownTemplate() {
		return text, nil
	}
	w := Words{From: t.from.Name, To: t.to.Name, FromCode: t.from.Code, ToCode: t.to.Code, ToChinese: t.to.Chinese, Text: text, Terms: terms}
	prompt, err := t.family.render(t.family.user, w)
	if err != nil || len(terms) == 0 {
		return prompt, err
	}
	with := t.family
	if with.Glossary == "" {
		with = t.plain
	}
	glossary, err := with.render(with.glossary, w)
	return strings.TrimRight(glossary, "\n") + "\n\n" + prompt, err
}

// seed returns the seed of a text's answer, which depends on the text and the run's seed
// alone.
func (t *Translator) seed(text string) int64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, t.o.Seed) // a hash takes every write
	h.Write([]byte(text))
	return int64(h.Sum64() & math.MaxInt64)
}
