//go:build !unix

package safetensors

import "os"

// mapping is a file's bytes, read whole where files are not mapped.
type mapping struct{ bytes []byte }

func mapFile(path string) (*mapping, error) {
	b, err := os.ReadFile(path)
	return &mapping{b}, err
}

func (m *mapping) forget(begin, end int) {}

func (m *mapping) close() error { m.bytes = nil; return nil }
