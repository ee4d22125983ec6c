// Package m2m100 is M2M-100 (Fan et al., 2020) and NLLB-200 (NLLB Team, 2022): a pre-norm
// encoder-decoder with sinusoidal positions and scaled embeddings. Encoder, decoder and output
// head usually share one embedding matrix. All layers but the embeddings have biases.
package m2m100

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
	model.Register("M2M100ForConditionalGeneration", model.Architecture{Seq2Seq: true,
		Load: func(config []byte, w *model.Weights) (any, error) { return New(config, w) }})
}

// Config is config.json.
type Config struct {
	VocabSize             int    `json:"vocab_size"`
	DModel                int    `json:"d_model"`
	EncoderLayers         int    `json:"encoder_layers"`
	DecoderLayers         int    `json:"decoder_layers"`
	EncoderAttentionHeads int    `json:"encoder_attention_heads"`
	DecoderAttentionHeads int    `json:"decoder_attention_heads"`
	EncoderFFNDim         int    `json:"encoder_ffn_dim"`
	DecoderFFNDim         int    `json:"decoder_ffn_dim"`
	ActivationFunction    string `json:"activation_function"`
	ScaleEmbedding        bool   `json:"scale_embedding"`
	MaxPositions          int    `json:"max_position_embeddings"`
	PadTokenID            int    `json:"pad_token_id"`
	// TieWordEmbeddings means that encoder, decoder and output head share one matrix.
	TieWordEmbeddings bool `json:"tie_word_embeddings"`
}

// Model is a loaded M2M-100.
type Model struct {
	model.Files
	cfg       Config
	info      model.Info
	dev       tensor.Device
	scale     float32
	encEmbed  tensor.Table
	decEmbed  tensor.Table // often encEmbed
	head      tensor.Weight
	positions tensor.Tensor // [R,D] row p is position p; it grows on demand
	encoder   []encoderLayer
	decoder   []decoderLayer
	encNorm   nn.LayerNorm
	decNorm   nn.LayerNorm
}

// encoderLayer is x += attn(ln(x)); x += mlp(ln(x)).
type encoderLayer struct {
	attnNorm, mlpNorm nn.LayerNorm
	attn              nn.Attention
	mlp               nn.MLP
}

// decoderLayer has cross-attention between self-attention and the MLP.
type decoderLayer struct {
	attnNorm, crossNorm, mlpNorm nn.LayerNorm
	attn, cross                  nn.Attention
	mlp                          nn.MLP
}

