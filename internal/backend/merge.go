package backend

import (
	"context"
	"fmt"

	"barka/internal/hub"
	"barka/internal/progress"
	"barka/internal/stage/merge"
	"barka/internal/stage/train"
)

// Merge merges an adapter into a base model and writes the result to out. If out was
// merged from the same two, it is left unchanged. The CPU computes it.
//
// If v is not nil, the merged model is compared with base and adapter. A model that
// differs too much is not moved into place; one that was merged before stays, and Merge
// returns an error. The comparison runs in the engine's type; types other than float32
// add their own rounding to it.
func (e *Engine) Merge(ctx context.Context, name, adapter, out string, v *Verification, reporter progress.Reporter) (*Verified, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return nil, err
	}
	if adapter, err = hub.ResolveAdapter(adapter); err != nil {
		return nil, err
	}
	unchanged := func() error { return e.watch.check(dir, adapter) }
	if err := unchanged(); err != nil {
		return nil, err
	}
	m := merge.Origin{Unchanged: unchanged}
	if m.Base, err = digest(ctx, dir); err != nil {
		return nil, err
	}
	if m.Adapter, err = digest(ctx, adapter); err != nil {
		return nil, err
	}
	trained, err := train.BaseOf(adapter)
	if err != nil {
		return nil, err
	}
	if trained != "" && trained != m.Base && e.Log != nil {
		e.Log(fmt.Sprintf("%s: it was trained on a base model with digest %s, and %s has %s; compare the merge with --verify", adapter, trained,
			name, m.Base))
	}
	var found *Verified
	var check *verifier
	if v != nil {
		if check, err = e.quiet().verifier(dir, adapter, v); err != nil {
			return nil, err
		}
		m.Verify = func(made string) (err error) {
			if found, err = check.run(ctx, made, reporter); err != nil && found != nil {
				return fmt.Errorf("%w. Nothing was written to %s", err, out)
			}
			return err
		}
	}
	if err := merge.Run(ctx, e.Host(), dir, adapter, out, m, reporter); err != nil || check == nil || found != nil {
		return found, err
	}
	if found, err = check.run(ctx, out, reporter); err != nil && found != nil {
		return found, fmt.Errorf("%w. %s was merged before and is left as it is; remove it", err, out)
	}
	return found, err
}
