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

// Stream decodes tokens as they come.
type Stream struct {
	t       *Tokenizer
	skip    bool
	ids     []int32 // since the last place where all text was out
	emitted int     // bytes of Decode(ids) already out
}

// Stream returns a decoder of tokens that come one by one.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream { return &Stream{t: t, skip: skipSpecial} }

// Push takes a token and returns the text that is now complete: never part of
// a character. All texts together equal Decode of all tokens.
func (s *Stream) Push(id int32) string {
	s.ids = append(s.ids, id)
	text := s.t.Decode(s.ids, s.skip)
	// A trailing replacement character may be a character in the making.
	end := len(text)
	for strings.HasSuffix(text[:end], "\uFFFD") {
		end -= len("\uFFFD")
	}
	if end <= s.emitted {
		return ""
	}
	out := text[s.emitted:end]
	s.emitted = end
	if end == len(text) && len(s.ids) > 8 {
		s.trim()
	}
	return out
}

// trim forgets all but the last token, so that a long stream stays cheap. The
// last token stays because first tokens are decoded differently.
func (s *Stream) trim() {
	keep := s.ids[len(s.ids)-1:]
	if _, ok := s.t.Token(keep[0]); !ok || s.skip && s.t.IsSpecial(keep[0]) {
		return
	}
	alone := s.t.Decode(keep, s.skip)
	if alone == "" || strings.Contains(alone, "\uFFFD") {
		return // part of a character
	}
	s.ids = append(s.ids[:0], keep...)
	s.emitted = len(alone)
}

// Flush returns what is left: the replacement of a character never finished.
func (s *Stream) Flush() string {
	text := s.t.Decode(s.ids, s.skip)
	out := text[min(s.emitted, len(text)):]
	s.ids, s.emitted = nil, 0
	return out
}
