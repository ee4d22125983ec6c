package local

import (
	"barka/internal/hub"
	"barka/internal/pipeline"
	"barka/internal/stage/train"
)

// Merge writes a base model with an adapter merged into it. A model already
// merged of the same two is left as it is.
func Merge(e *Engine, name, adapter, out string, progress pipeline.Progress) error {
	dir, err := hub.Resolve(name)
	if err != nil {
		return err
	}
	if adapter, err = hub.ResolveAdapter(adapter); err != nil {
		return err
	}
	var m train.Merged
	if m.Base, err = Digest(dir); err != nil {
		return err
	}
	if m.Adapter, err = Digest(adapter); err != nil {
		return err
	}
	return train.Merge(e.Device, dir, adapter, out, m, progress)
}
