package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"os"

	"barka/internal/badinput"
	"barka/internal/jsonl"
)

// Export writes the rows of the dataset directory dir to file, as JSON lines that
// Rows reads; .gz and .zst files are compressed. The file appears complete or not at
// all. A file that already holds these rows is left alone. One with other content is
// replaced only if replace is set, and otherwise a badinput error.
func Export[T any](ctx context.Context, dir, file string, replace bool) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		same, err := holds[T](ctx, dir, file)
		if same || err != nil {
			return err
		}
		if !replace {
			return badinput.Errorf("%s exists and does not hold the rows of %s; move it away and run the same command again, "+
				"which then writes it from there", file, dir)
		}
	}
	w, err := jsonl.Create(file)
	if err != nil {
		return badinput.Wrap(err)
	}
	for row, err := range Rows[T](ctx, dir) {
		if err == nil {
			err = w.Write(row)
		}
		if err != nil {
			return errors.Join(err, w.Discard())
		}
	}
	return w.Close()
}

// holds reports whether file has the lines that Export writes. A file that cannot be
// read has others.
func holds[T any](ctx context.Context, dir, file string) (bool, error) {
	next, stop := iter.Pull2(jsonl.Lines(file))
	defer stop()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for row, err := range Rows[T](ctx, dir) {
		b.Reset()
		if err == nil {
			err = enc.Encode(row)
		}
		if err != nil {
			return false, err
		}
		line, lerr, more := next()
		if !more || lerr != nil || !bytes.Equal(line.Data, bytes.TrimSuffix(b.Bytes(), []byte("\n"))) {
			return false, nil
		}
	}
	_, _, more := next()
	return !more, nil
}
