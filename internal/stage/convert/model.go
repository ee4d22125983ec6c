package convert

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/modeltext"
	"barka/internal/prose"
)

// task is what a model is asked for: a question, or a reason.
type task struct {
	name, file, done string // done is the count of texts that were used
	check            func(text string, it item) (reason string)
}

var (
	justify = task{"justify", justifyFile, "justified", checkReason}
	rewrite = task{"rewrite", rewriteFile, "rewritten", checkRewritten}
)

// maxFailed is how many requests in a row may fail before the run stops: each of these rows
// would keep its template, unnoticed.
const maxFailed = 20

// asker asks the model, and journals every answer.
type asker struct {
	o         Options
	client    llm.Client
	templates *Templates
	seed      int64
	calls     *durable.Journal

	mu     sync.Mutex
	failed int // requests in a row
}

func newAsker(o Options, client llm.Client, t *Templates, seed int64, calls *durable.Journal) *asker {
	return &asker{o: o, client: client, templates: t, seed: seed, calls: calls}
}

// answer is a journaled answer of the model.
type answer struct {
	Text             string `json:"text"`
	FinishReason     string `json:"finish_reason"`
	PromptTokens     int    `json:"prompt_tokens"`
	CompletionTokens int    `json:"completion_tokens"`
}

// promptData is what the prompts may use.
type promptData struct {
	shown
	Answer string // the right option, or the verdict
	Ask    string // gap or open
}

// ask returns a text of the model for an entry that passes the task's check, or "" if there
// is none: the row then keeps its template. The outcome is counted. In a plan nothing is
// asked.
func (c *converter) ask(ctx context.Context, e *entry, t task) (string, error) {
	e.calls++
	if c.asker == nil {
		return "", nil
	}
	text, reason, err := c.asker.ask(ctx, e, t)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", e.row.where, t.name, err)
	}
	if reason != "" {
		e.counts = append(e.counts, t.name+"_failed", t.name+"_failed_"+reason)
		return "", nil
	}
	e.counts = append(e.counts, t.done)
	e.out.Generator, e.out.FinishReason, e.out.PromptDigest = c.asker.client.Name(), llm.FinishStop, c.templates.digest(c.o)
	return text, nil
}

// ask asks up to Attempts times.
func (a *asker) ask(ctx context.Context, e *entry, t task) (text, reason string, err error) {
	d := promptData{shown: show(e.item, ""), Ask: e.item.ask}
	if d.verdict != nil {
		d.Answer, _ = d.Say("yes, true", "no, false")
	} else if d.Answer, err = d.Text(); err != nil {
		return "", "", err
	}
	var b strings.Builder
	if err := a.templates.prompts.ExecuteTemplate(&b, t.file, d); err != nil {
		return "", "", err
	}
	for attempt := range a.o.Attempts {
		got, reason2, err := a.call(ctx, fmt.Sprintf("%s/%s/%d", t.name, e.id, attempt), llm.Request{
			Messages:    []chat.Message{{Role: "user", Content: strings.TrimSpace(b.String())}},
			Temperature: a.o.Temperature, TopP: 1, MaxTokens: a.o.MaxTokens,
			Seed: dataset.RecordSeed(a.seed, e.id, fmt.Sprintf("convert/%s/%d", t.name, attempt)),
		})
		if err != nil || reason2 != "" {
			return "", reason2, err
		}
		e.out.PromptTokens += int32(got.PromptTokens)
		e.out.CompletionTokens += int32(got.CompletionTokens)
		if got.FinishReason != llm.FinishStop {
			reason = "unfinished"
			continue
		}
		text = bare(got.Text)
		if reason = t.check(text, e.item); reason == "" {
			return text, "", nil
		}
	}
	return "", reason, nil
}

// call returns the journaled answer of a call, or asks. A request that fails by itself is
// returned as a reason.
func (a *asker) call(ctx context.Context, key string, r llm.Request) (got answer, reason string, err error) {
	if ok, err := a.calls.Get(key, &got); ok || err != nil {
		return got, "", err
	}
	resp, err := a.client.Complete(ctx, r)
	var tooLong *llm.TooLong
	var refused *llm.RequestError
	switch {
	case errors.As(err, &tooLong):
		return got, "too_long", nil
	case errors.As(err, &refused):
		return got, "request_" + refused.Kind, a.fails(refused)
	case err != nil:
		return got, "", err
	}
	a.mu.Lock()
	a.failed = 0
	a.mu.Unlock()
	got = answer{resp.Text, resp.FinishReason, resp.PromptTokens, resp.CompletionTokens}
	return got, "", a.calls.Put(key, got)
}

