package gguf

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
)

// The types of tokens, by their numbers in the file: those of SentencePiece.
const (
	tokenUnknown = 2
	tokenControl = 3
	tokenDefined = 4
)

// vocabulary is the tokenizer as the file has it.
type vocabulary struct {
	tokens []string
	kinds  []int64   // empty: all are normal
	scores []float64 // of SentencePiece
	merges []string  // of BPE
}

func (c *contents) vocabulary() (v vocabulary, err error) {
	v.tokens, _ = c.settings["tokenizer.ggml.tokens"].([]string)
	v.kinds, _ = c.settings["tokenizer.ggml.token_type"].([]int64)
	v.scores, _ = c.settings["tokenizer.ggml.scores"].([]float64)
	v.merges, _ = c.settings["tokenizer.ggml.merges"].([]string)
	switch {
	case len(v.tokens) == 0:
		err = badinput.Errorf("the file has no tokenizer: tokenizer.ggml.tokens is missing")
	case len(v.kinds) != 0 && len(v.kinds) != len(v.tokens):
		err = badinput.Errorf("tokenizer.ggml.token_type has %d entries for %d tokens", len(v.kinds), len(v.tokens))
	}
	return v, err
}

// kind is the type of a token, 1 for a normal one.
func (v *vocabulary) kind(i int) int64 {
	if len(v.kinds) == 0 {
		return 1
	}
	return v.kinds[i]
}

// tokenizer returns the tokenizer's files by name.
func (c *contents) tokenizer() (map[string][]byte, error) {
	v, err := c.vocabulary()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	settings := c.tokenizerConfig(&v)
	switch model := c.text("tokenizer.ggml.model"); model {
	case "gpt2":
		if files["tokenizer.json"], err = c.bpe(&v); err != nil {
			return nil, err
		}
	case "llama":
		if len(v.scores) != len(v.tokens) {
			return nil, badinput.Errorf("tokenizer.ggml.scores has %d entries for %d tokens", len(v.scores), len(v.tokens))
		}
		files["tokenizer.model"] = c.sentencePiece(&v)
		settings["tokenizer_class"] = "LlamaTokenizer"
		if a := c.architecture(); a == "gemma2" || a == "gemma3" {
			settings["tokenizer_class"] = "GemmaTokenizer"
		}
	default:
		return nil, badinput.Errorf("tokenizer.ggml.model is %q, which is not supported; "+
			"supported: gpt2 (byte-level BPE) and llama (SentencePiece)", model)
	}
	files["tokenizer_config.json"], err = json.Marshal(settings)
	return files, err
}

// added are the tokens that are found in a text before anything else, by id.
func (v *vocabulary) added() (ids []int, tokens []map[string]any) {
	for i, t := range v.tokens {
		if k := v.kind(i); (k == tokenControl || k == tokenDefined) && t != "" {
			ids = append(ids, i)
			tokens = append(tokens, map[string]any{"content": t, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
				"special": k == tokenControl})
		}
	}
	return ids, tokens
}

// tokenizerConfig returns tokenizer_config.json.
func (c *contents) tokenizerConfig(v *vocabulary) map[string]any {
	out := map[string]any{"clean_up_tokenization_spaces": false}
	if t := c.text("tokenizer.chat_template"); t != "" {
		out["chat_template"] = t
	}
	for key, name := range map[string]string{"bos_token": "bos_token_id", "eos_token": "eos_token_id",
		"unk_token": "unknown_token_id", "pad_token": "padding_token_id"} {
		if id, ok := c.settings["tokenizer.ggml."+name].(int64); ok && id >= 0 && id < int64(len(v.tokens)) {
			out[key] = v.tokens[id]
		}
	}
	out["add_bos_token"] = c.begins()
	out["add_eos_token"], _ = c.settings["tokenizer.ggml.add_eos_token"].(bool)
	if c.spm() {
		decoder := map[string]any{}
		ids, tokens := v.added()
		for i, id := range ids {
			decoder[strconv.Itoa(id)] = tokens[i]
		}
		out["added_tokens_decoder"] = decoder
	}
	return out
}

// spm reports whether the tokenizer is a SentencePiece model.
func (c *contents) spm() bool { return c.text("tokenizer.ggml.model") == "llama" }

// begins reports whether a text begins with the first token. A file that does not say so leaves
// it to the kind of tokenizer, as in llama.cpp.
func (c *contents) begins() bool {
	if said, ok := c.settings["tokenizer.ggml.add_bos_token"].(bool); ok {
		return said
	}
	return c.spm() || wordsOf[c.text("tokenizer.ggml.pre")].begins
}

