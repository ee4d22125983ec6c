package parquet

import (
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"

	"barka/internal/atomicfile"
)

// WriteAtomic writes rows of a struct type to a file, whose directory it makes.
// The file appears whole or not at all, and equal rows give equal bytes.
//
// schema names the root of the file's schema; empty is the Go name of the type.
// A generic type needs one: its Go name holds the import paths of its arguments,
// so that moving a package would change the files.
func WriteAtomic[T any](path, schema string, rows iter.Seq[T]) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, func(f io.Writer) error {
		w, err := newWriter(f, reflect.TypeFor[T](), schema)
		if err != nil {
			return err
		}
		for row := range rows {
			if err := w.Write(row); err != nil {
				return err
			}
		}
		return w.Close()
	})
}
