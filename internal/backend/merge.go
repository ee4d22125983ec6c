package backend

import (
	"context"

	"barka/internal/hub"
	"barka/internal/progress"
	"barka/internal/stage/merge"
)

// Merge writes a base model with an adapter merged into it. A model that was
// merged from the same two is left as it is.
func (e *Engine) Merge(ctx context.Context, name, adapter, out string, reporter progress.Reporter) error {
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
	m := merge.Origin{Unchanged: unchanged}
	if m.Base, err = digest(ctx, dir); err != nil {
		return err
	}
	if m.Adapter, err = digest(ctx, adapter); err != nil {
		return err
	}
	return merge.Run(ctx, e.Device, dir, adapter, out, m, reporter)
}
