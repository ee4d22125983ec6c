package prompt

import (
	"slices"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/tasks"
)

func TestFewShotPrompts(t *testing.T) {
	doc := func(q, answer string) tasks.Doc {
		return tasks.Doc{Query: "I\n" + q, Instruction: "I\n", Choices: []string{answer, "x"}, Gold: 0}
	}
	task, _ := tasks.Lookup(tasks.V1, "community|acva:Iraq")
	b := Builder{Task: task, Tokenizer: evaltest.Characters{BOS: true},
		Examples: []tasks.Doc{doc("q1:", "a1"), doc("q2:", "a2"), doc("q3:", "a3")}}
	for _, c := range []struct {
		doc       tasks.Doc
		shots     tasks.Shots
		length    int
		want      string
		effective int
	}{
		{doc("q:", "a"), tasks.Shots{K: 0}, 8192, "I\nq:", 0},
		{doc("q:", "a"), tasks.Shots{K: 2}, 8192, "I\nq1:a1\n\nq2:a2\n\nq:", 2},
		// The question itself is not an example.
		{doc("q1:", "a1"), tasks.Shots{K: 2}, 8192, "I\nq2:a2\n\nq3:a3\n\nq1:", 2},
		// "I q1:a1  q:" is 12 tokens with the beginning token, and
		// generation_size -1 frees one more.
		{doc("q:", "a"), tasks.Shots{K: 2, Truncate: true}, 11, "I\nq1:a1\n\nq:", 1},
		{doc("q:", "a"), tasks.Shots{K: 2, Truncate: true}, 10, "I\nq:", 0},
		// If nothing fits, the count ends at -1, with which the reference takes all
		// examples but the last.
		{doc("q:", "a"), tasks.Shots{K: 2, Truncate: true}, 3, "I\nq1:a1\n\nq:", -1},
		{doc("q:", "a"), tasks.Shots{K: 0, Truncate: true}, 3, "I\nq:", -1},
		{doc("q:", "a"), tasks.Shots{K: 0}, 3, "I\nq:", 0},
	} {
		b.MaxLength = c.length
		got, effective, err := b.Prompt(c.doc, c.shots)
		if err != nil || got != c.want || effective != c.effective {
			t.Errorf("%+v at length %d: %q with %d examples, %v; want %q with %d", c.shots, c.length, got, effective,
				err, c.want, c.effective)
		}
	}
	b.MaxLength = 8192
	b.Chat = tags{}
	if got, _, _ := b.Prompt(doc("q:", "a"),
		tasks.Shots{K: 1}); got != "<user>I\nq1:</user><assistant>a1</assistant><user>q:</user><assistant>" {
		t.Errorf("chat prompt %q", got)
	}
	b.SystemPrompt = "S"
	if got, _, _ := b.Prompt(doc("q:", "a"), tasks.Shots{}); got != "<system>SI\n</system><user>q:</user><assistant>" {
		t.Errorf("chat prompt with a system message %q", got)
	}
}

// TestBalanced compares with the reference's algorithm run in CPython on the
// same pool: questions 0 to 9 with answers b, a, a, c, b, a, c, c, c, d.
func TestBalanced(t *testing.T) {
	var docs []tasks.Doc
	for i, answer := range strings.Split("b a a c b a c c c d", " ") {
		docs = append(docs, tasks.Doc{Query: string(rune('0' + i)), Choices: []string{answer}})
	}
	var got []string
	for _, d := range balanced(docs, 8) {
		got = append(got, d.Query)
	}
	if want := strings.Fields("8 2 0 9 7 5 4 6"); !slices.Equal(got, want) {
		t.Errorf("drew %v, want %v", got, want)
	}
}

// tags renders messages with a tag per role.
type tags struct{}

func (tags) ApplyChatTemplate(messages []chat.Message) (string, error) {
	var b strings.Builder
	for _, msg := range messages {
		b.WriteString("<" + msg.Role + ">" + msg.Content + "</" + msg.Role + ">")
	}
	return b.String() + "<assistant>", nil
}
