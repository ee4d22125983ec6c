package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"

	"barka/internal/badinput"
)

// rowLog is a file of JSON lines beside the adapter. A checkpoint vouches for its beginning,
// and a continued run writes the rest again.
type rowLog struct {
	path string
	sum  hash.Hash // of the first size bytes
	size int64
}

// mark is the beginning of a file that a checkpoint vouches for.
type mark struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// openLog cuts a file to what a checkpoint vouches for. A file that lacks some of it, or
// holds something else, is bad input.
func openLog(path string, m mark) (*rowLog, error) {
	l := &rowLog{path: path, sum: sha256.New(), size: m.Bytes}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) && m.Bytes == 0 {
		return l, nil
	}
	if err != nil {
		return nil, badinput.Errorf("%w: the checkpoint needs it; restore it, or --restart", err)
	}
	defer f.Close()
	n, err := io.CopyN(l.sum, f, m.Bytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, badinput.Wrap(err)
	}
	switch sum := l.mark().SHA256; {
	case n < m.Bytes:
		return nil, badinput.Errorf("%s has %d bytes, the checkpoint was written with %d: lines are missing; restore it, or --restart",
			path, n, m.Bytes)
	case m.Bytes > 0 && sum != m.SHA256:
		return nil, badinput.Errorf("%s was changed or damaged: its first %d bytes have SHA-256 %s, "+
			"recorded is %s; restore it, or --restart", path, n, sum, m.SHA256)
	}
	return l, f.Truncate(m.Bytes)
}

// append adds v as a line.
func (l *rowLog) append(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	l.sum.Write(line)
	l.size += int64(len(line))
	return nil
}

// mark returns what the file holds.
func (l *rowLog) mark() mark { return mark{l.size, hex.EncodeToString(l.sum.Sum(nil))} }

// sync makes the file durable, if there is one.
func (l *rowLog) sync() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) && l.size == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
