// Package gptneox is GPT-NeoX and Pythia (Black et al., 2022; Biderman et
// al., 2023): layer norms with biases, rotary positions on the first quarter
// of each head, attention and feed-forward in parallel, an untied head.
package gptneox

import (
	"encoding/json"
	"fmt"
	"math"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

func init() {
	model.Register("GPTNeoXForCausalLM", func(config []byte, w *model.Weights) (any, error) { return New(config, w) })
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
	UseParallelResidual *bool   `json:"use_parallel_residual"`
	AttentionBias       *bool   `json:"attention_bias"`
	TieWordEmbeddings   bool    `json:"tie_word_embeddings"`
	model.RopeConfig
}

// Model is a loaded GPT-NeoX.
type Model struct {
	cfg    Config
	info   model.Info
	dev    tensor.Device
	embed  tensor.Table
	head   tensor.Weight
	layers []layer
	norm   nn.LayerNorm
}

// layer is x += attn(ln1(x)) + mlp(ln2(x)), or one after the other.
type layer struct {
	ln1, ln2 nn.LayerNorm
	qkv, out nn.Linear
	spec     tensor.Attention
	rotary   tensor.Rotary
	mlp      nn.MLP
	parallel bool
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*Model, error) {
	cfg := Config{LayerNormEps: 1e-5, HiddenAct: "gelu", RotaryPct: 0.25}
	if err := json.Unmarshal(config, &cfg); err != nil {
		return nil, badinput.Errorf("config.json: %w", err)
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.RopeTheta == 0 {
		cfg.RopeTheta = cfg.RotaryEmbBase
	}
	headDim := cfg.HiddenSize / cfg.NumAttentionHeads
	freqs, err := cfg.RopeConfig.Frequencies(int(float64(headDim) * cfg.RotaryPct))
	if err != nil {
		return nil, err
	}
	m := &Model{cfg: cfg, dev: w.Device()}
	if cfg.TieWordEmbeddings {
		m.embed, m.head = w.Tied("gpt_neox.embed_in.weight", cfg.VocabSize, cfg.HiddenSize)
		w.Ignore("embed_out.weight")
	} else {
		m.embed = w.Embedding("gpt_neox.embed_in.weight", cfg.VocabSize, cfg.HiddenSize)
		m.head = w.Pack("embed_out.weight", cfg.VocabSize, cfg.HiddenSize)
	}
	for i := range cfg.NumHiddenLayers {
		m.layers = append(m.layers, cfg.layer(w, i, freqs))
	}
	m.norm = cfg.layerNorm(w, "gpt_neox.final_layer_norm")
	m.info = w.Info()
	m.info.Layers, m.info.Hidden, m.info.Vocab, m.info.MaxPositions = cfg.NumHiddenLayers, cfg.HiddenSize, cfg.VocabSize, cfg.MaxPositions
	return m, nil
}

func (c *Config) check() error {
	switch {
	case c.VocabSize <= 0 || c.HiddenSize <= 0 || c.IntermediateSize <= 0 || c.NumHiddenLayers <= 0 || c.NumAttentionHeads <= 0:
		return badinput.Errorf("config.json: vocab_size, hidden_size, intermediate_size, num_hidden_layers and num_attention_heads must be positive")
	case c.HiddenSize%c.NumAttentionHeads != 0:
		return badinput.Errorf("config.json: hidden_size %d is no multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	case c.RotaryPct <= 0 || c.RotaryPct > 1 || int(float64(c.HiddenSize/c.NumAttentionHeads)*c.RotaryPct)%2 != 0:
		return badinput.Errorf("config.json: rotary_pct %g does not give an even number of rotary dimensions", c.RotaryPct)
	}
	if _, err := activation(c.HiddenAct); err != nil {
		return err
	}
	return nil
}

func activation(name string) (tensor.Activation, error) {
	switch name {
	case "gelu":
		return tensor.GELUErf, nil
	case "gelu_new", "gelu_fast", "gelu_pytorch_tanh":
		return tensor.GELUTanh, nil
	case "relu":
		return tensor.ReLU, nil
	}
	return 0, badinput.Errorf("config.json: hidden_act %q is not supported; supported: gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu", name)
}

func (c *Config) layerNorm(w *model.Weights, name string) nn.LayerNorm {
	return nn.LayerNorm{W: w.Vector(name+".weight", c.HiddenSize), B: w.Vector(name+".bias", c.HiddenSize), Eps: float32(c.LayerNormEps)}
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) layer {
	p := fmt.Sprintf("gpt_neox.layers.%d.", i)
	D, F := c.HiddenSize, c.IntermediateSize
	headDim := D / c.NumAttentionHeads
	bias := c.AttentionBias == nil || *c.AttentionBias
	act, _ := activation(c.HiddenAct)
	for _, buffer := range []string{"attention.bias", "attention.masked_bias", "attention.rotary_emb.inv_freq"} {
		w.Ignore(p + buffer)
	}
	return layer{
		ln1: c.layerNorm(w, p+"input_layernorm"),
		ln2: c.layerNorm(w, p+"post_attention_layernorm"),
		qkv: w.Linear(p+"attention.query_key_value", 3*D, D, bias),
		out: w.Linear(p+"attention.dense", D, D, bias),
		spec: tensor.Attention{Heads: c.NumAttentionHeads, KVHeads: c.NumAttentionHeads, HeadDim: headDim,
			Scale: float32(1 / math.Sqrt(float64(headDim))), Causal: true},
		rotary: tensor.Rotary{Heads: c.NumAttentionHeads, HeadDim: headDim, Freqs: freqs, Scale: 1},
		mlp: nn.MLP{
			In:  w.Linear(p+"mlp.dense_h_to_4h", F, D, true),
			Out: w.Linear(p+"mlp.dense_4h_to_h", D, F, true),
			Act: act,
		},
		parallel: c.UseParallelResidual == nil || *c.UseParallelResidual,
	}
}

// Info implements model.Decoder.
func (m *Model) Info() model.Info { return m.info }

// Device implements model.Decoder.
func (m *Model) Device() tensor.Device { return m.dev }

// Head implements model.Decoder.
func (m *Model) Head() (tensor.Weight, float32) { return m.head, 0 }

// NewCache implements model.Decoder.
func (m *Model) NewCache() *model.Cache {
	return model.NewCache(m.dev, len(m.layers), m.cfg.HiddenSize)
}

// Linears implements model.Decoder.
func (m *Model) Linears() []*nn.Linear {
	var ls []*nn.Linear
	for i := range m.layers {
		l := &m.layers[i]
		ls = append(ls, &l.qkv, &l.out, &l.mlp.In, &l.mlp.Out)
	}
	return ls
}

// Forward implements model.Decoder.
func (m *Model) Forward(p *nn.Pass, tokens []int32, cache *model.Cache) (tensor.Tensor, model.Tape, error) {
	if p.Save {
		return tensor.Tensor{}, nil, badinput.Errorf("training GPT-NeoX is not supported yet; train a Gemma-2 model")
	}
	x := m.dev.Alloc(len(tokens), m.cfg.HiddenSize)
	defer m.dev.Free(x)
	m.dev.Embed(x, m.embed, tokens, 1, false)
	for i := range m.layers {
		var kv *nn.KV
		if cache != nil {
			kv = cache.Layer(i)
		}
		m.layers[i].forward(p, x, kv)
	}
	h := m.dev.Alloc(len(tokens), m.cfg.HiddenSize)
	m.norm.Forward(m.dev, h, x)
	return h, nil, nil
}

// forward updates the residual stream x [T,D] in place.
func (l *layer) forward(p *nn.Pass, x tensor.Tensor, kv *nn.KV) {
	dev := p.Dev
	in, attn, mlp := dev.Alloc(x.Rows, x.Cols), dev.Alloc(x.Rows, x.Cols), dev.Alloc(x.Rows, x.Cols)
	defer dev.Free(in, attn, mlp)
	l.ln1.Forward(dev, in, x)
	l.attend(p, attn, in, kv)
	if l.parallel {
		l.ln2.Forward(dev, in, x)
		l.mlp.Forward(p, mlp, in)
		// The reference sums feed-forward and attention before the residual.
		dev.Add(mlp, attn)
		dev.Add(x, mlp)
		return
	}
	dev.Add(x, attn)
	l.ln2.Forward(dev, in, x)
	l.mlp.Forward(p, mlp, in)
	dev.Add(x, mlp)
}

// attend fills y [T,D]; queries, keys and values lie side by side per head.
func (l *layer) attend(p *nn.Pass, y, x tensor.Tensor, kv *nn.KV) {
	dev, T, D := p.Dev, x.Rows, x.Cols
	qkv := dev.Alloc(T, 3*D)
	q, k, v, out := dev.Alloc(T, D), dev.Alloc(T, D), dev.Alloc(T, D), dev.Alloc(T, D)
	defer dev.Free(qkv, q, k, v, out)
	l.qkv.Forward(p, qkv, x)
	dev.SplitHeads(q, k, v, qkv, l.spec.Heads)
	dev.Rotate(q, p.Positions, l.rotary, false)
	dev.Rotate(k, p.Positions, l.rotary, false)
	keys, values := k, v
	if kv != nil {
		dev.Scatter(kv.K, k, p.Rows)
		dev.Scatter(kv.V, v, p.Rows)
		keys, values = kv.K, kv.V
	}
	dev.Attend(out, tensor.Tensor{}, q, keys, values, l.spec, p.Layout)
	l.out.Forward(p, y, out)
}
