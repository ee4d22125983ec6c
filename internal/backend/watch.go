package backend

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"barka/internal/mapped"
)

// watch remembers the state in which it first saw the files of model directories. A
// digest thereby identifies the loaded files, whether it was computed before or after
// loading.
type watch struct {
	mu   sync.Mutex
	seen map[string]fs.FileInfo
}

// check returns an error if a file that the digest of a directory covers has changed
// since the first check.
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
