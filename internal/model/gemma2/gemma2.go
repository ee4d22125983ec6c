// Package gemma2 is Gemma 2 (Gemma Team, "Gemma 2: Improving Open Language
// Models at a Practical Size", 2024) as transformers computes it with eager
// attention: four norms a layer, soft-capped attention and logits, sliding
// windows on even layers, grouped queries, a tied head.
package gemma2

import (
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
	model.Register("Gemma2ForCausalLM", func(config []byte, w *model.Weights) (any, error) { return New(config, w) })
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
	TieWordEmbeddings    *bool    `json:"tie_word_embeddings"`
	LayerTypes           []string `json:"layer_types"`
	model.RopeConfig
}

// Model is a loaded Gemma 2.
type Model struct {
	cfg     Config
	info    model.Info
	dev     tensor.Device
	scale   float32 // of the embeddings: √D
	round   bool    // round embeddings to bf16, as a bf16 reference does
	embed   tensor.Table
	head    tensor.Weight
	softcap float32
	layers  []layer
	norm    nn.RMSNorm
}

// layer is x += post(attn(pre(x))); x += post(mlp(pre(x))).
type layer struct {
	preAttn, postAttn, preMLP, postMLP nn.RMSNorm
	attn                               nn.Attention
	mlp                                nn.GatedMLP
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*Model, error) {
	cfg := Config{HiddenActivation: "gelu_pytorch_tanh", RMSNormEps: 1e-6}
	if err := json.Unmarshal(config, &cfg); err != nil {
		return nil, badinput.Errorf("config.json: %w", err)
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	freqs, err := cfg.RopeConfig.Frequencies(cfg.HeadDim)
	if err != nil {
		return nil, err
	}
	m := &Model{cfg: cfg, dev: w.Device(), round: w.DType() == dtype.BF16}
	m.scale = float32(math.Sqrt(float64(cfg.HiddenSize)))
	if m.round {
		m.scale = dtype.RoundBF16(m.scale)
	}
	if cfg.FinalLogitSoftcap != nil {
		m.softcap = float32(*cfg.FinalLogitSoftcap)
	}
	if cfg.TieWordEmbeddings == nil || *cfg.TieWordEmbeddings {
		m.embed, m.head = w.Tied("model.embed_tokens.weight", cfg.VocabSize, cfg.HiddenSize)
		w.Ignore("lm_head.weight")
	} else {
		m.embed = w.Embedding("model.embed_tokens.weight", cfg.VocabSize, cfg.HiddenSize)
		m.head = w.Pack("lm_head.weight", cfg.VocabSize, cfg.HiddenSize)
	}
	for i := range cfg.NumHiddenLayers {
		m.layers = append(m.layers, cfg.layer(w, i, freqs))
	}
	m.norm = cfg.rms(w, "model.norm.weight")
	m.info = w.Info()
	m.info.Layers, m.info.Hidden, m.info.Vocab, m.info.MaxPositions = cfg.NumHiddenLayers, cfg.HiddenSize, cfg.VocabSize, cfg.MaxPositions
	return m, nil
}

func (c *Config) check() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim},
	} {
		if f.value <= 0 {
			return badinput.Errorf("config.json: %s is %d, expected a positive number", f.name, f.value)
		}
	}
	switch {
	case c.NumAttentionHeads%c.NumKeyValueHeads != 0:
		return badinput.Errorf("config.json: %d attention heads cannot share %d key/value heads", c.NumAttentionHeads, c.NumKeyValueHeads)
	case c.HeadDim%2 != 0:
		return badinput.Errorf("config.json: head_dim %d is odd; rotary positions need an even width", c.HeadDim)
	case c.QueryPreAttnScalar <= 0:
		return badinput.Errorf("config.json: query_pre_attn_scalar is %g, expected a positive number", c.QueryPreAttnScalar)
	case c.HiddenActivation != "gelu_pytorch_tanh":
		return badinput.Errorf("config.json: hidden_activation %q is not supported; expected gelu_pytorch_tanh", c.HiddenActivation)
	}
	return nil
}

func (c *Config) rms(w *model.Weights, name string) nn.RMSNorm {
	return nn.RMSNorm{W: w.Vector(name, c.HiddenSize), Eps: float32(c.RMSNormEps), PlusOne: true}
}

// window is the sliding window of layer i: even layers slide unless
// layer_types says otherwise.
func (c *Config) window(i int) int {
	sliding := i%2 == 0
	if i < len(c.LayerTypes) {
		sliding = c.LayerTypes[i] == "sliding_attention"
	}
	if !sliding || c.SlidingWindow == nil {
		return 0
	}
	return *c.SlidingWindow
}

