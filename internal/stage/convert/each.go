package convert

import (
	"context"
	"sync"

	"barka/internal/panics"
)

// each calls f for 0 to n-1 on several workers, and stops at the first error.
func each(ctx context.Context, n, workers int, f func(ctx context.Context, i int) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex
		next  int
		first error
	)
	group := panics.Group{Stop: cancel}
	for range min(workers, n) {
		group.Go(func() {
			for inner.Err() == nil {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				if err := f(inner, i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return first
}
