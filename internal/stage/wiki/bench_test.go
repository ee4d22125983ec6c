package wiki

import (
	"os"
	"path/filepath"
	"testing"

	"barka/internal/durable"
	"barka/internal/progress"
)

// BenchmarkDump reads the dump that BARKA_DUMP names.
func BenchmarkDump(b *testing.B) {
	path := os.Getenv("BARKA_DUMP")
	if path == "" {
		b.Skip("BARKA_DUMP names no dump")
	}
	o := Defaults()
	o.Dump = path
	for b.Loop() {
		if _, err := Run(b.Context(), o, nil, durable.Env{Out: filepath.Join(b.TempDir(), "out"), Progress: progress.Silent}); err != nil {
			b.Fatal(err)
		}
	}
}
