package model

import (
	"cmp"
	"math"

	"barka/internal/nn"
	"barka/internal/tensor"
)

// DecoderConfig is the part of config.json that Llama, Qwen and Gemma have in common. An
// architecture embeds it in its own configuration.
type DecoderConfig struct {
	VocabSize         int      `json:"vocab_size"`
	HiddenSize        int      `json:"hidden_size"`
	IntermediateSize  int      `json:"intermediate_size"`
	NumHiddenLayers   int      `json:"num_hidden_layers"`
	NumAttentionHeads int      `json:"num_attention_heads"`
	NumKeyValueHeads  int      `json:"num_key_value_heads"`
	HeadDim           int      `json:"head_dim"`
	MaxPositions      int      `json:"max_position_embeddings"`
	RMSNormEps        float64  `json:"rms_norm_eps"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	SlidingWindow     *int     `json:"sliding_window"`
	LayerTypes        []string `json:"layer_types"`
	RopeConfig

	// PlusOne is set by architectures whose RMS norms scale by 1+w.
	PlusOne bool `json:"-"`
}

// DeriveHeads fills in the number of key/value heads and the head width if config.json leaves
// them out: as many as query heads, and the residual width divided among them.
func (c *DecoderConfig) DeriveHeads() {
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	c.HeadDim = HeadWidth(c.HeadDim, c.HiddenSize, c.NumAttentionHeads)
}

// Check bounds every number. It leaves layer_types to CheckLayerTypes, as not every
// architecture has them.
func (c *DecoderConfig) Check() error {
	return cmp.Or(
		CheckWidth("vocab_size", c.VocabSize),
		CheckWidth("hidden_size", c.HiddenSize),
		CheckWidth("intermediate_size", c.IntermediateSize),
		CheckLayers("num_hidden_layers", c.NumHiddenLayers),
		CheckHeads(c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim),
		CheckPositions("max_position_embeddings", c.MaxPositions),
		CheckPositive("rms_norm_eps", c.RMSNormEps),
		CheckWindow(c.SlidingWindow),
	)
}

// Window returns the sliding window of layer i, or 0 for none. byNumber is whether the layer
// slides if there are no layer_types.
func (c *DecoderConfig) Window(i int, byNumber bool) int {
	if c.SlidingWindow == nil || !Sliding(c.LayerTypes, i, byNumber) {
		return 0
	}
	return *c.SlidingWindow
}

// Attention returns causal attention with the scale 1/√Dh.
func (c *DecoderConfig) Attention(window int) tensor.Attention {
	return tensor.Attention{Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim,
		Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Window: window, Causal: true}
}

// Norm loads an RMS norm of the given width.
func (c *DecoderConfig) Norm(w *Weights, module string, width int) nn.RMSNorm {
	n := w.RMSNorm(module, width, c.RMSNormEps)
	n.PlusOne = c.PlusOne
	return n
}

// Transformer loads the embeddings, the blocks, the final norm and the output projection of a
// model whose modules, but for the projection, have a common prefix.
func (c *DecoderConfig) Transformer(w *Weights, prefix string, block func(i int) nn.Block) *Transformer {
	m := &Transformer{Dev: w.Device(), Scale: 1, KVWidth: c.NumKeyValueHeads * c.HeadDim}
	w.EmbedAndHead(m, prefix+"embed_tokens", "lm_head", c.VocabSize, c.HiddenSize, c.TieWordEmbeddings)
	for i := range c.NumHiddenLayers {
		m.Blocks = append(m.Blocks, block(i))
	}
	norm := c.Norm(w, prefix+"norm", c.HiddenSize)
	m.Norm = &norm
	m.Meta = w.Info(Info{Layers: c.NumHiddenLayers, Hidden: c.HiddenSize, Vocab: c.VocabSize, MaxPositions: c.MaxPositions})
	return m
}
