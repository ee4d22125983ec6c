package prompt

import (
	"fmt"

	"barka/internal/chat"
	"barka/internal/eval/record"
	"barka/internal/pytext"
)

// Tokenizer turns text into tokens.
type Tokenizer interface {
	// Encode returns the tokens of text. addSpecial adds the special tokens that the
	// tokenizer puts around a text, such as a beginning token.
	Encode(text string, addSpecial bool) []int32
	// EOS returns the end-of-text token, which also pads.
	EOS() int32
}

// ChatTemplater is a model that can render a conversation.
type ChatTemplater interface {
	// ApplyChatTemplate renders the messages and opens the assistant's turn.
	ApplyChatTemplate(messages []chat.Message) (string, error)
}

// Requests encodes a context with each of its choices. White space at the end of the
// context moves to the choices. It returns an error if a choice cannot be scored.
func Requests(tok Tokenizer, boundary record.TokenBoundary, context string, choices []string) ([]record.Request, error) {
	out := make([]record.Request, len(choices))
	if context == "" {
		for i, choice := range choices {
			out[i] = record.Request{Context: []int32{tok.EOS()}, Continuation: tok.Encode(choice, true)}
		}
		return out, nil
	}
	kept, space := pytext.RStrip(context)
	ids := tok.Encode(kept, true)
	if boundary == record.Pairwise && len(ids) > 0 && ids[len(ids)-1] == tok.EOS() {
		ids = ids[:len(ids)-1]
	}
	for i, choice := range choices {
		out[i] = encodePair(tok, boundary, ids, kept, space+choice)
		if len(out[i].Context) == 0 {
			return nil, fmt.Errorf("the prompt %.40q has no tokens, so that no token precedes choice %d", context, i)
		}
	}
	return out, nil
}

// encodePair encodes one continuation after a context whose tokens are ids.
func encodePair(tok Tokenizer, boundary record.TokenBoundary, ids []int32, context, continuation string) record.Request {
	if boundary == record.Pairwise {
		return record.Request{Context: ids, Continuation: tok.Encode(continuation, false)}
	}
	whole := tok.Encode(context+continuation, true)
	if boundary == record.Guarded && len(whole) == len(ids) && len(ids) > 0 {
		return record.Request{Context: whole[:len(whole)-1], Continuation: whole[len(whole)-1:]}
	}
	return record.Request{Context: ids, Continuation: whole[min(len(ids), len(whole)):]}
}