// fails counts a failed request, and returns an error when too many fail in a row.
func (a *asker) fails(why error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed++; a.failed < maxFailed {
		return nil
	}
	return badinput.Errorf("%d requests in a row failed, the last with: %w; the same command continues", maxFailed, why)
}

// bare removes a model's thoughts and the quotation marks around its text.
func bare(s string) string {
	s = strings.TrimSpace(modeltext.WithoutThoughts(s))
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' && strings.Count(s, `"`) == 2 {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

var (
	refusal = regexp.MustCompile(`(?i)^(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:'t|not)|apologi[sz]e)|` +
		`(?:sorry|as an ai|sure|certainly|here (?:is|are))\b)`)
	optionRef = regexp.MustCompile(`(?i)\b(?:option|choice|answer)s?\b|\b[A-E][.)]|\b[1-5][)]`)
	textRef   = regexp.MustCompile(`(?i)\b(?:the|this) (?:text|passage|article|paragraph|question|statement says)\b`)
	negation  = regexp.MustCompile(`(?i)\b(?:not|no|never|except|least|false|incorrect|untrue|without|nor|neither)\b|n['’]t\b`)
	numerals  = regexp.MustCompile(`\p{Nd}+(?:[.,]\p{Nd}+)*`)
)

// common checks what every text of a model must be.
func common(text string) string {
	letters, own := prose.Letters(text, english)
	switch {
	case text == "":
		return "empty"
	case strings.ContainsRune(text, '\uFFFD'):
		return "encoding"
	case refusal.MatchString(text):
		return "refusal"
	case 4*own < 3*letters:
		return "language"
	}
	return ""
}

// maxReason bounds the words of a reason; the prompt asks for fewer.
const maxReason = 60

// checkReason returns what is wrong with a reason: it must be one sentence that neither names
// options nor contradicts the verdict.
func checkReason(text string, it item) string {
	if why := common(text); why != "" {
		return why
	}
	first, _, _ := strings.Cut(strings.ToLower(text), " ")
	first = strings.Trim(first, ".,:;")
	switch {
	case strings.HasSuffix(text, "?") || !oneSentence(text, maxReason) || len(strings.Fields(text)) < 3:
		return "not_one_sentence"
	case optionRef.MatchString(text):
		return "names_options"
	case textRef.MatchString(text):
		return "mentions_text"
	case len(it.options) > 0 && words(text) == words(it.options[it.gold]):
		return "echo"
	case it.verdict != nil && (*it.verdict && (first == "no" || first == "false") || !*it.verdict && (first == "yes" || first == "true")):
		return "contradiction"
	}
	return ""
}

// checkRewritten returns what is wrong with a question that was made of a sentence: it must be
// one question with the sentence's words, numbers and negations, and without the options.
func checkRewritten(text string, it item) string {
	if why := common(text); why != "" {
		return why
	}
	stem := strings.TrimSuffix(it.question, " …")
	switch {
	case !strings.HasSuffix(text, "?") || strings.Count(text, "?") != 1+strings.Count(stem, "?") || strings.Contains(text, "\n"):
		return "not_one_question"
	case strings.Contains(text, "__") || strings.Contains(text, "…"):
		return "gap"
	case len(strings.Fields(text)) > len(strings.Fields(stem))+15:
		return "long"
	case len(negation.FindAllString(text, -1)) != len(negation.FindAllString(stem, -1)):
		return "negation"
	}
	for _, n := range numerals.FindAllString(stem, -1) {
		if !strings.Contains(text, n) {
			return "number"
		}
	}
	for _, o := range it.options {
		if strings.Contains(spaced(text), spaced(o)) && !strings.Contains(spaced(stem), spaced(o)) {
			return "names_options"
		}
	}
	kept, all := 0, 0
	flat := strings.ToLower(text)
	for _, w := range strings.Fields(strings.ToLower(stem)) {
		if w = words(w); len([]rune(w)) > 3 {
			all++
			if strings.Contains(flat, w[:min(len(w), 5)]) {
				kept++
			}
		}
	}
	if 3*kept < 2*all {
		return "other_words"
	}
	return ""
}

// spaced returns a text's words in lower case with a blank before and behind each.
func spaced(s string) string {
	list := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return words(string(r)) == "" })
	return " " + strings.Join(list, " ") + " "
}
