package hubdata

import (
	"barka/internal/parquet"
)

// readParquet reads the rows of one file.
func (t *Table) readParquet(path string) error {
	f, err := parquet.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	columns := f.Columns()
	at := make([]int, len(columns))
	for i, c := range columns {
		at[i] = t.column(c.Name)
	}
	for values, err := range f.Rows() {
		if err != nil {
			return err
		}
		row := make([]any, len(t.Columns))
		for i, c := range columns {
			row[at[i]] = fromParquet(values[c.Name])
		}
		t.Rows = append(t.Rows, row)
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
