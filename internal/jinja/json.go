package jinja

import (
	"fmt"
	"strconv"
	"strings"

	"barka/internal/pytext"
)

// jsonStyle holds the options of json.dumps.
type jsonStyle struct {
	ascii        bool
	indent       string // "" and !lines: one line
	lines        bool
	comma, colon string
	sorted       bool
}

// filterJSON is transformers' tojson: json.dumps without HTML escapes.
func filterJSON(m *machine, line int, v Value, a args) Value {
	x, given := a.take(line, "tojson", "ensure_ascii", "indent", "separators", "sort_keys")
	j := jsonStyle{ascii: given[0] && truth(x[0]), comma: ", ", colon: ": ", sorted: truth(x[3])}
	switch indent := x[1].(type) {
	case nil:
	case Text:
		j.lines, j.indent, j.comma = true, indent.s, ","
	default:
		j.lines, j.comma = true, ","
		j.indent = strings.Repeat(" ", min(max(asInt(line, "tojson", indent), 0), 100))
	}
	if x[2] != nil {
		s := m.elements(line, x[2])
		if len(s) != 2 {
			fail(line, "tojson: separators needs two texts")
		}
		j.comma, j.colon = asText(line, "tojson", s[0]).s, asText(line, "tojson", s[1]).s
	}
	var w builder
	m.json(line, &w, v, j, 0)
	return w.text()
}

func (m *machine) json(line int, w *builder, v Value, j jsonStyle, depth int) {
	m.step(1)
	if depth > maxNesting {
		fail(line, "tojson: a value is nested more than %d deep", maxNesting)
	}
	switch v := v.(type) {
	case nil:
		w.write("null")
	case bool:
		w.write(strconv.FormatBool(v))
	case int64:
		w.write(strconv.FormatInt(v, 10))
	case float64:
		w.write(strings.NewReplacer("nan", "NaN", "inf", "Infinity").Replace(pytext.Float(v)))
	case Text:
		m.copied(len(v.s))
		w.write(`"`)
		w.put(v.each(func(s string) string { return jsonEscaped(s, j.ascii) }))
		w.write(`"`)
	case *List:
		if v.kind > tuples {
			fail(line, "tojson of a %s", typeName(v))
		}
		m.jsonItems(w, "[", "]", len(v.Items), j, depth, func(i int) { m.json(line, w, v.Items[i], j, depth+1) })
	case *Dict:
		m.jsonDict(line, w, v, j, depth)
	default:
		fail(line, "tojson of a %s", typeName(v))
	}
}

func (m *machine) jsonDict(line int, w *builder, d *Dict, j jsonStyle, depth int) {
	order := make([]Value, len(d.keys))
	for i := range order {
		order[i] = int64(i)
	}
	if j.sorted {
		order = m.sorted(line, order, false, func(v Value) Value { return d.keys[v.(int64)] })
	}
	m.jsonItems(w, "{", "}", len(order), j, depth, func(i int) {
		at := order[i].(int64)
		key, ok := d.keys[at].(Text)
		if !ok {
			var k builder
			m.json(line, &k, d.keys[at], j, depth+1)
			key = k.text()
		}
		m.json(line, w, key, j, depth+1)
		w.write(j.colon)
		m.json(line, w, d.values[at], j, depth+1)
	})
}

func (m *machine) jsonItems(w *builder, open, close string, n int, j jsonStyle, depth int, one func(i int)) {
	newline := ""
	if j.lines {
		newline = "\n" + strings.Repeat(j.indent, depth)
	}
	w.write(open)
	for i := range n {
		if i > 0 {
			w.write(j.comma)
		}
		if j.lines {
			m.copied(len(newline) + len(j.indent))
			w.write(newline + j.indent)
		}
		one(i)
	}
	if n > 0 {
		w.write(newline)
	}
	w.write(close)
}

var jsonShort = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\f': `\f`, '\b': `\b`}

func jsonEscaped(s string, ascii bool) string {
	var b strings.Builder
	for _, r := range s {
		short, ok := jsonShort[r]
		switch {
		case ok:
			b.WriteString(short)
		case r < 0x20 || ascii && r > 0x7e && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case ascii && r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b.WriteString(string(r))
		}
	}
	return b.String()
}
