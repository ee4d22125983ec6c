package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/tokenizer"
)

// row is what training reads of a dataset row. ObjectiveSFT reads messages, or conversations in
// the ShareGPT spelling; ObjectiveText reads text; ObjectiveDPO reads prompt, chosen and
// rejected, each a text or messages.
type row struct {
	Messages      []chat.Message `json:"messages" parquet:"messages,list"`
	Conversations []dataset.Turn `json:"conversations" parquet:"conversations,list"`
	Text          any            `json:"text"`
	Prompt        any            `json:"prompt"`
	Chosen        any            `json:"chosen"`
	Rejected      any            `json:"rejected"`
}

// needs describes the rows that an objective trains on.
func (o Options) needs() string {
	switch o.Objective {
	case ObjectiveText:
		return "rows need a text"
	case ObjectiveDPO:
		return fmt.Sprintf("rows need chosen and rejected, texts with a prompt or lists of messages, within max_length %d", o.MaxLength)
	}
	return fmt.Sprintf("rows need messages (role, content) or conversations (from, value) with an answer within max_length %d", o.MaxLength)
}

func (r row) messages() ([]chat.Message, error) {
	if len(r.Messages) > 0 {
		return r.Messages, nil
	}
	var out []chat.Message
	roles := map[string]string{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
		"model": "assistant", "system": "system"}
	for _, t := range r.Conversations {
		role, ok := roles[t.From]
		if !ok {
			return nil, fmt.Errorf("from %q, expected human, gpt or system", t.From)
		}
		out = append(out, chat.Message{Role: role, Content: t.Value})
	}
	return out, nil
}

// conversation writes a conversation's sample, or returns why the row is dropped.
func (r *reader) conversation(row row, n int) (reason string, err error) {
	messages, err := row.messages()
	if err != nil {
		return "", err
	}
	tokens, answers, reason, err := r.encode(messages)
	if reason != "" || err != nil {
		return reason, err
	}
	// What does not end within max_length is lost with all that follows it: half an answer
	// would teach to stop anywhere, or nowhere.
	fit := 0
	for fit < len(answers) && answers[fit][1] <= r.o.MaxLength {
		fit++
	}
	lost := len(answers) - fit
	if fit == 0 || lost > 0 && r.o.LastTurn {
		return dropLong, nil
	}
	if answers = answers[:fit]; r.o.LastTurn {
		answers = answers[fit-1:]
	}
	words := marked(tokens, answers)
	if len(words) < 2 {
		return dropUntrained, nil
	}
	if lost > 0 {
		r.d.Cut++
		r.d.CutAnswers += lost
	}
	return r.add(n, words)
}

// encode renders a conversation with the chat template.
func (r *reader) encode(messages []chat.Message) (tokens []int32, answers [][2]int, reason string, err error) {
	if len(messages) == 0 {
		return nil, nil, dropEmpty, nil
	}
	for _, m := range messages {
		if m.Role == "assistant" && strings.TrimSpace(m.Content) == "" {
			return nil, nil, dropNoAnswer, nil
		}
	}
	tokens, answers, err = r.format.Answers(messages)
	var refused *chat.Refused
	if errors.As(err, &refused) {
		if r.refusal == "" {
			r.refusal = fmt.Sprintf("; row %d: %s", r.d.Rows, refused.Reason)
		}
		return nil, nil, dropRoles, nil
	}
	if err == nil && len(answers) == 0 {
		reason = dropUntrained
	}
	return tokens, answers, reason, err
}

// marked returns the tokens up to the last answer's end, with those of answers trained. Nothing
// predicts the first token.
func marked(tokens []int32, answers [][2]int) []uint32 {
	words := make([]uint32, answers[len(answers)-1][1])
	for i := range words {
		words[i] = uint32(tokens[i])
		if i > 0 && slices.ContainsFunc(answers, func(a [2]int) bool { return a[0] <= i && i < a[1] }) {
			words[i] |= trainedBit
		}
	}
	return words
}

