package parquet

import (
	"errors"
	"fmt"
	"io"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// Rows are put together from columns as in the Dremel paper (Melnik et al.,
// 2010). Each value of a leaf column carries two levels. The repetition level
// tells at which repeated field of its path the value starts a new element.
// The definition level counts the optional and repeated fields of its path
// that are present.

type shape uint8

const (
	shapeLeaf   shape = iota
	shapeStruct       // fields by name
	shapeList         // one repeated child
	shapeMap          // one repeated child of key and value
)

// node is a field of the schema.
type node struct {
	name        string
	shape       shape
	optional    bool
	repeated    bool
	def, rep    int // definition level if the field is present; repetition level of its further elements
	children    []*node
	unwrap      bool // the list's element is inside a group: list<group element>
	first, last int  // its leaf columns are first ≤ i < last
	column      *pq.Column
	meaning     // of a leaf's values
}

const maxNesting = 32

func newNode(c *pq.Column, leaves *int, depth int) (*node, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("nested more than %d levels deep", maxNesting)
	}
	n := &node{
		name: c.Name(), column: c, optional: c.Optional(), repeated: c.Repeated(),
		def: c.MaxDefinitionLevel(), rep: c.MaxRepetitionLevel(), first: *leaves,
	}
	if c.Leaf() {
		if *leaves++; *leaves > maxColumns {
			return nil, fmt.Errorf("more than %d columns", maxColumns)
		}
		n.last = *leaves
		n.meaning = meaningOf(c.Type())
		return n, nil
	}
	for _, child := range c.Columns() {
		m, err := newNode(child, leaves, depth+1)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, m)
	}
	n.last = *leaves
	if n.first == n.last {
		return nil, fmt.Errorf("group %q without columns", n.name)
	}
	n.shape = shapeStruct
	if len(n.children) == 1 && n.children[0].repeated && !n.repeated {
		inner := n.children[0]
		switch annotation(c) {
		case "list":
			n.shape = shapeList
			// Older writers repeat the element itself. The conditions are those
			// of Parquet's backward-compatibility rules for lists.
			n.unwrap = inner.shape == shapeStruct && len(inner.children) == 1 &&
				inner.name != "array" && inner.name != n.name+"_tuple"
		case "map":
			if inner.shape == shapeStruct && len(inner.children) == 2 {
				n.shape = shapeMap
			}
		}
	}
	return n, nil
}

// annotation returns "list", "map" or, for a plain struct, "".
func annotation(c *pq.Column) string {
	t := c.Type()
	if t == nil {
		return ""
	}
	if l := t.LogicalType(); l != nil {
		switch l.Value.(type) {
		case *format.ListType:
			return "list"
		case *format.MapType:
			return "map"
		}
	}
	if ct := t.ConvertedType(); ct != nil {
		switch *ct {
		case deprecated.List:
			return "list"
		case deprecated.Map, deprecated.MapKeyValue:
			return "map"
		}
	}
	return ""
}

func (n *node) describe() string {
	s := ""
	switch n.shape {
	case shapeLeaf:
		s = n.column.Type().String()
	case shapeStruct:
		for i, c := range n.children {
			if i > 0 {
				s += ", "
			}
			s += c.name + ": " + c.describe()
		}
		s = "struct<" + s + ">"
	case shapeList:
		s = "list<" + n.element().describe() + ">"
	case shapeMap:
		kv := n.children[0].children
		s = "map<" + kv[0].describe() + ", " + kv[1].describe() + ">"
	}
	if n.repeated && n.shape == shapeLeaf {
		s = "list<" + s + ">"
	}
	return s
}

// element returns the node of a list's elements.
func (n *node) element() *node {
	if n.unwrap {
		return n.children[0].children[0]
	}
	return n.children[0]
}

// entry is a value of a leaf column with its levels.
type entry struct {
	value    any // nil if def is below the leaf's definition level
	rep, def int
}

var errLevels = errors.New("damaged: repetition and definition levels that fit no row")

// build assembles one occurrence of the field from its entries; leaves[i]
// holds the entries of leaf column n.first+i.
func (n *node) build(leaves [][]entry) (any, error) {
	if n.repeated {
		return n.elements(leaves, n.one)
	}
	return n.one(leaves)
}

// one builds the field or, if it is repeated, one of its elements.
func (n *node) one(leaves [][]entry) (any, error) {
	if len(leaves[0]) == 0 {
		return nil, errLevels
	}
	if n.optional && leaves[0][0].def < n.def {
		return nil, nil
	}
	switch n.shape {
	case shapeLeaf:
		if len(leaves[0]) != 1 {
			return nil, errLevels
		}
		return leaves[0][0].value, nil
	case shapeStruct:
		return n.fields(leaves)
	}
	inner := n.children[0]
	if n.shape == shapeList {
		if n.unwrap {
			return inner.elements(leaves, inner.children[0].build)
		}
		return inner.elements(leaves, inner.one)
	}
	pairs, err := inner.elements(leaves, inner.one)
	if err != nil {
		return nil, err
	}
	return textMap(pairs, inner.children[0].name, inner.children[1].name), nil
}

