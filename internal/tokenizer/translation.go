package tokenizer

import (
	"slices"
	"strings"

	"barka/internal/badinput"
)

// ForTranslation returns a tokenizer of an NLLB or M2M-100 model that encodes sources
// as the language token, the text and </s>. The template of the file is ignored, as in
// the reference, which builds it from the language. With legacy_behaviour in
// tokenizer_config.json, NLLB's sources are the text, </s> and the language token.
func (t *Tokenizer) ForTranslation(source string) (*Tokenizer, error) {
	out := &Tokenizer{added: t.added, norm: t.norm, pre: t.pre, model: t.model, dec: t.dec, decNoSpecial: t.decNoSpecial, config: t.config}
	if err := out.translateFrom(source); err != nil {
		return nil, err
	}
	return out, nil
}

// translateFrom makes the post-processor add the language token and </s>.
func (t *Tokenizer) translateFrom(source string) error {
	lang, err := t.Language(source)
	if err != nil {
		return err
	}
	eos, ok := t.ID("</s>")
	if !ok {
		return badinput.Errorf("the tokenizer has no </s> token; does it belong to an NLLB model?")
	}
	t.post = &template{before: []int32{lang}, after: []int32{eos}}
	if t.config.legacy {
		t.post = &template{after: []int32{eos, lang}}
	}
	return nil
}

// Truncate shortens a text encoded with special tokens to limit tokens, as the
// reference does: it removes the end of the text and keeps the special tokens.
func (t *Tokenizer) Truncate(ids []int32, limit int) []int32 {
	if len(ids) <= limit || t.post == nil {
		return ids[:min(len(ids), limit)]
	}
	after := len(t.post.after)
	keep := max(limit-after, 0)
	return slices.Concat(ids[:keep], ids[len(ids)-after:])
}

// DecodeTranslation returns the text of an output without special tokens, with the
// same white space as the reference's tokenizer.
func (t *Tokenizer) DecodeTranslation(ids []int32) string {
	text := t.Decode(ids, true)
	if t.config.strip {
		text = strings.TrimSpace(text)
	}
	if t.config.cleanUp {
		text = CleanUpSpaces(text)
	}
	return text
}

// Language returns the token id of a language code: arb_Arab for NLLB; arb_Arab, ar or
// __ar__ for M2M-100. A code that the model does not know is an error, never the
// unknown token.
func (t *Tokenizer) Language(code string) (int32, error) {
	for _, token := range []string{code, "__" + code + "__", "__" + m2mCode(code) + "__"} {
		if id, ok := t.added.ids[token]; ok && languageCode(token) {
			return id, nil
		}
	}
	codes := t.Languages()
	if len(codes) == 0 {
		return 0, badinput.Errorf("the tokenizer has no language codes; does it belong to an NLLB or M2M-100 model?")
	}
	var near []string
	prefix := strings.ToLower(strings.Trim(code, "_"))
	prefix = prefix[:min(2, len(prefix))]
	for _, c := range codes {
		if prefix != "" && strings.HasPrefix(strings.ToLower(c), prefix) {
			near = append(near, c)
		}
	}
	if len(near) == 0 {
		near = codes
	}
	return 0, badinput.Errorf("language %q is not one of the model's %d codes; similar ones: %s",
		code, len(codes), strings.Join(near[:min(8, len(near))], ", "))
}

// hasLanguage reports whether the model knows a language code.
func (t *Tokenizer) hasLanguage(code string) bool {
	_, err := t.Language(code)
	return err == nil
}

// Languages returns the language codes, sorted, without the underscores of M2M-100's
// tokens.
func (t *Tokenizer) Languages() []string {
	var codes []string
	for text := range t.added.ids {
		if languageCode(text) {
			codes = append(codes, strings.Trim(text, "_"))
		}
	}
	slices.Sort(codes)
	return codes
}

// languageCode reports whether a token has the form of an NLLB language, aaa_Aaaa, or
// of an M2M-100 language, __aa__ or __aaa__.
func languageCode(s string) bool {
	if code, ok := strings.CutPrefix(s, "__"); ok {
		code, ok = strings.CutSuffix(code, "__")
		return ok && (len(code) == 2 || len(code) == 3) && smallLetters(code)
	}
	return len(s) == 8 && smallLetters(s[:3]) && s[3] == '_' && s[4] >= 'A' && s[4] <= 'Z' && smallLetters(s[5:])
}

// smallLetters reports whether s consists of lower-case ASCII letters.
func smallLetters(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}
