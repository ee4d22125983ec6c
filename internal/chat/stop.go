package chat

import (
	"slices"

	"barka/internal/badinput"
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
	add(c.EndOfTurn())
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

// EndOfTurn returns the control token that the template puts after an answer,
// if there is one.
func (c *Template) EndOfTurn() (id int32, ok bool) {
	messages := []Message{{"user", "?"}, {"assistant", "!"}}
	out, err := c.run(messages, false)
	if err != nil {
		return 0, false
	}
	own, next, err := place(out.Text, 1, messages[1].Content)
	if err != nil {
		return 0, false
	}
	end := turnEnd(c.tok.Stretches(out.Text.String(), written(out.Text)), own[1], next)
	if end == nil {
		return 0, false
	}
	return end.IDs[0], true
}
