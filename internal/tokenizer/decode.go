package tokenizer

import "strings"

// decoder is a node of a tokenizer's decoder. It rewrites a list of tokens; the
// decoded text is the concatenation of the last node's tokens. A node processes
// tokens as they come, so that one implementation serves Decode and Stream.
type decoder interface {
	// start starts a list of tokens. The node sends the rewritten tokens to next.
	start(next sink) sink
}

// sink receives the tokens of a list in order, each in one or more pieces. What it
// passes on is final: no later piece can change it.
type sink interface {
	text(s string) // the next piece of the token: whole characters
	end()          // the token is complete
	close()        // the list is complete
}

// decoders are applied in order.
type decoders []decoder

func (ds decoders) start(next sink) sink {
	for i := len(ds) - 1; i >= 0; i-- {
		next = ds[i].start(next)
	}
	return next
}

// output is the last sink.
type output struct{ b []byte }

func (o *output) text(s string) { o.b = append(o.b, s...) }
func (o *output) end()          {}
func (o *output) close()        {}

// spaceDecoder puts a space between tokens. It is used if a file has no decoder.
type spaceDecoder struct{}

func (spaceDecoder) start(next sink) sink { return &spaced{sink: next} }

type spaced struct {
	sink
	later bool // this is not the first token
}

func (s *spaced) text(piece string) {
	if s.later {
		s.sink.text(" ")
		s.later = false
	}
	s.sink.text(piece)
}

func (s *spaced) end() { s.later = true }

// fuseDecoder joins all tokens to one.
type fuseDecoder struct{}

func (fuseDecoder) start(next sink) sink { return fused{next} }

type fused struct{ sink }

func (f fused) end()   {}
func (f fused) close() { f.sink.end(); f.sink.close() }

// metaspaceDecoder replaces marks by spaces, and drops those of the first token.
type metaspaceDecoder struct {
	mark  string // one character
	never bool   // no mark was prepended: the first token is treated like the others
}

func (d metaspaceDecoder) start(next sink) sink { return &unmarked{next, d.mark, d.never} }

type unmarked struct {
	sink
	mark string
	keep bool // marks become spaces
}

func (m *unmarked) text(s string) {
	with := ""
	if m.keep {
		with = " "
	}
	m.sink.text(strings.ReplaceAll(s, m.mark, with))
}

func (m *unmarked) end() {
	m.keep = true
	m.sink.end()
}

// replaceDecoder applies a replacement to every token.
type replaceDecoder struct{ replace }

func (d replaceDecoder) start(next sink) sink { return &replaced{sink: next, replace: d.replace} }

type replaced struct {
	sink
	replace
	held []byte // the start of a possible match, or a whole token for a regular expression
}

func (r *replaced) text(s string) {
	r.held = append(r.held, s...)
	if r.pattern != nil || r.old == "" {
		return
	}
	rest := string(r.held)
	for {
		before, after, found := strings.Cut(rest, r.old)
		if !found {
			break
		}
		r.sink.text(before + r.with)
		rest = after
	}
	n := len(rest) - begun(rest, r.old)
	r.sink.text(rest[:n])
	r.held = append(r.held[:0], rest[n:]...)
}

func (r *replaced) end() {
	r.sink.text(r.normalize(string(r.held)))
	r.held = r.held[:0]
	r.sink.end()
}

// begun returns the length of the longest suffix of text that is a proper prefix of
// pattern.
func begun(text, pattern string) int {
	for n := min(len(pattern)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, pattern[:n]) {
			return n
		}
	}
	return 0
}

// stripDecoder removes up to left copies of content from the start of every token,
// and up to right copies from its end.
type stripDecoder struct {
	content     string // one character
	left, right int
}

func (d stripDecoder) start(next sink) sink { return &stripped{sink: next, stripDecoder: d} }

type stripped struct {
	sink
	stripDecoder
	removed int // copies removed from the start of the token; left when done
	held    int // copies at the current end of the token
}

func (s *stripped) text(piece string) {
	for s.removed < s.left && strings.HasPrefix(piece, s.content) {
		piece = piece[len(s.content):]
		s.removed++
	}
	if piece == "" {
		return
	}
	s.removed = s.left
	piece = strings.Repeat(s.content, s.held) + piece
	n := len(piece)
	for s.held = 0; s.held < s.right && strings.HasSuffix(piece[:n], s.content); s.held++ {
		n -= len(s.content)
	}
	s.sink.text(piece[:n])
}

func (s *stripped) end() {
	s.removed, s.held = 0, 0
	s.sink.end()
}
