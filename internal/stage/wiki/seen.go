package wiki

import (
	"path/filepath"
	"strconv"

	"barka/internal/dataset"
	"barka/internal/diskmap"
)

// seen is the set of the pages and texts that came before. It is on disk, and memory holds
// about a byte for each.
type seen struct{ keys *diskmap.Map }

func openSeen(dir string) (*seen, error) {
	keys, err := diskmap.Open(filepath.Join(dir, "seen-"), diskmap.Options{})
	return &seen{keys}, err
}

// add adds a key and reports whether it was there.
func (s *seen) add(k dataset.TextKey) (before bool, err error) {
	if _, before, err = s.keys.Get(diskmap.Key(k)); before || err != nil {
		return before, err
	}
	return false, s.keys.Put(diskmap.Key(k), diskmap.Value{})
}

func (s *seen) close() error { return s.keys.Close() }

// pageKey is the key of a page among those of texts.
func pageKey(id int64) dataset.TextKey { return dataset.KeyOf("\x00page " + strconv.FormatInt(id, 10)) }