func (c *Config) layer(w *model.Weights, i int, freqs []float32) layer {
	p := fmt.Sprintf("model.layers.%d.", i)
	D, F, hd := c.HiddenSize, c.IntermediateSize, c.HeadDim
	spec := tensor.Attention{
		Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: hd,
		Scale: float32(math.Pow(c.QueryPreAttnScalar, -0.5)), Window: c.window(i), Causal: true,
	}
	if c.AttnLogitSoftcapping != nil {
		spec.Softcap = float32(*c.AttnLogitSoftcapping)
	}
	return layer{
		preAttn:  c.rms(w, p+"input_layernorm.weight"),
		postAttn: c.rms(w, p+"post_attention_layernorm.weight"),
		preMLP:   c.rms(w, p+"pre_feedforward_layernorm.weight"),
		postMLP:  c.rms(w, p+"post_feedforward_layernorm.weight"),
		attn: nn.Attention{
			Q:    w.Linear(p+"self_attn.q_proj", c.NumAttentionHeads*hd, D, c.AttentionBias),
			K:    w.Linear(p+"self_attn.k_proj", c.NumKeyValueHeads*hd, D, c.AttentionBias),
			V:    w.Linear(p+"self_attn.v_proj", c.NumKeyValueHeads*hd, D, c.AttentionBias),
			O:    w.Linear(p+"self_attn.o_proj", D, c.NumAttentionHeads*hd, c.AttentionBias),
			Spec: spec, Freqs: freqs,
		},
		mlp: nn.GatedMLP{
			Gate: w.Linear(p+"mlp.gate_proj", F, D, false),
			Up:   w.Linear(p+"mlp.up_proj", F, D, false),
			Down: w.Linear(p+"mlp.down_proj", D, F, false),
			Act:  tensor.GELUTanh,
		},
	}
}

// Info implements model.Decoder.
func (m *Model) Info() model.Info { return m.info }

// Device implements model.Decoder.
func (m *Model) Device() tensor.Device { return m.dev }

// Head implements model.Decoder.
func (m *Model) Head() (tensor.Weight, float32) { return m.head, m.softcap }

// NewCache implements model.Decoder.
func (m *Model) NewCache() *model.Cache {
	return model.NewCache(m.dev, len(m.layers), m.cfg.NumKeyValueHeads*m.cfg.HeadDim)
}

// Linears implements model.Decoder.
func (m *Model) Linears() []*nn.Linear {
	var ls []*nn.Linear
	for i := range m.layers {
		l := &m.layers[i]
		ls = append(ls, &l.attn.Q, &l.attn.K, &l.attn.V, &l.attn.O, &l.mlp.Gate, &l.mlp.Up, &l.mlp.Down)
	}
	return ls
}

// Forward implements model.Decoder.
func (m *Model) Forward(p *nn.Pass, tokens []int32, cache *model.Cache) (tensor.Tensor, model.Tape, error) {
	D := m.cfg.HiddenSize
	x := m.dev.Alloc(len(tokens), D)
	m.dev.Embed(x, m.embed, tokens, m.scale, m.round)
	var t *tape
	if p.Save {
		t = &tape{m: m, p: p, layers: make([]saved, len(m.layers))}
	}
	for i := range m.layers {
		var kv *nn.KV
		if cache != nil {
			kv = cache.Layer(i)
		}
		if t != nil {
			x = m.layers[i].forwardSave(p, x, &t.layers[i])
		} else {
			m.layers[i].forward(p, x, kv)
		}
	}
	h := m.dev.Alloc(len(tokens), D)
	m.norm.Forward(m.dev, h, x)
	if t == nil {
		m.dev.Free(x)
		return h, nil, nil
	}
	t.last = x
	return h, t, nil
}

// forward updates the residual stream x [T,D] in place.
func (l *layer) forward(p *nn.Pass, x tensor.Tensor, kv *nn.KV) {
	dev := p.Dev
	a, b := dev.Alloc(x.Rows, x.Cols), dev.Alloc(x.Rows, x.Cols)
	defer dev.Free(a, b)
	l.preAttn.Forward(dev, a, x)
	l.attn.Forward(p, b, a, kv, nil)
	l.postAttn.Forward(dev, a, b)
	dev.Add(x, a)
	l.preMLP.Forward(dev, a, x)
	l.mlp.Forward(p, b, a, nil)
	l.postMLP.Forward(dev, a, b)
	dev.Add(x, a)
}
