package backend

import (
	"errors"
	"slices"
	"sync"

	"barka/internal/badinput"
	"barka/internal/generate"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/tokenizer"
)

// Decoder is an opened causal language model with its tokenizer.
type Decoder struct {
	Name      string // the name that the user gave
	Dir       string
	Model     model.Decoder
	Tokenizer *tokenizer.Tokenizer
	Adapter   *model.Adapter
	digest    string
	adapter   string // directory of the adapter

	engine    *Engine // the engine that opened it
	once      sync.Once
	generator *generate.Engine
}

// OpenDecoder opens a causal language model, with an adapter if one is given. The caller
// closes it.
func (e *Engine) OpenDecoder(name, adapter string) (*Decoder, error) {
	dir, o, err := e.locate(name)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	m, err := model.OpenDecoder(dir, o)
	if err != nil {
		return nil, err
	}
	d := &Decoder{Name: name, Dir: dir, Model: m, Tokenizer: tok, engine: e}
	if err := d.complete(adapter); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// complete checks the opened model and attaches an adapter, if one is given.
func (d *Decoder) complete(adapter string) (err error) {
	if err := checkVocabulary(d.Name, d.Tokenizer, d.Model.Info().Vocab); err != nil {
		return err
	}
	if adapter != "" {
		if d.adapter, err = hub.ResolveAdapter(adapter); err != nil {
			return err
		}
		if err := d.engine.watch.check(d.adapter); err != nil {
			return err
		}
		if d.Adapter, err = model.LoadAdapter(d.Model, d.adapter); err != nil {
			return err
		}
	}
	return d.engine.watch.check(d.directories()...)
}

// Close ends the model's generator, if it has one, and closes the model's files.
func (d *Decoder) Close() error {
	if d.generator != nil {
		d.generator.Close()
	}
	return d.Model.Close()
}

// directories returns the directories of the model and of the adapter, if there is
// one.
func (d *Decoder) directories() []string {
	if d.adapter == "" {
		return []string{d.Dir}
	}
	return []string{d.Dir, d.adapter}
}

// EndTokens returns the tokens that end a text: those of generation_config.json or
// config.json, or else that of the tokenizer, and then more, such as those of a chat
// format.
func (d *Decoder) EndTokens(more ...int32) ([]int32, error) {
	g, err := model.ReadGeneration(d.Dir)
	if err != nil {
		return nil, err
	}
	ids := g.EOS
	if eos := d.Tokenizer.Special().EOS; len(ids) == 0 && eos >= 0 {
		ids = []int32{eos}
	}
	for _, id := range more {
		if id >= 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Digest identifies the model's weights and configuration by content.
func (d *Decoder) Digest() (string, error) {
	if d.digest != "" {
		return d.digest, nil
	}
	var err error
	d.digest, err = d.engine.digest(d.Dir)
	return d.digest, err
}

// checkVocabulary returns an error if the tokenizer has tokens that the model lacks.
func checkVocabulary(name string, tok *tokenizer.Tokenizer, vocab int) error {
	if n := tok.VocabSize(); n > vocab {
		return badinput.Errorf("model %s: the tokenizer has %d tokens, more than the %d of the model's vocabulary; "+
			"use the tokenizer of this model", name, n, vocab)
	}
	return nil
}
