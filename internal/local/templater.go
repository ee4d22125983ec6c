package local

import (
	"sync"

	"barka/internal/chat"
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
func (t templater) ApplyChatTemplate(messages []chat.Message) (string, error) {
	format, err := t.format()
	if err != nil {
		return "", err
	}
	return format.Render(messages, true)
}
