// Package evaltest holds what the tests of several evaluation packages share: fake and
// real tokenizers, and the reference's published files.
package evaltest

import (
	"hash/fnv"

	"barka/internal/pytext"
	"barka/internal/tokenizer"
)

// The special tokens of the fake tokenizers.
const (
	EOS = 1
	BOS = 2
)

// Characters is a tokenizer with one token per character.
type Characters struct{ BOS bool }

// EOS implements prompt.Tokenizer.
func (Characters) EOS() int32 { return EOS }

// Encode implements prompt.Tokenizer.
func (c Characters) Encode(text string, special bool) []int32 {
	var out []int32
	if special && c.BOS {
		out = append(out, BOS)
	}
	for _, r := range text {
		out = append(out, r)
	}
	return out
}

// Words is a tokenizer with one token per word, together with the space before it. Its
// tokens can span the boundary of prompt and choice.
type Words struct{}

// EOS implements prompt.Tokenizer.
func (Words) EOS() int32 { return EOS }

// Encode implements prompt.Tokenizer.
func (Words) Encode(text string, _ bool) []int32 {
	var out []int32
	word := ""
	flush := func() {
		if word != "" {
			h := fnv.New32a()
			h.Write([]byte(word))
			out = append(out, 100+int32(h.Sum32()%1000))
		}
		word = ""
	}
	inWord := false
	for _, r := range text {
		if pytext.IsSpace(r) && inWord {
			flush()
		}
		inWord = !pytext.IsSpace(r)
		word += string(r)
	}
	flush()
	return out
}

// Tokenizer is a published tokenizer behind the interface of package prompt.
type Tokenizer struct {
	*tokenizer.Tokenizer
	End int32
}

// EOS implements prompt.Tokenizer.
func (t Tokenizer) EOS() int32 { return t.End }
