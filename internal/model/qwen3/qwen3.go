// Package qwen3 is Qwen3 (Qwen Team, "Qwen3 Technical Report", 2025): the block
// of Llama with an RMS norm on each head of queries and keys before the
// rotation, and a head width of its own. Hunyuan dense (Tencent, 2025) is the
// same with the norm after the rotation.
package qwen3

import (
	"cmp"
	"fmt"

	"barka/internal/model"
	"barka/internal/nn"
)

func init() {
	model.Register("Qwen3ForCausalLM", model.Architecture{
		Defaults: `{"vocab_size": 151936, "num_key_value_heads": 32, "head_dim": 128, "max_position_embeddings": 32768,
			"sliding_window": 4096, "max_window_layers": 28}`,
		Load: func(config []byte, w *model.Weights) (any, error) {
			return load(config, w, Config{HiddenAct: "silu", DecoderConfig: model.DecoderConfig{RMSNormEps: 1e-6},
				qNorm: "q_norm", kNorm: "k_norm"})
		}})
	model.Register("HunYuanDenseV1ForCausalLM", model.Architecture{
		Load: func(config []byte, w *model.Weights) (any, error) {
			return load(config, w, Config{HiddenAct: "silu", DecoderConfig: model.DecoderConfig{RMSNormEps: 1e-5, MaxPositions: 2048},
				qNorm: "query_layernorm", kNorm: "key_layernorm", normRotated: true})
		}})
}

// Config is config.json.
type Config struct {
	model.DecoderConfig
	HiddenAct        string `json:"hidden_act"`
	AttentionBias    bool   `json:"attention_bias"`
	UseSlidingWindow bool   `json:"use_sliding_window"`
	MaxWindowLayers  int    `json:"max_window_layers"` // these have no window

	qNorm, kNorm string // the norms' names
	normRotated  bool   // they follow the rotation
}

func load(config []byte, w *model.Weights, c Config) (*model.Transformer, error) {
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
	attn := w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias})
	q, k := c.Norm(w, p+"self_attn."+c.qNorm, c.HeadDim), c.Norm(w, p+"self_attn."+c.kNorm, c.HeadDim)
	attn.QNorm, attn.KNorm, attn.NormRotated = &q, &k, c.normRotated
	act, _ := model.Activation("hidden_act", c.HiddenAct) // checked
	return &nn.PreNorm{
		AttnNorm: c.Norm(w, p+"input_layernorm", c.HiddenSize),
		Attn:     attn,
		MLPNorm:  c.Norm(w, p+"post_attention_layernorm", c.HiddenSize),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, act, false),
	}
}
