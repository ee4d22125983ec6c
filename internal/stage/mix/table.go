package mix

import (
	"cmp"
	"maps"
	"slices"

	"barka/internal/dataset"
)

// origin is what the rows of a class have in common. Source is the name of the input.
type origin struct {
	Source     string `json:"source"`
	Dataset    string `json:"dataset"`
	Form       string `json:"form"`
	Language   string `json:"language"`
	Licence    string `json:"licence"`
	Generator  string `json:"generator"`
	Translator string `json:"translator"`
}

// class counts the rows of one origin, before and after the mix. Tokens are in the order
// of Options.Tokenizers, each in the rows' language and in their English source.
type class struct {
	origin
	Read       int64   `json:"read"`
	Rows       int64   `json:"rows"`  // different ones in the mix
	Train      int64   `json:"train"` // with copies
	Validation int64   `json:"validation"`
	Turns      int64   `json:"turns"` // of the mix, with copies
	TokensRead []int64 `json:"tokens_read"`
	Tokens     []int64 `json:"tokens"` // of the mix, with copies
}

// classOf returns the place of a row's class.
func (s *survey) classOf(input string, r dataset.Instruction) uint32 {
	if s.index == nil {
		s.index = map[origin]uint32{}
		for i, c := range s.Classes { // of the checkpoint
			s.index[c.origin] = uint32(i)
		}
	}
	o := origin{input, r.Dataset, r.Form, r.Language, r.Licence, r.Generator, r.Translator}
	i, ok := s.index[o]
	if !ok {
		i = uint32(len(s.Classes))
		s.index[o] = i
		n := 2 * len(s.m.o.Tokenizers)
		s.Classes = append(s.Classes, &class{origin: o, TokensRead: make([]int64, n), Tokens: make([]int64, n)})
	}
	return i
}

func (c *class) read(e entry) {
	c.Read++
	for i, n := range e.tokens {
		c.TokensRead[i] += int64(n)
	}
}

// add counts a row of the mix: copies in the training set, or one in the validation set
// if copies is 0.
func (c *class) add(e entry, copies int64) {
	c.Rows++
	c.Train += copies
	if copies == 0 {
		c.Validation++
	}
	n := max(copies, 1)
	c.Turns += n * int64(e.turns)
	for i, tokens := range e.tokens {
		c.Tokens[i] += n * int64(tokens)
	}
}

// countTokens returns the tokens of a row by tokenizer, in its language and in its
// English source.
func (m *mixer) countTokens(r dataset.Instruction) []uint32 {
	counts := make([]uint32, 2*len(m.o.Tokenizers))
	for i, name := range m.o.Tokenizers {
		for _, msg := range r.Messages {
			counts[2*i] += uint32(m.counters[name](msg.Content))
		}
		for _, msg := range r.MessagesEN {
			counts[2*i+1] += uint32(m.counters[name](msg.Content))
		}
	}
	return counts
}

// tokenKey names a column of the token table: a language and a tokenizer.
type tokenKey struct{ language, tokenizer string }

func (k tokenKey) String() string { return k.language + "/" + k.tokenizer }

// tokensOf adds the counts of a class, TokensRead or Tokens, to sums.
func (m *mixer) tokensOf(c *class, counts []int64, sums map[tokenKey]int64) {
	for i, n := range counts {
		key := tokenKey{"eng_Latn", m.o.Tokenizers[i/2]}
		if i%2 == 0 {
			key.language = c.Language
		}
		if n > 0 {
			sums[key] += n
		}
	}
}

// tokens returns the tokens of the mix by language and tokenizer.
func (m *mixer) tokens() map[string]int64 {
	sums, out := map[tokenKey]int64{}, map[string]int64{}
	for _, c := range m.classes {
		m.tokensOf(c, c.Tokens, sums)
	}
	for k, n := range sums {
		out[k.String()] = n
	}
	return out
}

// line is a line of the tables of the card: what classes of one name come to.
type line struct {
	name                                 string
	read, rows, train, validation, turns int64
	tokensRead, tokens                   map[tokenKey]int64
}

func (m *mixer) add(l *line, c *class) {
	l.read += c.Read
	l.rows += c.Rows
	l.train += c.Train
	l.validation += c.Validation
	l.turns += c.Turns
	m.tokensOf(c, c.TokensRead, l.tokensRead)
	m.tokensOf(c, c.Tokens, l.tokens)
}

// lines sums the classes by name, in order of the names, and all of them.
func (m *mixer) lines(name func(*class) string) (lines []*line, all *line) {
	by := map[string]*line{}
	empty := func(name string) *line {
		return &line{name: name, tokensRead: map[tokenKey]int64{}, tokens: map[tokenKey]int64{}}
	}
	all = empty("**all**")
	for _, c := range m.classes {
		n := cmp.Or(name(c), "none")
		if by[n] == nil {
			by[n] = empty(n)
		}
		m.add(by[n], c)
		m.add(all, c)
	}
	return slices.SortedFunc(maps.Values(by), func(a, b *line) int { return cmp.Compare(a.name, b.name) }), all
}

// tokenKeys lists the columns of the token table.
func (l *line) tokenKeys() []tokenKey {
	keys := maps.Clone(l.tokensRead)
	maps.Copy(keys, l.tokens)
	return slices.SortedFunc(maps.Keys(keys), func(a, b tokenKey) int {
		return cmp.Or(cmp.Compare(a.tokenizer, b.tokenizer), cmp.Compare(a.language, b.language))
	})
}
