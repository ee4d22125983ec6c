package merge

import (
	"encoding/json"
	"path/filepath"
	"slices"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/safetensors"
)

// replaces reports whether the adapter has weights of its own for a module.
func (m *merger) replaces(module string) bool {
	return m.cfg.Saves(module) && m.delta.Has(lora.NameFull(module))
}

// replaced returns the adapter's weights of a module in the type in which the tensor name of
// the base is written.
func (m *merger) replaced(module, name string) ([]byte, error) {
	if err := m.ctx.Err(); err != nil {
		return nil, err
	}
	dt, shape, _ := m.model.Info(name)
	full := lora.NameFull(module)
	if _, is, _ := m.delta.Info(full); !slices.Equal(is, shape) {
		return nil, badinput.Errorf("merge: the adapter's %s has shape %v, the base model's %v; it is the adapter of another model, or its "+
			"vocabulary was extended", full, is, shape)
	}
	w, err := m.read(full, shape[0], shape[1])
	if err != nil {
		return nil, err
	}
	for i, v := range w {
		if v-v != 0 {
			return nil, badinput.Errorf("merge: the adapter's %s has the value %g at row %d, column %d, expected a finite number", full, v,
				i/shape[1], i%shape[1])
		}
	}
	return dtype.Narrow(written(dt), w), nil
}

// The modules of embeddings, and of the heads that may be tied to them.
var heads = map[string]string{"model.embed_tokens": "lm_head", "gpt_neox.embed_in": "embed_out"}

// untie adds the head to the tensors if the base ties it to its embeddings and the adapter has
// its own weights for one of them. It counts the adapter's tensors that it uses.
func (m *merger) untie(used *int) error {
	for embed, head := range heads {
		name, stored := head+".weight", embed+".weight"
		if !m.model.Has(stored) || !m.replaces(embed) && !m.replaces(head) ||
			slices.ContainsFunc(m.sources, func(s safetensors.Source) bool { return s.Name == name }) {
			continue
		}
		dt, shape, _ := m.model.Info(stored)
		s := safetensors.Source{Name: name, DType: written(dt), Shape: shape, Data: func() ([]byte, error) { return m.copied(stored) }}
		if m.replaces(head) {
			*used++
			s.Data = func() ([]byte, error) { return m.replaced(head, stored) }
		}
		m.head, m.sources, m.total = name, append(m.sources, s), m.total+int64(s.Size())
	}
	return nil
}

// writeUntied makes the configuration of a merged model state that its head is a matrix of its
// own.
func writeUntied(dir string) error {
	path := filepath.Join(dir, "config.json")
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if err != nil {
		return err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(data, &config); err != nil {
		return badinput.Errorf("%s: %w", path, err)
	}
	config["tie_word_embeddings"] = json.RawMessage("false")
	if data, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(data, '\n'))
}