// text writes the samples of a document: all of its tokens after the first are trained, and so
// is the token that ends a text. Of a document that is longer than max_length each sample
// begins with the last target of the one before it.
func (r *reader) text(row row, n int) (reason string, err error) {
	text, ok := row.Text.(string)
	if !ok && row.Text != nil {
		return "", fmt.Errorf("text is a %T, expected a text", row.Text)
	}
	if strings.TrimSpace(text) == "" {
		return dropEmpty, nil
	}
	tokens := r.tok.EncodeOptions(text, tokenizer.EncodeOptions{AddSpecial: true, NoParseSpecial: true})
	if eos := r.tok.Special().EOS; eos >= 0 && (len(tokens) == 0 || tokens[len(tokens)-1] != eos) {
		tokens = append(tokens, eos)
	}
	if len(tokens) < 2 {
		return dropUntrained, nil
	}
	var samples [][]uint32
	for from := 0; from+1 < len(tokens); from += r.o.MaxLength {
		part := tokens[from:min(from+r.o.MaxLength+1, len(tokens))]
		samples = append(samples, marked(part, [][2]int{{1, len(part)}}))
	}
	return r.add(n, samples...)
}

// pair writes the samples of a prompt with its better and its worse answer.
func (r *reader) pair(row row, n int) (reason string, err error) {
	chosen, rejected, err := row.sides()
	if err != nil {
		return "", err
	}
	prompt := 0 // messages that both begin with
	for prompt < min(len(chosen), len(rejected)) && chosen[prompt] == rejected[prompt] {
		prompt++
	}
	if len(chosen) > 0 && prompt == max(len(chosen), len(rejected)) {
		return dropSame, nil
	}
	shared := 0 // answers of the prompt, which are not trained
	for _, m := range chosen[:prompt] {
		if m.Role == "assistant" {
			shared++
		}
	}
	var samples [][]uint32
	for _, messages := range [][]chat.Message{chosen, rejected} {
		tokens, answers, reason, err := r.encode(messages)
		switch {
		case reason != "" || err != nil:
			return reason, err
		case len(answers) <= shared:
			return dropUntrained, nil
		case answers[len(answers)-1][1] > r.o.MaxLength:
			return dropLong, nil
		}
		samples = append(samples, marked(tokens, answers[shared:]))
	}
	return r.add(n, samples...)
}

// sides returns the conversations of a pair: the prompt's messages and the answer's. An answer
// of messages may hold the prompt, as in TRL's datasets.
func (r row) sides() (chosen, rejected []chat.Message, err error) {
	prompt, err := messagesOf(r.Prompt, "prompt", "user")
	if err != nil {
		return nil, nil, err
	}
	for _, side := range []struct {
		name  string
		value any
		to    *[]chat.Message
	}{{"chosen", r.Chosen, &chosen}, {"rejected", r.Rejected, &rejected}} {
		messages, err := messagesOf(side.value, side.name, "assistant")
		if err != nil {
			return nil, nil, err
		}
		if len(messages) > 0 && messages[0].Role == "assistant" || len(prompt) > len(messages) {
			messages = append(slices.Clone(prompt), messages...)
		}
		*side.to = messages
	}
	return chosen, rejected, nil
}

// messagesOf reads a text, which is one message of a role, or a list of messages.
func messagesOf(v any, column, role string) ([]chat.Message, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []chat.Message{{Role: role, Content: v}}, nil
	case []any:
		var all []chat.Message
		for i, e := range v {
			m, _ := e.(map[string]any)
			role, ok := m["role"].(string)
			content, also := m["content"].(string)
			if !ok || !also {
				return nil, fmt.Errorf("%s: element %d has no role and content", column, i)
			}
			all = append(all, chat.Message{Role: role, Content: content})
		}
		return all, nil
	}
	return nil, fmt.Errorf("%s is a %T, expected a text or a list of messages", column, v)
}
