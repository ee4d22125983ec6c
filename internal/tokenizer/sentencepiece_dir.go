package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
)

// slowClass is a tokenizer class of transformers that wraps a SentencePiece model.
type slowClass int

const (
	slowNone  slowClass = iota // the model alone, no class is named
	slowLlama                  // treats spaces after special tokens differently
	slowGemma
	slowNLLB // numbers pieces as fairseq does
	slowM2M  // numbers pieces by vocab.json
)

// slowClasses maps class names to classes, and also the model_type values of
// config.json, which are used if tokenizer_config.json names no class.
var slowClasses = map[string]slowClass{
	"LlamaTokenizer": slowLlama, "llama": slowLlama, "mistral": slowLlama,
	"GemmaTokenizer": slowGemma, "gemma": slowGemma, "gemma2": slowGemma, "gemma3": slowGemma, "gemma3_text": slowGemma,
	"NllbTokenizer": slowNLLB, "M2M100Tokenizer": slowM2M, "m2m_100": slowM2M,
}

// slowClassOf returns the class that c names, or that of the model's type. A model
// without any such file is used as SentencePiece itself uses it.
func slowClassOf(dir, file string, c configFile) (slowClass, error) {
	name := strings.TrimSuffix(c.Class, "Fast")
	if name == "" {
		var model struct {
			Type string `json:"model_type"`
		}
		if err := readJSON(filepath.Join(dir, "config.json"), &model); err != nil {
			return 0, err
		}
		name = model.Type
	}
	alone := name == "" && !c.present
	class, ok := slowClasses[name]
	if fairseq := file == fairseqFile; ok && fairseq == (class == slowNLLB || class == slowM2M) || alone && !fairseq {
		return class, nil
	}
	return 0, badinput.Errorf("without tokenizer.json, tokenizer_class of tokenizer_config.json has to be LlamaTokenizer, "+
		"GemmaTokenizer, or NllbTokenizer or M2M100Tokenizer with a %s; found %q", fairseqFile, name)
}

const fairseqFile = "sentencepiece.bpe.model"

// readJSON reads a file that may be missing.
func readJSON(path string, v any) error {
	data, err := badinput.ReadFile(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return badinput.Wrap(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return badinput.Errorf("%s: %w", path, err)
	}
	return nil
}

// completeSentencePiece turns a SentencePiece model into what transformers' slow
// tokenizers make of it with the files of its directory. Special tokens are parsed in
// texts, keep their text when decoded, and are put around texts.
func (t *Tokenizer) completeSentencePiece(dir, file string, c configFile) error {
	class, err := slowClassOf(dir, file, c)
	if err != nil {
		return err
	}
	if class == slowNone {
		t.known(&c)
		t.configure(c)
		return nil
	}
	tokens, err := declaredTokens(dir, c)
	if err != nil {
		return err
	}
	switch class {
	case slowNLLB:
		tokens, err = t.fairseq(c, tokens)
	case slowM2M:
		tokens, err = t.m2m100(dir, c, tokens)
	default:
		tokens = append(tokens, t.known(&c)...)
	}
	if err != nil {
		return err
	}
	controls := t.added.special
	t.added = newAddedTokens(tokens, nil)
	t.dec.(*spmDecoder).unk = "" // <unk> is now decoded as its own text
	switch class {
	case slowNLLB:
		t.configure(c)
		t.config.strip = true
		return t.translateFrom(cmp.Or(c.Source, "eng_Latn"))
	case slowM2M:
		c.LegacyNLLB = false // only NLLB has it
		t.configure(c)
		t.config.strip = true
		return t.translateFrom(cmp.Or(c.Source, "en"))
	case slowLlama:
		c.Class = "LlamaTokenizer"
		if c.Legacy != nil && !*c.Legacy {
			t.markOnce(c.AddPrefix == nil || *c.AddPrefix)
		}
	case slowGemma:
		c.Class = "GemmaTokenizer"
	}
	maps.Copy(t.added.special, controls)
	t.configure(c)
	return nil
}

// declaredTokens returns the tokens of added_tokens_decoder, or of the older
// added_tokens.json, sorted by id.
func declaredTokens(dir string, c configFile) ([]addedToken, error) {
	var tokens []addedToken
	for key, a := range c.Added {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 || id > maxID {
			return nil, badinput.Errorf("tokenizer_config.json: added_tokens_decoder: key %q is not a token id", key)
		}
		if len(a.Content) > maxAdded {
			return nil, badinput.Errorf("tokenizer_config.json: added_tokens_decoder: the token with id %d has %d "+
				"bytes, expected at most %d",
				id, len(a.Content), maxAdded)
		}
		a.ID, a.Normalized = int32(id), false
		tokens = append(tokens, a)
	}
	if c.Added == nil {
		var ids map[string]int32
		if err := readJSON(filepath.Join(dir, "added_tokens.json"), &ids); err != nil {
			return nil, err
		}
		special := map[tokenText]bool{}
		for _, s := range append([]tokenText{c.BOS, c.EOS, c.Pad, c.Unk, c.Mask}, c.Additional...) {
			special[s] = true
		}
		for text, id := range ids {
			if id < 0 || id > maxID {
				return nil, badinput.Errorf("added_tokens.json: token %q has id %d, expected 0 to %d", text, id, maxID)
			}
			if len(text) > maxAdded {
				return nil, badinput.Errorf("added_tokens.json: the token with id %d has %d bytes, expected at most %d", id, len(text),
					maxAdded)
			}
			tokens = append(tokens, addedToken{ID: id, Content: text, Special: special[tokenText(text)]})
		}
	}
	slices.SortFunc(tokens, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return tokens, nil
}

// known returns the special tokens that are pieces of the model. It adds the model's
// own special tokens to c if there is no tokenizer_config.json.
func (t *Tokenizer) known(c *configFile) []addedToken {
	if !c.present {
		s := t.config.special
		for id, text := range map[int32]*tokenText{s.BOS: &c.BOS, s.EOS: &c.EOS, s.Pad: &c.Pad, s.Unk: &c.Unk} {
			if piece, ok := t.model.token(id); ok && *text == "" {
				*text = tokenText(piece)
			}
		}
	}
	var tokens []addedToken
	for _, s := range append([]tokenText{c.BOS, c.EOS, c.Pad, c.Unk}, c.Additional...) {
		if id, ok := t.model.id(string(s)); ok {
			tokens = append(tokens, addedToken{ID: id, Content: string(s), Special: true})
		}
	}
	return tokens
}

// markOnce selects the newer behaviour of Llama: only the start of the text is marked,
// not the start of every stretch between special tokens.
func (t *Tokenizer) markOnce(mark bool) {
	t.norm.(*spmNormalizer).dummy = false
	if mark {
		t.pre = []preTokenizer{markFirst{}}
	} else {
		t.dec.(*spmDecoder).dropFirst = false
	}
}

// markFirst puts a space mark before the original text.
type markFirst struct{}

func (markFirst) split(out, in []piece) []piece {
	for _, p := range in {
		if p.first {
			p.text = spaceMark + p.text
		}
		out = append(out, p)
	}
	return out
}
