package look

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/nearest"
)

// Selection is which rows to look at. The zero value selects all.
type Selection struct {
	IDs     []string
	Where   []Condition // all must hold
	Reasons []string    // of rejected rows; any of them
	Skip    int         // selected rows to pass over
	Limit   int         // largest number of rows; 0 is all
	// Sample takes that many of the selected rows, from all over the input, instead of
	// the first ones. Which ones depends on Seed and the rows' ids. 0 is off.
	Sample int
	Seed   int64
}

// Condition compares a column with a text. In a nested column, such as messages, any value
// inside may meet it.
type Condition struct {
	Column, Operator, Value string // Operator is =, != or ~ (contains, in any case)
}

// ParseCondition reads a condition: COLUMN=VALUE, COLUMN!=VALUE or COLUMN~TEXT. A dot leads
// into nested columns: segments.flags.
func ParseCondition(s string) (Condition, error) {
	i := strings.IndexAny(s, "=~!")
	if i > 0 {
		column, rest := strings.TrimSpace(s[:i]), s[i:]
		for _, op := range []string{"!=", "=", "~"} {
			if value, ok := strings.CutPrefix(rest, op); ok {
				return Condition{column, op, value}, nil
			}
		}
	}
	return Condition{}, badinput.Errorf("condition %q, expected COLUMN=VALUE, COLUMN!=VALUE or COLUMN~TEXT", s)
}

// holds reports whether the row meets the condition. A missing column is empty.
func (c Condition) holds(r Row) bool {
	v, ok := inside(r.Columns, c.Column)
	if !ok {
		v = ""
	}
	any := anyValue(v, func(text string) bool {
		if c.Operator == "~" {
			return strings.Contains(strings.ToLower(text), strings.ToLower(c.Value))
		}
		return text == c.Value
	})
	return any != (c.Operator == "!=")
}

// inside finds a column by its dotted name.
func inside(v any, path string) (any, bool) {
	name, rest, nested := strings.Cut(path, ".")
	switch v := v.(type) {
	case map[string]any:
		inner, ok := v[name]
		if !ok || !nested {
			return inner, ok
		}
		return inside(inner, rest)
	case []any:
		var all []any
		for _, e := range v {
			if inner, ok := inside(e, path); ok {
				all = append(all, inner)
			}
		}
		return all, len(all) > 0
	}
	return nil, false
}

// anyValue reports whether f holds for a value inside v, written as text.
func anyValue(v any, f func(string) bool) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return anyValue(e, f) })
	case map[string]any:
		for _, e := range v {
			if anyValue(e, f) {
				return true
			}
		}
		return false
	}
	return f(Text(v))
}

// Text writes a value as text: a number with its shortest digits, a list or an object as
// JSON.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any, map[string]any:
		if data, err := json.Marshal(normal(v, false)); err == nil {
			return string(data)
		}
	}
	return fmt.Sprint(normal(v, false))
}

// Read selects rows at path. After the last one it returns an error if a condition names a
// column that no row had, or if an id was not found.
func (s Selection) Read(ctx context.Context, path string) iter.Seq2[Row, error] {
	return s.ReadCounting(ctx, path, new(int))
}

// ReadCounting is Read, and sets matched to the number of rows that the selection matches
// among those read, which with Sample are all.
func (s Selection) ReadCounting(ctx context.Context, path string, matched *int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		m := newMatcher(s)
		taken := 0
		var sample []sampled
		for row, err := range Rows(ctx, path) {
			if err != nil {
				yield(row, err)
				return
			}
			if !m.matches(row) {
				continue
			}
			*matched = m.matched
			if s.Sample > 0 {
				sample = s.keep(sample, row)
				continue
			}
			if m.matched <= s.Skip {
				continue
			}
			if !yield(row, nil) {
				return
			}
			taken++
			if s.Limit > 0 && taken >= s.Limit || len(s.IDs) > 0 && len(m.ids) == 0 {
				return
			}
		}
		if err := m.missing(path); err != nil {
			yield(Row{}, err)
			return
		}
		slices.SortFunc(sample, func(a, b sampled) int { return cmp.Compare(a.row.Number, b.row.Number) })
		for _, e := range sample {
			if !yield(e.row, nil) {
				return
			}
		}
	}
}

// matcher selects rows and remembers what it has met.
type matcher struct {
	Selection
	ids     map[string]bool // not met yet
	wanted  map[string]bool
	columns map[string]bool // of all rows
	named   map[string]bool // columns of conditions that a row has
	matched int
}

func newMatcher(s Selection) *matcher {
	m := &matcher{Selection: s, ids: map[string]bool{}, wanted: map[string]bool{}, columns: map[string]bool{}, named: map[string]bool{}}
	for _, id := range s.IDs {
		m.ids[id], m.wanted[id] = true, true
	}
	return m
}

func (m *matcher) matches(r Row) bool {
	if len(m.Where) > 0 {
		for name := range r.Columns {
			m.columns[name] = true
		}
	}
	ok := len(m.wanted) == 0 || m.wanted[r.ID()]
	for _, c := range m.Where {
		if _, has := inside(r.Columns, c.Column); has {
			m.named[c.Column] = true
		}
		ok = ok && c.holds(r)
	}
	ok = ok && (len(m.Reasons) == 0 || slices.Contains(m.Reasons, r.Text("reason")))
	if ok {
		m.matched++
		delete(m.ids, r.ID())
	}
	return ok
}

// missing returns the error for what the selection names and no row has.
func (m *matcher) missing(path string) error {
	if len(m.ids) > 0 {
		return badinput.Errorf("%s: no row has the id %s", path, strings.Join(slices.Sorted(maps.Keys(m.ids)), ", "))
	}
	for _, c := range m.Where {
		if m.named[c.Column] || len(m.columns) == 0 {
			continue
		}
		names := slices.Sorted(maps.Keys(m.columns))
		hint := ""
		if name := nearest.Name(c.Column, names); name != "" {
			hint = "; did you mean " + name + "?"
		}
		return badinput.Errorf("%s: no row has a column %s%s (columns: %s)", path, c.Column, hint, strings.Join(names, ", "))
	}
	return nil
}

// sampled is a row with its rank in the sample.
type sampled struct {
	rank int64
	row  Row
}

// keep adds a row to a sample if its rank is among the smallest. The sample is sorted by
// rank.
func (s Selection) keep(sample []sampled, r Row) []sampled {
	e := sampled{dataset.RecordSeed(s.Seed, cmp.Or(r.ID(), fmt.Sprint(r.Number)), "look"), r}
	at, _ := slices.BinarySearchFunc(sample, e, func(a, b sampled) int { return cmp.Compare(a.rank, b.rank) })
	if at >= s.Sample {
		return sample
	}
	return slices.Insert(sample, at, e)[:min(len(sample)+1, s.Sample)]
}
