package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// row is a row of a benchmark in whatever layout. Its methods read columns;
// the first column that is missing or of another type is kept in err. A value
// that is there and empty is no error of the layout: the item is refused later.
type row struct {
	fields map[string]any
	where  string // file and line, for errors
	place  string // the same below the data, for the output
	err    error
}

func (r *row) columns() string { return strings.Join(slices.Sorted(maps.Keys(r.fields)), ", ") }

func (r *row) child(fields map[string]any) *row { return &row{fields: fields, where: r.where} }

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (r *row) fail(format string, args ...any) {
	r.err = firstError(r.err, fmt.Errorf(format, args...))
}

func (r *row) has(name string) bool {
	_, ok := r.fields[name]
	return ok
}

func (r *row) value(name string) any {
	v, ok := r.fields[name]
	if !ok {
		r.fail("column %q is missing", name)
	}
	return v
}

// text is a column's text; null is "".
func (r *row) text(name string) string {
	switch v := r.value(name).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		r.fail("column %q holds %s, expected a text", name, kind(v))
		return ""
	}
}

// optional is the text of a column that need not be there.
func (r *row) optional(name string) string {
	if !r.has(name) {
		return ""
	}
	return r.text(name)
}

func (r *row) list(name string) []any {
	switch v := r.value(name).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		r.fail("column %q holds %s, expected a list", name, kind(v))
		return nil
	}
}

func (r *row) texts(name string) []string { return r.strings(name, r.list(name)) }

func (r *row) strings(name string, list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok && v != nil {
			r.fail("column %q holds a list with %s in it, expected texts", name, kind(v))
		}
		out[i] = s
	}
	return out
}

// lists is a column of lists of texts.
func (r *row) lists(name string) [][]string {
	var out [][]string
	for _, v := range r.list(name) {
		l, ok := v.([]any)
		if !ok && v != nil {
			r.fail("column %q holds a list with %s in it, expected lists", name, kind(v))
		}
		out = append(out, r.strings(name, l))
	}
	return out
}

// maps is a column of objects.
func (r *row) maps(name string) []map[string]any {
	var out []map[string]any
	for _, v := range r.list(name) {
		m, ok := v.(map[string]any)
		if !ok {
			r.fail("column %q holds a list with %s in it, expected objects", name, kind(v))
			continue
		}
		out = append(out, m)
	}
	return out
}

// choices reads the column of that name: an object of lists (hub) or a list of
// objects (archives).
func (r *row) choices() []string { return r.choice("text") }
func (r *row) labels() []string  { return r.choice("label") }

func (r *row) choice(part string) []string {
	if m, ok := r.fields["choices"].(map[string]any); ok {
		c := r.child(m)
		out := c.texts(part)
		r.err = firstError(r.err, c.err)
		return out
	}
	var out []string
	for _, m := range r.maps("choices") {
		c := r.child(m)
		out = append(out, c.text(part))
		r.err = firstError(r.err, c.err)
	}
	return out
}

// index is a column's number, from 0, as a number or as text; -1 if it is
// empty or none: test sets have no labels.
func (r *row) index(name string) int {
	switch v := r.value(name).(type) {
	case nil:
	case int64:
		return bounded(float64(v))
	case float64:
		return bounded(v)
	case string:
		if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
			return bounded(float64(n))
		}
	default:
		r.fail("column %q holds %s, expected a number", name, kind(v))
	}
	return -1
}

func bounded(v float64) int {
	if v < 0 || v > 100 || v != float64(int(v)) {
		return -1
	}
	return int(v)
}

// number is a column's number.
func (r *row) number(name string) (float64, bool) {
	switch v := r.value(name).(type) {
	case nil:
	case int64:
		return float64(v), true
	case float64:
		return v, v == v
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return n, err == nil && n == n
	default:
		r.fail("column %q holds %s, expected a number", name, kind(v))
	}
	return 0, false
}

// truth is the first of the columns that is there; nil if it is empty or neither true nor
// false.
func (r *row) truth(names ...string) *bool {
	if value, ok := r.boolean(names...); ok {
		return &value
	}
	return nil
}

func (r *row) boolean(names ...string) (value, ok bool) {
	for _, name := range names {
		if !r.has(name) {
			continue
		}
		switch v := r.fields[name].(type) {
		case nil:
			return false, false
		case bool:
			return v, true
		case int64, float64:
			n := r.index(name)
			return n == 1, n == 0 || n == 1
		case string:
			b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(v)))
			return b, err == nil
		default:
			r.fail("column %q holds %s, expected true or false", name, kind(v))
			return false, false
		}
	}
	r.fail("column %q is missing", names[0])
	return false, false
}

func kind(v any) string {
	switch v := v.(type) {
	case bool:
		return "a truth value"
	case float64, int64, uint64, json.Number:
		return "a number"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case nil:
		return "null"
	default:
		return fmt.Sprintf("a %T", v)
	}
}
