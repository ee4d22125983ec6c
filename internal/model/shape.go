package model

import (
	"cmp"
	"encoding/json"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
)

// Shape is what a decoder's memory follows from. It is read from config.json
// and from the shapes of the tensors, without their values.
type Shape struct {
	Info
	// QWidth is H·Dh, KVWidth G·Dh, and Inner F, the width of the feed-forward
	// layer.
	QWidth, KVWidth, Inner int
	// Weights is the memory of the packed weights, in bytes, and Mapped that of
	// an embedding's table, of which only the rows that are looked up are read.
	Weights, Mapped int64
	// Linears are the layers that an adapter may attach to, by name.
	Linears []Linear

	fused bool // queries, keys and values come of one projection
}

// Linear is the name and the size [N,K] of a linear layer.
type Linear struct {
	Name string
	N, K int
}

// CheckKind refuses a model that is of no supported architecture, or of one
// for another purpose: translation, where encoderDecoder, or else text.
func CheckKind(dir string, encoderDecoder bool) error {
	data, err := ReadConfig(dir)
	if err != nil {
		return err
	}
	var head configHead
	if err := json.Unmarshal(data, &head); err != nil {
		return badinput.Errorf("%s/config.json: %w", dir, err)
	}
	name, err := head.architecture(dir)
	if err != nil {
		return err
	}
	switch is := architectures[name].Seq2Seq; {
	case is && !encoderDecoder:
		return errEncoderDecoder(dir)
	case !is && encoderDecoder:
		return errCausal(dir)
	}
	return nil
}

// MeasureDecoder reads the shape of a causal language model that would be
// opened with weights of a type.
func MeasureDecoder(dir string, dt dtype.DType) (*Shape, error) {
	text, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	var c struct {
		configHead
		Vocab     int  `json:"vocab_size"`
		Hidden    int  `json:"hidden_size"`
		Inner     int  `json:"intermediate_size"`
		Layers    int  `json:"num_hidden_layers"`
		Heads     int  `json:"num_attention_heads"`
		KVHeads   *int `json:"num_key_value_heads"`
		HeadDim   int  `json:"head_dim"`
		Positions int  `json:"max_position_embeddings"`
	}
	if text, err = withArchitecture(text); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, badinput.Errorf("%s/config.json: %w", dir, err)
	}
	if len(c.Architectures) == 0 {
		c.Architectures = []string{""}
	}
	if c.KVHeads == nil {
		c.KVHeads = &c.Heads
	}
	if err := cmp.Or(CheckWidth("hidden_size", c.Hidden), CheckLayers("num_hidden_layers", c.Layers), CheckWidth("num_attention_heads", c.Heads)); err != nil {
		return nil, badinput.Errorf("%s/%w", dir, err)
	}
	head := cmp.Or(c.HeadDim, c.Hidden/c.Heads)
	s := &Shape{QWidth: c.Heads * head, KVWidth: *c.KVHeads * head, Inner: c.Inner, fused: c.ModelType == "gpt_neox"}
	s.Info = Info{Architecture: c.Architectures[0], Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.Positions,
		TorchDType: cmp.Or(c.TorchDType, c.DType), DType: dt}
	return s, s.weigh(dir)
}

// withArchitecture adds the defaults of the architecture, if it is known.
func withArchitecture(config []byte) ([]byte, error) {
	var head configHead
	if err := json.Unmarshal(config, &head); err != nil || len(head.Architectures) == 0 {
		return config, nil // reported by who reads the settings
	}
	a, ok := architectures[head.Architectures[0]]
	if !ok {
		return config, nil
	}
	return a.withDefaults(config)
}

// weigh adds up the tensors. Of two matrices over the vocabulary the first is
// looked up and the second packed; a single one is both.
func (s *Shape) weigh(dir string) error {
	ck, err := checkpoint.Open(dir)
	if err != nil {
		return err
	}
	defer ck.Close()
	var vocabulary int64
	for _, name := range ck.Names() {
		t, shape, _ := ck.Info(name)
		if ck.Owner(name) != name || !t.Float() || Visual(name) { // tied, or a mask of an old checkpoint
			continue
		}
		n := int64(1)
		for _, d := range shape {
			n *= int64(d)
		}
		s.Parameters += n
		if len(shape) < 2 {
			s.Weights += 4 * n
			continue
		}
		packed := n * int64(s.DType.Size())
		if s.DType == dtype.I8 {
			packed += 8 * int64(shape[0])
		}
		s.Weights += packed
		if shape[0] == s.Vocab && shape[1] == s.Hidden {
			if vocabulary > 0 {
				s.Weights -= packed
			}
			vocabulary++
			s.Mapped = n * int64(t.Size())
		} else if layer, ok := strings.CutSuffix(name, ".weight"); ok && len(shape) == 2 {
			s.Linears = append(s.Linears, Linear{Module(layer), shape[0], shape[1]})
		}
	}
	return nil
}

// RowBytes is the memory of a token's keys and values in all layers.
func (s *Shape) RowBytes() int64 { return int64(s.Layers) * 2 * 4 * int64(s.KVWidth) }

// PassBytes is the memory of the activations of a pass over some tokens, after
// others whose keys are kept, of which a number of rows goes on to the head.
// Tensors of one width take turns in the same memory.
func (s *Shape) PassBytes(tokens, before, rows int) int64 {
	D, Q, KV, F := int64(s.Hidden), int64(s.QWidth), int64(s.KVWidth), int64(s.Inner)
	widths := 3*D + 2*Q + 2*KV + 2*F // the stream, a norm, a sum; q, out; k, v; gate, up
	if s.fused {
		widths = 4*D + 2*Q + 2*KV + Q + 2*KV + F
	}
	n := int64(tokens)*widths + int64(rows)*D
	if before > 0 {
		n += int64(before+tokens) * 2 * KV
	}
	const packed = 2 << 20 // values at once
	return 4 * (n + n/16 + packed)
}
