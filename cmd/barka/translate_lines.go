package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"barka/internal/backend"
	"barka/internal/jsonl"
	"barka/internal/lines"
	"barka/internal/stage/translate"
	"barka/internal/tokenizer"
)

// batchLines is the number of lines that are translated in one batch. The output
// keeps the order of the input.
const batchLines = 32

// textLine is a line to translate. to is its target language, "" for that of --to.
type textLine struct {
	text, to string
	object   json.RawMessage // the line itself with --to-column
}

// toLanguage returns a translator into a language.
type toLanguage func(code string) (translate.Translator, error)

// into makes a toLanguage of a translator's method.
func into[T translate.Translator](method func(code string) (T, error)) toLanguage {
	return func(code string) (translate.Translator, error) { return method(code) }
}

// read takes a line as text, or with --to-column as a JSON object with a text and a
// language.
func (c *translateCmd) read(line lines.Line, to toLanguage) (textLine, error) {
	if c.ToColumn == "" {
		return textLine{text: string(line.Data)}, nil
	}
	var fields map[string]json.RawMessage
	if err := jsonl.Unmarshal(line.Data, &fields); err != nil {
		return textLine{}, line.Errorf("%w; with --to-column every line is a JSON object", err)
	}
	l := textLine{object: bytes.Clone(line.Data)}
	for name, field := range map[string]*string{"text": &l.text, c.ToColumn: &l.to} {
		value, ok := fields[name]
		if !ok && name == c.ToColumn {
			continue
		}
		if !ok || json.Unmarshal(value, field) != nil || string(value) == "null" {
			return l, line.Errorf("%s is %s, expected a string", name, cmp.Or(string(value), "missing"))
		}
	}
	if l.to == "" {
		return l, nil
	}
	if tokenizer.NLLBCode(l.to) == tokenizer.NLLBCode(c.From) {
		return l, line.Errorf("%s is %s, the language of the text, %s", c.ToColumn, l.to, c.From)
	}
	if _, err := to(l.to); err != nil {
		return l, line.Errorf("%s: %w", c.ToColumn, err)
	}
	return l, nil
}

// batches calls f with batches of lines and the number of the first of each.
func (c *translateCmd) batches(a *app, to toLanguage, f func(first int, batch []textLine) error) error {
	var batch []textLine
	first := 1
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := f(first, batch)
		first += len(batch)
		batch = batch[:0]
		return err
	}
	err := a.each(a.stdinLines(), func(line lines.Line) error {
		l, err := c.read(line, to)
		if err != nil {
			return err
		}
		if batch = append(batch, l); len(batch) < batchLines {
			return nil
		}
		return flush()
	})
	if errors.Is(err, context.Canceled) {
		return err
	}
	return cmp.Or(flush(), err) // also the lines before a bad one
}

// eachTarget calls f for each target language of a batch, with the places of its lines in
// the batch and their texts.
func (c *translateCmd) eachTarget(batch []textLine, f func(to string, places []int, texts []string) error) error {
	places, texts := map[string][]int{}, map[string][]string{}
	for i, l := range batch {
		to := cmp.Or(l.to, c.To)
		places[to], texts[to] = append(places[to], i), append(texts[to], l.text)
	}
	for _, to := range slices.Sorted(maps.Keys(places)) {
		if err := f(to, places[to], texts[to]); err != nil {
			return err
		}
	}
	return nil
}

// losses counts the lines whose input or output was truncated.
type losses struct {
	Lines  int `json:"lines"`
	Cut    int `json:"lines_cut"` // lines with source tokens that did not fit
	Tokens int `json:"tokens_cut"`
	HitMax int `json:"lines_hit_max"` // lines with an output that the limit of its length ended
}

// line adds the losses of a line and warns of them.
func (l *losses) line(a *app, number, cut int, hitMax bool) {
	l.Lines++
	where := lines.Line{Name: lines.Stdin, Number: number}.Where()
	if cut > 0 {
		l.Cut++
		l.Tokens += cut
		a.ui.Warnf("%s: %d source tokens did not fit into the model and were cut", where, cut)
	}
	if hitMax {
		l.HitMax++
		a.ui.Warnf("%s: the translation is unfinished: it reached --max-length or --max-length-ratio", where)
	}
}

