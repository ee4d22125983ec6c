package tasks

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"barka/internal/pytext"
)

// Row is a row of a dataset: the columns in the file's order and their values, which are
// nil, bool, int64, float64, string or []any.
type Row struct {
	Columns []string
	Values  []any
}

// Get returns a column's value. If the column is missing, the error lists those that
// exist.
func (r Row) Get(column string) (any, error) {
	i := slices.Index(r.Columns, column)
	if i < 0 {
		return nil, fmt.Errorf("column %q is missing; the file has %s", column, strings.Join(r.Columns, ", "))
	}
	return r.Values[i], nil
}

// reader reads the columns of one row and keeps the first error, so that a prompt
// function reads like its template.
type reader struct {
	row Row
	err error
}

func (r *reader) get(column string) any {
	if r.err != nil {
		return nil
	}
	v, err := r.row.Get(column)
	if err == nil && v == nil {
		err = fmt.Errorf("column %q is null", column)
	}
	if err != nil {
		r.err = err
		return nil
	}
	return v
}

// text returns a column's value as Python's str() formats it.
func (r *reader) text(column string) string {
	if v := r.get(column); v != nil {
		return pytext.Value(v)
	}
	return ""
}

// texts returns the texts of several columns.
func (r *reader) texts(columns ...string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = r.text(c)
	}
	return out
}

// integer reads an integer, or a text that is one: CSV files hold only text.
func (r *reader) integer(column string) int {
	switch v := r.get(column).(type) {
	case nil:
	case int64:
		if v == int64(int32(v)) {
			return int(v)
		}
		r.wrong(column, v, "a small integer")
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e9 {
			return int(v)
		}
		r.wrong(column, v, "an integer")
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 32)
		if err == nil {
			return int(n)
		}
		r.wrong(column, v, "an integer")
	default:
		r.wrong(column, v, "an integer")
	}
	return 0
}

func (r *reader) float(column string) float64 {
	finite := func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
	switch v := r.get(column).(type) {
	case nil:
	case int64:
		return float64(v)
	case float64:
		if finite(v) {
			return v
		}
		r.wrong(column, v, "a number")
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err == nil && finite(f) {
			return f
		}
		r.wrong(column, v, "a number")
	default:
		r.wrong(column, v, "a number")
	}
	return 0
}

func (r *reader) boolean(column string) bool {
	switch v := r.get(column).(type) {
	case nil:
	case bool:
		return v
	case int64:
		if v == 0 || v == 1 {
			return v == 1
		}
		r.wrong(column, v, "true or false")
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true", "1":
			return true
		case "false", "0":
			return false
		}
		r.wrong(column, v, "true or false")
	default:
		r.wrong(column, v, "true or false")
	}
	return false
}

// strings reads a list of strings, or the text of a Python list of strings.
func (r *reader) strings(column string) []string {
	switch v := r.get(column).(type) {
	case nil:
	case []any:
		out := make([]string, len(v))
		for i, item := range v {
			out[i] = pytext.Value(item)
		}
		return out
	case string:
		out, err := pytext.StringList(v)
		if err == nil {
			return out
		}
		if r.err == nil {
			r.err = fmt.Errorf("column %q: %w", column, err)
		}
	default:
		r.wrong(column, v, "a list of strings")
	}
	return nil
}

func (r *reader) wrong(column string, found any, expected string) {
	if r.err == nil {
		text := []rune(pytext.Repr(found))
		if len(text) > 60 {
			text = append(text[:60], '…')
		}
		r.err = fmt.Errorf("column %q holds %s, expected %s", column, string(text), expected)
	}
}

// oneOf returns the position of the column's text among the values.
func (r *reader) oneOf(column string, values ...string) int {
	s := r.text(column)
	for i, v := range values {
		if s == v {
			return i
		}
	}
	r.wrong(column, s, "one of "+strings.Join(values, ", "))
	return 0
}

// doc returns the question if all columns were read and it is valid.
func (r *reader) doc(d Doc) (Doc, error) {
	if r.err != nil {
		return Doc{}, r.err
	}
	if len(d.Choices) < 2 {
		return Doc{}, fmt.Errorf("the question has %d choices, expected two or more", len(d.Choices))
	}
	if d.Gold < 0 || d.Gold >= len(d.Choices) {
		return Doc{}, fmt.Errorf("the right answer is number %d (counted from 0) of %d choices", d.Gold, len(d.Choices))
	}
	for i, c := range d.Choices {
		if c == "" {
			return Doc{}, fmt.Errorf("choice %d (counted from 0) is empty, so that no score can be divided by its length", i)
		}
	}
	return d, nil
}
