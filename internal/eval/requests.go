package eval

import (
	"fmt"

	"barka/internal/pytext"
)

// Border says how a prompt and a choice are turned into tokens.
type Border string

const (
	// Joint encodes prompt and choice together and takes what follows the
	// prompt's own number of tokens. Where a token spans the border, tokens
	// are lost. This is the reference of 2024-05.
	Joint Border = "joint"
	// Guarded is Joint, but a token that spans the border becomes the
	// continuation where nothing else is left (lighteval from 0.6 on).
	Guarded Border = "guarded"
	// Pairwise encodes prompt and choice apart (an option of lighteval's from
	// 0.6 on).
	Pairwise Border = "pairwise"
)

// Borders lists the values of Border.
var Borders = []Border{Joint, Guarded, Pairwise}

// requests encodes a context with each of its choices. White space at the
// context's end moves to the choices. An error says what cannot be scored.
func requests(tok Tokenizer, border Border, context string, choices []string) ([]Request, error) {
	out := make([]Request, len(choices))
	if context == "" {
		for i, choice := range choices {
			out[i] = Request{[]int32{tok.EOS()}, tok.Encode(choice, true)}
		}
		return out, nil
	}
	kept, space := pytext.RStrip(context)
	ids := tok.Encode(kept, true)
	if border == Pairwise && len(ids) > 0 && ids[len(ids)-1] == tok.EOS() {
		ids = ids[:len(ids)-1]
	}
	for i, choice := range choices {
		out[i] = encodePair(tok, border, ids, kept, space+choice)
		if len(out[i].Context) == 0 {
			return nil, fmt.Errorf("the prompt %.40q has no tokens, so that nothing precedes choice %d", context, i)
		}
	}
	return out, nil
}

// encodePair encodes one continuation after a context whose tokens are ids.
func encodePair(tok Tokenizer, border Border, ids []int32, context, continuation string) Request {
	if border == Pairwise {
		return Request{ids, tok.Encode(continuation, false)}
	}
	whole := tok.Encode(context+continuation, true)
	if border == Guarded && len(whole) == len(ids) && len(ids) > 0 {
		return Request{whole[:len(whole)-1], whole[len(whole)-1:]}
	}
	return Request{ids, whole[min(len(ids), len(whole)):]}
}
