// Package qwen3 is Qwen3 (Qwen Team, "Qwen3 Technical Report", 2025): the block
// of Llama with an RMS norm on each head of queries and keys before the
// rotation, and a head width of its own. Hunyuan dense (Tencent, 2025) is the
// same with the norm after the rotation.
package qwen3

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
	model.Register("Qwen3ForCausalLM", model.Architecture{
		Defaults: `{"vocab_size": 151936, "num_key_value_heads": 32, "head_dim": 128, "max_position_embeddings": 32768,
			"sliding_window": 4096, "max_window_layers": 28}`,
		Load: func(config []byte, w *model.Weights) (any, error) {
			return load(config, w, Config{HiddenAct: "silu", RMSNormEps: 1e-6, qNorm: "q_norm", kNorm: "k_norm"})
		}})
	model.Register("HunYuanDenseV1ForCausalLM", model.Architecture{
		Load: func(config []byte, w *model.Weights) (any, error) {
			return load(config, w, Config{HiddenAct: "silu", RMSNormEps: 1e-5, MaxPositions: 2048,
				qNorm: "query_layernorm", kNorm: "key_layernorm", normRotated: true})
		}})
}

// Config is config.json.
type Config struct {
	VocabSize         int      `json:"vocab_size"`
	HiddenSize        int      `json:"hidden_size"`
	IntermediateSize  int      `json:"intermediate_size"`
	NumHiddenLayers   int      `json:"num_hidden_layers"`
	NumAttentionHeads int      `json:"num_attention_heads"`
	NumKeyValueHeads  int      `json:"num_key_value_heads"`
	HeadDim           int      `json:"head_dim"`
	HiddenAct         string   `json:"hidden_act"`
	MaxPositions      int      `json:"max_position_embeddings"`
	RMSNormEps        float64  `json:"rms_norm_eps"`
	AttentionBias     bool     `json:"attention_bias"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	UseSlidingWindow  bool     `json:"use_sliding_window"`
	SlidingWindow     *int     `json:"sliding_window"`
	MaxWindowLayers   int      `json:"max_window_layers"` // these have no window
	LayerTypes        []string `json:"layer_types"`
	model.RopeConfig

	qNorm, kNorm string // the norms' names
	normRotated  bool   // they follow the rotation
}

func load(config []byte, w *model.Weights, c Config) (*model.Transformer, error) {
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, badinput.Errorf("config.json: %w", err)
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	c.HeadDim = model.HeadWidth(c.HeadDim, c.HiddenSize, c.NumAttentionHeads)
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
		model.CheckLayerTypes(c.LayerTypes, c.NumHiddenLayers),
	)
}

// window returns the sliding window of layer i, or 0 for none.
func (c *Config) window(i int) int {
	if !model.Sliding(c.LayerTypes, i, i >= c.MaxWindowLayers) || c.SlidingWindow == nil {
		return 0
	}
	return *c.SlidingWindow
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) *nn.PreNorm {
	p := fmt.Sprintf("model.layers.%d.", i)
	spec := tensor.Attention{Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim,
		Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Window: c.window(i), Causal: true}
	attn := w.Attention(p+"self_attn", c.HiddenSize, spec, freqs, model.Biases{QKV: c.AttentionBias, O: c.AttentionBias})
	q, k := w.RMSNorm(p+"self_attn."+c.qNorm, c.HeadDim, c.RMSNormEps), w.RMSNorm(p+"self_attn."+c.kNorm, c.HeadDim, c.RMSNormEps)
	attn.QNorm, attn.KNorm, attn.NormRotated = &q, &k, c.normRotated
	act, _ := model.Activation("hidden_act", c.HiddenAct) // checked
	return &nn.PreNorm{
		AttnNorm: w.RMSNorm(p+"input_layernorm", c.HiddenSize, c.RMSNormEps),
		Attn:     attn,
		MLPNorm:  w.RMSNorm(p+"post_attention_layernorm", c.HiddenSize, c.RMSNormEps),
		MLP:      w.GatedMLP(p+"mlp", c.HiddenSize, c.IntermediateSize, act, false),
	}
}
