// Package llama is Llama (Touvron et al., 2023; Llama 3: Grattafiori et al.,
// 2024): two RMS norms per layer, rotary positions, grouped queries, a SiLU-gated
// feed-forward layer, and a head that may be tied. Llama 3.1 scales the low rotary
// frequencies. Mistral 7B (Jiang et al., 2023) is Llama with a sliding window. SmolLM3
// (Hugging Face, 2025) is Llama without rotary positions in every fourth layer.
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
	model.Register("LlamaForCausalLM", model.Architecture{Load: func(config []byte, w *model.Weights) (any, error) {
		return load(config, w, Config{MaxPositions: 2048, RMSNormEps: 1e-6})
	}})
	model.Register("MistralForCausalLM", model.Architecture{Load: func(config []byte, w *model.Weights) (any, error) {
		window := 4096 // the default; json.Unmarshal writes config.json's into it
		return load(config, w, Config{MaxPositions: 131072, RMSNormEps: 1e-6, NumKeyValueHeads: 8, SlidingWindow: &window, slides: all})
	}})
	model.Register("SmolLM3ForCausalLM", model.Architecture{
		Defaults: `{"num_key_value_heads": 4, "tie_word_embeddings": true}`,
		Load: func(config []byte, w *model.Weights) (any, error) {
			return load(config, w, Config{MaxPositions: 32768, RMSNormEps: 1e-6, slides: unrotated,
				RopeConfig: model.RopeConfig{RopeTheta: 2e6}})
		}})
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

	// SmolLM3's settings. NoRopeLayers has 0 for layers without rotary positions. If it is
	// missing, every NoRopeInterval-th layer has none.
	NoRopeLayers     []int    `json:"no_rope_layers"`
	NoRopeInterval   *int     `json:"no_rope_layer_interval"`
	UseSlidingWindow bool     `json:"use_sliding_window"`
	LayerTypes       []string `json:"layer_types"`

	slides slides
}

// slides selects the layers to which SlidingWindow applies.
type slides int

const (
	none      slides = iota // Llama
	all                     // Mistral
	unrotated               // SmolLM3: those without rotary positions, if UseSlidingWindow
)

func load(config []byte, w *model.Weights, c Config) (*model.Transformer, error) {
	c.HiddenAct = "silu"
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, badinput.Errorf("config.json: %w", err)
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	c.HeadDim = model.HeadWidth(c.HeadDim, c.HiddenSize, c.NumAttentionHeads)
	if c.slides == none || c.slides == unrotated && !c.UseSlidingWindow {
		c.SlidingWindow = nil
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	freqs, err := c.RopeConfig.Frequencies(c.HeadDim)
	if err != nil {
		return nil, err
	}
	m := &model.Transformer{Dev: w.Device(), Scale: 1, KVWidth: c.NumKeyValueHeads * c.HeadDim}
	m.Embed, m.Output = w.EmbedAndHead("model.embed_tokens.weight", "lm_head.weight", c.VocabSize, c.HiddenSize, c.TieWordEmbeddings)
	for i := range c.NumHiddenLayers {
		m.Blocks = append(m.Blocks, c.layer(w, i, freqs))
	}
	norm := w.RMSNorm("model.norm", c.HiddenSize, c.RMSNormEps)
	m.Norm = &norm
	m.Meta = w.Info(model.Info{Layers: c.NumHiddenLayers, Hidden: c.HiddenSize, Vocab: c.VocabSize, MaxPositions: c.MaxPositions})
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
		c.checkSmolLM3(),
	)
}

// checkSmolLM3 checks the settings that only SmolLM3 has.
func (c *Config) checkSmolLM3() error {
	switch {
	case c.slides != unrotated:
		return nil
	case c.NoRopeLayers != nil && len(c.NoRopeLayers) != c.NumHiddenLayers:
		return badinput.Errorf("config.json: no_rope_layers has %d entries for %d layers", len(c.NoRopeLayers), c.NumHiddenLayers)
	case c.NoRopeInterval != nil && *c.NoRopeInterval < 1:
		return badinput.Errorf("config.json: no_rope_layer_interval is %d, expected a positive number", *c.NoRopeInterval)
	}
	return model.CheckLayerTypes(c.LayerTypes, c.NumHiddenLayers)
}

// rotates reports whether layer i has rotary positions.
func (c *Config) rotates(i int) bool {
	switch {
	case c.slides != unrotated:
		return true
	case c.NoRopeLayers != nil:
		return c.NoRopeLayers[i] != 0
	case c.NoRopeInterval != nil:
		return (i+1)%*c.NoRopeInterval != 0
	}
	return (i+1)%4 != 0
}

// window returns the sliding window of layer i, or 0 for none.
func (c *Config) window(i int) int {
	slides := c.slides == all
	if c.slides == unrotated {
		slides = model.Sliding(c.LayerTypes, i, !c.rotates(i))
	}
	if !slides || c.SlidingWindow == nil {
		return 0
	}
	return *c.SlidingWindow
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) *nn.PreNorm {
	p := fmt.Sprintf("model.layers.%d.", i)
	w.Ignore(p + "self_attn.rotary_emb.inv_freq") // of old checkpoints
	spec := tensor.Attention{Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim,
		Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Window: c.window(i), Causal: true}
	if !c.rotates(i) {
		freqs = nil
	}
	act, _ := model.Activation("hidden_act", c.HiddenAct) // checked
	return &nn.PreNorm{
		AttnNorm: w.RMSNorm(p+"input_layernorm", c.HiddenSize, c.RMSNormEps),
		Attn:     w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias}),
		MLPNorm:  w.RMSNorm(p+"post_attention_layernorm", c.HiddenSize, c.RMSNormEps),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, act, c.MLPBias),
	}
}
