// Package llama is Llama (Touvron et al., 2023; Llama 3: Grattafiori et al.,
// 2024) and Mistral 7B (Jiang et al., 2023), which is Llama with a sliding
// window: two RMS norms a layer, rotary positions, of which Llama 3.1 scales
// the slow ones, grouped queries, a SiLU-gated feed-forward layer, a head of
// its own or tied.
package llama

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

func init() {
	model.Register("LlamaForCausalLM", func(config []byte, w *model.Weights) (any, error) {
		return load(config, w, Config{MaxPositions: 2048, RMSNormEps: 1e-6})
	})
	model.Register("MistralForCausalLM", func(config []byte, w *model.Weights) (any, error) {
		window := 4096 // config.json may write another into it
		return load(config, w, Config{MaxPositions: 131072, RMSNormEps: 1e-6, NumKeyValueHeads: 8, SlidingWindow: &window, slides: true})
	})
}

// Config is config.json.
type Config struct {
	VocabSize         int     `json:"vocab_size"`
	HiddenSize        int     `json:"hidden_size"`
	IntermediateSize  int     `json:"intermediate_size"`
	NumHiddenLayers   int     `json:"num_hidden_layers"`
	NumAttentionHeads int     `json:"num_attention_heads"`
	NumKeyValueHeads  int     `json:"num_key_value_heads"`
	HeadDim           int     `json:"head_dim"`
	HiddenAct         string  `json:"hidden_act"`
	MaxPositions      int     `json:"max_position_embeddings"`
	RMSNormEps        float64 `json:"rms_norm_eps"`
	AttentionBias     bool    `json:"attention_bias"`
	MLPBias           bool    `json:"mlp_bias"`
	TieWordEmbeddings bool    `json:"tie_word_embeddings"`
	SlidingWindow     *int    `json:"sliding_window"`
	model.RopeConfig

	slides bool // Mistral: SlidingWindow counts
}

func load(config []byte, w *model.Weights, c Config) (*model.Stack, error) {
	c.HiddenAct = "silu"
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, badinput.Errorf("config.json: %w", err)
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	c.HeadDim = model.HeadWidth(c.HeadDim, c.HiddenSize, c.NumAttentionHeads)
	if !c.slides {
		c.SlidingWindow = nil
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	freqs, err := c.RopeConfig.Frequencies(c.HeadDim)
	if err != nil {
		return nil, err
	}
	m := &model.Stack{Dev: w.Device(), Scale: 1, KVWidth: c.NumKeyValueHeads * c.HeadDim}
	m.Embed, m.Output = w.Ends("model.embed_tokens.weight", "lm_head.weight", c.VocabSize, c.HiddenSize, c.TieWordEmbeddings)
	for i := range c.NumHiddenLayers {
		m.Blocks = append(m.Blocks, c.layer(w, i, freqs))
	}
	norm := w.RMSNorm("model.norm", c.HiddenSize, c.RMSNormEps)
	m.Norm = &norm
	m.About = w.Info(model.Info{Layers: c.NumHiddenLayers, Hidden: c.HiddenSize, Vocab: c.VocabSize, MaxPositions: c.MaxPositions})
	return m, nil
}

func (c *Config) check() error {
	_, err := model.Activation("hidden_act", c.HiddenAct)
	return cmp.Or(err,
		model.CheckWidth("vocab_size", c.VocabSize),
		model.CheckWidth("hidden_size", c.HiddenSize),
		model.CheckWidth("intermediate_size", c.IntermediateSize),
		model.CheckLayers("num_hidden_layers", c.NumHiddenLayers),
		model.CheckHeads(c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim),
		model.CheckPositions("max_position_embeddings", c.MaxPositions),
		model.CheckPositive("rms_norm_eps", c.RMSNormEps),
		model.CheckWindow(c.SlidingWindow),
	)
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) *nn.PreNorm {
	p := fmt.Sprintf("model.layers.%d.", i)
	w.Ignore(p + "self_attn.rotary_emb.inv_freq") // of old checkpoints
	spec := tensor.Attention{Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim,
		Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Causal: true}
	if c.SlidingWindow != nil {
		spec.Window = *c.SlidingWindow
	}
	act, _ := model.Activation("hidden_act", c.HiddenAct) // checked
	return &nn.PreNorm{
		AttnNorm: w.RMSNorm(p+"input_layernorm", c.HiddenSize, c.RMSNormEps),
		Attn:     w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias}),
		MLPNorm:  w.RMSNorm(p+"post_attention_layernorm", c.HiddenSize, c.RMSNormEps),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, act, c.MLPBias),
	}
}
