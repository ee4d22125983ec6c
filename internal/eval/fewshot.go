package eval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/eval/tasks"
	"barka/internal/pyrandom"
)

// prompter makes the context of a question: instruction, examples, question.
type prompter struct {
	task tasks.Task
	pool []tasks.Doc // few-shot examples in the order they are taken
	opts Options
	m    Model
}

// prompt returns the context of a question with up to k examples, and how
// many examples the reference reports.
//
// With truncation, examples are dropped one by one until the tokens fit. When
// not even the bare question fits the reference counts on to -1, and takes
// that as a Python index: all examples but the last come back. This is kept,
// because published numbers have it.
func (p *prompter) prompt(doc tasks.Doc, s tasks.Shots) (context string, effective int, err error) {
	examples := p.examples(doc, s.K)
	effective = s.K
	context, err = p.render(doc, examples)
	if err != nil || !s.Truncate {
		return context, effective, err
	}
	generation := 0
	if p.task.GenerationSize != nil {
		generation = *p.task.GenerationSize
	}
	for effective >= 0 && p.tooLong(context, generation) {
		effective--
		context, err = p.render(doc, head(examples, effective))
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

// tooLong says whether a context and what is generated exceed the model. A
// text has no more tokens than bytes, give or take the special ones, so most
// need no encoding.
func (p *prompter) tooLong(context string, generation int) bool {
	const special = 16
	limit := p.m.MaxLength()
	if len(context)+special+generation <= limit {
		return false
	}
	return len(p.m.Tokenizer().Encode(context, true))+generation > limit
}

// examples takes the first k of the pool that are not the question itself.
func (p *prompter) examples(doc tasks.Doc, k int) []tasks.Doc {
	var out []tasks.Doc
	for _, d := range p.pool {
		if len(out) == k {
			break
		}
		if d.Query != doc.Query || d.Gold != doc.Gold || !slices.Equal(d.Choices, doc.Choices) {
			out = append(out, d)
		}
	}
	return out
}

func (p *prompter) render(doc tasks.Doc, examples []tasks.Doc) (string, error) {
	question := bare(doc)
	if p.opts.UseChatTemplate {
		return p.renderChat(doc.Instruction, question, examples)
	}
	if len(examples) == 0 {
		return doc.Instruction + question, nil
	}
	parts := make([]string, len(examples))
	for i, e := range examples {
		parts[i] = bare(e) + e.Choices[e.Gold] // nothing in between
	}
	return doc.Instruction + strings.Join(parts, "\n\n") + "\n\n" + question, nil
}

// bare is the question without its instruction.
func bare(d tasks.Doc) string { return strings.TrimPrefix(d.Query, d.Instruction) }

// renderChat puts the examples as turns. The instruction ends the system
// message if there is one, and begins the first message otherwise.
func (p *prompter) renderChat(instruction, question string, examples []tasks.Doc) (string, error) {
	var messages []chat.Message
	if p.opts.SystemPrompt != "" {
		messages = append(messages, chat.Message{Role: "system", Content: p.opts.SystemPrompt + instruction})
		instruction = ""
	}
	for _, e := range examples {
		messages = append(messages, chat.Message{Role: "user", Content: bare(e)}, chat.Message{Role: "assistant", Content: e.Choices[e.Gold]})
	}
	messages = append(messages, chat.Message{Role: "user", Content: question})
	messages[0].Content = instruction + messages[0].Content
	text, err := p.m.(ChatTemplater).ApplyChatTemplate(messages)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return text, nil
}

// balanced draws n examples with the answers as even as the pool allows, as
// the reference does where a task names no selection: answers by falling
// count, ties shuffled, one example of each in turn. It uses Python's global
// generator, seeded with the few-shot seed, 0.
func balanced(pool []tasks.Doc, n int) []tasks.Doc {
	rnd := pyrandom.New(0)
	byAnswer := map[string][]tasks.Doc{}
	for _, d := range pool {
		answer := d.Choices[d.Gold]
		byAnswer[answer] = append(byAnswer[answer], d)
	}
	answers := sortedKeys(byAnswer)
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

// checkPool refuses a pool that cannot give the examples asked for.
func checkPool(pool []tasks.Doc, k int) error {
	if len(pool) < k {
		return badinput.Errorf("%d examples are asked for, the few-shot split has %d", k, len(pool))
	}
	return nil
}
