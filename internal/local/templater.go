package local

import (
	"sync"

	"barka/internal/chat"
	"barka/internal/stage/eval"
	"barka/internal/tokenizer"
)

// templater implements eval.ChatTemplater. The template is read when it is
// first needed: most evaluations need none.
type templater struct {
	format func() (*chat.Template, error)
}

func newTemplater(tok *tokenizer.Tokenizer) templater {
	return templater{sync.OnceValues(func() (*chat.Template, error) { return chat.For(tok) })}
}

// ApplyChatTemplate implements eval.ChatTemplater.
func (t templater) ApplyChatTemplate(messages []eval.Message) (string, error) {
	format, err := t.format()
	if err != nil {
		return "", err
	}
	var ms []chat.Message
	for _, m := range messages {
		ms = append(ms, chat.Message{Role: m.Role, Content: m.Content})
	}
	return format.Render(ms, true)
}
