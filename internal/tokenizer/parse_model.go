package tokenizer

import (
	"encoding/json"
	"strconv"
	"strings"

	"barka/internal/badinput"
)

func itoa(i int) string { return strconv.Itoa(i) }

func parseModel(raw json.RawMessage) (model, error) {
	if none(raw) {
		return nil, badinput.Errorf("tokenizer.json: model is missing")
	}
	var n struct {
		Type   string          `json:"type"`
		Merges json.RawMessage `json:"merges"`
	}
	if err := decodeNode(raw, "model", &n); err != nil {
		return nil, err
	}
	switch {
	case n.Type == "BPE" || n.Type == "" && !none(n.Merges):
		return parseBPE(raw)
	case n.Type == "Unigram":
		return parseUnigram(raw)
	}
	return nil, unsupported("model", n.Type)
}

func parseBPE(raw json.RawMessage) (model, error) {
	var n struct {
		Vocab        map[string]int32 `json:"vocab"`
		Merges       merges           `json:"merges"`
		Dropout      *float64         `json:"dropout"`
		Unk          *string          `json:"unk_token"`
		Prefix       *string          `json:"continuing_subword_prefix"`
		Suffix       *string          `json:"end_of_word_suffix"`
		FuseUnk      bool             `json:"fuse_unk"`
		ByteFallback bool             `json:"byte_fallback"`
		IgnoreMerges bool             `json:"ignore_merges"`
	}
	if err := decodeNode(raw, "model", &n); err != nil {
		return nil, err
	}
	switch {
	case n.Dropout != nil && *n.Dropout > 0:
		return nil, badinput.Errorf("tokenizer.json: model.dropout %g makes encoding random; set it to null", *n.Dropout)
	case len(n.Vocab) == 0:
		return nil, badinput.Errorf("tokenizer.json: model.vocab is empty")
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	m, err := newBPE(n.Vocab, n.Merges, text(n.Unk), text(n.Prefix), text(n.Suffix))
	if err != nil {
		return nil, badinput.Errorf("tokenizer.json: %w", err)
	}
	m.fuseUnk, m.byteFallback, m.ignoreMerges = n.FuseUnk, n.ByteFallback, n.IgnoreMerges
	return m, nil
}

// merges reads both forms: "a b" and ["a", "b"].
type merges [][2]string

func (m *merges) UnmarshalJSON(data []byte) error {
	var lines []string
	if err := json.Unmarshal(data, &lines); err != nil {
		return json.Unmarshal(data, (*[][2]string)(m))
	}
	*m = make(merges, len(lines))
	for i, l := range lines {
		a, b, ok := strings.Cut(l, " ")
		if !ok || strings.Contains(b, " ") {
			return badinput.Errorf("merges[%d]: %q, expected two tokens and one space", i, l)
		}
		(*m)[i] = [2]string{a, b}
	}
	return nil
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
