package tokenizer

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
)

// completeSentencePiece adds the tokens that a model directory declares beside
// its SentencePiece model, which are then parsed in texts.
func (t *Tokenizer) completeSentencePiece(c configFile, file string) error {
	var tokens []addedToken
	special := func(s tokenText, id int32, known bool) {
		if s != "" && known {
			tokens = append(tokens, addedToken{ID: id, Content: string(s), Special: true})
		}
	}
	if file == "sentencepiece.bpe.model" {
		if strings.TrimSuffix(c.Class, "Fast") != "NllbTokenizer" || len(c.Additional) == 0 {
			return badinput.Errorf("without tokenizer.json, this file needs tokenizer_class NllbTokenizer in tokenizer_config.json and the language codes as additional_special_tokens there or in special_tokens_map.json; found class %q and %d codes", c.Class, len(c.Additional))
		}
		m := &fairseqModel{t.model}
		t.model = m
		next := int32(m.size())
		for i, s := range fairseqFirst {
			special(tokenText(s), int32(i), true)
		}
		for _, s := range c.Additional {
			if s != c.Mask {
				special(s, next, true)
				next++
			}
		}
		if c.Mask != "" {
			tokens = append(tokens, addedToken{ID: next, Content: string(c.Mask), Special: true, LStrip: true})
		}
	} else {
		for _, s := range append([]tokenText{c.BOS, c.EOS, c.Pad, c.Unk}, c.Additional...) {
			id, known := t.model.id(string(s))
			special(s, id, known)
		}
		for key, a := range c.Added {
			id, err := strconv.ParseInt(key, 10, 32)
			if err != nil || id < 0 || id > maxID {
				return badinput.Errorf("tokenizer_config.json: added_tokens_decoder: key %q is no token id", key)
			}
			a.ID, a.Normalized = int32(id), false
			tokens = append(tokens, a)
		}
	}
	controls := t.added.special
	t.added = newAddedTokens(tokens, nil)
	if file != "sentencepiece.bpe.model" {
		maps.Copy(t.added.special, controls)
	}
	return nil
}

// fairseqModel numbers pieces as fairseq does, and NLLB with it: four tokens
// of its own order, then the pieces from the fourth on, one later.
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
