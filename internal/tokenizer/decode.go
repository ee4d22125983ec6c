package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// decoder rewrites a list of tokens; the results are joined.
type decoder interface {
	decode(tokens []string) []string
}

type decoders []decoder

func (ds decoders) decode(tokens []string) []string {
	for _, d := range ds {
		tokens = d.decode(tokens)
	}
	return tokens
}

func decodeTokens(d decoder, tokens []string) string {
	if d == nil {
		return strings.Join(tokens, " ")
	}
	return strings.Join(d.decode(tokens), "")
}

// byteLevelDecoder turns the characters of byte-level tokens into bytes.
type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(tokens []string) []string {
	var b []byte
	for _, t := range tokens {
		b = textBytes(b, t)
	}
	return []string{lossy(b)}
}

// metaspaceDecoder turns marks into spaces; those of the first token go.
type metaspaceDecoder struct {
	mark  string
	never bool // nothing was prepended
}

func (m metaspaceDecoder) decode(tokens []string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		with := " "
		if i == 0 && !m.never {
			with = ""
		}
		out[i] = strings.ReplaceAll(t, m.mark, with)
	}
	return out
}

// replaceDecoder applies a replacement to every token.
type replaceDecoder struct{ replace }

func (r replaceDecoder) decode(tokens []string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = r.normalize(t)
	}
	return out
}

// byteFallbackDecoder joins runs of <0xAB> tokens; a run that is no UTF-8
// becomes one U+FFFD a byte.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(tokens []string) []string {
	var out []string
	var run []byte
	flush := func() {
		if len(run) == 0 {
			return
		}
		if utf8.Valid(run) {
			out = append(out, string(run))
		} else {
			for range run {
				out = append(out, string(utf8.RuneError))
			}
		}
		run = run[:0]
	}
	for _, t := range tokens {
		if b, ok := byteToken(t); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

type fuseDecoder struct{}

func (fuseDecoder) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// stripDecoder removes up to start copies of content before, and stop after,
// every token.
type stripDecoder struct {
	content     string
	start, stop int
}

func (s stripDecoder) decode(tokens []string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		for n := 0; n < s.start && strings.HasPrefix(t, s.content); n++ {
			t = t[len(s.content):]
		}
		for n := 0; n < s.stop && strings.HasSuffix(t, s.content); n++ {
			t = t[:len(t)-len(s.content)]
		}
		out[i] = t
	}
	return out
}