// New builds the model from config.json's text and its weights.
func New(config []byte, w *model.Weights) (*Model, error) {
	cfg := Config{ActivationFunction: "relu", ScaleEmbedding: true, MaxPositions: 1024, PadTokenID: 1, TieWordEmbeddings: true}
	if err := model.Decode(config, &cfg); err != nil {
		return nil, err
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	m := &Model{cfg: cfg, dev: w.Device(), scale: 1}
	if cfg.ScaleEmbedding {
		m.scale = float32(math.Sqrt(float64(cfg.DModel)))
	}
	m.embeddings(w)
	for i := range cfg.EncoderLayers {
		m.encoder = append(m.encoder, cfg.encoderLayer(w, fmt.Sprintf("model.encoder.layers.%d.", i)))
	}
	for i := range cfg.DecoderLayers {
		m.decoder = append(m.decoder, cfg.decoderLayer(w, fmt.Sprintf("model.decoder.layers.%d.", i)))
	}
	m.encNorm = cfg.layerNorm(w, "model.encoder.layer_norm")
	m.decNorm = cfg.layerNorm(w, "model.decoder.layer_norm")
	m.info = w.Info(model.Info{Layers: cfg.DecoderLayers, Hidden: cfg.DModel, Vocab: cfg.VocabSize, MaxPositions: cfg.MaxPositions})
	return m, nil
}

// The names of the embeddings and the head. A checkpoint may hold one matrix
// under any of them, or under several.
const (
	sharedName  = "model.shared.weight"
	encoderName = "model.encoder.embed_tokens.weight"
	decoderName = "model.decoder.embed_tokens.weight"
	headName    = "lm_head.weight"
)

// embeddings loads the embeddings and the head. All are one matrix, unless config.json unties
// them and the checkpoint has different ones.
func (m *Model) embeddings(w *model.Weights) {
	V, D := m.cfg.VocabSize, m.cfg.DModel
	names := []string{sharedName, encoderName, decoderName, headName}
	shared := sharedName
	for _, name := range names {
		if w.Has(name) {
			shared = name
			break
		}
	}
	w.Ignore(names...)
	w.Ignore("model.encoder.embed_positions.weights", "model.decoder.embed_positions.weights", "final_logits_bias")
	own := map[string]bool{}
	for _, name := range names {
		own[name] = name != shared && w.Has(name) && w.Differ(shared, name, V, D)
		if own[name] && m.cfg.TieWordEmbeddings {
			w.Note(name + " differs from " + shared + " and is not used: config.json ties them (tie_word_embeddings)")
			own[name] = false
		}
	}
	if !m.cfg.TieWordEmbeddings && !w.Has(headName) {
		w.Fail(badinput.Errorf("tensor %s is missing, and config.json does not tie it to the embeddings (tie_word_embeddings is false)",
			headName))
		return
	}
	if own[headName] {
		m.encEmbed, m.head = w.Embedding(shared, V, D), w.Pack(headName, V, D)
	} else {
		m.encEmbed, m.head = w.Tied(shared, V, D)
	}
	m.decEmbed = m.encEmbed
	if own[encoderName] {
		m.encEmbed = w.Embedding(encoderName, V, D)
	}
	if own[decoderName] {
		m.decEmbed = w.Embedding(decoderName, V, D)
	}
}

func (c *Config) check() error {
	switch {
	case c.DModel < 4: // the sinusoids need two frequencies
		return badinput.Errorf("config.json: d_model is %d, expected at least 4", c.DModel)
	case c.EncoderAttentionHeads <= 0 || c.DecoderAttentionHeads <= 0 ||
		c.DModel%c.EncoderAttentionHeads != 0 || c.DModel%c.DecoderAttentionHeads != 0:
		return badinput.Errorf("config.json: d_model %d does not divide into %d and %d attention heads",
			c.DModel, c.EncoderAttentionHeads, c.DecoderAttentionHeads)
	case c.PadTokenID < 0 || c.PadTokenID >= c.VocabSize:
		return badinput.Errorf("config.json: pad_token_id is %d, expected an id below the vocabulary size, %d", c.PadTokenID, c.VocabSize)
	}
	_, err := model.Activation("activation_function", c.ActivationFunction)
	return cmp.Or(err,
		model.CheckWidth("vocab_size", c.VocabSize),
		model.CheckWidth("d_model", c.DModel),
		model.CheckWidth("encoder_ffn_dim", c.EncoderFFNDim),
		model.CheckWidth("decoder_ffn_dim", c.DecoderFFNDim),
		model.CheckLayers("encoder_layers", c.EncoderLayers),
		model.CheckLayers("decoder_layers", c.DecoderLayers),
		model.CheckPositions("max_position_embeddings", c.MaxPositions),
	)
}

func (c *Config) layerNorm(w *model.Weights, module string) nn.LayerNorm {
	return w.LayerNorm(module, c.DModel, 1e-5)
}

func (c *Config) attention(w *model.Weights, name string, heads int, causal bool) nn.Attention {
	D := c.DModel
	return nn.Attention{
		Q: w.Linear(name+".q_proj", D, D, true), K: w.Linear(name+".k_proj", D, D, true),
		V: w.Linear(name+".v_proj", D, D, true), O: w.Linear(name+".out_proj", D, D, true),
		Spec: tensor.Attention{Heads: heads, KVHeads: heads, HeadDim: D / heads,
			Scale: float32(1 / math.Sqrt(float64(D/heads))), Causal: causal},
	}
}

func (c *Config) mlp(w *model.Weights, p string, ffn int) nn.MLP {
	act, _ := model.Activation("activation_function", c.ActivationFunction) // checked
	return nn.MLP{In: w.Linear(p+"fc1", ffn, c.DModel, true), Out: w.Linear(p+"fc2", c.DModel, ffn, true), Act: act}
}

func (c *Config) encoderLayer(w *model.Weights, p string) encoderLayer {
	return encoderLayer{
		attnNorm: c.layerNorm(w, p+"self_attn_layer_norm"),
		mlpNorm:  c.layerNorm(w, p+"final_layer_norm"),
		attn:     c.attention(w, p+"self_attn", c.EncoderAttentionHeads, false),
		mlp:      c.mlp(w, p, c.EncoderFFNDim),
	}
}

func (c *Config) decoderLayer(w *model.Weights, p string) decoderLayer {
	return decoderLayer{
		attnNorm:  c.layerNorm(w, p+"self_attn_layer_norm"),
		crossNorm: c.layerNorm(w, p+"encoder_attn_layer_norm"),
		mlpNorm:   c.layerNorm(w, p+"final_layer_norm"),
		attn:      c.attention(w, p+"self_attn", c.DecoderAttentionHeads, true),
		cross:     c.attention(w, p+"encoder_attn", c.DecoderAttentionHeads, false),
		mlp:       c.mlp(w, p, c.DecoderFFNDim),
	}
}

// Info implements model.Seq2Seq.
func (m *Model) Info() model.Info { return m.info }

// Device implements model.Seq2Seq.
func (m *Model) Device() tensor.Device { return m.dev }

// Head implements model.Seq2Seq. The output projection is not scaled.
func (m *Model) Head() (tensor.Weight, float32) { return m.head, 0 }

// NewCache implements model.Seq2Seq.
func (m *Model) NewCache() *model.Cache {
	return model.NewCache(m.dev, len(m.decoder), m.cfg.DModel, m.dev.OperandType(m.decoder[0].attn.K.W))
}

// On implements model.Seq2Seq.
func (m *Model) On(dev tensor.Device) model.Seq2Seq {
	other := *m
	other.dev, other.positions = dev, tensor.Tensor{}
	return &other
}

// Encode implements model.Seq2Seq.
func (m *Model) Encode(p *nn.Pass, tokens []int32) (h tensor.Tensor, err error) {
	defer tensor.Guard(&err)
	m.needPositions(p) // which stay
	defer tensor.Reclaim(m.dev, tensor.Mark(m.dev), &err)
	p.Prepare(tokens, nil)
	defer p.Release()
	x := m.input(p, m.encEmbed)
	for i := range m.encoder {
		m.encoder[i].forward(p, x)
	}
	h = m.dev.Alloc(x.Rows, x.Cols)
	m.encNorm.Forward(m.dev, h, x)
	m.dev.Free(x)
	return h, nil
}

// ProjectSource implements model.Seq2Seq.
func (m *Model) ProjectSource(p *nn.Pass, states tensor.Tensor, source *model.Cache, rows []int32) (err error) {
	defer tensor.Reclaim(p.Dev, tensor.Mark(p.Dev), &err)
	b := p.Dev.Prepare(tensor.Batch{Rows: tensor.Ints{Host: rows}})
	for i := range m.decoder {
		m.decoder[i].cross.Project(p, source.Layer(i), b.Rows, states)
	}
	p.Dev.Free(b.Memory)
	return nil
}

// Decode implements model.Seq2Seq.
func (m *Model) Decode(p *nn.Pass, tokens []int32, cache, source *model.Cache, sourceLayout *tensor.Layout) (h tensor.Tensor, err error) {
	defer tensor.Guard(&err)
	m.needPositions(p) // which stay
	defer tensor.Reclaim(m.dev, tensor.Mark(m.dev), &err)
	if cache != nil && p.Decodes() {
		key := step{m, cache.Addresses(), source.Addresses(), m.positions.Handle}
		return p.Replay(key, tokens, sourceLayout, func() tensor.Tensor { return m.decode(p, cache, source) }), nil
	}
	p.Prepare(tokens, sourceLayout)
	defer p.Release()
	return m.decode(p, cache, source), nil
}

// step identifies the steps of decoding that are the same operations on the same memory.
type step struct {
	m             *Model
	cache, source uint64
	positions     uintptr
}

// decode is Decode with prepared lists.
func (m *Model) decode(p *nn.Pass, cache, source *model.Cache) (h tensor.Tensor) {
	x := m.input(p, m.decEmbed)
	for i := range m.decoder {
		var kv *nn.KV
		if cache != nil {
			kv = cache.Layer(i)
		}
		m.decoder[i].forward(p, x, kv, source.Layer(i), i == m.aligned() && !p.Queries.None())
	}
	h = m.dev.Alloc(x.Rows, x.Cols)
	m.decNorm.Forward(m.dev, h, x)
	m.dev.Free(x)
	return h
}

// aligned is the layer before the last, whose weights align words best: Garg et al., "Jointly
// Learning to Align and Translate with Transformer Models", 2019.
func (m *Model) aligned() int { return max(len(m.decoder)-2, 0) }

// Alignment implements model.Aligner.
func (m *Model) Alignment() (layer int, a tensor.Attention) {
	return m.aligned(), m.decoder[m.aligned()].cross.Spec
}

// input returns x [T,D] = √D·E[token] + sinusoid(position).
func (m *Model) input(p *nn.Pass, embed tensor.Table) tensor.Tensor {
	x := m.dev.Alloc(p.Tokens(), m.cfg.DModel)
	m.dev.Embed(x, embed, p.Batch.Tokens, m.scale, false)
	m.dev.AddRows(x, m.positions, p.Batch.Positions)
	return x
}

// needPositions computes the sinusoids of the pass's positions.
func (m *Model) needPositions(p *nn.Pass) {
	var last int32
	for _, pos := range p.Positions {
		last = max(last, pos)
	}
	if int(last) >= m.positions.Rows {
		m.growPositions(int(last) + 1)
	}
}

// growPositions computes the sinusoids of at least n positions. Position t is numbered
// pad+1+t. The first half of a row has sines, the second cosines, of frequencies
// 10000^(-j/(D/2-1)). All is float32, as in the reference.
func (m *Model) growPositions(n int) {
	n = max(n, 2*m.positions.Rows, 256)
	D := m.cfg.DModel
	half := D / 2
	values := make([]float32, n*D)
	step := float32(math.Log(10000) / float64(half-1))
	for t := range n {
		row := values[t*D : (t+1)*D]
		for j := range half {
			freq := float32(math.Exp(float64(float32(j) * -step)))
			angle := float64(float32(t+m.cfg.PadTokenID+1) * freq)
			row[j] = float32(math.Sin(angle))
			row[half+j] = float32(math.Cos(angle))
		}
	}
	grown := m.dev.Alloc(n, D)
	m.dev.Upload(grown, values)
	m.dev.Free(m.positions)
	m.positions = grown
}

func (l *encoderLayer) forward(p *nn.Pass, x tensor.Tensor) {
	dev := p.Dev
	a, b := l.attn.Q.Operand(dev, x.Rows, x.Cols), dev.Alloc(x.Rows, x.Cols)
	defer dev.Free(a, b)
	l.attnNorm.Forward(dev, a, x)
	l.attn.Forward(p, b, a, nil, nil)
	dev.Add(x, b)
	l.mlpNorm.Forward(dev, a, x)
	l.mlp.Forward(p, b, a, nil)
	dev.Add(x, b)
}

func (l *decoderLayer) forward(p *nn.Pass, x tensor.Tensor, kv, source *nn.KV, keep bool) {
	dev := p.Dev
	a, b := l.attn.Q.Operand(dev, x.Rows, x.Cols), dev.Alloc(x.Rows, x.Cols)
	defer dev.Free(a, b)
	l.attnNorm.Forward(dev, a, x)
	l.attn.Forward(p, b, a, kv, nil)
	dev.Add(x, b)
	l.crossNorm.Forward(dev, a, x)
	l.cross.Cross(p, b, a, source, keep)
	dev.Add(x, b)
	l.mlpNorm.Forward(dev, a, x)
	l.mlp.Forward(p, b, a, nil)
	dev.Add(x, b)
}
