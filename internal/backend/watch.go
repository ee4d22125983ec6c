package backend

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"barka/internal/mapped"
)

// watch remembers the files of model directories as they were when first seen.
// So a digest identifies the files that were loaded, whether it was computed
// before or after.
type watch struct {
	mu   sync.Mutex
	seen map[string]fs.FileInfo
}

// check returns an error if a file of the directories that their digest depends
// on is not what it was at the first check.
func (w *watch) check(dirs ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, dir := range dirs {
		names, err := digested(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			now, err := os.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // reported by the code that needs it
			}
			if err != nil {
				return err
			}
			if before, ok := w.seen[name]; ok {
				if err := mapped.Compare(name, before, now); err != nil {
					return err
				}
				continue
			}
			w.seen[name] = now
		}
	}
	return nil
}
