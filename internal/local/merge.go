package local

import (
	"context"

	"barka/internal/hub"
	"barka/internal/progress"
	"barka/internal/stage/train"
)

// Merge writes a base model with an adapter merged into it. A model already
// merged of the same two is left as it is.
func Merge(ctx context.Context, e *Engine, name, adapter, out string, progress progress.Reporter) error {
	dir, err := hub.Resolve(name)
	if err != nil {
		return err
	}
	if adapter, err = hub.ResolveAdapter(adapter); err != nil {
		return err
	}
	unchanged := func() error { return e.watch.check(dir, adapter) }
	if err := unchanged(); err != nil {
		return err
	}
	m := train.Merged{Unchanged: unchanged}
	if m.Base, err = digest(ctx, dir); err != nil {
		return err
	}
	if m.Adapter, err = digest(ctx, adapter); err != nil {
		return err
	}
	return train.Merge(ctx, e.Device, dir, adapter, out, m, progress)
}
