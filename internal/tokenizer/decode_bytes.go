package tokenizer

import (
	"iter"
	"slices"
	"unicode/utf8"
)

// byteLevelDecoder joins all tokens to one and converts the characters of byte-level
// tokens to bytes.
type byteLevelDecoder struct {
	// sure means that no token contains a character outside the alphabet, so that
	// the bytes of a token are known before it is complete.
	sure bool
}

func (d byteLevelDecoder) start(next sink) sink { return &byteLevelText{sink: next, sure: d.sure} }

type byteLevelText struct {
	sink
	sure  bool
	token []byte // a token so far, if it may still turn out to be plain text
	plain bool   // the token is plain text: it has a character outside the alphabet
	bytes []byte // the first bytes of an incomplete character
}

func (b *byteLevelText) text(s string) {
	switch {
	case b.plain:
		b.add(s)
	case b.sure:
		b.bytes = textBytes(b.bytes, s)
		b.release()
	case !byteLevelAlphabet(s):
		b.plain = true
		b.add(string(b.token) + s)
		b.token = b.token[:0]
	default:
		b.token = append(b.token, s...)
	}
}

func (b *byteLevelText) add(s string) {
	b.bytes = append(b.bytes, s...)
	b.release()
}

func (b *byteLevelText) end() {
	b.bytes = textBytes(b.bytes, string(b.token))
	b.token, b.plain = b.token[:0], false
	b.release()
}

// release passes on the complete characters.
func (b *byteLevelText) release() {
	if n := len(b.bytes) - unfinished(b.bytes); n > 0 {
		b.sink.text(lossy(b.bytes[:n]))
		b.bytes = append(b.bytes[:0], b.bytes[n:]...)
	}
}

func (b *byteLevelText) close() {
	b.sink.text(lossy(b.bytes))
	b.sink.end()
	b.sink.close()
}

// unfinished returns the length of an incomplete character at the end of b.
func unfinished(b []byte) int {
	for n := 1; n <= min(3, len(b)); n++ {
		if utf8.RuneStart(b[len(b)-n]) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// byteFallbackDecoder joins every run of <0xAB> tokens to one token. A run that is
// not UTF-8 becomes one U+FFFD per byte, each a token.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) start(next sink) sink { return &byteRuns{sink: next} }

type byteRuns struct {
	sink
	token  string // a token so far, if it may still turn out to be <0xAB>
	plain  bool   // the token is not <0xAB>
	run    []byte // bytes that have not been passed on
	valid  int    // length of the complete characters in run
	broken bool   // the run is not UTF-8; nothing of it is held back
}

func (b *byteRuns) text(s string) {
	if !b.plain {
		s = b.token + s
		b.token = ""
		if len(s) <= len("<0xAB>") && s[:min(3, len(s))] == "<0x"[:min(3, len(s))] {
			b.token = s
			return
		}
		b.endRun()
		b.plain = true
	}
	b.sink.text(s)
}

func (b *byteRuns) end() {
	if c, ok := byteToken(b.token); ok && !b.plain {
		b.token = ""
		b.add(c)
		return
	}
	b.endRun()
	b.sink.text(b.token)
	b.sink.end()
	b.token, b.plain = "", false
}

func (b *byteRuns) add(c byte) {
	b.run = append(b.run, c)
	if tail := b.run[b.valid:]; utf8.FullRune(tail) {
		r, n := utf8.DecodeRune(tail)
		b.valid += n
		b.broken = b.broken || r == utf8.RuneError && n == 1
	}
	if b.broken {
		b.replaceRun()
	}
}

// endRun passes on a complete run.
func (b *byteRuns) endRun() {
	if b.valid < len(b.run) {
		b.replaceRun()
	} else if len(b.run) > 0 {
		b.sink.text(string(b.run))
		b.sink.end()
	}
	b.run, b.valid, b.broken = b.run[:0], 0, false
}

func (b *byteRuns) replaceRun() {
	for range b.run {
		b.sink.text(string(utf8.RuneError))
		b.sink.end()
	}
	b.run, b.valid = b.run[:0], 0
}

func (b *byteRuns) close() {
	b.endRun()
	b.sink.close()
}

// sureOf returns ds with byteLevelDecoder.sure set if that is valid for lists of
// these tokens. A byte-level decoder after a fuse sees a single token, and one
// character outside its alphabet turns all of it into plain text. Nothing is
// therefore final before the end of the list, unless no token can contain such a
// character. Tokenizers that transformers reads from GGUF files have this order of
// nodes.
func (ds decoders) sureOf(tokens iter.Seq[string]) decoders {
	at := slices.IndexFunc(ds, func(d decoder) bool { _, ok := d.(byteLevelDecoder); return ok })
	if at < 0 || !slices.Contains(ds[:at], decoder(fuseDecoder{})) {
		return ds
	}
	for i, d := range ds[:at] {
		if !keepsAlphabet(d, i == 0) {
			return ds
		}
	}
	_, bytes := ds[0].(byteFallbackDecoder)
	for t := range tokens {
		if _, isByte := byteToken(t); !byteLevelAlphabet(t) || bytes && isByte {
			return ds
		}
	}
	ds = slices.Clone(ds)
	ds[at] = byteLevelDecoder{sure: true}
	return ds
}

// keepsAlphabet reports whether a node turns characters of the byte-level alphabet
// only into such characters and, if it is the first node, into no <0xAB> token.
func keepsAlphabet(d decoder, first bool) bool {
	switch d := d.(type) {
	case fuseDecoder, stripDecoder:
		return true
	case byteFallbackDecoder:
		return first
	case metaspaceDecoder:
		return !byteLevelAlphabet(d.mark)
	case replaceDecoder:
		return byteLevelAlphabet(d.with) || d.pattern == nil && !byteLevelAlphabet(d.old)
	}
	return false
}
