// Package model opens checkpoints in Hugging Face layout and defines what the
// architectures below it offer: Decoder for causal language models, Seq2Seq
// for translation models. An architecture registers itself under the name
// that config.json gives; package all imports them all.
package model

import (
	"context"
	"encoding/json"
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

// Info is what callers need to know of a model whatever its architecture.
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

// Tape remembers one saved forward pass.
type Tape interface {
	// Backward takes ∂loss/∂h [T,D] of the final hidden states, adds to the
	// gradients of the adapters, and frees what the pass saved. dh is
	// overwritten.
	Backward(dh tensor.Tensor)
}

// Decoder is a causal language model. Its methods are not safe for
// concurrent use; the device underneath uses all threads by itself.
type Decoder interface {
	Info() Info
	Device() tensor.Device
	// Forward runs tokens [T] and returns the hidden states [T,D] after the
	// final norm, to be freed by the caller, and a tape if p.Save is set.
	Forward(p *nn.Pass, tokens []int32, cache *Cache) (tensor.Tensor, Tape, error)
	// Head is the output projection [V,D] and the cap of its logits (0: none).
	Head() (w tensor.Weight, softcap float32)
	// Linears lists the layers an adapter may attach to, in order of depth.
	Linears() []*nn.Linear
	// NewCache makes a key/value cache that grows as needed.
	NewCache() *Cache
}

// Seq2Seq is an encoder-decoder model.
type Seq2Seq interface {
	Info() Info
	Device() tensor.Device
	// Encode runs ragged sources and returns their states [T,D].
	Encode(p *nn.Pass, tokens []int32) tensor.Tensor
	// ProjectSource computes every layer's cross-attention keys and values of
	// encoded states [T,D], once a sentence, into the given rows of source.
	ProjectSource(p *nn.Pass, states tensor.Tensor, source *Cache, rows []int32)
	// Decode runs target tokens; sourceLayout lists, for each sequence, the
	// rows of source that it attends to. It returns states [T,D] after the
	// final norm.
	Decode(p *nn.Pass, tokens []int32, cache, source *Cache, sourceLayout *tensor.Layout) tensor.Tensor
	Head() (w tensor.Weight, softcap float32)
	NewCache() *Cache
}

// Options say how to load a model.
type Options struct {
	// Context, if not nil, ends the loading.
	Context context.Context
	Device  tensor.Device
	// DType of the packed matrices: F32, or BF16 where both sides of every
	// product are rounded to BF16 and sums stay float32, or I8 where both are
	// quantised, weights by output and activations by token.
	DType dtype.DType
	// Log receives notes, such as tensors that the architecture ignores.
	Log func(string)
	// Progress, if not nil, is told of every tensor loaded: the bytes of the
	// checkpoint so far, and of all of it.
	Progress func(loaded, total int64)
}

// Loader builds a model from config.json's text and a checkpoint. The result
// is a Decoder or a Seq2Seq.
type Loader func(config []byte, l *Weights) (any, error)

// Architecture is how a family of models is read.
type Architecture struct {
	Load Loader
	// Defaults, a JSON object, are the settings that config.json may leave out
	// and the loader does not know by itself.
	Defaults string
	// Seq2Seq is set for an encoder and a decoder: Load returns a Seq2Seq.
	Seq2Seq bool
}

var architectures = map[string]*Architecture{}

// Register makes an architecture known under the name that config.json's
// architectures field gives. It is called from init functions.
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

// configHead is the part of config.json that every model shares.
type configHead struct {
	Architectures []string        `json:"architectures"`
	ModelType     string          `json:"model_type"`
	TorchDType    string          `json:"torch_dtype"`
	DType         string          `json:"dtype"` // transformers 5 renamed the field
	Text          json.RawMessage `json:"text_config"`
}

// open loads whatever the directory holds.
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
	w := &Weights{ctx: o.Context, dir: dir, dev: o.Device, dtype: o.DType, ck: ck, used: map[string]bool{}, torchDType: head.TorchDType, arch: name, progress: o.Progress}
	var m any
	err = mapped.Guard(func() error {
		var err error
		if m, err = a.Load(data, w); err != nil {
			return fmt.Errorf("model %s: %w", dir, err)
		}
		return w.finish(o.Log)
	})
	if changed := ck.Unchanged(); changed != nil {
		return nil, changed // whatever was found in it
	}
	return m, err
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

func errEncoderDecoder(dir string) error {
	return badinput.Errorf("model %s is an encoder-decoder model; this needs a causal language model such as Gemma-2", dir)
}

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
		return nil, errEncoderDecoder(dir)
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
		return nil, errCausal(dir)
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
