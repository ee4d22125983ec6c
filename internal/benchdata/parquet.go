package benchdata

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"barka/internal/parquet"
)

// readParquet reads the rows of one file.
func (t *builder) readParquet(path string) error {
	f, err := parquet.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	columns := f.Columns()
	at := make([]int, len(columns))
	for i, c := range columns {
		if slices.ContainsFunc(columns[:i], func(other parquet.Column) bool { return other.Name == c.Name }) {
			return fmt.Errorf("column %q appears twice", c.Name)
		}
		if at[i], err = t.column(c.Name); err != nil {
			return err
		}
	}
	n := 0
	for values, err := range f.Rows() {
		if err != nil {
			return err
		}
		n++
		row := make([]any, len(t.Columns))
		for i, c := range columns {
			v := fromParquet(values[c.Name])
			if text, ok := v.(string); ok && !utf8.ValidString(text) {
				return fmt.Errorf("row %d, column %q: not UTF-8 text", n, c.Name)
			}
			row[at[i]] = v
		}
		if err := t.add(row); err != nil {
			return err
		}
	}
	return nil
}

// fromParquet turns what the parquet package returns into a table's value.
func fromParquet(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = fromParquet(v[i])
		}
		return v
	case []byte:
		return string(v)
	case nil, bool, int64, float64, string:
		return v
	}
	return Object{}
}
