// Package prompt turns the rows of a benchmark into the input of a model: questions,
// their prompts with examples, and the tokens of prompts and choices.
package prompt

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/chat"
	"barka/internal/eval/tasks"
	"barka/internal/pyrandom"
)

// Builder makes the contexts of a task's questions: instruction, examples and question.
type Builder struct {
	Task tasks.Task
	// Examples holds the few-shot examples in the order of their use; see Examples.
	Examples  []tasks.Doc
	Tokenizer Tokenizer
	MaxLength int // longest input of the model, in tokens
	// Chat renders prompts as conversations, which SystemPrompt opens. If it is nil,
	// prompts are plain texts.
	Chat         ChatTemplater
	SystemPrompt string
}

// Prompt returns the context of a question with up to s.K examples, and the number of
// examples that the reference reports.
//
// With s.Truncate, examples are dropped one by one until the tokens fit. If the bare
// question does not fit either, the reference counts down to -1 and uses that as a
// Python index: all examples but the last return. Barka does the same, because
// published scores contain it.
func (b *Builder) Prompt(doc tasks.Doc, s tasks.Shots) (context string, effective int, err error) {
	examples := b.choose(doc, s.K)
	effective = s.K
	context, err = b.render(doc, examples)
	if err != nil || !s.Truncate {
		return context, effective, err
	}
	generation := 0
	if b.Task.GenerationSize != nil {
		generation = *b.Task.GenerationSize
	}
	for effective >= 0 && b.tooLong(context, generation) {
		effective--
		context, err = b.render(doc, head(examples, effective))
		if err != nil {
			return "", 0, err
		}
	}
	return context, effective, nil
}

// head is Python's xs[:n].
func head[T any](xs []T, n int) []T {
	if n < 0 {
		n = max(0, len(xs)+n)
	}
	return xs[:min(n, len(xs))]
}

// tooLong reports whether a context and the generated tokens exceed the model's length. A
// text has at most as many tokens as bytes, apart from special tokens, so most texts
// need not be encoded.
func (b *Builder) tooLong(context string, generation int) bool {
	const special = 16
	limit := b.MaxLength
	if len(context)+special+generation <= limit {
		return false
	}
	return len(b.Tokenizer.Encode(context, true))+generation > limit
}

// choose returns the first k examples that are not the question itself.
func (b *Builder) choose(doc tasks.Doc, k int) []tasks.Doc {
	var out []tasks.Doc
	for _, d := range b.Examples {
		if len(out) == k {
			break
		}
		if d.Query != doc.Query || d.Gold != doc.Gold || !slices.Equal(d.Choices, doc.Choices) {
			out = append(out, d)
		}
	}
	return out
}

func (b *Builder) render(doc tasks.Doc, examples []tasks.Doc) (string, error) {
	question := bare(doc)
	if b.Chat != nil {
		return b.renderChat(doc.Instruction, question, examples)
	}
	if len(examples) == 0 {
		return doc.Instruction + question, nil
	}
	parts := make([]string, len(examples))
	for i, e := range examples {
		parts[i] = bare(e) + e.Choices[e.Gold] // without a separator
	}
	return doc.Instruction + strings.Join(parts, "\n\n") + "\n\n" + question, nil
}

// bare returns the question without its instruction.
func bare(d tasks.Doc) string { return strings.TrimPrefix(d.Query, d.Instruction) }

// renderChat renders the examples as turns. The instruction is the end of the system
// message if there is one, and otherwise the start of the first message.
func (b *Builder) renderChat(instruction, question string, examples []tasks.Doc) (string, error) {
	var messages []chat.Message
	if b.SystemPrompt != "" {
		messages = append(messages, chat.Message{Role: "system", Content: b.SystemPrompt + instruction})
		instruction = ""
	}
	for _, e := range examples {
		messages = append(messages, chat.Message{Role: "user", Content: bare(e)},
			chat.Message{Role: "assistant", Content: e.Choices[e.Gold]})
	}
	messages = append(messages, chat.Message{Role: "user", Content: question})
	messages[0].Content = instruction + messages[0].Content
	text, err := b.Chat.ApplyChatTemplate(messages)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return text, nil
}

// balanced draws n examples with numbers of each answer that are as equal as the pool
// allows. The reference does so for a task without a selection: it sorts answers by
// falling count, shuffles ties and draws one example of each in turn. balanced uses
// Python's global generator with the few-shot seed, 0.
func balanced(pool []tasks.Doc, n int) []tasks.Doc {
	rnd := pyrandom.New(0)
	byAnswer := map[string][]tasks.Doc{}
	for _, d := range pool {
		answer := d.Choices[d.Gold]
		byAnswer[answer] = append(byAnswer[answer], d)
	}
	answers := slices.Sorted(maps.Keys(byAnswer))
	slices.SortStableFunc(answers, func(a, b string) int { return cmp.Compare(len(byAnswer[b]), len(byAnswer[a])) })
	for from := 0; from < len(answers); {
		to := from
		for to < len(answers) && len(byAnswer[answers[to]]) == len(byAnswer[answers[from]]) {
			to++
		}
		tied := answers[from:to]
		rnd.Shuffle(len(tied), func(i, j int) { tied[i], tied[j] = tied[j], tied[i] })
		from = to
	}
	var out []tasks.Doc
	for i := 0; len(out) < min(n, len(pool)); i++ {
		answer := answers[i%len(answers)]
		left := byAnswer[answer]
		if len(left) == 0 {
			continue
		}
		j := rnd.Below(len(left))
		out = append(out, left[j])
		byAnswer[answer] = slices.Delete(left, j, j+1)
	}
	return out
}
