package chat

import (
	"strings"

	"barka/internal/badinput"
	"barka/internal/jinja"
	"barka/internal/pytext"
	"barka/internal/tokenizer"
)

// Tokens returns the conversation's tokens; with generation they end where the
// assistant's answer begins. Control tokens are parsed in what the template
// wrote alone.
func (c *Template) Tokens(messages []Message, generation bool) ([]int32, error) {
	out, err := c.run(messages, generation)
	if err != nil {
		return nil, err
	}
	return c.tok.EncodeOptions(out.Text.String(), written(out.Text)), nil
}

// written limits control tokens to the bytes that the template wrote.
func written(text jinja.Text) tokenizer.EncodeOptions {
	o := tokenizer.EncodeOptions{NoParseSpecial: true}
	text.Runs(func(start, end int, origin jinja.Origin) {
		if origin == 0 && start < end {
			o.Trusted = append(o.Trusted, [2]int{start, end})
		}
	})
	return o
}

// Encode returns the conversation's tokens and, for each, whether it belongs
// to an assistant's answer; see Answers.
func (c *Template) Encode(messages []Message) (tokens []int32, trained []bool, err error) {
	tokens, answers, err := c.Answers(messages)
	if err != nil {
		return nil, nil, err
	}
	trained = make([]bool, len(tokens))
	for _, a := range answers {
		for i := a[0]; i < a[1]; i++ {
			trained[i] = true
		}
	}
	return tokens, trained, nil
}

// Answers returns the conversation's tokens, and the range [from, to) of tokens
// of each of the assistant's answers, the control tokens that end its turn
// included. Where the template marks answers by {% generation %}, the ranges are
// the marked ones; else they are found as rendering shows them (see answers). An
// answer whose place or end cannot be told is an error.
func (c *Template) Answers(messages []Message) (tokens []int32, answers [][2]int, err error) {
	out, err := c.run(messages, false)
	if err != nil {
		return nil, nil, err
	}
	text := out.Text.String()
	parts := c.tok.Stretches(text, written(out.Text))
	spans := out.Generations
	if spans == nil {
		spans, err = c.answers(messages, out, parts)
	} else {
		err = shown(messages, out.Text)
	}
	if err != nil {
		return nil, nil, err
	}
	ranges := make([][2]int, len(spans)) // empty until a stretch has bytes of the span
	for _, p := range parts {
		first := len(tokens)
		tokens = append(tokens, p.IDs...)
		for i, s := range spans {
			if s[0] < p.End && p.Start < s[1] {
				a, b := c.within(text, p, s)
				if r := &ranges[i]; r[0] == r[1] {
					*r = [2]int{first + a, first + b}
				} else {
					r[1] = first + b
				}
			}
		}
	}
	for _, r := range ranges {
		if r[0] < r[1] {
			answers = append(answers, r)
		}
	}
	return tokens, answers, nil
}

// within returns the tokens [a, b) of a stretch of text that hold bytes of a
// span. A token that holds bytes of both belongs to the span.
func (c *Template) within(text string, p tokenizer.Stretch, span [2]int) (a, b int) {
	count := func(end int) (n int, whole bool) {
		ids := c.tok.EncodeOptions(text[p.Start:end], tokenizer.EncodeOptions{NoParseSpecial: true, Inner: p.Start > 0})
		for n < len(ids) && n < len(p.IDs) && ids[n] == p.IDs[n] {
			n++
		}
		return n, n == len(ids)
	}
	b = len(p.IDs)
	if len(p.IDs) == 1 {
		return 0, 1
	}
	if span[0] > p.Start {
		a, _ = count(span[0])
	}
	if span[1] < p.End {
		var whole bool
		if b, whole = count(span[1]); !whole {
			b = min(b+1, len(p.IDs))
		}
	}
	return a, b
}

// answers finds the bytes that each assistant's message and the end of its
// turn have in a rendered conversation.
//
// An answer begins where the rendering of the messages before it, with the
// generation prompt, ends: from there on a model writes. Where that is no
// beginning of the conversation, as with templates that drop earlier
// reasoning, or where the template ignores the generation prompt, the answer
// begins with its own first byte.
//
// It ends with the first control token after it. There may be white space
// between them, and the token must be of the same turn: in the rendering of
// the messages up to this one, if the conversation begins with it.
func (c *Template) answers(messages []Message, out jinja.Output, parts []tokenizer.Stretch) ([][2]int, error) {
	text := out.Text.String()
	var spans [][2]int
	for i, m := range messages {
		if m.Role != "assistant" {
			continue
		}
		own, next, err := place(out.Text, i, m.Content)
		if err != nil {
			return nil, err
		}
		start := own[0]
		before, prompted := c.prefix(text, messages[:i], true)
		if _, plain := c.prefix(text, messages[:i], false); before != "" && prompted != plain && len(before) <= start {
			start = len(before)
		}
		if turn, _ := c.prefix(text, messages[:i+1], false); turn != "" {
			next = min(next, len(turn))
		}
		end := turnEnd(parts, own[1], next)
		if end == nil || strings.TrimFunc(text[own[1]:max(own[1], end.Start)], pytext.IsSpace) != "" {
			return nil, badinput.Errorf("the chat template puts no control token after the answer of message %d, so "+
				"that training could not teach where an answer ends; use a template that does, or mark answers with {%% generation %%}", i)
		}
		spans = append(spans, [2]int{start, end.End})
	}
	return spans, nil
}

// prefix renders messages. It returns the text if the conversation begins with
// it, "" otherwise; and the text in any case.
func (c *Template) prefix(text string, messages []Message, generation bool) (common, rendered string) {
	out, err := c.run(messages, generation)
	if err != nil {
		return "", "" // some templates refuse conversations that are cut
	}
	rendered = out.Text.String()
	if len(rendered) <= len(text) && text[:len(rendered)] == rendered {
		return rendered, rendered
	}
	return "", rendered
}

// shown reports the first answer that the template leaves out.
func shown(messages []Message, text jinja.Text) error {
	for i, m := range messages {
		if own, _, err := place(text, i, m.Content); m.Role == "assistant" && own[0] < 0 {
			return err
		}
	}
	return nil
}

// place finds the bytes of message i's content and where the next message's
// begin.
func place(text jinja.Text, i int, content string) (own [2]int, next int, err error) {
	own, next = [2]int{-1, -1}, len(text.String())
	apart, total := false, 0
	text.Runs(func(start, end int, origin jinja.Origin) {
		if origin == jinja.Origin(i+1) {
			total += end - start
		}
		switch {
		case origin == jinja.Origin(i+1) && own[0] < 0:
			own = [2]int{start, end}
		case origin == jinja.Origin(i+1):
			apart = apart || next < len(text.String())
			own[1] = end
		case origin != 0 && own[0] >= 0 && next == len(text.String()):
			next = start
		}
	})
	switch {
	case own[0] < 0:
		err = badinput.Errorf("the chat template leaves out the answer of message %d", i)
	case apart || total > len(content):
		err = badinput.Errorf("the chat template shows the answer of message %d in several places, so that it cannot be "+
			"told which tokens train", i)
	}
	return own, next, err
}

// turnEnd returns the first control token between two places, nil if there is
// none. It may take the white space before it, which an answer ended with.
func turnEnd(parts []tokenizer.Stretch, from, to int) *tokenizer.Stretch {
	for i, p := range parts {
		if p.Special && p.End > from && p.End <= to {
			return &parts[i]
		}
	}
	return nil
}
