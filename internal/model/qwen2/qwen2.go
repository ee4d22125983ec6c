// Package qwen2 is Qwen2 and Qwen2.5 (Yang et al., "Qwen2 Technical Report",
// 2024): the block of Llama with biases on queries, keys and values only. Some models have
// sliding windows on the upper layers. The small models have a tied head.
package qwen2

import (
	"cmp"
	"fmt"

	"barka/internal/model"
	"barka/internal/nn"
)

func init() {
	model.Register("Qwen2ForCausalLM", model.Architecture{Load: func(config []byte, w *model.Weights) (any, error) { return New(config, w) }})
}

// Config is config.json.
type Config struct {
	model.DecoderConfig
	HiddenAct        string `json:"hidden_act"`
	UseSlidingWindow bool   `json:"use_sliding_window"`
	MaxWindowLayers  int    `json:"max_window_layers"` // these have no window
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*model.Transformer, error) {
	window := 4096
	c := Config{HiddenAct: "silu", MaxWindowLayers: 28,
		DecoderConfig: model.DecoderConfig{MaxPositions: 32768, RMSNormEps: 1e-6, SlidingWindow: &window}}
	if err := model.Decode(config, &c); err != nil {
		return nil, err
	}
	c.DeriveHeads()
	if !c.UseSlidingWindow {
		c.SlidingWindow = nil
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	freqs, err := c.RopeConfig.Frequencies(c.HeadDim)
	if err != nil {
		return nil, err
	}
	return c.Transformer(w, "model.", func(i int) nn.Block { return c.layer(w, i, freqs) }), nil
}

func (c *Config) check() error {
	_, err := model.Activation("hidden_act", c.HiddenAct)
	return cmp.Or(err, c.Check(), model.CheckLayerTypes(c.LayerTypes, c.NumHiddenLayers),
		model.CheckSliding(c.LayerTypes, "use_sliding_window", c.UseSlidingWindow))
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) *nn.PreNorm {
	p := fmt.Sprintf("model.layers.%d.", i)
	spec := c.Attention(c.Window(i, i >= c.MaxWindowLayers))
	act, _ := model.Activation("hidden_act", c.HiddenAct) // checked
	return &nn.PreNorm{
		AttnNorm: c.Norm(w, p+"input_layernorm", c.HiddenSize),
		Attn:     w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: true}),
		MLPNorm:  c.Norm(w, p+"post_attention_layernorm", c.HiddenSize),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, act, false),
	}
}
