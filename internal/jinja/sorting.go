package jinja

import "slices"

// sortKey returns Jinja's key for comparison, which ignores case unless sensitive is
// set.
func (m *machine) sortKey(line int, v, attribute Value, sensitive bool) Value {
	if attribute != nil {
		v = m.path(line, v, attribute, nil)
	}
	if t, ok := v.(Text); ok && !sensitive {
		return t.each(lower)
	}
	return v
}

// sorted returns items in the order of their keys. The sort is stable.
func (m *machine) sorted(line int, items []Value, reverse bool, key func(Value) Value) []Value {
	type keyed struct{ key, value Value }
	ks := make([]keyed, len(items))
	for i, v := range items {
		ks[i] = keyed{key(v), v}
	}
	order := func(a, b Value) int {
		is, ok := m.less(a, b)
		if !ok {
			fail(line, "a %s and a %s have no order", typeName(a), typeName(b))
		}
		if is {
			return -1
		}
		if is, _ := m.less(b, a); is {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ks, func(a, b keyed) int {
		if reverse {
			return order(b.key, a.key)
		}
		return order(a.key, b.key)
	})
	out := make([]Value, len(ks))
	for i, k := range ks {
		out[i] = k.value
	}
	return out
}

func filterSort(m *machine, line int, v Value, a args) Value {
	x, _ := a.take(line, "sort", "reverse", "case_sensitive", "attribute")
	if t, ok := x[2].(Text); ok && len(t.split(",", -1)) > 1 {
		fail(line, "sort by several attributes is not supported in chat templates")
	}
	return NewList(m.sorted(line, m.elements(line, v), truth(x[0]), func(v Value) Value {
		return m.sortKey(line, v, x[2], truth(x[1]))
	})...)
}

func filterDictSort(m *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "dictsort", "case_sensitive", "by", "reverse")
	d, ok := v.(*Dict)
	if !ok {
		fail(line, "dictsort of a %s", typeName(v))
	}
	at := 0
	if given[1] && asText(line, "dictsort", x[1]).s == "value" {
		at = 1
	}
	return NewList(m.sorted(line, d.items().Items, truth(x[2]), func(v Value) Value {
		return m.sortKey(line, v.(*List).Items[at], nil, truth(x[0]))
	})...)
}

func filterUnique(m *machine, line int, v Value, a args) Value {
	x, _ := a.take(line, "unique", "case_sensitive", "attribute")
	out, seen := &generator{}, NewDict()
	for _, item := range m.elements(line, v) {
		key := m.sortKey(line, item, x[1], truth(x[0]))
		if _, ok := seen.get(key); ok {
			continue
		}
		if !seen.set(key, nil) {
			fail(line, "unique of a %s", typeName(key))
		}
		out.items = append(out.items, item)
	}
	return out
}

// extreme returns min or max.
func extreme(sign int) filterFunc {
	return func(m *machine, line int, v Value, a args) Value {
		x, _ := a.take(line, "min and max", "case_sensitive", "attribute")
		var best, bestKey Value = undefined{"the element of an empty sequence"}, nil
		for i, item := range m.elements(line, v) {
			key := m.sortKey(line, item, x[1], truth(x[0]))
			if i > 0 && !m.compare(line, map[int]string{-1: "<", 1: ">"}[sign], key, bestKey) {
				continue
			}
			best, bestKey = item, key
		}
		return best
	}
}

func filterSum(m *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "sum", "attribute", "start")
	sum := Value(int64(0))
	if given[1] {
		sum = x[1]
	}
	for _, item := range m.elements(line, v) {
		if x[0] != nil {
			item = m.path(line, item, x[0], nil)
		}
		if _, ok := item.(Text); ok {
			fail(line, "sum of texts")
		}
		sum = (&binary{line, "+", constant{sum}, constant{item}}).eval(&scope{m: m})
	}
	return sum
}
