package tokenizer

import (
	"encoding/json"
	"iter"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"barka/internal/badinput"
	"barka/internal/lines"
)

// file holds the nodes of tokenizer.json.
type file struct {
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// Parse reads the text of a tokenizer.json.
func Parse(data []byte) (*Tokenizer, error) {
	if err := lines.Check("tokenizer.json", data); err != nil { // JSON would replace bytes in tokens
		return nil, err
	}
	var f file
	rest, vocab, merges := cutLarge(data)
	if err := json.Unmarshal(rest, &f); err != nil {
		return nil, badinput.Errorf("tokenizer.json: %w", err)
	}
	t := &Tokenizer{}
	var err error
	if t.model, err = parseModel(f.Model, vocab, merges); err != nil {
		return nil, err
	}
	if t.norm, err = parseNormalizer(f.Normalizer, "normalizer"); err != nil {
		return nil, err
	}
	if t.pre, err = parsePreTokenizer(f.PreTokenizer, "pre_tokenizer"); err != nil {
		return nil, err
	}
	if t.dec, err = parseDecoder(f.Decoder, "decoder"); err != nil {
		return nil, err
	}
	for i, a := range f.AddedTokens {
		if a.ID < 0 || a.ID > maxID {
			return nil, badinput.Errorf("tokenizer.json: added_tokens[%d] %q has id %d, expected 0 to %d", i, a.Content, a.ID, maxID)
		}
		if len(a.Content) > maxAdded {
			return nil, badinput.Errorf("tokenizer.json: added_tokens[%d] with id %d has %d bytes, expected at most %d",
				i, a.ID, len(a.Content), maxAdded)
		}
	}
	for i, a := range f.AddedTokens {
		if id, ok := t.model.id(a.Content); ok {
			f.AddedTokens[i].ID = id // the model's id wins, as in the reference
		}
	}
	t.useBytes()
	t.added = newAddedTokens(f.AddedTokens, t.norm)
	if t.post, err = parsePost(f.PostProcessor, "post_processor"); err != nil {
		return nil, err
	}
	if ds, ok := t.dec.(decoders); ok {
		t.dec, t.decNoSpecial = ds.sureOf(t.texts(false)), ds.sureOf(t.texts(true))
	}
	t.config = config{special: Special{BOS: -1, EOS: -1, Pad: -1, Unk: -1}}
	return t, nil
}

// texts yields the texts of all tokens, with or without special ones.
func (t *Tokenizer) texts(skipSpecial bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for id := range int32(t.VocabSize()) {
			if text, ok := t.Token(id); ok && !(skipSpecial && t.IsSpecial(id)) && !yield(text) {
				return
			}
		}
	}
}

// none reports whether a node is absent or null.
func none(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// decodeNode decodes a node into a struct.
func decodeNode(raw json.RawMessage, at string, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return badinput.Errorf("tokenizer.json: %s: %w", at, err)
	}
	return nil
}

func unsupported(at, kind string) error {
	return badinput.Errorf("tokenizer.json: %s: type %q is not supported", at, kind)
}

// pattern is {"String": …} or {"Regex": …}.
type pattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

func (p pattern) compile(at string) (*regexp.Regexp, error) {
	re, err := compilePattern(*p.Regex)
	if err != nil {
		return nil, badinput.Errorf("tokenizer.json: %s: pattern %q is not supported: %w", at, *p.Regex, err)
	}
	return re, nil
}

func (p pattern) replace(at, with string) (replace, error) {
	switch {
	case p.String != nil:
		return replace{old: *p.String, with: with}, nil
	case p.Regex != nil:
		re, err := p.compile(at)
		return replace{pattern: re, with: with}, err
	}
	return replace{}, badinput.Errorf("tokenizer.json: %s: a pattern needs String or Regex", at)
}

