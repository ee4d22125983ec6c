package backend

import (
	"slices"
	"strings"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/prose"
	"barka/internal/tokenizer"
)

// shortLatin is the most ASCII letters of a piece that is likely in every language. Names
// and abbreviations that the source does not spell can be put together from such pieces.
const shortLatin = 2

// scriptsOf returns the scripts of a target language.
func scriptsOf(language string) ([]*unicode.RangeTable, error) {
	if scripts := prose.Scripts(tokenizer.NLLBCode(language)); scripts != nil {
		return scripts, nil
	}
	return nil, badinput.Errorf("vocabulary restricted: the script of the language %s is not known; translate with the whole vocabulary",
		language)
}

// restricted returns the tokens of which outputs in a language mostly consist: end tokens,
// pieces in its scripts, digits, punctuation, symbols, and short Latin pieces.
func restricted(t *tokenizer.Tokenizer, language string, eos []int32) ([]int32, error) {
	scripts, err := scriptsOf(language)
	if err != nil {
		return nil, err
	}
	tokens := slices.Clone(eos)
	for id := range int32(t.VocabSize()) {
		piece, ok := t.Token(id)
		if ok && (id == t.Special().Unk || !t.IsSpecial(id) && likely(strings.TrimPrefix(piece, "▁"), scripts)) {
			tokens = append(tokens, id)
		}
	}
	return tokens, nil
}

// likely reports whether a piece may be part of an output in some scripts.
func likely(piece string, scripts []*unicode.RangeTable) bool {
	latin := 0
	for _, r := range piece {
		switch {
		case unicode.In(r, scripts...) || unicode.In(r, unicode.Common, unicode.Inherited):
		case r < unicode.MaxASCII: // the other ASCII characters are common to all scripts
			latin++
		default:
			return false
		}
	}
	return latin <= shortLatin
}