// end prints the sums if anything was cut.
func (l *losses) end(a *app) {
	if l.Cut+l.HitMax > 0 {
		a.ui.Event("losses", fmt.Sprintf("translate: %d lines, %d cut (%d source tokens), %d unfinished at their largest length",
			l.Lines, l.Cut, l.Tokens, l.HitMax), l)
	}
}

// rawLine is the JSON of a line with --raw.
type rawLine struct {
	backend.Hypothesis
	Cut        int                  `json:"cut"` // source tokens
	HitMax     bool                 `json:"hit_max"`
	Hypotheses []backend.Hypothesis `json:"hypotheses,omitempty"` // all, best first
	Input      json.RawMessage      `json:"input,omitempty"`      // with --to-column
}

func (c *translateCmd) rawLines(a *app, t *backend.Translator, check *referenceCheck) error {
	var lost losses
	defer lost.end(a)
	return c.batches(a, into(t.Into), func(first int, batch []textLine) error {
		out, translated := make([]backend.Output, len(batch)), make([]string, len(batch))
		err := c.eachTarget(batch, func(to string, places []int, texts []string) error {
			t, err := t.Into(to)
			if err != nil {
				return err
			}
			part, err := t.Run(a.ctx, texts, nil)
			for j, o := range part {
				out[places[j]], translated[places[j]] = o, o.Text
			}
			return err
		})
		if err != nil {
			return err
		}
		for i, o := range out {
			lost.line(a, first+i, o.Cut, o.HitMax)
			if err := check.line(first+i, o.Text); err != nil {
				return err
			}
			if a.JSON {
				r := rawLine{Hypothesis: o.Hypothesis, Cut: o.Cut, HitMax: o.HitMax, Input: batch[i].object}
				if len(o.Others) > 0 {
					r.Hypotheses = append([]backend.Hypothesis{o.Hypothesis}, o.Others...)
				}
				err = json.NewEncoder(a.stdout).Encode(r)
			} else {
				_, err = fmt.Fprintln(a.stdout, o.Text)
			}
			if err != nil {
				return err
			}
		}
		return check.back.batch(a.ctx, batch, translated)
	})
}

func (c *translateCmd) lines(a *app, o translate.Options, into toLanguage, second *backend.ChatTranslator,
	check *referenceCheck) error {
	var lost losses
	defer lost.end(a)
	return c.batches(a, into, func(first int, batch []textLine) error {
		out, segments := make([]string, len(batch)), make([][]translate.LineSegment, len(batch))
		err := c.eachTarget(batch, func(to string, places []int, texts []string) error {
			t, err := into(to)
			if err != nil {
				return err
			}
			o := o
			o.To = to
			tools := translate.Tools{Translator: t}
			if second != nil {
				if tools.Second, err = second.Into(to); err != nil {
					return err
				}
			}
			part, of, err := translate.Lines(a.ctx, o, tools, texts)
			for j, text := range part {
				out[places[j]], segments[places[j]] = text, of[j]
			}
			return err
		})
		if err != nil {
			return err
		}
		for i, text := range out {
			cut, hitMax := 0, false
			for j, s := range segments[i] {
				segments[i][j].Alternatives = s.Alternatives[:min(len(s.Alternatives), c.NumReturn-1)]
				cut += s.Cut
				hitMax = hitMax || slices.Contains(s.Flags, translate.FlagHitMax)
			}
			lost.line(a, first+i, cut, hitMax)
			if err := check.line(first+i, text); err != nil {
				return err
			}
			if a.JSON {
				err = json.NewEncoder(a.stdout).Encode(struct {
					Text     string                  `json:"text"`
					Cut      int                     `json:"cut"` // source tokens
					Segments []translate.LineSegment `json:"segments"`
					Input    json.RawMessage         `json:"input,omitempty"` // with --to-column
				}{text, cut, segments[i], batch[i].object})
			} else {
				_, err = fmt.Fprintln(a.stdout, text)
			}
			if err != nil {
				return err
			}
		}
		return check.back.batch(a.ctx, batch, out)
	})
}
