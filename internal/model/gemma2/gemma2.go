// Package gemma2 is Gemma 2 (Gemma Team, "Gemma 2: Improving Open Language
// Models at a Practical Size", 2024) as transformers computes it with eager
// attention: four norms per layer, soft-capped attention and logits, sliding windows on even
// layers, grouped queries, a tied head.
package gemma2

import (
	"cmp"
	"fmt"
	"math"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

func init() {
	model.Register("Gemma2ForCausalLM", model.Architecture{Load: func(config []byte, w *model.Weights) (any, error) { return New(config, w) }})
}

// Config is config.json. Head width and query scale are read, never derived.
type Config struct {
	model.DecoderConfig
	HiddenActivation     string   `json:"hidden_activation"`
	QueryPreAttnScalar   float64  `json:"query_pre_attn_scalar"`
	AttnLogitSoftcapping *float64 `json:"attn_logit_softcapping"`
	FinalLogitSoftcap    *float64 `json:"final_logit_softcapping"`
	AttentionBias        bool     `json:"attention_bias"`
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*model.Transformer, error) {
	c := Config{HiddenActivation: "gelu_pytorch_tanh",
		DecoderConfig: model.DecoderConfig{RMSNormEps: 1e-6, MaxPositions: 8192, TieWordEmbeddings: true, PlusOne: true}}
	if err := model.Decode(config, &c); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	freqs, err := c.RopeConfig.Frequencies(c.HeadDim)
	if err != nil {
		return nil, err
	}
	m := c.Transformer(w, "model.", func(i int) nn.Block { return c.layer(w, i, freqs) })
	m.Scale = float32(math.Sqrt(float64(c.HiddenSize)))
	if w.DType() == dtype.BF16 {
		m.Scale, m.Round = dtype.RoundBF16(m.Scale), true
	}
	if c.FinalLogitSoftcap != nil {
		m.Softcap = float32(*c.FinalLogitSoftcap)
	}
	return m, nil
}

func (c *Config) check() error {
	if c.HiddenActivation != "gelu_pytorch_tanh" {
		return badinput.Errorf("config.json: hidden_activation %q is not supported; expected gelu_pytorch_tanh", c.HiddenActivation)
	}
	return cmp.Or(
		c.Check(),
		model.CheckPositive("query_pre_attn_scalar", c.QueryPreAttnScalar),
		model.CheckLayerTypes(c.LayerTypes, c.NumHiddenLayers),
		model.CheckSoftcap("attn_logit_softcapping", c.AttnLogitSoftcapping),
		model.CheckSoftcap("final_logit_softcapping", c.FinalLogitSoftcap),
	)
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) *nn.Sandwich {
	p := fmt.Sprintf("model.layers.%d.", i)
	spec := c.Attention(c.Window(i, i%2 == 0))
	spec.Scale = float32(math.Pow(c.QueryPreAttnScalar, -0.5))
	if c.AttnLogitSoftcapping != nil {
		spec.Softcap = float32(*c.AttnLogitSoftcapping)
	}
	return &nn.Sandwich{
		PreAttn:  c.Norm(w, p+"input_layernorm", c.HiddenSize),
		Attn:     w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias}),
		PostAttn: c.Norm(w, p+"post_attention_layernorm", c.HiddenSize),
		PreMLP:   c.Norm(w, p+"pre_feedforward_layernorm", c.HiddenSize),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, tensor.GELUTanh, false),
		PostMLP:  c.Norm(w, p+"post_feedforward_layernorm", c.HiddenSize),
	}
}
