package tokenizer

import (
	"slices"
	"strings"

	"barka/internal/badinput"
)

// ForTranslation returns a tokenizer of an NLLB or M2M-100 model that encodes
// sources as the language token, the text and </s>, whatever template the file
// holds: the reference rebuilds it from the language too. With legacy_behaviour
// in tokenizer_config.json, NLLB's sources are the text, </s> and the language.
func (t *Tokenizer) ForTranslation(source string) (*Tokenizer, error) {
	out := &Tokenizer{added: t.added, norm: t.norm, pre: t.pre, model: t.model, dec: t.dec, decNoSpecial: t.decNoSpecial, config: t.config}
	if err := out.translateFrom(source); err != nil {
		return nil, err
	}
	return out, nil
}

// translateFrom puts the language token and </s> around texts.
func (t *Tokenizer) translateFrom(source string) error {
	lang, err := t.Language(source)
	if err != nil {
		return err
	}
	eos, ok := t.ID("</s>")
	if !ok {
		return badinput.Errorf("the tokenizer has no </s> token; is it of an NLLB model?")
	}
	t.post = &template{before: []int32{lang}, after: []int32{eos}}
	if t.config.legacy {
		t.post = &template{after: []int32{eos, lang}}
	}
	return nil
}

// Truncate shortens ids, a text encoded with special tokens, to limit tokens
// as the reference does: the text loses its end, the special tokens stay.
func (t *Tokenizer) Truncate(ids []int32, limit int) []int32 {
	if len(ids) <= limit || t.post == nil {
		return ids[:min(len(ids), limit)]
	}
	after := len(t.post.after)
	keep := max(limit-after, 0)
	return slices.Concat(ids[:keep], ids[len(ids)-after:])
}

// Language returns the id of a language code such as arb_Arab. A code that
// the model does not know is an error, never the unknown token.
func (t *Tokenizer) Language(code string) (int32, error) {
	if id, ok := t.added.ids[code]; ok && languageCode(code) {
		return id, nil
	}
	codes := t.Languages()
	if len(codes) == 0 {
		return 0, badinput.Errorf("the tokenizer has no language codes; is it of an NLLB model?")
	}
	var near []string
	prefix := strings.ToLower(code[:min(2, len(code))])
	for _, c := range codes {
		if prefix != "" && strings.HasPrefix(strings.ToLower(c), prefix) {
			near = append(near, c)
		}
	}
	if len(near) == 0 {
		near = codes
	}
	return 0, badinput.Errorf("language %q is not one of the model's %d codes; near it: %s", code, len(codes), strings.Join(near[:min(8, len(near))], ", "))
}

// Languages lists the language codes, sorted.
func (t *Tokenizer) Languages() []string {
	var codes []string
	for text := range t.added.ids {
		if languageCode(text) {
			codes = append(codes, text)
		}
	}
	slices.Sort(codes)
	return codes
}

// languageCode reports whether s has the form aaa_Aaaa.
func languageCode(s string) bool {
	if len(s) != 8 || s[3] != '_' || s[4] < 'A' || s[4] > 'Z' {
		return false
	}
	for i, c := range s {
		if i != 3 && i != 4 && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
