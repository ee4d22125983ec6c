// Package model opens checkpoints in Hugging Face layout. It defines the interfaces that the
// architectures in its subdirectories implement: Decoder for causal language models, Seq2Seq
// for translation models. An architecture registers itself under its name in config.json.
// Package all imports every architecture.
package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/mapped"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Info describes a model of any architecture.
type Info struct {
	Architecture string
	Layers       int
	Hidden       int // D
	Vocab        int // V
	MaxPositions int
	// TorchDType is config.json's torch_dtype: the type of the stored weights.
	TorchDType string
	// Parameters counts the stored parameters, a tied head once.
	Parameters int64
	// DType is the type of the packed weights.
	DType dtype.DType
}

// PassTokens returns how many tokens a forward pass without activations should have: what the device
// proposes, if half of its free memory suffices for them, but at least `least`, the number for the CPU.
func PassTokens(dev tensor.Device, i Info, least int) int {
	d, ok := dev.(interface {
		PassTokens() int
		Memory() (free, total int64, err error)
	})
	if !ok {
		return least
	}
	free, _, err := d.Memory()
	if err != nil {
		return least // the next operation reports it
	}
	const widths = 24 // of the residual stream: a token's tensors in a layer, and what products take beside them
	return max(least, min(d.PassTokens(), int(free/2/int64(4*widths*max(i.Hidden, 1)))))
}

// Tape is one saved forward pass.
type Tape interface {
	// Backward takes dh = ∂loss/∂h [T,D], the gradient of the final hidden states. It adds
	// to the gradients of the adapters and frees what the pass saved. It overwrites dh.
	Backward(dh tensor.Tensor)
}

// Decoder is a causal language model. Its methods must not be called concurrently: the
// device uses all threads for each.
type Decoder interface {
	Info() Info
	Device() tensor.Device
	// Forward runs tokens [T] and returns the hidden states h [T,D] after the final norm,
	// which the caller frees. With p.Save it also returns a tape.
	Forward(p *nn.Pass, tokens []int32, cache *Cache) (tensor.Tensor, Tape, error)
	// Head returns the output projection [V,D] and the cap of its logits, 0 for none.
	Head() (w tensor.Weight, softcap float32)
	// Linears lists the layers that an adapter can be attached to, in order of depth.
	Linears() []*nn.Linear
	// NewCache makes a key/value cache that grows as needed.
	NewCache() *Cache
	// Close closes the model's files. The model must not be used afterwards.
	Close() error
}

// Seq2Seq is an encoder-decoder model.
type Seq2Seq interface {
	Info() Info
	Device() tensor.Device
	// Encode runs ragged sources and returns their states [T,D].
	Encode(p *nn.Pass, tokens []int32) (tensor.Tensor, error)
	// ProjectSource computes every layer's cross-attention keys and values of the encoded
	// states [T,D] and stores them in the given rows of source. It runs once per sentence.
	ProjectSource(p *nn.Pass, states tensor.Tensor, source *Cache, rows []int32) error
	// Decode runs target tokens [T] and returns the states [T,D] after the final norm.
	// sourceLayout lists, for each sequence, the rows of source that it attends to.
	Decode(p *nn.Pass, tokens []int32, cache, source *Cache, sourceLayout *tensor.Layout) (tensor.Tensor, error)
	Head() (w tensor.Weight, softcap float32)
	NewCache() *Cache
	// On returns the model with another device that works on the same memory. It shares the
	// weights and is not closed. Each may compute while the other does.
	On(dev tensor.Device) Seq2Seq
	// Close closes the model's files. The model must not be used afterwards.
	Close() error
}

// Aligner is a Seq2Seq that shows which source tokens its outputs attend to.
type Aligner interface {
	Seq2Seq
	// Alignment returns the layer whose cross-attention aligns source and output best, and the
	// form of its heads. Decode stores its queries in the rows of nn.Pass.Queries.
	Alignment() (layer int, a tensor.Attention)
}

// Options holds the options of loading a model.
type Options struct {
	// Context, if not nil, can cancel the loading.
	Context context.Context
	Device  tensor.Device
	// DType is the type of the packed matrices. F32 is exact. With BF16 both operands of
	// every product are rounded to BF16, and sums are float32. With I8 both are quantised:
	// weights per output, activations per token.
	DType dtype.DType
	// Log receives notes, such as tensors that the architecture ignores.
	Log func(string)
	// Progress, if not nil, is called after every tensor with the bytes loaded so far and
	// the bytes of the checkpoint.
	Progress func(loaded, total int64)
}

