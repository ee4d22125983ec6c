package model

import (
	"cmp"
	"encoding/json"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
)

// Shape has the sizes that determine a decoder's memory. It is read from config.json and from
// the shapes of the tensors, without their values.
type Shape struct {
	Info
	// QWidth is H·Dh, KVWidth is G·Dh, and Inner is F, the width of the feed-forward layer.
	QWidth, KVWidth, Inner int
	// Weights is the memory of the packed weights in bytes. Mapped is the size of an
	// embedding that stays in the checkpoint; only the rows that are looked up are read.
	Weights, Mapped int64
	// Linears are the layers that an adapter can be attached to.
	Linears []Linear

	fused bool // queries, keys and values come from one projection
}

// Linear is the name and the size [N,K] of a linear layer.
type Linear struct {
	Name string
	N, K int
}

// IsEncoderDecoder reports whether a model is an encoder-decoder model, which translates, and not a
// causal language model. It reads the configuration only. An architecture that is not supported
// is an error.
func IsEncoderDecoder(dir string) (bool, error) {
	data, err := ReadConfig(dir)
	if err != nil {
		return false, err
	}
	var head configHead
	if err := json.Unmarshal(data, &head); err != nil {
		return false, badinput.Errorf("%s/config.json: %w", dir, err)
	}
	name, err := head.architecture(dir)
	if err != nil {
		return false, err
	}
	return architectures[name].Seq2Seq, nil
}

// CheckKind returns an error if a model's architecture is not supported or has the wrong
// kind. encoderDecoder selects translation models, its absence causal language models.
func CheckKind(dir string, encoderDecoder bool) error {
	switch is, err := IsEncoderDecoder(dir); {
	case err != nil:
		return err
	case is && !encoderDecoder:
		return errEncoderDecoder(dir)
	case !is && encoderDecoder:
		return errCausal(dir)
	}
	return nil
}

// MeasureDecoder returns the shape of a causal language model as it would be opened with
// packed weights of type dt.
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
	if err := cmp.Or(
		CheckWidth("hidden_size", c.Hidden),
		CheckLayers("num_hidden_layers", c.Layers),
		CheckWidth("num_attention_heads", c.Heads),
	); err != nil {
		return nil, badinput.Errorf("%s/%w", dir, err)
	}
	head := cmp.Or(c.HeadDim, c.Hidden/c.Heads)
	s := &Shape{QWidth: c.Heads * head, KVWidth: *c.KVHeads * head, Inner: c.Inner, fused: c.ModelType == "gpt_neox"}
	s.Info = Info{Architecture: c.Architectures[0], Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.Positions,
		TorchDType: cmp.Or(c.TorchDType, c.DType), DType: dt}
	return s, s.weigh(dir)
}

// withArchitecture adds the defaults of the architecture, if it is registered.
func withArchitecture(config []byte) ([]byte, error) {
	var head configHead
	if err := json.Unmarshal(config, &head); err != nil || len(head.Architectures) == 0 {
		return config, nil // the caller reports it
	}
	a, ok := architectures[head.Architectures[0]]
	if !ok {
		return config, nil
	}
	return a.withDefaults(config)
}

// weigh adds up the sizes of the tensors. If there are two matrices over the vocabulary, the
// first is looked up and the second packed. A single one is both.
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
		if s.DType == dtype.I8 { // and a bfloat16 scale per 64 values of a row
			rows := int64(shape[0])
			packed += 2 * rows * ((n/max(rows, 1) + 63) / 64)
		}
		s.Weights += packed
		if shape[0] == s.Vocab && shape[1] == s.Hidden {
			if vocabulary > 0 {
				s.Weights -= packed
			}
			vocabulary++
			s.Mapped = int64(t.Bytes(int(n)))
		} else if layer, ok := strings.CutSuffix(name, ".weight"); ok && len(shape) == 2 {
			s.Linears = append(s.Linears, Linear{Module(layer), shape[0], shape[1]})
		}
	}
	return nil
}

// RowBytes returns the memory of one token's keys and values in all layers.
func (s *Shape) RowBytes() int64 { return int64(s.Layers) * 2 * 4 * int64(s.KVWidth) }

// PassBytes returns the memory of the activations of a pass: over tokens, after a prefix of
// before tokens in the cache, with rows of them going on to the head. Tensors of the same
// width reuse each other's memory.
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
	const packed = 2 << 20 // values packed at once, tensor/cpu's rowBudget
	return 4 * (n + n/16 + packed)
}
