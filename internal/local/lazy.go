package local

import (
	"context"
	"sync"

	"barka/internal/hub"
	"barka/internal/llm"
	"barka/internal/stage/translate"
)

// lazyChat opens its model when it is first asked, so that finished work
// loads nothing.
type lazyChat struct {
	name string
	open func() (*Chat, error)
}

// LazyChat returns a client of a local model, under a name of its own.
func LazyChat(e *Engine, name, dir string) llm.Client {
	return &lazyChat{name, sync.OnceValues(func() (*Chat, error) {
		d, err := e.quiet().OpenDecoder(dir, "")
		if err != nil {
			return nil, err
		}
		d.Name = name
		return d.Chat()
	})}
}

func (l *lazyChat) Name() string { return l.name }

func (l *lazyChat) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	c, err := l.open()
	if err != nil {
		return llm.Response{}, err
	}
	return c.Complete(ctx, r)
}

// Lazy is a translator that loads its tokenizer at once and its model when it
// is first asked.
type Lazy struct {
	name   string
	source sourceTokenizer
	open   func() (*Translator, error)
}

// LazyTranslator returns a translate.Translator of a local model, under a
// name of its own.
func LazyTranslator(e *Engine, name, dir string, o TranslatorOptions) (*Lazy, error) {
	path, err := hub.Resolve(dir)
	if err != nil {
		return nil, err
	}
	source, _, err := o.sourceOf(path)
	if err != nil {
		return nil, err
	}
	return &Lazy{name, source, sync.OnceValues(func() (*Translator, error) { return e.quiet().OpenTranslator(path, o) })}, nil
}

// Name implements translate.Translator.
func (l *Lazy) Name() string { return l.name }

// CountTokens implements translate.Translator.
func (l *Lazy) CountTokens(text string) int { return l.source.CountTokens(text) }

// Translate implements translate.Translator.
func (l *Lazy) Translate(ctx context.Context, texts []string, onDone func()) ([]translate.Translation, error) {
	t, err := l.open()
	if err != nil {
		return nil, err
	}
	return StageTranslator{t}.Translate(ctx, texts, onDone)
}
