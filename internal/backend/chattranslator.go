package backend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/chattranslator"
	"barka/internal/hub"
	"barka/internal/llm"
	"barka/internal/stage/translate"
	"barka/internal/tokenizer"
)

// ChatTranslator is a translate.Translator that asks a chat model, here or behind endpoints.
type ChatTranslator struct {
	*chattranslator.Translator
	o chattranslator.Options
	weights
	count func(string) int
	close func() error
}

// weights is the digest of a model's weights, "" behind an endpoint.
type weights string

// ChatTranslatorAt returns a translator that asks the model behind the endpoints.
func ChatTranslatorAt(model string, servers []llm.Server, base llm.Options, o chattranslator.Options) (*ChatTranslator, error) {
	client, err := llm.NewPool(model, servers, base)
	if err != nil {
		return nil, err
	}
	o.Concurrency = llm.Places(servers, o.Concurrency)
	t := &ChatTranslator{o: o, close: func() error { return nil }}
	// Servers do not count tokens for others. Four characters per token is usual for English.
	t.count = func(s string) int { return (utf8.RuneCountInString(s) + 3) / 4 }
	t.Translator, err = chattranslator.New(client, o)
	return t, err
}

// LazyChatTranslator returns a translator that asks the model in dir, which is loaded with
// the first request. name is the model's name in provenance, and in the choice of a family.
// The caller closes it.
func (e *Engine) LazyChatTranslator(name, dir string, o chattranslator.Options) (*ChatTranslator, error) {
	path, err := hub.Resolve(dir)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(path)
	if err != nil {
		return nil, err
	}
	family, err := chattranslator.OpenFamily(o.Family, name)
	if err != nil {
		return nil, err
	}
	o.OwnTemplate = family.OwnTemplate && strings.Contains(tok.ChatTemplate(), "source_lang_code")
	if !family.Raw {
		if _, _, err := translating(tok, family, o); err != nil {
			return nil, err
		}
	}
	client := &lazyChat{newLazy(func() (*Chat, error) { return e.openTranslating(name, path, family, o) }), name}
	t := &ChatTranslator{o: o, count: func(s string) int {
		return len(tok.EncodeOptions(s, tokenizer.EncodeOptions{NoParseSpecial: true}))
	}, close: client.Close}
	digest, err := e.Digest(dir)
	if err != nil {
		return nil, err
	}
	t.weights = weights(digest)
	t.Translator, err = chattranslator.New(client, o)
	return t, err
}

// translating opens the chat format with which a family's models are asked, and finds the
// tokens that end an answer.
func translating(tok *tokenizer.Tokenizer, f *chattranslator.Family, o chattranslator.Options) (*chat.Template, []int32, error) {
	with := chat.Options{Thinking: "off"}
	if o.OwnTemplate {
		from, err := chattranslator.LanguageOf(o.From)
		if err != nil {
			return nil, nil, err
		}
		to, err := chattranslator.LanguageOf(o.To)
		if err != nil {
			return nil, nil, err
		}
		with.From, with.To = from.Code, to.Code
	}
	format, err := chat.Open(tok, with)
	if err != nil {
		return nil, nil, err
	}
	stop, err := format.Stop()
	return format, stop, err
}

// openTranslating opens a model as a client for a family's requests.
func (e *Engine) openTranslating(name, dir string, f *chattranslator.Family, o chattranslator.Options) (*Chat, error) {
	d, err := e.quiet().OpenDecoder(dir, "")
	if err != nil {
		return nil, err
	}
	d.Name = name
	c := &Chat{d: d}
	if !f.Raw {
		c.format, c.stop, err = translating(d.Tokenizer, f, o)
	}
	if err == nil {
		c.stop, err = d.EndTokens(c.stop...)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return c, nil
}

// Into returns the translator into another language. It shares the model and is not closed.
func (t *ChatTranslator) Into(to string) (*ChatTranslator, error) {
	if to == t.o.To {
		return t, nil
	}
	if t.o.OwnTemplate {
		return nil, badinput.Errorf("the chat template of %s is opened for one target language, %s; translate into %s with another command",
			t.Name(), t.o.To, to)
	}
	other := *t
	other.o.To = to
	var err error
	other.Translator, err = t.Translator.Into(to)
	return &other, err
}

// Close closes the model, if it runs here.
func (t *ChatTranslator) Close() error { return t.close() }

// Digest identifies the model and everything that it is asked, but for the texts.
func (t *ChatTranslator) Digest() (string, error) {
	asked, err := t.Identity()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", t.Name(), t.weights)
	h.Write(asked)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// CountTokens implements translate.Translator.
func (t *ChatTranslator) CountTokens(text string) int { return t.count(text) }

// RoundTrip implements translate.Translator: chat models spell every text.
func (t *ChatTranslator) RoundTrip(text string) string { return text }

// Translate implements translate.Translator. A text without a translation has an empty one.
// Requests that an endpoint left unanswered are an error, because they may succeed later.
func (t *ChatTranslator) Translate(ctx context.Context, texts []string, onDone func()) ([]translate.Translation, error) {
	requests := make([]translate.Request, len(texts))
	for i, text := range texts {
		requests[i].Text = text
	}
	return t.translate(ctx, requests, onDone)
}

// TranslateWith implements translate.Guided.
func (t *ChatTranslator) TranslateWith(ctx context.Context, requests []translate.Request) ([]translate.Translation, error) {
	return t.translate(ctx, requests, nil)
}

func (t *ChatTranslator) translate(ctx context.Context, requests []translate.Request, onDone func()) ([]translate.Translation, error) {
	out, items := make([]translate.Translation, len(requests)), make([]chattranslator.Item, len(requests))
	for i, r := range requests {
		if items[i].Text = r.Text; r.Term.Source != "" {
			items[i].Terms = []chattranslator.Term{{Source: r.Term.Source, Target: r.Term.Target}}
		}
	}
	_, err := t.Translator.TranslateItems(ctx, items, func(i int, r chattranslator.Result) error {
		if r.Failed {
			return fmt.Errorf("%s did not translate %.80q: %s; the same command continues", t.Name(), items[i].Text, r.Reason)
		}
		if r.Reason == "" {
			out[i].Text = r.Text
		} else if r.Reason == "finish_"+llm.FinishLength {
			out[i].Text, out[i].HitMax = r.Text, true
		}
		out[i].Tokens = r.CompletionTokens
		if onDone != nil {
			onDone()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var (
	_ translate.Translator = (*ChatTranslator)(nil)
	_ translate.Guided     = (*ChatTranslator)(nil)
	_ io.Closer            = (*ChatTranslator)(nil)
)
