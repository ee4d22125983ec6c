package backend

import (
	"context"

	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/progress"
	"barka/internal/stage/merge"
	"barka/internal/stage/train"
	"barka/internal/tokenizer"
)

// CombineAdapters writes the combination of adapters, whose Parts have names in place of
// directories. Adapters that were trained on different base models are refused, as far as
// their base is recorded.
func (e *Engine) CombineAdapters(ctx context.Context, c merge.Combination, out string, reporter progress.Reporter) error {
	if err := c.Check(true); err != nil {
		return err
	}
	id, err := e.identify(ctx, &c, hub.ResolveAdapter)
	if err != nil {
		return err
	}
	var base, of string
	for _, p := range c.Parts {
		was, err := train.BaseOf(p.Dir)
		if err != nil {
			return err
		}
		if was != "" && base != "" && was != base {
			return badinput.Errorf("merge: adapter %s was trained on a base model with digest %s, and %s on one with %s; adapters of one base "+
				"can be combined", of, base, p.Dir, was)
		}
		if was != "" {
			base, of = was, p.Dir
		}
	}
	return merge.Adapters(ctx, &c, out, id, reporter)
}

// CombineModels writes the combination of models, whose Parts and Base have names in place of
// directories. Models with different tokenizers are refused.
func (e *Engine) CombineModels(ctx context.Context, c merge.Combination, out string, reporter progress.Reporter) error {
	if err := c.Check(false); err != nil {
		return err
	}
	id, err := e.identify(ctx, &c, hub.Resolve)
	if err != nil {
		return err
	}
	first, err := tokenizer.Load(c.Parts[0].Dir)
	if err != nil {
		return err
	}
	others := c.Parts[1:]
	if c.Base != nil {
		others = append(others[:len(others):len(others)], *c.Base)
	}
	for _, p := range others {
		tok, err := tokenizer.Load(p.Dir)
		if err != nil {
			return err
		}
		if err := sameVocabulary(c.Parts[0].Dir, p.Dir, first, tok); err != nil {
			return err
		}
	}
	return merge.Models(ctx, &c, out, id, reporter)
}

// identify replaces the names of a combination's parts by directories, and sets their digests.
func (e *Engine) identify(ctx context.Context, c *merge.Combination, resolve func(string) (string, error)) (merge.Origin, error) {
	c.Parts = append([]merge.Part(nil), c.Parts...)
	parts := make([]*merge.Part, 0, len(c.Parts)+1)
	for i := range c.Parts {
		parts = append(parts, &c.Parts[i])
	}
	if c.Base != nil {
		base := *c.Base
		c.Base = &base
		parts = append(parts, c.Base)
	}
	var dirs []string
	for _, p := range parts {
		dir, err := resolve(p.Dir)
		if err != nil {
			return merge.Origin{}, err
		}
		if err := e.watch.check(dir); err != nil {
			return merge.Origin{}, err
		}
		if p.Digest, err = digest(ctx, dir); err != nil {
			return merge.Origin{}, err
		}
		p.Dir, dirs = dir, append(dirs, dir)
	}
	return merge.Origin{Unchanged: func() error { return e.watch.check(dirs...) }}, nil
}

// sameVocabulary returns an error that names the first token that two tokenizers number
// differently.
func sameVocabulary(first, other string, a, b *tokenizer.Tokenizer) error {
	for id := range int32(max(a.VocabSize(), b.VocabSize())) {
		x, inA := a.Token(id)
		y, inB := b.Token(id)
		if x != y || inA != inB {
			return badinput.Errorf("merge: token %d is %q in model %s and %q in model %s; models with one vocabulary can be combined", id, x,
				first, y, other)
		}
	}
	return nil
}
