package chat

import (
	"slices"

	"barka/internal/badinput"
	"barka/internal/jinja"
)

// ends are tokens that end an answer in the models that have them, beside the
// one that the template writes: a chat model that gives one has nothing more
// to say.
var ends = []string{"<end_of_turn>", "<eos>", "<|eot_id|>", "<|end_of_text|>", "<|eom_id|>", "<|im_end|>", "<|endoftext|>"}

// Stop returns the tokens that end an answer: the one with which the template
// ends it, the tokenizer's own end of text, and those known from other models.
func (c *Template) Stop() ([]int32, error) {
	var ids []int32
	add := func(id int32, ok bool) {
		if ok && id >= 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range c.endOfTurn() {
		add(id, true)
	}
	add(c.tok.Special().EOS, true)
	for _, s := range ends {
		if id, ok := c.tok.ID(s); ok && c.tok.IsSpecial(id) {
			add(id, true)
		}
	}
	if len(ids) == 0 {
		return nil, badinput.Errorf("neither the chat template nor tokenizer_config.json (eos_token) names a token that ends an answer")
	}
	return ids, nil
}

// endOfTurn are the control tokens that the template puts after an answer.
func (c *Template) endOfTurn() (ids []int32) {
	messages := []Message{{"user", "?"}, {"assistant", "!"}}
	out, err := c.run(messages, false)
	if err != nil {
		return nil
	}
	parts := c.tok.Stretches(out.Text.String(), written(out.Text))
	spans, err := c.answers(messages, jinja.Output{Text: out.Text}, parts)
	if err != nil {
		return nil
	}
	for _, p := range parts {
		switch {
		case p.End > spans[0][1]:
		case p.Special:
			ids = append(ids, p.IDs[0])
		default:
			ids = nil // the answer, or what comes before it
		}
	}
	return ids
}
