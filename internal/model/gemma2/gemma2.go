// Package gemma2 is Gemma 2 (Gemma Team, "Gemma 2: Improving Open Language
// Models at a Practical Size", 2024) as transformers computes it with eager
// attention: four norms per layer, soft-capped attention and logits, sliding windows on even
// layers, grouped queries, a tied head.
package gemma2

import (
	"cmp"
	"encoding/json"
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
	VocabSize            int      `json:"vocab_size"`
	HiddenSize           int      `json:"hidden_size"`
	IntermediateSize     int      `json:"intermediate_size"`
	NumHiddenLayers      int      `json:"num_hidden_layers"`
	NumAttentionHeads    int      `json:"num_attention_heads"`
	NumKeyValueHeads     int      `json:"num_key_value_heads"`
	HeadDim              int      `json:"head_dim"`
	HiddenActivation     string   `json:"hidden_activation"`
	MaxPositions         int      `json:"max_position_embeddings"`
	RMSNormEps           float64  `json:"rms_norm_eps"`
	QueryPreAttnScalar   float64  `json:"query_pre_attn_scalar"`
	SlidingWindow        *int     `json:"sliding_window"`
	AttnLogitSoftcapping *float64 `json:"attn_logit_softcapping"`
	FinalLogitSoftcap    *float64 `json:"final_logit_softcapping"`
	AttentionBias        bool     `json:"attention_bias"`
	TieWordEmbeddings    bool     `json:"tie_word_embeddings"`
	LayerTypes           []string `json:"layer_types"`
	model.RopeConfig
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*model.Transformer, error) {
	c := Config{HiddenActivation: "gelu_pytorch_tanh", RMSNormEps: 1e-6, MaxPositions: 8192, TieWordEmbeddings: true}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, badinput.Errorf("config.json: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	freqs, err := c.RopeConfig.Frequencies(c.HeadDim)
	if err != nil {
		return nil, err
	}
	m := &model.Transformer{Dev: w.Device(), Scale: float32(math.Sqrt(float64(c.HiddenSize))), KVWidth: c.NumKeyValueHeads * c.HeadDim}
	if w.DType() == dtype.BF16 {
		m.Scale, m.Round = dtype.RoundBF16(m.Scale), true
	}
	if c.FinalLogitSoftcap != nil {
		m.Softcap = float32(*c.FinalLogitSoftcap)
	}
	m.Embed, m.Output = w.EmbedAndHead("model.embed_tokens.weight", "lm_head.weight", c.VocabSize, c.HiddenSize, c.TieWordEmbeddings)
	for i := range c.NumHiddenLayers {
		m.Blocks = append(m.Blocks, c.layer(w, i, freqs))
	}
	norm := c.norm(w, "model.norm")
	m.Norm = &norm
	m.Meta = w.Info(model.Info{Layers: c.NumHiddenLayers, Hidden: c.HiddenSize, Vocab: c.VocabSize, MaxPositions: c.MaxPositions})
	return m, nil
}

func (c *Config) check() error {
	if c.HiddenActivation != "gelu_pytorch_tanh" {
		return badinput.Errorf("config.json: hidden_activation %q is not supported; expected gelu_pytorch_tanh", c.HiddenActivation)
	}
	return cmp.Or(
		model.CheckWidth("vocab_size", c.VocabSize),
		model.CheckWidth("hidden_size", c.HiddenSize),
		model.CheckWidth("intermediate_size", c.IntermediateSize),
		model.CheckLayers("num_hidden_layers", c.NumHiddenLayers),
		model.CheckHeads(c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim),
		model.CheckPositions("max_position_embeddings", c.MaxPositions),
		model.CheckPositive("rms_norm_eps", c.RMSNormEps),
		model.CheckPositive("query_pre_attn_scalar", c.QueryPreAttnScalar),
		model.CheckWindow(c.SlidingWindow),
		model.CheckLayerTypes(c.LayerTypes, c.NumHiddenLayers),
		model.CheckSoftcap("attn_logit_softcapping", c.AttnLogitSoftcapping),
		model.CheckSoftcap("final_logit_softcapping", c.FinalLogitSoftcap),
	)
}

// norm loads an RMS norm that scales by 1+w.
func (c *Config) norm(w *model.Weights, module string) nn.RMSNorm {
	n := w.RMSNorm(module, c.HiddenSize, c.RMSNormEps)
	n.PlusOne = true
	return n
}

// window returns the sliding window of layer i, or 0 for none. Even layers slide unless
// layer_types differs.
func (c *Config) window(i int) int {
	if !model.Sliding(c.LayerTypes, i, i%2 == 0) || c.SlidingWindow == nil {
		return 0
	}
	return *c.SlidingWindow
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) *nn.Sandwich {
	p := fmt.Sprintf("model.layers.%d.", i)
	spec := tensor.Attention{
		Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim,
		Scale: float32(math.Pow(c.QueryPreAttnScalar, -0.5)), Window: c.window(i), Causal: true,
	}
	if c.AttnLogitSoftcapping != nil {
		spec.Softcap = float32(*c.AttnLogitSoftcapping)
	}
	return &nn.Sandwich{
		PreAttn:  c.norm(w, p+"input_layernorm"),
		Attn:     w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias}),
		PostAttn: c.norm(w, p+"post_attention_layernorm"),
		PreMLP:   c.norm(w, p+"pre_feedforward_layernorm"),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, tensor.GELUTanh, false),
		PostMLP:  c.norm(w, p+"post_feedforward_layernorm"),
	}
}
