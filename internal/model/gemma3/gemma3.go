// Package gemma3 is the language model of Gemma 3 (Gemma Team, "Gemma 3
// Technical Report", 2025) as transformers computes it with eager attention:
// the block of Gemma 2 without soft caps, an RMS norm on each head of queries
// and keys before the rotation, five sliding layers to each full one, and
// rotary positions of another base in the sliding layers. The part of the
// larger models that reads images is not loaded.
package gemma3

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

// defaults are those of transformers' Gemma3TextConfig. The published config.json of the
// models with 4B parameters and more leave these settings out.
const defaults = `{"vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
	"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
	"max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "tie_word_embeddings": true, "query_pre_attn_scalar": 256,
	"sliding_window": 4096}`

func init() {
	a := model.Architecture{Defaults: defaults, Load: func(config []byte, w *model.Weights) (any, error) { return New(config, w) }}
	model.Register("Gemma3ForCausalLM", a)
	model.Register("Gemma3ForConditionalGeneration", a)
}

// Config is config.json. Head width and query scale are read, never derived.
type Config struct {
	model.DecoderConfig
	HiddenActivation     string   `json:"hidden_activation"`
	QueryPreAttnScalar   float64  `json:"query_pre_attn_scalar"`
	SlidingPattern       *int     `json:"sliding_window_pattern"` // each so many-th layer is full
	RopeLocalBase        float64  `json:"rope_local_base_freq"`   // of the sliding layers
	AttnLogitSoftcapping *float64 `json:"attn_logit_softcapping"`
	FinalLogitSoftcap    *float64 `json:"final_logit_softcapping"`
	AttentionBias        bool     `json:"attention_bias"`
	Bidirectional        bool     `json:"use_bidirectional_attention"`

	prefix       string    // of the tensors' names
	local, whole []float32 // rotary frequencies of sliding layers and of full ones
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*model.Transformer, error) {
	c := Config{prefix: w.LanguagePrefix(), DecoderConfig: model.DecoderConfig{PlusOne: true}}
	if err := model.Decode(config, &c); err != nil {
		return nil, err
	}
	if err := cmp.Or(c.check(), c.frequencies()); err != nil {
		return nil, err
	}
	w.Ignore("language_model.lm_head.weight")
	w.IgnoreImages()
	m := c.Transformer(w, c.prefix, func(i int) nn.Block { return c.layer(w, i) })
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
	switch {
	case c.HiddenActivation != "gelu_pytorch_tanh":
		return badinput.Errorf("config.json: hidden_activation %q is not supported; expected gelu_pytorch_tanh", c.HiddenActivation)
	case c.Bidirectional:
		return badinput.Errorf("config.json: use_bidirectional_attention is true, which makes the model a text encoder; " +
			"barka runs language models")
	}
	return cmp.Or(
		c.Check(),
		model.CheckPositive("query_pre_attn_scalar", c.QueryPreAttnScalar),
		model.CheckLayerTypes(c.LayerTypes, c.NumHiddenLayers),
		c.checkPattern(),
		model.CheckSoftcap("attn_logit_softcapping", c.AttnLogitSoftcapping),
		model.CheckSoftcap("final_logit_softcapping", c.FinalLogitSoftcap),
	)
}

// checkPattern returns an error if sliding_window_pattern is out of bounds or contradicts
// layer_types.
func (c *Config) checkPattern() error {
	if c.SlidingPattern == nil {
		return nil
	}
	if err := model.CheckLayers("sliding_window_pattern", *c.SlidingPattern); err != nil {
		return err
	}
	for i, t := range c.LayerTypes {
		if slides := (i+1)%*c.SlidingPattern != 0; slides != (t == model.SlidingAttention) {
			return badinput.Errorf("config.json: layer_types[%d] is %q, which contradicts sliding_window_pattern %d; remove the wrong one",
				i, t, *c.SlidingPattern)
		}
	}
	return nil
}

// frequencies sets local and whole. Scaling applies to the full layers only, unless
// rope_parameters has an entry for each kind.
func (c *Config) frequencies() (err error) {
	full, sliding, err := c.Kinds()
	if err != nil {
		return err
	}
	if c.whole, err = c.Of(full, "rope_theta", c.RopeTheta, 1e6).Frequencies(c.HeadDim); err != nil {
		return err
	}
	c.local, err = model.RopeConfig{}.Of(sliding, "rope_local_base_freq", c.RopeLocalBase, 10000).Frequencies(c.HeadDim)
	return err
}

// slides reports whether layer i attends to a window. Five of six layers do, unless the
// configuration has another pattern.
func (c *Config) slides(i int) bool {
	pattern := 6
	if c.SlidingPattern != nil {
		pattern = *c.SlidingPattern
	}
	return model.Sliding(c.LayerTypes, i, (i+1)%pattern != 0)
}

func (c *Config) attention(w *model.Weights, module string, i int) nn.Attention {
	slides, freqs := c.slides(i), c.whole
	if slides {
		freqs = c.local
	}
	spec := c.Attention(c.Window(i, slides))
	spec.Scale = float32(math.Pow(c.QueryPreAttnScalar, -0.5))
	if c.AttnLogitSoftcapping != nil {
		spec.Softcap = float32(*c.AttnLogitSoftcapping)
	}
	a := w.Attention(module, c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias})
	q, k := c.Norm(w, module+".q_norm", c.HeadDim), c.Norm(w, module+".k_norm", c.HeadDim)
	a.QNorm, a.KNorm = &q, &k
	return a
}

func (c *Config) layer(w *model.Weights, i int) *nn.Sandwich {
	p := fmt.Sprintf("%slayers.%d.", c.prefix, i)
	b := &nn.Sandwich{
		PreAttn:  c.Norm(w, p+"input_layernorm", c.HiddenSize),
		Attn:     c.attention(w, p+"self_attn", i),
		PostAttn: c.Norm(w, p+"post_attention_layernorm", c.HiddenSize),
		PreMLP:   c.Norm(w, p+"pre_feedforward_layernorm", c.HiddenSize),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, tensor.GELUTanh, false),
		PostMLP:  c.Norm(w, p+"post_feedforward_layernorm", c.HiddenSize),
	}
	for _, l := range b.Linears() {
		l.Name = model.Module(l.Name)
	}
	return b
}
