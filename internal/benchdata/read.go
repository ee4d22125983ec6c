package benchdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"barka/internal/badinput"
	"barka/internal/compressed"
	"barka/internal/jsonstream"
	"barka/internal/pytext"
)

// Table is the rows of one split. A value is nil, bool, int64, float64,
// string, []any of these, or Object.
type Table struct {
	Columns []string
	Rows    [][]any
}

// builder is a table in progress.
type builder struct {
	Table
	size int64 // about, in memory
}

// Bounds of a benchmark. The known ones have some megabytes.
var (
	maxText  int64 = 256 << 20 // bytes of a file after decompression
	maxTable int64 = 1 << 30   // bytes of a split in memory
)

const (
	maxRow     = 16 << 20 // bytes of a row's JSON
	maxColumns = 1000
)

// Object stands for a nested value, which no benchmark column needs.
type Object struct{}

// Read reads the files of one split, one after the other. Columns are
// matched by name; the values of a column that a file lacks are nil.
func Read(files []string) (*Table, error) {
	t := new(builder)
	for _, file := range files {
		if err := t.readFile(file); err != nil {
			return nil, badinput.Errorf("%s: %w", file, err)
		}
	}
	return &t.Table, nil
}

func (t *builder) readFile(file string) error {
	if strings.HasSuffix(file, ".parquet") {
		return t.readParquet(file)
	}
	data, err := readText(file)
	if err != nil {
		return err
	}
	switch strings.TrimSuffix(extension(file), ".gz") {
	case ".csv":
		return t.readCSV(string(data), ',')
	case ".tsv":
		return t.readCSV(string(data), '\t')
	default:
		return t.readJSON(data)
	}
}

func readText(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := compressed.NewReader(file, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && int64(len(data)) > maxText {
		err = fmt.Errorf("more than %d MiB of text; a file of a benchmark is read up to that", maxText>>20)
	}
	return data, err
}

// add appends a row.
func (t *builder) add(row []any) error {
	if err := t.grow(sizeOf(row)); err != nil {
		return err
	}
	t.Rows = append(t.Rows, row)
	return nil
}

// grow counts the memory that rows are about to take.
func (t *builder) grow(size int64) error {
	if t.size += size; t.size > maxTable {
		return fmt.Errorf("the rows take more than %d MiB of memory, the limit for a benchmark; the first %d fit",
			maxTable>>20, len(t.Rows))
	}
	return nil
}

// sizeOf estimates the memory of a value besides its place in the row, in bytes.
func sizeOf(v any) int64 {
	switch v := v.(type) {
	case string:
		return 16 + int64(len(v))
	case []any:
		size := 24 + 16*int64(len(v))
		for _, element := range v {
			size += sizeOf(element)
		}
		return size
	}
	return 8
}

// column returns the position of a column, adding it when it is new.
func (t *builder) column(name string) (int, error) {
	if i := slices.Index(t.Columns, name); i >= 0 {
		return i, nil
	}
	if len(t.Columns) >= maxColumns {
		return 0, fmt.Errorf("more than %d columns; benchmarks have at most some tens", maxColumns)
	}
	if err := t.grow(16 * int64(len(t.Rows))); err != nil {
		return 0, err
	}
	t.Columns = append(t.Columns, name)
	for i := range t.Rows {
		t.Rows[i] = append(t.Rows[i], nil)
	}
	return len(t.Columns) - 1, nil
}

func (t *builder) readCSV(text string, comma byte) error {
	var header []int // each field's column; nil in front of the line of names
	n := 0
	for record, err := range pytext.Records(text, comma) {
		if err != nil {
			return err
		}
		if header == nil {
			if header, err = t.header(record); err != nil {
				return err
			}
			continue
		}
		n++
		if len(record) != len(header) {
			return fmt.Errorf("row %d has %d fields, the header has %d", n, len(record), len(header))
		}
		row := make([]any, len(t.Columns))
		for i, field := range record {
			row[header[i]] = field
		}
		if err := t.add(row); err != nil {
			return err
		}
	}
	if header == nil {
		return fmt.Errorf("the file is empty, expected a line of column names")
	}
	return nil
}

func (t *builder) header(names []string) ([]int, error) {
	header := make([]int, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("column %q appears twice", name)
		}
		var err error
		if header[i], err = t.column(name); err != nil {
			return nil, err
		}
	}
	return header, nil
}

// readJSON reads one object per line, or one array of objects.
func (t *builder) readJSON(data []byte) error {
	if !utf8.Valid(data) { // the decoder would replace them by other characters
		return fmt.Errorf("not UTF-8 text")
	}
	d := jsonstream.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	d.UseNumber()
	open := 0
	for n := 0; ; {
		d.Piece(maxRow)
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && open > 0: // the decoder does not report it
			return fmt.Errorf("the list is not closed after row %d; is the file cut?", n)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("row %d: %w", n+1, err)
		case token == json.Delim('{'):
			if err := t.readObject(d); err != nil {
				return fmt.Errorf("row %d: %w", n+1, err)
			}
			n++
		case token == json.Delim('['):
			open++
		case token == json.Delim(']'):
			open--
		default:
			return fmt.Errorf("row %d: found %v, expected an object", n+1, token)
		}
	}
}

// readObject reads the fields after the opening brace; the order of the
// first row's keys is the order of the columns.
func (t *builder) readObject(d *jsonstream.Decoder) error {
	row := make([]any, len(t.Columns))
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var raw any
		if err := d.Decode(&raw); err != nil {
			return err
		}
		i, err := t.column(key.(string))
		if err != nil {
			return err
		}
		for len(row) <= i {
			row = append(row, nil)
		}
		row[i] = plain(raw)
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	return t.add(row)
}

// plain turns a decoded JSON value into a table's value.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	case map[string]any:
		return Object{}
	}
	return v
}