// Loader builds a model from the text of config.json and a checkpoint's weights. The result
// is a Decoder or a Seq2Seq.
type Loader func(config []byte, l *Weights) (any, error)

// Architecture describes how models of one architecture are loaded.
type Architecture struct {
	Load Loader
	// Defaults is a JSON object with the values of settings that config.json may leave out,
	// for those that Load does not fill in.
	Defaults string
	// Seq2Seq is set for an encoder-decoder: Load returns a Seq2Seq, otherwise a Decoder.
	Seq2Seq bool
}

var architectures = map[string]*Architecture{}

// Register adds an architecture under its name in the architectures field of config.json.
// It is called from init functions.
func Register(name string, a Architecture) { architectures[name] = &a }

// Architectures lists the registered names.
func Architectures() []string {
	names := make([]string, 0, len(architectures))
	for name := range architectures {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// configHead is the part of config.json that all models share.
type configHead struct {
	Architectures []string        `json:"architectures"`
	ModelType     string          `json:"model_type"`
	TorchDType    string          `json:"torch_dtype"`
	DType         string          `json:"dtype"` // transformers 5 renamed the field
	Text          json.RawMessage `json:"text_config"`
}

// open loads the model in a directory: a Decoder or a Seq2Seq, which owns its files.
func open(dir string, o Options) (any, error) {
	data, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	var head configHead
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, badinput.Wrap(err)
	}
	name, err := head.architecture(dir)
	if err != nil {
		return nil, err
	}
	a := architectures[name]
	if data, err = a.withDefaults(data); err != nil {
		return nil, err
	}
	ck, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	if head.TorchDType == "" {
		head.TorchDType = head.DType
	}
	w := &Weights{ctx: o.Context, dir: dir, dev: o.Device, dtype: o.DType, ck: ck, used: map[string]bool{},
		torchDType: head.TorchDType, arch: name, progress: o.Progress}
	var m any
	err = mapped.Guard(func() (err error) {
		defer tensor.Guard(&err)
		if m, err = a.Load(data, w); err != nil {
			return fmt.Errorf("model %s: %w", dir, err)
		}
		return w.finish(o.Log)
	})
	if changed := ck.Unchanged(); changed != nil {
		err = changed // which may be the cause of any other error
	}
	if err != nil {
		ck.Close()
		return nil, err
	}
	m.(owner).own(ck)
	return m, nil
}

// architecture returns the name of a supported architecture.
func (h configHead) architecture(dir string) (string, error) {
	if len(h.Architectures) == 0 {
		return "", badinput.Errorf("%s/config.json: no architectures field (model_type %q); expected one of %s",
			dir, h.ModelType, strings.Join(Architectures(), ", "))
	}
	if _, ok := architectures[h.Architectures[0]]; !ok {
		return "", badinput.Errorf("%s/config.json: architecture %q is not supported; supported: %s",
			dir, h.Architectures[0], strings.Join(Architectures(), ", "))
	}
	return h.Architectures[0], nil
}

// errEncoderDecoder is the error of a translation model where text is generated or scored.
func errEncoderDecoder(dir string) error {
	return badinput.Errorf("model %s is an encoder-decoder model; this needs a causal language model such as Gemma-2", dir)
}

// errCausal is the error of a causal language model where text is translated.
func errCausal(dir string) error {
	return badinput.Errorf("model %s is a causal language model; translation needs an encoder-decoder model such as NLLB", dir)
}

// OpenDecoder loads a causal language model from a directory.
func OpenDecoder(dir string, o Options) (Decoder, error) {
	m, err := open(dir, o)
	if err != nil {
		return nil, err
	}
	d, ok := m.(Decoder)
	if !ok {
		return nil, errors.Join(errEncoderDecoder(dir), m.(Seq2Seq).Close())
	}
	return d, nil
}

// OpenSeq2Seq loads an encoder-decoder model from a directory.
func OpenSeq2Seq(dir string, o Options) (Seq2Seq, error) {
	m, err := open(dir, o)
	if err != nil {
		return nil, err
	}
	s, ok := m.(Seq2Seq)
	if !ok {
		return nil, errors.Join(errCausal(dir), m.(Decoder).Close())
	}
	return s, nil
}

// ParseDType reads a --dtype value.
func ParseDType(s string) (dtype.DType, error) {
	switch strings.ToLower(s) {
	case "f32", "float32", "fp32":
		return dtype.F32, nil
	case "bf16", "bfloat16":
		return dtype.BF16, nil
	case "i8", "int8":
		return dtype.I8, nil
	}
	return dtype.F32, badinput.Errorf("dtype %q: expected f32, bf16 or int8", s)
}
