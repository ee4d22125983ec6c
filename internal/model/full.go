package model

import (
	"strings"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/tensor"
)

// Full is the weights [V,D] of the embeddings or of the output projection, if an adapter has
// its own in their place (PEFT's modules_to_save).
type Full struct {
	Module      string
	Value, Grad tensor.Tensor // [V,D] Grad is none if the weights are frozen

	packed tensor.Weight // of the output projection, or nil
}

// trains reports whether the weights have gradients.
func (f *Full) trains() bool { return f != nil && !f.Grad.None() }

// Train allocates the gradients if necessary and sets them to zero.
func (f *Full) Train(dev tensor.Device) {
	if f.Grad.None() {
		f.Grad = dev.Alloc(f.Value.Rows, f.Value.Cols)
		if f.packed != nil {
			dev.Trains(f.packed, f.Grad)
		}
	}
	dev.Zero(f.Grad)
}

// Pack packs the weights of the output projection after a change.
func (f *Full) Pack(dev tensor.Device) {
	if f.packed != nil {
		dev.Repack(f.packed, f.Value)
	}
}

// full is a decoder whose embeddings and output projection can be replaced.
type full interface {
	// fullModules returns the module paths of both.
	fullModules() (embed, head string)
	// copyOf returns a copy of the weights of one.
	copyOf(module string) (tensor.Tensor, error)
	// trainsHead reports whether the output projection has gradients.
	trainsHead() bool
	// replace puts weights in the place of one.
	replace(module string, value tensor.Tensor) *Full
}

func (m *Transformer) fullModules() (embed, head string) { return m.EmbedModule, m.HeadModule }

func (m *Transformer) trainsHead() bool { return m.head.trains() }

// copyOf implements full. A tied head is untied: the copy is of its own.
func (m *Transformer) copyOf(module string) (tensor.Tensor, error) {
	t := m.Dev.Alloc(m.Meta.Vocab, m.Meta.Hidden)
	if module == m.EmbedModule || m.Tied {
		m.Dev.Embed(t, m.Embed, tensor.Ints{Host: every(m.Meta.Vocab)}, 1, false)
		return t, nil
	}
	if m.Output.DType() == dtype.I8 {
		return t, badinput.Errorf("modules_to_save: the output projection %s is packed as 8-bit integers, from which it cannot be trained; "+
			"choose dtype bf16 or f32", module)
	}
	m.Dev.Unpack(t, m.Output, 0)
	return t, nil
}

// every returns the numbers below n.
func every(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}

// replace implements full.
func (m *Transformer) replace(module string, value tensor.Tensor) *Full {
	f := &Full{Module: module, Value: value}
	if module == m.EmbedModule {
		m.embedding = f
		return f
	}
	f.packed = m.Dev.PackTensor(value)
	m.head, m.Output = f, f.packed
	return f
}

// addFull gives the adapter weights of its own for the modules that modules_to_save names:
// those that read returns, or without it copies of the model's.
func (a *Adapter) addFull(m Decoder, read func(module string) (tensor.Tensor, error)) error {
	if len(a.Config.ModulesToSave) == 0 {
		return nil
	}
	d, ok := m.(full)
	if !ok {
		return badinput.Errorf("modules_to_save: not supported for %s", m.Info().Architecture)
	}
	embed, head := d.fullModules()
	for _, name := range a.Config.ModulesToSave {
		if one := (&lora.Config{ModulesToSave: lora.Strings{name}}); !one.Saves(embed) && !one.Saves(head) {
			return badinput.Errorf("modules_to_save: %s is not supported; of this model %s and %s can be trained themselves", name, last(embed),
				last(head))
		}
	}
	if read == nil {
		read = d.copyOf
	}
	for _, module := range []string{embed, head} {
		if !a.Config.Saves(module) {
			continue
		}
		value, err := read(module)
		if err != nil {
			return err
		}
		a.Full = append(a.Full, d.replace(module, value))
	}
	return nil
}

// last returns the last component of a module path.
func last(module string) string { return module[strings.LastIndexByte(module, '.')+1:] }