// sentencePiece returns the model as a SentencePiece file
// (sentencepiece_model.proto): pieces with score and type, byte-pair encoding
// with bytes for what is unknown.
func (c *contents) sentencePiece(v *vocabulary) []byte {
	unknown := int64(0)
	if id, ok := c.settings["tokenizer.ggml.unknown_token_id"].(int64); ok {
		unknown = id
	}
	var out, piece []byte
	for i, t := range v.tokens {
		kind := uint64(max(v.kind(i), 1))
		if int64(i) == unknown {
			kind = tokenUnknown // which some files call a control token
		}
		piece = appendBytes(piece[:0], 1, []byte(t))
		piece = binary.LittleEndian.AppendUint32(append(piece, 2<<3|5), math.Float32bits(float32(v.scores[i])))
		piece = appendVarint(piece, 3, kind)
		out = appendBytes(out, 1, piece)
	}
	trainer := appendVarint(nil, 3, 2) // model_type: BPE
	trainer = appendVarint(trainer, 35, 1)
	out = appendBytes(out, 2, trainer)
	said := func(key string, standard bool) uint64 {
		if b, ok := c.settings["tokenizer.ggml."+key].(bool); ok {
			standard = b
		}
		if standard {
			return 1
		}
		return 0
	}
	normalizer := appendBytes(nil, 1, []byte("identity"))
	normalizer = appendVarint(normalizer, 3, said("add_space_prefix", true))
	normalizer = appendVarint(normalizer, 4, said("remove_extra_whitespaces", false))
	normalizer = appendVarint(normalizer, 5, 1) // escape_whitespaces
	return appendBytes(out, 3, normalizer)
}

// appendVarint and appendBytes write fields of Protocol Buffers.
func appendVarint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3), v)
}

func appendBytes(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func byteLevel(regex bool) map[string]any {
	return map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex}
}

// bpe returns tokenizer.json of a byte-level model.
func (c *contents) bpe(v *vocabulary) ([]byte, error) {
	pre := c.text("tokenizer.ggml.pre")
	if pre == "" {
		pre = "default"
	}
	w, ok := wordsOf[pre]
	if !ok {
		return nil, badinput.Errorf("tokenizer.ggml.pre is %q, which is not supported; use a directory with the model's own tokenizer.json, "+
			"or a file with one of %s", pre, strings.Join(slices.Sorted(maps.Keys(wordsOf)), ", "))
	}
	vocab := make(map[string]int, len(v.tokens))
	for i, t := range v.tokens {
		if old, twice := vocab[t]; twice {
			return nil, badinput.Errorf("the tokens %d and %d are both %q", old, i, t)
		}
		vocab[t] = i
	}
	model := map[string]any{"type": "BPE", "vocab": vocab, "merges": v.merges, "unk_token": nil, "fuse_unk": false, "byte_fallback": false,
		"ignore_merges": w.ignoreMerges, "dropout": nil,
		"continuing_subword_prefix": nil, "end_of_word_suffix": nil}
	if v.merges == nil {
		return nil, badinput.Errorf("tokenizer.ggml.merges is missing, which a byte-level model needs")
	}
	added := []any{}
	ids, tokens := v.added()
	for i, t := range tokens {
		t["id"] = ids[i]
		added = append(added, t)
	}
	out := map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil, "model": model,
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": w.steps}, "decoder": byteLevel(true),
		"post_processor": c.template(v),
	}
	if w.composed {
		out["normalizer"] = map[string]any{"type": "NFC"}
	}
	return json.Marshal(out)
}

// template puts the first token before a text, where the file wants one.
func (c *contents) template(v *vocabulary) any {
	id, ok := c.settings["tokenizer.ggml.bos_token_id"].(int64)
	if !c.begins() || !ok || id < 0 || id >= int64(len(v.tokens)) {
		return byteLevel(true)
	}
	bos := v.tokens[id]
	begin := map[string]any{"SpecialToken": map[string]any{"id": bos, "type_id": 0}}
	part := func(name string, kind int) map[string]any {
		return map[string]any{"Sequence": map[string]any{"id": name, "type_id": kind}}
	}
	return map[string]any{
		"type": "TemplateProcessing", "single": []any{begin, part("A", 0)}, "pair": []any{begin, part("A", 0), begin, part("B", 1)},
		"special_tokens": map[string]any{bos: map[string]any{"id": bos, "ids": []int64{id}, "tokens": []string{bos}}},
	}
}
