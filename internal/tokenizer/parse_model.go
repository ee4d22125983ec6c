package tokenizer

import (
	"bytes"
	"encoding/json"
	"strconv"

	"barka/internal/badinput"
)

func itoa(i int) string { return strconv.Itoa(i) }

// parseModel reads the model. vocab and merges are the parts that cutLarge removed
// from it.
func parseModel(raw json.RawMessage, vocab, merges []byte) (model, error) {
	if none(raw) {
		return nil, badinput.Errorf("tokenizer.json: model is missing")
	}
	var n struct {
		Type string `json:"type"`
	}
	if err := decodeNode(raw, "model", &n); err != nil {
		return nil, err
	}
	switch {
	case n.Type == "BPE" || n.Type == "" && len(merges) > 0:
		return parseBPE(raw, vocab, merges)
	case n.Type == "Unigram":
		return parseUnigram(raw)
	}
	return nil, unsupported("model", n.Type)
}

func parseBPE(raw json.RawMessage, vocab, merges []byte) (model, error) {
	var n struct {
		Dropout      *float64 `json:"dropout"`
		Unk          string   `json:"unk_token"` // null: ""
		Prefix       string   `json:"continuing_subword_prefix"`
		Suffix       string   `json:"end_of_word_suffix"`
		FuseUnk      bool     `json:"fuse_unk"`
		ByteFallback bool     `json:"byte_fallback"`
		IgnoreMerges bool     `json:"ignore_merges"`
	}
	if err := decodeNode(raw, "model", &n); err != nil {
		return nil, err
	}
	switch {
	case n.Dropout != nil && *n.Dropout > 0:
		return nil, badinput.Errorf("tokenizer.json: model.dropout %g makes encoding random; set it to null", *n.Dropout)
	case len(vocab) == 0 || len(merges) == 0:
		return nil, badinput.Errorf("tokenizer.json: model of type BPE needs vocab, an object, and merges, an array")
	}
	tokens, err := readVocab(vocab)
	if err != nil {
		return nil, badinput.Errorf("tokenizer.json: %w", err)
	}
	m, err := newBPE(tokens, n.Unk, n.Prefix, n.Suffix)
	if err != nil {
		return nil, badinput.Errorf("tokenizer.json: %w", err)
	}
	m.fuseUnk, m.byteFallback, m.ignoreMerges = n.FuseUnk, n.ByteFallback, n.IgnoreMerges
	// Every merge but the last has a comma after it or inside it.
	count := bytes.Count(merges, []byte{','}) + 1
	texts := mergeTexts{make([]byte, 0, len(merges)), make([]int, 0, count), make([]int, 0, count)}
	if err = readMerges(merges, texts.add); err == nil {
		err = m.setMerges(&texts)
	}
	if err != nil {
		return nil, badinput.Errorf("tokenizer.json: %w", err)
	}
	return m, nil
}

func parseUnigram(raw json.RawMessage) (model, error) {
	var n struct {
		Vocab        [][2]json.RawMessage `json:"vocab"`
		UnkID        *int32               `json:"unk_id"`
		ByteFallback bool                 `json:"byte_fallback"`
	}
	if err := decodeNode(raw, "model", &n); err != nil {
		return nil, err
	}
	pieces, scores := make([]string, len(n.Vocab)), make([]float64, len(n.Vocab))
	for i, v := range n.Vocab {
		at := "model.vocab[" + itoa(i) + "]"
		if err := decodeNode(v[0], at, &pieces[i]); err != nil {
			return nil, err
		}
		if err := decodeNode(v[1], at, &scores[i]); err != nil {
			return nil, err
		}
	}
	if n.UnkID == nil {
		return nil, badinput.Errorf("tokenizer.json: model.unk_id is missing; a unigram model without one is not supported")
	}
	m, err := newUnigram(pieces, scores, *n.UnkID)
	if err != nil {
		return nil, badinput.Errorf("tokenizer.json: %w", err)
	}
	m.byteFallback = n.ByteFallback
	return m, nil
}
