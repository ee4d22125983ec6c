package main

import (
	"context"

	"barka/internal/backend"
	"barka/internal/sacrebleu"
	"barka/internal/stage/translate"
)

// backward translates translations back and scores the result against the lines they were
// made from. It has no checks and no ladder, since a better way back would hide a bad
// translation.
type backward struct {
	*scores
	c       *translateCmd
	o       translate.Options
	t       *backend.Translator            // of the lines
	reverse map[string]*backend.Translator // by the language that it translates from
}

// backward returns what --back does with a translator.
func (c *translateCmd) backward(o translate.Options, t *backend.Translator) (*backward, error) {
	s, err := metricFlags{Metrics: []string{"chrf", "chrf++"}, Tokenize: string(sacrebleu.MT13a)}.scores()
	o.Checks, o.Whole, o.To = "off", c.Raw, c.From
	b := &backward{scores: s, c: c, o: o, t: t, reverse: map[string]*backend.Translator{}}
	if err == nil {
		_, err = b.from(c.To)
	}
	return b, err
}

// from returns the translator from a language back into that of the lines.
func (b *backward) from(code string) (t *backend.Translator, err error) {
	if t = b.reverse[code]; t == nil {
		if t, err = b.t.Between(code, b.c.From); err == nil {
			b.reverse[code] = t
		}
	}
	return t, err
}

// batch adds the translations of some lines; b may be nil.
func (b *backward) batch(ctx context.Context, batch []textLine, translations []string) error {
	if b == nil {
		return nil
	}
	return b.c.eachTarget(batch, func(from string, places []int, lines []string) error {
		t, err := b.from(from)
		if err != nil {
			return err
		}
		texts := make([]string, len(places))
		for i, at := range places {
			texts[i] = translations[at]
		}
		o := b.o
		o.From = from
		back, _, err := translate.Lines(ctx, o, translate.Tools{Translator: t}, texts)
		for i, text := range back {
			b.add(text, lines[i:i+1])
		}
		return err
	})
}

// end reports the scores; b may be nil.
func (b *backward) end(a *app) {
	if b != nil {
		a.ui.Event("back_translation", "translated back, against the lines:\n"+b.text(1), b.scores)
	}
}
