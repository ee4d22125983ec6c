// Package prompt makes what the model reads of a benchmark's rows: questions,
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

// Builder makes the context of a task's questions: instruction, examples,
// question.
type Builder struct {
	Task tasks.Task
	// Examples are the few-shot examples in the order they are taken; see Examples.
	Examples  []tasks.Doc
	Tokenizer Tokenizer
	MaxLength int // of the model's input, in tokens
	// Chat renders prompts as conversations that SystemPrompt opens; nil leaves
	// them as texts.
	Chat         ChatTemplater
	SystemPrompt string
}

// Prompt returns the context of a question with up to s.K examples, and how
// many examples the reference reports.
//
// With s.Truncate, examples are dropped one by one until the tokens fit. When
// not even the bare question fits, the reference counts on to -1 and takes
// that as a Python index: all examples but the last come back. This is kept,
// because published scores have it.
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

// tooLong reports whether a context and what is generated exceed the model. A
// text has no more tokens than bytes, apart from the special ones, so most texts
// need no encoding.
func (b *Builder) tooLong(context string, generation int) bool {
	const special = 16
	limit := b.MaxLength
	if len(context)+special+generation <= limit {
		return false
	}
	return len(b.Tokenizer.Encode(context, true))+generation > limit
}

// choose takes the first k examples that are not the question itself.
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

// bare is the question without its instruction.
func bare(d tasks.Doc) string { return strings.TrimPrefix(d.Query, d.Instruction) }

// renderChat renders the examples as turns. The instruction ends the system
// message if there is one, and otherwise begins the first message.
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

// balanced draws n examples with as equal numbers of each answer as the pool
// allows, as the reference does for a task without a selection: answers by falling
// count, ties shuffled, one example of each in turn. It uses Python's global
// generator with the few-shot seed, 0.
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
