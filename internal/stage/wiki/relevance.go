package wiki

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/mediawiki"
	"barka/internal/panics"
)

//go:embed data/relevance.txt
var relevancePrompt string

// maxSummary bounds the lead that a model judges, in characters, and maxAnswer what is kept
// of its answer.
const (
	maxSummary = 2000
	maxAnswer  = 200
)

// prompt returns the question about a page: a text with {title} and {summary}.
func (o Options) prompt() (string, error) {
	if o.RelevancePrompt == "" {
		return relevancePrompt, nil
	}
	data, err := badinput.ReadFile(o.RelevancePrompt, badinput.MaxSettings)
	if err != nil {
		return "", badinput.Wrap(err)
	}
	text := string(data)
	for _, place := range []string{"{title}", "{summary}"} {
		if !strings.Contains(text, place) {
			return "", badinput.Errorf("%s: no %s; a prompt about relevance has {title} and {summary} where those of the page go",
				o.RelevancePrompt, place)
		}
	}
	return text, nil
}

// verdictOf is what a model said about a page.
type verdictOf struct {
	Answer string `json:"answer"`
	Yes    bool   `json:"yes"`
}

// readVerdict reads an answer. Only its first word counts: "No. Yes, it mentions Egypt, but"
// is a no. An answer that begins with neither word is none.
func readVerdict(text string) (v verdictOf, ok bool) {
	text = strings.TrimSpace(text)
	if i := strings.LastIndex(text, "</think>"); i >= 0 {
		text = strings.TrimSpace(text[i+len("</think>"):])
	}
	v.Answer = shortened(text, maxAnswer)
	word := strings.TrimLeftFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	if end := strings.IndexFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }); end >= 0 {
		word = word[:end]
	}
	switch strings.ToLower(word) {
	case "yes", "نعم":
		v.Yes = true
		return v, true
	case "no", "لا":
		return v, true
	}
	return v, false
}

func shortened(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// judgeWorkers is the number of questions that are asked at once.
const judgeWorkers = 8

// relevant asks the model about the leads of pages and returns those that it finds relevant.
// The others are rejected with the model's answer. Verdicts are journaled by page and
// revision, so that an interrupted run does not ask again.
func (s *stage) relevant(c *mediawiki.Client, prompt string) func(context.Context, []mediawiki.Resolved) ([]mediawiki.Resolved, error) {
	return func(ctx context.Context, pages []mediawiki.Resolved) (kept []mediawiki.Resolved, err error) {
		verdicts, err := s.verdicts(ctx, c, prompt, pages)
		if err != nil {
			return nil, err
		}
		for i, p := range pages {
			if verdicts[i].Yes {
				kept = append(kept, p)
			} else if err := s.out.Reject(s.rowOf(p), dataset.Reject{Reason: "irrelevant", Detail: verdicts[i].Answer}); err != nil {
				return nil, err
			}
		}
		return kept, nil
	}
}

// relevanceBatch is the number of pages whose leads are fetched before the model is asked
// about them. A kill loses no verdict.
const relevanceBatch = 20

func (s *stage) verdicts(ctx context.Context, c *mediawiki.Client, prompt string, pages []mediawiki.Resolved) ([]verdictOf, error) {
	verdicts := make([]verdictOf, len(pages))
	s.env.Progress.Start("relevance", int64(len(pages)), "pages")
	defer s.env.Progress.Done()
	var open []int // without a verdict
	for i, p := range pages {
		known, err := s.run.Journal().Get(verdictKey(p), &verdicts[i])
		if err != nil {
			return nil, err
		}
		if known {
			s.env.Progress.Skip(1)
		} else if open = append(open, i); len(open) == relevanceBatch || i == len(pages)-1 {
			if err := s.judge(ctx, c, prompt, pages, open, verdicts); err != nil {
				return nil, err
			}
			open = nil
		}
	}
	return verdicts, s.judge(ctx, c, prompt, pages, open, verdicts)
}

func verdictKey(p mediawiki.Resolved) string { return fmt.Sprintf("relevance %d %d", p.ID, p.Revision) }

// judge asks about the pages with the given places.
func (s *stage) judge(ctx context.Context, c *mediawiki.Client, prompt string, pages []mediawiki.Resolved, open []int,
	verdicts []verdictOf) error {
	if len(open) == 0 {
		return nil
	}
	var ids []int64
	for _, i := range open {
		ids = append(ids, pages[i].ID)
	}
	leads, err := c.Summaries(ctx, ids)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first error
	var once sync.Once
	places := make(chan struct{}, judgeWorkers)
	group := panics.Group{Stop: cancel}
	for _, i := range open {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			if err := s.judgeOne(ctx, prompt, pages[i], leads[pages[i].ID], &verdicts[i]); err != nil {
				once.Do(func() { first = err; cancel() })
			}
		})
	}
	group.Wait()
	return first
}

func (s *stage) judgeOne(ctx context.Context, prompt string, p mediawiki.Resolved, lead string, v *verdictOf) error {
	question := strings.NewReplacer("{title}", p.Title, "{summary}", shortened(lead, maxSummary)).Replace(prompt)
	a, err := s.model.Complete(ctx, llm.Request{Messages: []chat.Message{{Role: "user", Content: strings.TrimSpace(question)}},
		TopP: 1, MaxTokens: 64, Seed: dataset.RecordSeed(s.env.Seed, verdictKey(p), "wiki/relevance")})
	if err != nil {
		return fmt.Errorf("relevance of %q: %w", p.Title, err)
	}
	got, ok := readVerdict(a.Text)
	if !ok {
		got.Answer = "neither Yes nor No: " + got.Answer
	}
	*v = got
	s.env.Progress.Add(1)
	return s.run.Journal().Put(verdictKey(p), got)
}