func parseNormalizer(raw json.RawMessage, at string) (normalizer, error) {
	if none(raw) {
		return nil, nil
	}
	var n struct {
		Type        string            `json:"type"`
		Normalizers []json.RawMessage `json:"normalizers"`
		Prepend     string            `json:"prepend"`
		Pattern     pattern           `json:"pattern"`
		Content     string            `json:"content"`
		Charsmap    []byte            `json:"precompiled_charsmap"`
		StripLeft   bool              `json:"strip_left"`
		StripRight  bool              `json:"strip_right"`
	}
	if err := decodeNode(raw, at, &n); err != nil {
		return nil, err
	}
	switch n.Type {
	case "Sequence":
		var ns normalizers
		for i, r := range n.Normalizers {
			child, err := parseNormalizer(r, at+".normalizers["+itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			if child != nil {
				ns = append(ns, child)
			}
		}
		return ns, nil
	case "NFC":
		return form(norm.NFC), nil
	case "NFD":
		return form(norm.NFD), nil
	case "NFKC":
		return form(norm.NFKC), nil
	case "NFKD":
		return form(norm.NFKD), nil
	case "Lowercase":
		return normalizerFunc(lowercase), nil
	case "Prepend":
		return prepend(n.Prepend), nil
	case "Strip":
		return strip{n.StripLeft, n.StripRight}, nil
	case "Replace":
		return n.Pattern.replace(at, n.Content)
	case "Precompiled":
		p, err := newPrecompiled(n.Charsmap)
		if err != nil {
			return nil, badinput.Errorf("tokenizer.json: %s: %w", at, err)
		}
		return p, nil
	}
	return nil, unsupported(at, n.Type)
}

// spaceNode has the fields of Metaspace, which is a pre-tokenizer and a decoder.
type spaceNode struct {
	Replacement    string  `json:"replacement"`
	AddPrefixSpace *bool   `json:"add_prefix_space"`
	PrependScheme  *string `json:"prepend_scheme"`
	Split          *bool   `json:"split"`
}

// scheme returns always, first or never. The older field add_prefix_space can only
// mean always or never.
func (s spaceNode) scheme(at string) (string, error) {
	switch {
	case utf8.RuneCountInString(s.Replacement) != 1:
		return "", badinput.Errorf("tokenizer.json: %s: Metaspace has replacement %q, expected one character", at, s.Replacement)
	case s.PrependScheme != nil:
		switch *s.PrependScheme {
		case "always", "first", "never":
			return *s.PrependScheme, nil
		}
		return "", badinput.Errorf("tokenizer.json: %s: prepend_scheme %q, expected always, first or never", at, *s.PrependScheme)
	case s.AddPrefixSpace != nil && !*s.AddPrefixSpace:
		return "never", nil
	}
	return "always", nil
}

func parsePreTokenizer(raw json.RawMessage, at string) ([]preTokenizer, error) {
	if none(raw) {
		return nil, nil
	}
	var n struct {
		Type             string            `json:"type"`
		PreTokenizers    []json.RawMessage `json:"pretokenizers"`
		UseRegex         *bool             `json:"use_regex"`
		Pattern          pattern           `json:"pattern"`
		Behavior         string            `json:"behavior"`
		Invert           bool              `json:"invert"`
		IndividualDigits bool              `json:"individual_digits"`
		spaceNode
	}
	if err := decodeNode(raw, at, &n); err != nil {
		return nil, err
	}
	switch n.Type {
	case "Sequence":
		var ps []preTokenizer
		for i, r := range n.PreTokenizers {
			child, err := parsePreTokenizer(r, at+".pretokenizers["+itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			ps = append(ps, child...)
		}
		return ps, nil
	case "ByteLevel":
		b := byteLevel{prefixSpace: n.AddPrefixSpace != nil && *n.AddPrefixSpace}
		if n.UseRegex == nil || *n.UseRegex {
			b.pattern = scanGPT2
		}
		return one(b, nil)
	case "Metaspace":
		scheme, err := n.scheme(at)
		return one(metaspace{n.Replacement, scheme, n.Split == nil || *n.Split}, err)
	case "Split":
		return one(parseSplit(n.Pattern, n.Behavior, n.Invert, at))
	case "Digits":
		digits := func(r rune) bool { c, _ := next(string(r)); return c == number }
		return one(newSplit(nextRune(digits, !n.IndividualDigits), "Isolated", false, at))
	case "Punctuation":
		if n.Behavior == "" {
			n.Behavior = "Isolated"
		}
		return one(newSplit(nextRune(punctuation, false), n.Behavior, false, at))
	}
	return nil, unsupported(at, n.Type)
}

func one(p preTokenizer, err error) ([]preTokenizer, error) { return []preTokenizer{p}, err }

// useBytes omits the spelling of bytes as characters between a final ByteLevel and a
// model that accepts plain bytes.
func (t *Tokenizer) useBytes() {
	if len(t.pre) == 0 {
		return
	}
	b, isLevel := t.pre[len(t.pre)-1].(byteLevel)
	if m, ok := t.model.(*bpe); ok && isLevel && m.useBytes() {
		b.plain = true
		t.pre[len(t.pre)-1] = b
	}
}

func parseSplit(p pattern, behavior string, invert bool, at string) (preTokenizer, error) {
	switch {
	case p.String != nil:
		return newSplit(nextString(*p.String), behavior, invert, at)
	case p.Regex == nil:
		return nil, badinput.Errorf("tokenizer.json: %s: a pattern needs String or Regex", at)
	}
	if scan := knownScanner(*p.Regex); scan != nil {
		return newSplit(nextScanner(scan), behavior, invert, at)
	}
	words, blanks := strings.CutSuffix(*p.Regex, blankTail)
	re, err := pattern{Regex: &words}.compile(at)
	if err != nil {
		return nil, err
	}
	next := nextRegexp(re)
	if blanks {
		next = nextOrBlank(next)
	}
	return newSplit(next, behavior, invert, at)
}

func newSplit(next func(string, int) (int, int), behavior string, invert bool, at string) (preTokenizer, error) {
	switch behavior {
	case "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous":
		return splitBy{next, behavior, invert}, nil
	}
	return nil, badinput.Errorf("tokenizer.json: %s: behavior %q is not supported", at, behavior)
}

func parseDecoder(raw json.RawMessage, at string) (decoder, error) {
	if none(raw) {
		return spaceDecoder{}, nil
	}
	var n struct {
		Type     string            `json:"type"`
		Decoders []json.RawMessage `json:"decoders"`
		Pattern  pattern           `json:"pattern"`
		Content  string            `json:"content"`
		Start    int               `json:"start"`
		Stop     int               `json:"stop"`
		spaceNode
	}
	if err := decodeNode(raw, at, &n); err != nil {
		return nil, err
	}
	switch n.Type {
	case "Sequence":
		var ds decoders
		for i, r := range n.Decoders {
			child, err := parseDecoder(r, at+".decoders["+itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			if inner, ok := child.(decoders); ok {
				ds = append(ds, inner...)
			} else {
				ds = append(ds, child)
			}
		}
		return ds, nil
	case "ByteLevel":
		return byteLevelDecoder{}, nil
	case "Metaspace":
		scheme, err := n.scheme(at)
		return metaspaceDecoder{n.Replacement, scheme == "never"}, err
	case "Replace":
		r, err := n.Pattern.replace(at, n.Content)
		return replaceDecoder{r}, err
	case "ByteFallback":
		return byteFallbackDecoder{}, nil
	case "Fuse":
		return fuseDecoder{}, nil
	case "Strip":
		if utf8.RuneCountInString(n.Content) != 1 || n.Start < 0 || n.Stop < 0 {
			return nil, badinput.Errorf("tokenizer.json: %s: Strip has content %q, start %d and stop %d; expected one "+
				"character, and numbers from 0",
				at, n.Content, n.Start, n.Stop)
		}
		return stripDecoder{n.Content, n.Start, n.Stop}, nil
	}
	return nil, unsupported(at, n.Type)
}

// postNode is a node of the post-processor.
type postNode struct {
	Type       string            `json:"type"`
	Processors []json.RawMessage `json:"processors"`
	Single     []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		} `json:"SpecialToken"`
		Sequence *struct {
			ID string `json:"id"`
		} `json:"Sequence"`
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
}

// parsePost reads the post-processor. ByteLevel only changes offsets.
func parsePost(raw json.RawMessage, at string) (*template, error) {
	if none(raw) {
		return nil, nil
	}
	var n postNode
	if err := decodeNode(raw, at, &n); err != nil {
		return nil, err
	}
	switch n.Type {
	case "ByteLevel":
		return nil, nil
	case "Sequence":
		var out *template
		for i, r := range n.Processors {
			child, err := parsePost(r, at+".processors["+itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			if child == nil {
				continue
			}
			if out != nil {
				return nil, badinput.Errorf("tokenizer.json: %s: two templates in a row are not supported", at)
			}
			out = child
		}
		return out, nil
	case "TemplateProcessing":
		return n.template(at)
	}
	return nil, unsupported(at, n.Type)
}

// template returns the tokens that a TemplateProcessing node puts around a text.
func (n *postNode) template(at string) (*template, error) {
	out, seen := &template{}, false
	for _, s := range n.Single {
		if s.Sequence != nil {
			seen = true
			continue
		}
		if s.SpecialToken == nil {
			continue
		}
		name := s.SpecialToken.ID
		tok, ok := n.SpecialTokens[name]
		if !ok {
			return nil, badinput.Errorf("tokenizer.json: %s: template token %q is not in special_tokens", at, name)
		}
		for _, id := range tok.IDs {
			if id < 0 || id > maxID {
				return nil, badinput.Errorf("tokenizer.json: %s: special token %q has id %d, expected 0 to %d", at, name, id, maxID)
			}
		}
		if seen {
			out.after = append(out.after, tok.IDs...)
		} else {
			out.before = append(out.before, tok.IDs...)
		}
	}
	return out, nil
}
