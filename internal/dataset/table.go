package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"unicode/utf8"

	"barka/internal/atomicfile"
	"barka/internal/parquet"
)

// Limits bound the size of a part. A part ends after so many rows, or when the
// text and numbers of its rows reach so many bytes before compression.
type Limits struct{ Rows, Bytes int64 }

// DefaultLimits are those of the directories that barka writes.
var DefaultLimits = Limits{Rows: 50_000, Bytes: 64 << 20}

// table writes rows of one type as the parts of one directory. The names of the
// parts state how many there are, so parts are named at the end.
type table struct {
	dir, sub string // files go to dir/sub
	limits   Limits
	rowType  reflect.Type
	f        *os.File
	hash     hash.Hash
	w        *parquet.Writer
	bytes    int64
	parts    []FileInfo // closed ones
	rows     int64
}

func newTable(dir, sub string, limits Limits, rowType reflect.Type) *table {
	return &table{dir: dir, sub: sub, limits: limits, rowType: rowType}
}

// CheckRowType returns an error if rows of the type cannot be written.
func CheckRowType(t reflect.Type) error {
	_, err := parquet.NewWriter(io.Discard, t)
	return err
}

func (t *table) temporary(i int) string {
	return filepath.Join(t.dir, t.sub, fmt.Sprintf("part-%05d.tmp", i))
}

func (t *table) write(row reflect.Value) error {
	size, valid := measure(row)
	if !valid {
		clean, err := repaired(row)
		if err != nil {
			return err
		}
		row = clean
	}
	if t.w != nil && (t.w.Rows() >= t.limits.Rows || t.bytes > 0 && t.bytes+size > t.limits.Bytes) {
		if err := t.closePart(); err != nil {
			return err
		}
	}
	if t.w == nil {
		if err := t.openPart(); err != nil {
			return err
		}
	}
	t.bytes += size
	t.rows++
	return atomicfile.Explain(t.f.Name(), t.w.Write(row.Interface()))
}

func (t *table) openPart() (err error) {
	if err := os.MkdirAll(filepath.Join(t.dir, t.sub), 0o777); err != nil {
		return atomicfile.Explain(t.dir, err)
	}
	if t.f, err = os.Create(t.temporary(len(t.parts))); err != nil {
		return atomicfile.Explain(t.dir, err)
	}
	t.hash, t.bytes = sha256.New(), 0
	t.w, err = parquet.NewWriter(io.MultiWriter(t.f, t.hash), t.rowType)
	return err
}

func (t *table) closePart() error {
	name, rows := t.f.Name(), t.w.Rows()
	err := t.w.Close()
	var size int64
	if err == nil {
		size, err = t.f.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		err = t.f.Sync()
	}
	if cerr := t.f.Close(); err == nil {
		err = cerr
	}
	t.f, t.w = nil, nil
	if err != nil {
		return atomicfile.Explain(name, err)
	}
	t.parts = append(t.parts, FileInfo{Size: size, SHA256: hex.EncodeToString(t.hash.Sum(nil)), Rows: rows})
	return nil
}

// finish names the parts; a table without rows becomes one part without rows.
func (t *table) finish() ([]FileInfo, error) {
	if t.w == nil && len(t.parts) == 0 {
		if err := t.openPart(); err != nil {
			return nil, err
		}
	}
	if t.w != nil {
		if err := t.closePart(); err != nil {
			return nil, err
		}
	}
	for i := range t.parts {
		name := fmt.Sprintf("part-%05d-of-%05d.parquet", i, len(t.parts))
		if err := os.Rename(t.temporary(i), filepath.Join(t.dir, t.sub, name)); err != nil {
			return nil, atomicfile.Explain(t.dir, err)
		}
		if t.sub != "" {
			name = t.sub + "/" + name
		}
		t.parts[i].Name = name
	}
	return t.parts, nil
}

// abandon closes open files. They are removed when the run is resumed.
func (t *table) abandon() {
	if t.f != nil {
		t.f.Close()
		t.f, t.w = nil, nil
	}
}

// measure returns the size of a value's text and numbers in bytes, and whether
// all its text is valid UTF-8.
func measure(v reflect.Value) (size int64, valid bool) {
	valid = true
	add := func(v reflect.Value) {
		n, ok := measure(v)
		size += n
		valid = valid && ok
	}
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len()) + 4, utf8.ValidString(v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			add(v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return int64(v.Len()) + 4, true
		}
		for i := range v.Len() {
			add(v.Index(i))
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			add(it.Key())
			add(it.Value())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			add(v.Elem())
		}
	default:
		size = 8
	}
	return size, valid
}

// repaired replaces bytes that are not UTF-8 by U+FFFD, as JSON does. Readers
// of Parquet refuse such text.
func repaired(row reflect.Value) (reflect.Value, error) {
	data, err := json.Marshal(row.Interface())
	if err != nil {
		return row, err
	}
	clean := reflect.New(row.Type())
	err = json.Unmarshal(data, clean.Interface())
	return clean.Elem(), err
}
