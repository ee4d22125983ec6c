package tokenizer

import (
	"slices"

	"barka/internal/badinput"
)

// fairseq renumbers the pieces and returns the special tokens. These are fairseq's
// first four tokens and the declared ones. If none are declared, the languages
// follow the pieces, and <mask> is last, as in the published weights.
func (t *Tokenizer) fairseq(c configFile, declared []addedToken) ([]addedToken, error) {
	if len(c.Additional) == 0 {
		return nil, badinput.Errorf("without tokenizer.json, NllbTokenizer needs the language codes as additional_special_tokens " +
			"in tokenizer_config.json or special_tokens_map.json; found none")
	}
	m := &fairseqModel{t.model}
	t.model = m
	var tokens []addedToken
	for i, s := range fairseqFirst {
		tokens = append(tokens, addedToken{ID: int32(i), Content: s, Special: true})
	}
	if len(declared) > 0 {
		return append(tokens, declared...), nil
	}
	next := int32(m.size())
	for _, s := range c.Additional {
		if s != c.Mask && s != "" {
			tokens = append(tokens, addedToken{ID: next, Content: string(s), Special: true})
			next++
		}
	}
	if c.Mask != "" {
		tokens = append(tokens, addedToken{ID: next, Content: string(c.Mask), Special: true, LStrip: true})
	}
	return tokens, nil
}

// fairseqModel numbers pieces as fairseq and NLLB do: four tokens in its own order,
// then the pieces from the fourth on, with their ids plus one.
type fairseqModel struct{ model }

var fairseqFirst = []string{"<s>", "<pad>", "</s>", "<unk>"}

func (m *fairseqModel) encode(e *encoder, piece string, ids []int32) []int32 {
	from := len(ids)
	ids = m.model.encode(e, piece, ids)
	unk, _ := m.model.id("<unk>")
	for i, id := range ids[from:] {
		if id == unk {
			ids[from+i] = 3
		} else {
			ids[from+i] = id + 1
		}
	}
	return ids
}

func (m *fairseqModel) id(token string) (int32, bool) {
	if i := slices.Index(fairseqFirst, token); i >= 0 {
		return int32(i), true
	}
	id, ok := m.model.id(token)
	return id + 1, ok
}

func (m *fairseqModel) token(id int32) (string, bool) {
	if id >= 0 && int(id) < len(fairseqFirst) {
		return fairseqFirst[id], true
	}
	return m.model.token(id - 1)
}

func (m *fairseqModel) size() int { return m.model.size() + 1 }
