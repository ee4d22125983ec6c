package hubdata

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// leaf is a column of values in the file and the table's column it fills.
type leaf struct {
	column   int
	repeated bool
	nested   bool
}

// readParquet reads flat columns and lists; structs become Object. The
// library panics on some damaged files, which is an error here.
func (t *Table) readParquet(path string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged parquet file: %v", r)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("not a whole parquet file: %w", err)
	}
	leaves := t.leaves(file.Root())
	for _, group := range file.RowGroups() {
		if err := t.readRows(group, leaves); err != nil {
			return err
		}
	}
	return nil
}

// leaves lists the file's value columns in order.
func (t *Table) leaves(root *parquet.Column) []leaf {
	var out []leaf
	var walk func(c *parquet.Column, l leaf)
	walk = func(c *parquet.Column, l leaf) {
		l.repeated = l.repeated || c.Repeated()
		if c.Leaf() {
			out = append(out, l)
			return
		}
		children := c.Columns()
		l.nested = l.nested || len(children) != 1
		for _, child := range children {
			walk(child, l)
		}
	}
	for _, c := range root.Columns() {
		walk(c, leaf{column: t.column(c.Name())})
	}
	return out
}

func (t *Table) readRows(group parquet.RowGroup, leaves []leaf) error {
	rows := group.Rows()
	defer rows.Close()
	buffer := make([]parquet.Row, 64)
	for {
		n, err := rows.ReadRows(buffer)
		for _, values := range buffer[:n] {
			row := make([]any, len(t.Columns))
			values.Range(func(column int, values []parquet.Value) bool {
				l := leaves[column]
				row[l.column] = l.value(values)
				return true
			})
			t.Rows = append(t.Rows, row)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", len(t.Rows)+1, err)
		}
	}
}

func (l leaf) value(values []parquet.Value) any {
	switch {
	case l.nested:
		return Object{}
	case l.repeated:
		list := []any{}
		for _, v := range values {
			// An empty list is one null at a lower level than its items.
			if !v.IsNull() || len(values) > 1 {
				list = append(list, scalar(v))
			}
		}
		return list
	case len(values) == 0:
		return nil
	}
	return scalar(values[0])
}

func scalar(v parquet.Value) any {
	if v.IsNull() {
		return nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		return int64(v.Int32())
	case parquet.Int64:
		return v.Int64()
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return string(v.ByteArray())
	}
	return Object{}
}
