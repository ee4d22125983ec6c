// Package gptneox is GPT-NeoX (Black et al., 2022) and Pythia (Biderman et al., 2023). It has
// layer norms with biases, rotary positions on the first quarter of each head, attention and
// feed-forward layer in parallel, and an untied head.
package gptneox

import (
	"cmp"
	"fmt"
	"math"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

func init() {
	model.Register("GPTNeoXForCausalLM", model.Architecture{
		Load: func(config []byte, w *model.Weights) (any, error) { return New(config, w) },
	})
}

// Config is config.json.
type Config struct {
	VocabSize           int     `json:"vocab_size"`
	HiddenSize          int     `json:"hidden_size"`
	IntermediateSize    int     `json:"intermediate_size"`
	NumHiddenLayers     int     `json:"num_hidden_layers"`
	NumAttentionHeads   int     `json:"num_attention_heads"`
	MaxPositions        int     `json:"max_position_embeddings"`
	LayerNormEps        float64 `json:"layer_norm_eps"`
	HiddenAct           string  `json:"hidden_act"`
	RotaryPct           float64 `json:"rotary_pct"`
	RotaryEmbBase       float64 `json:"rotary_emb_base"`
	UseParallelResidual bool    `json:"use_parallel_residual"`
	AttentionBias       bool    `json:"attention_bias"`
	TieWordEmbeddings   bool    `json:"tie_word_embeddings"`
	model.RopeConfig
}

// layer is x += attn(ln1(x)) + mlp(ln2(x)) if parallel, else x += attn(ln1(x));
// x += mlp(ln2(x)).
type layer struct {
	ln1, ln2 nn.LayerNorm
	attn     attention
	mlp      nn.MLP
	parallel bool
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*model.Transformer, error) {
	c := Config{LayerNormEps: 1e-5, HiddenAct: "gelu", MaxPositions: 2048, UseParallelResidual: true, AttentionBias: true}
	if err := model.Decode(config, &c); err != nil {
		return nil, err
	}
	if err := cmp.Or(c.rotary(), c.check()); err != nil {
		return nil, err
	}
	freqs, err := c.RopeConfig.Frequencies(c.rotaryDims())
	if err != nil {
		return nil, err
	}
	m := &model.Transformer{Dev: w.Device(), Scale: 1, KVWidth: c.HiddenSize}
	w.EmbedAndHead(m, "gpt_neox.embed_in", "embed_out", c.VocabSize, c.HiddenSize, c.TieWordEmbeddings)
	for i := range c.NumHiddenLayers {
		m.Blocks = append(m.Blocks, c.layer(w, i, freqs))
	}
	norm := w.LayerNorm("gpt_neox.final_layer_norm", c.HiddenSize, c.LayerNormEps)
	m.Norm = &norm
	m.Meta = w.Info(model.Info{Layers: c.NumHiddenLayers, Hidden: c.HiddenSize, Vocab: c.VocabSize, MaxPositions: c.MaxPositions})
	return m, nil
}

// rotary reads the settings of rotary positions, which have other names before transformers 5.
func (c *Config) rotary() error {
	partial := 0.0
	if c.Parameters != nil {
		partial = c.Parameters.Partial
	}
	if err := cmp.Or(
		model.CheckSame("rotary_pct", c.RotaryPct, "rope_parameters: partial_rotary_factor", partial),
		model.CheckSame("rotary_emb_base", c.RotaryEmbBase, "rope_theta", c.RopeTheta),
	); err != nil {
		return err
	}
	c.RotaryPct = cmp.Or(c.RotaryPct, partial, 0.25)
	if c.RotaryEmbBase != 0 {
		c.RopeConfig = c.RopeConfig.Of(nil, "rotary_emb_base", c.RotaryEmbBase, 10000)
	}
	return nil
}

func (c *Config) check() error {
	_, err := model.Activation("hidden_act", c.HiddenAct)
	if err := cmp.Or(err,
		model.CheckWidth("vocab_size", c.VocabSize),
		model.CheckWidth("hidden_size", c.HiddenSize),
		model.CheckWidth("intermediate_size", c.IntermediateSize),
		model.CheckLayers("num_hidden_layers", c.NumHiddenLayers),
		model.CheckWidth("num_attention_heads", c.NumAttentionHeads),
		model.CheckPositions("max_position_embeddings", c.MaxPositions),
		model.CheckPositive("layer_norm_eps", c.LayerNormEps),
	); err != nil {
		return err
	}
	switch {
	case c.HiddenSize%c.NumAttentionHeads != 0:
		return badinput.Errorf("config.json: hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	case !(c.RotaryPct > 0 && c.RotaryPct <= 1) || c.rotaryDims()%2 != 0:
		return badinput.Errorf("config.json: rotary_pct %g of a head of width %d does not give an even number of rotary dimensions",
			c.RotaryPct, c.headDim())
	}
	return nil
}

func (c *Config) headDim() int { return c.HiddenSize / c.NumAttentionHeads }

// rotaryDims returns the number of dimensions of each head that rotate.
func (c *Config) rotaryDims() int { return int(float64(c.headDim()) * c.RotaryPct) }

func (c *Config) layer(w *model.Weights, i int, freqs []float32) *layer {
	p := fmt.Sprintf("gpt_neox.layers.%d.", i)
	D, F := c.HiddenSize, c.IntermediateSize
	for _, buffer := range []string{"attention.bias", "attention.masked_bias", "attention.rotary_emb.inv_freq"} {
		w.Ignore(p + buffer)
	}
	act, _ := model.Activation("hidden_act", c.HiddenAct) // checked
	return &layer{
		ln1: w.LayerNorm(p+"input_layernorm", D, c.LayerNormEps),
		ln2: w.LayerNorm(p+"post_attention_layernorm", D, c.LayerNormEps),
		attn: attention{
			qkv: w.Linear(p+"attention.query_key_value", 3*D, D, c.AttentionBias),
			out: w.Linear(p+"attention.dense", D, D, c.AttentionBias),
			spec: tensor.Attention{Heads: c.NumAttentionHeads, KVHeads: c.NumAttentionHeads, HeadDim: c.headDim(),
				Scale: float32(1 / math.Sqrt(float64(c.headDim()))), Causal: true},
			rotary: tensor.Rotary{Heads: c.NumAttentionHeads, HeadDim: c.headDim(), Freqs: freqs, Scale: 1},
		},
		mlp: nn.MLP{
			In:  w.Linear(p+"mlp.dense_h_to_4h", F, D, true),
			Out: w.Linear(p+"mlp.dense_4h_to_h", D, F, true),
			Act: act,
		},
		parallel: c.UseParallelResidual,
	}
}

// Linears implements nn.Block.
func (l *layer) Linears() []*nn.Linear {
	return []*nn.Linear{&l.attn.qkv, &l.attn.out, &l.mlp.In, &l.mlp.Out}
}

// Forward implements nn.Block.
func (l *layer) Forward(p *nn.Pass, x tensor.Tensor, cache *nn.KV) {
	dev := p.Dev
	in := l.attn.qkv.Operand(dev, x.Rows, x.Cols)
	attn, mlp := dev.Alloc(x.Rows, x.Cols), dev.Alloc(x.Rows, x.Cols)
	defer dev.Free(in, attn, mlp)
	l.ln1.Forward(dev, in, x)
	l.attn.forward(p, attn, in, cache, nil)
	if l.parallel {
		l.ln2.Forward(dev, in, x)
		l.mlp.Forward(p, mlp, in, nil)
		// The reference sums feed-forward and attention before the residual.
		dev.Add(mlp, attn)
		dev.Add(x, mlp)
		return
	}
	dev.Add(x, attn)
	l.ln2.Forward(dev, in, x)
	l.mlp.Forward(p, mlp, in, nil)
	dev.Add(x, mlp)
}