func (n *node) fields(leaves [][]entry) (any, error) {
	m := make(map[string]any, len(n.children))
	for _, c := range n.children {
		v, err := c.build(leaves[c.first-n.first : c.last-n.first])
		if err != nil {
			return nil, err
		}
		m[c.name] = v
	}
	return m, nil
}

// elements splits the entries of the repeated field n into its elements and
// builds each of them.
func (n *node) elements(leaves [][]entry, build func([][]entry) (any, error)) ([]any, error) {
	if len(leaves[0]) == 0 {
		return nil, errLevels
	}
	list := []any{}
	if leaves[0][0].def < n.def {
		return list, nil
	}
	rest := make([][]entry, len(leaves))
	copy(rest, leaves)
	piece := make([][]entry, len(leaves))
	for len(rest[0]) > 0 {
		for i, r := range rest {
			if len(r) == 0 {
				return nil, errLevels
			}
			end := 1
			for end < len(r) && r[end].rep > n.rep {
				end++
			}
			piece[i], rest[i] = r[:end], r[end:]
		}
		v, err := build(piece)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	for _, r := range rest {
		if len(r) != 0 {
			return nil, errLevels
		}
	}
	return list, nil
}

// textMap returns the pairs as a map if all keys are text, otherwise as they are.
func textMap(pairs []any, key, value string) any {
	m := make(map[string]any, len(pairs))
	for _, p := range pairs {
		pair, _ := p.(map[string]any)
		k, ok := pair[key].(string)
		if !ok {
			return pairs
		}
		m[k] = pair[value]
	}
	return m
}

// group reads the rows of a row group.
type group struct {
	columns []*node
	leaves  []*leafReader // in the order of the columns' leaves
	values  int           // in the row so far
	bytes   int           // of text in the row so far
}

func (f *File) openGroup(rg *format.RowGroup, columns []*node, budget *budget) (*group, error) {
	g := &group{columns: columns}
	budget.held = 0 // the previous row group's pages are garbage
	for _, n := range columns {
		if n.last > len(rg.Columns) {
			return nil, fmt.Errorf("row group with %d columns, fewer than the file", len(rg.Columns))
		}
		var err error
		n.eachLeaf(func(leaf *node) {
			chunk, cerr := openChunk(f.f, budget, leaf, &rg.Columns[leaf.first])
			if cerr != nil && err == nil {
				err = fmt.Errorf("column %q: %w", n.name, cerr)
			}
			g.leaves = append(g.leaves, &leafReader{group: g, chunk: chunk})
		})
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (n *node) eachLeaf(visit func(*node)) {
	if n.shape == shapeLeaf {
		visit(n)
	}
	for _, c := range n.children {
		c.eachLeaf(visit)
	}
}

func (g *group) row() (map[string]any, error) {
	m := make(map[string]any, len(g.columns))
	g.values, g.bytes = 0, 0
	rest := g.leaves
	var entries [][]entry
	for _, n := range g.columns {
		entries = entries[:0]
		for _, leaf := range rest[:n.last-n.first] {
			row, err := leaf.row()
			if err != nil {
				return nil, fmt.Errorf("column %q: %w", n.name, err)
			}
			entries = append(entries, row)
		}
		rest = rest[len(entries):]
		v, err := n.build(entries)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", n.name, err)
		}
		m[n.name] = v
	}
	return m, nil
}

// count refuses a row that is too large to hold.
func (g *group) count(value any) error {
	g.values++
	switch v := value.(type) {
	case string:
		g.bytes += len(v)
	case []byte:
		g.bytes += len(v)
	}
	if g.values > maxRowValues || g.bytes > maxRowBytes {
		return fmt.Errorf("a row of more than %d values or %d bytes of text", maxRowValues, maxRowBytes)
	}
	return nil
}

// leafReader reads the entries of a leaf column, row by row.
type leafReader struct {
	group *group
	chunk *chunkReader
	ahead *entry  // first entry of the next row
	buf   []entry // current row
}

// row returns the entries of the next row. They are valid until the next call.
func (l *leafReader) row() ([]entry, error) {
	l.buf = l.buf[:0]
	if cap(l.buf) > 1<<12 { // do not keep the memory of one long list for ever
		l.buf = nil
	}
	for {
		e, err := l.entry()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if (e.rep == 0) != (len(l.buf) == 0) {
			if e.rep != 0 {
				return nil, errLevels
			}
			l.ahead = &e
			break
		}
		if err := l.group.count(e.value); err != nil {
			return nil, err
		}
		l.buf = append(l.buf, e)
		if l.chunk.leaf.rep == 0 {
			break // one entry is a row
		}
	}
	if len(l.buf) == 0 {
		return nil, errors.New("damaged: fewer rows than announced")
	}
	return l.buf, nil
}

func (l *leafReader) entry() (entry, error) {
	if e := l.ahead; e != nil {
		l.ahead = nil
		return *e, nil
	}
	return l.chunk.next()
}
