// Package tokenizer turns text into token ids and back exactly as the Hugging Face
// tokenizers library does, from the same tokenizer.json. SentencePiece models are
// read as well, as SentencePiece or as the slow tokenizers of transformers use
// them. A node of the file that is not implemented is an error that names it.
// Truncation and padding settings in the file are ignored, because the caller
// decides about lengths.
//
// Text passes through added tokens (matched in the raw text), normalizer,
// pre-tokenizer, model (byte-pair encoding or unigram) and post-processor, and
// back through the decoder.
//
// The package is large because the reference is: five stages with some thirty
// kinds of nodes, and two file formats for the same tokenizers. It is one package
// because the formats build the same unexported nodes and because nodes of
// different stages know each other for speed: a byte-level pre-tokenizer leaves
// its spelling to the model, models share the scratch memory of a call, a decoder
// is chosen by the vocabulary. Each stage has its own files.
package tokenizer

import "sync"

// Tokenizer encodes and decodes. It is safe for concurrent use.
type Tokenizer struct {
	added  *addedTokens
	norm   normalizer     // nil: none
	pre    []preTokenizer // applied in order
	model  model
	post   *template // nil: none
	dec    decoder
	config config

	decNoSpecial decoder // replaces dec where special tokens are skipped; nil: dec itself

	encoders sync.Pool // *encoder
}

// model turns one pre-tokenized piece into ids.
type model interface {
	encode(e *encoder, piece string, ids []int32) []int32
	id(token string) (int32, bool)
	token(id int32) (string, bool)
	size() int // largest id + 1
}

// encoder is the scratch memory of an Encode call, with a cache of encoded words.
type encoder struct {
	symbols []symbol
	heap    []merge
	pieces  [2][]piece
	cache   wordCache
	lattice []node
	path    []int32

	spmSymbols []spmSymbol
	agenda     spmAgenda
}

// EncodeOptions are options of encoding.
type EncodeOptions struct {
	// AddSpecial applies the post-processor, which adds tokens such as BOS and EOS.
	AddSpecial bool
	// NoParseSpecial treats the text of special tokens, such as <eos>, as plain
	// text, so that data cannot forge them. Other added tokens are still matched.
	NoParseSpecial bool
	// Trusted holds byte ranges, in order, in which special tokens are parsed
	// despite NoParseSpecial: the parts of a rendered chat template that the
	// template itself wrote.
	Trusted [][2]int
	// Inner means that the text continues another one. A pre-tokenizer that marks
	// the start of a text does not mark it.
	Inner bool
}

// Encode returns the ids of text. Like Hugging Face's encode, it parses the text of
// special tokens as those tokens.
func (t *Tokenizer) Encode(text string, addSpecial bool) []int32 {
	return t.EncodeOptions(text, EncodeOptions{AddSpecial: addSpecial})
}

// EncodeOptions returns the ids of text.
func (t *Tokenizer) EncodeOptions(text string, o EncodeOptions) []int32 {
	e, _ := t.encoders.Get().(*encoder)
	if e == nil {
		e = &encoder{}
	}
	defer t.encoders.Put(e)
	ids := make([]int32, 0, len(text)/3+4)
	if o.AddSpecial && t.post != nil {
		ids = append(ids, t.post.before...)
	}
	ids = t.encodeText(e, text, o, ids)
	if o.AddSpecial && t.post != nil {
		ids = append(ids, t.post.after...)
	}
	return ids
}

// encodeText splits text at the added tokens and encodes the text between them.
func (t *Tokenizer) encodeText(e *encoder, text string, o EncodeOptions, ids []int32) []int32 {
	t.stretches(text, o, false, func(s stretch) {
		if s.id >= 0 {
			ids = append(ids, s.id)
			return
		}
		ids = t.encodeStretch(e, s, ids)
	})
	return ids
}

// stretch is an added token, or the normalized text between two of them (id -1).
type stretch struct {
	text  string
	id    int32
	first bool // it is at the start of the text
	// start and end are byte offsets in the original text, if requested. where maps bytes
	// of text to bytes of the original text.
	start, end int
	where      func(from, to int) (start, end int)
}

// stretches splits text at the added tokens: first at those that match raw text,
// then at those that match normalized text. offsets requests start and end.
func (t *Tokenizer) stretches(text string, o EncodeOptions, offsets bool, f func(stretch)) {
	same := func(start, end int) (int, int) { return start, end }
	t.added.raw.split(text, o.forged(same), func(part string, start int, id int32) {
		if id >= 0 {
			f(stretch{id: id, start: start, end: start + len(part)})
			return
		}
		norm := part
		if t.norm != nil {
			norm = t.norm.normalize(part)
		}
		aligned := alignment{norm: t.norm, raw: part, normalized: norm}
		where := func(a, b int) (int, int) {
			a, b = aligned.place(a, b)
			return start + a, start + b
		}
		t.added.normalized.split(norm, o.forged(where), func(piece string, inner int, id int32) {
			s := stretch{text: piece, id: id, first: start == 0 && inner == 0 && !o.Inner}
			if offsets {
				s.start, s.end = where(inner, inner+len(piece))
				s.where = func(from, to int) (int, int) {
					from, to = aligned.placeBytes(inner+from, inner+to)
					return start + from, start + to
				}
			}
			f(s)
		})
	})
}

// encodeStretch encodes text without added tokens.
func (t *Tokenizer) encodeStretch(e *encoder, s stretch, ids []int32) []int32 {
	pieces := append(e.pieces[0][:0], piece{s.text, s.first})
	e.pieces[0] = pieces
	for i, p := range t.pre {
		out := &e.pieces[(i+1)&1]
		*out = p.split((*out)[:0], pieces)
		pieces = *out
	}
	for _, p := range pieces {
		if p.text != "" {
			ids = t.model.encode(e, p.text, ids)
		}
	}
	return ids
}

// Decode returns the text of ids. It skips ids that are not in the vocabulary and,
// with skipSpecial, special tokens.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.Stream(skipSpecial)
	for _, id := range ids {
		s.push(id)
	}
	return s.Flush()
}

// ID returns the id of the token with the given text.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.added.ids[token]; ok {
		return id, true
	}
	return t.model.id(token)
}

// Token returns the text of a token as in the vocabulary.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if s, ok := t.added.texts[id]; ok {
		return s, true
	}
	return t.model.token(id)
}

// IsSpecial reports whether an id is a special token.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.added.special[id] }

// VocabSize returns the largest id plus one, including added tokens.
func (t *Tokenizer) VocabSize() int {
	n := t.model.size()
	for id := range t.added.texts {
		n = max(n, int(id)+1)
	}
	return n
}

// template holds the tokens that the post-processor puts around a single text.
type template struct{ before, after []int32 }
