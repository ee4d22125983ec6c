package hubdata

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

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"barka/internal/badinput"
	"barka/internal/pytext"
)

// Table is the rows of one split. A value is nil, bool, int64, float64,
// string, []any of these, or Object.
type Table struct {
	Columns []string
	Rows    [][]any
}

// Object stands for a nested value, which no benchmark column needs.
type Object struct{}

// Read reads the files of one split, one after the other. Columns are
// matched by name; where a file lacks one its values are nil.
func Read(files []string) (*Table, error) {
	t := new(Table)
	for _, file := range files {
		if err := t.readFile(file); err != nil {
			return nil, badinput.Errorf("%s: %w", file, err)
		}
	}
	return t, nil
}

func (t *Table) readFile(file string) error {
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
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasSuffix(file, ".gz"):
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return readWhole(r)
	case strings.HasSuffix(file, ".zst"):
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return readWhole(r)
	}
	return data, nil
}

// maxText bounds what a compressed file may become; benchmarks are far smaller.
var maxText int64 = 1 << 30

func readWhole(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && int64(len(data)) > maxText {
		err = fmt.Errorf("more than %d MiB when unpacked", maxText>>20)
	}
	return data, err
}

// column returns the position of a column, adding it when it is new.
func (t *Table) column(name string) int {
	if i := slices.Index(t.Columns, name); i >= 0 {
		return i
	}
	t.Columns = append(t.Columns, name)
	for i := range t.Rows {
		t.Rows[i] = append(t.Rows[i], nil)
	}
	return len(t.Columns) - 1
}

func (t *Table) readCSV(text string, comma byte) error {
	records, err := pytext.CSV(text, comma)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("the file is empty, expected a line of column names")
	}
	header := make([]int, len(records[0]))
	for i, name := range records[0] {
		if slices.Contains(records[0][:i], name) {
			return fmt.Errorf("column %q appears twice", name)
		}
		header[i] = t.column(name)
	}
	for n, record := range records[1:] {
		if len(record) != len(header) {
			return fmt.Errorf("row %d has %d fields, the header has %d", n+1, len(record), len(header))
		}
		row := make([]any, len(t.Columns))
		for i, field := range record {
			row[header[i]] = field
		}
		t.Rows = append(t.Rows, row)
	}
	return nil
}

// readJSON takes an object a line, or one array of objects.
func (t *Table) readJSON(data []byte) error {
	if !utf8.Valid(data) { // the decoder would put other characters in their place
		return fmt.Errorf("not UTF-8 text")
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	d.UseNumber()
	open := 0
	for n := 0; ; {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && open > 0: // the decoder is content with that
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
func (t *Table) readObject(d *json.Decoder) error {
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
		i := t.column(key.(string))
		for len(row) <= i {
			row = append(row, nil)
		}
		row[i] = plain(raw)
	}
	t.Rows = append(t.Rows, row)
	_, err := d.Token()
	return err
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
