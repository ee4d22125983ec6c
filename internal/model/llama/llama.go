// Package llama is Llama (Touvron et al., 2023; Llama 3: Grattafiori et al.,
// 2024): two RMS norms per layer, rotary positions, grouped queries, a SiLU-gated
// feed-forward layer, and a head that may be tied. Llama 3.1 scales the low rotary
// frequencies. Mistral 7B (Jiang et al., 2023) is Llama with a sliding window. SmolLM3
// (Hugging Face, 2025) is Llama without rotary positions in every fourth layer.
package llama

import (
	"cmp"
	"fmt"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/nn"
)

func init() {
	model.Register("LlamaForCausalLM", model.Architecture{Load: func(config []byte, w *model.Weights) (any, error) {
		return load(config, w, Config{DecoderConfig: model.DecoderConfig{MaxPositions: 2048, RMSNormEps: 1e-6}})
	}})
	model.Register("MistralForCausalLM", model.Architecture{Load: func(config []byte, w *model.Weights) (any, error) {
		window := 4096 // the default; json.Unmarshal writes config.json's into it
		return load(config, w, Config{slides: all, DecoderConfig: model.DecoderConfig{
			MaxPositions: 131072, RMSNormEps: 1e-6, NumKeyValueHeads: 8, SlidingWindow: &window}})
	}})
	model.Register("SmolLM3ForCausalLM", model.Architecture{
		Defaults: `{"num_key_value_heads": 4, "tie_word_embeddings": true}`,
		Load: func(config []byte, w *model.Weights) (any, error) {
			return load(config, w, Config{slides: unrotated, DecoderConfig: model.DecoderConfig{
				MaxPositions: 32768, RMSNormEps: 1e-6, RopeConfig: model.RopeConfig{Standard: 2e6}}})
		}})
}

// Config is config.json.
type Config struct {
	model.DecoderConfig
	HiddenAct     string `json:"hidden_act"`
	AttentionBias bool   `json:"attention_bias"`
	MLPBias       bool   `json:"mlp_bias"`

	// SmolLM3's settings. NoRopeLayers has 0 for layers without rotary positions. If it is
	// missing, every NoRopeInterval-th layer has none.
	NoRopeLayers     []int `json:"no_rope_layers"`
	NoRopeInterval   *int  `json:"no_rope_layer_interval"`
	UseSlidingWindow bool  `json:"use_sliding_window"`

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
	if err := model.Decode(config, &c); err != nil {
		return nil, err
	}
	c.DeriveHeads()
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
	return c.Transformer(w, "model.", func(i int) nn.Block { return c.layer(w, i, freqs) }), nil
}

func (c *Config) check() error {
	_, err := model.Activation("hidden_act", c.HiddenAct)
	return cmp.Or(err, c.Check(), c.checkSmolLM3())
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
	if c.NoRopeLayers != nil && c.NoRopeInterval != nil {
		for i, rotates := range c.NoRopeLayers {
			if (rotates != 0) != ((i+1)%*c.NoRopeInterval != 0) {
				return badinput.Errorf("config.json: no_rope_layers[%d] is %d, which contradicts no_rope_layer_interval %d; remove the wrong one",
					i, rotates, *c.NoRopeInterval)
			}
		}
	}
	return cmp.Or(model.CheckLayerTypes(c.LayerTypes, c.NumHiddenLayers),
		model.CheckSliding(c.LayerTypes, "use_sliding_window", c.UseSlidingWindow))
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
	spec := c.Attention(c.window(i))
	if !c.rotates(i) {
		freqs = nil
	}
	act, _ := model.Activation("hidden_act", c.HiddenAct) // checked
	return &nn.PreNorm{
		AttnNorm: c.Norm(w, p+"input_layernorm", c.HiddenSize),
		Attn:     w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias}),
		MLPNorm:  c.Norm(w, p+"post_attention_layernorm", c.HiddenSize),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, act, c.MLPBias),
	}
}
