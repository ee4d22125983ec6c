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
// 2010): each value of a leaf column carries a repetition level (at which of
// the repeated fields on its path it starts a new element) and a definition
// level (how many of the optional and repeated fields on its path are there).

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
	def, rep    int // levels at which a value of this field is there / starts anew
	children    []*node
	unwrap      bool // list element in a group of its own: list<group element>
	first, last int  // its leaf columns: first ≤ i < last
	column      *pq.Column
	convert     func(pq.Value) (any, error)
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
		n.convert = converter(c)
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
			// Older writers repeat the element itself (Parquet's rules for
			// backward compatibility of lists).
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

// annotation tells lists and maps from structs.
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

// element is what a list is a list of.
func (n *node) element() *node {
	if n.unwrap {
		return n.children[0].children[0]
	}
	return n.children[0]
}

// entry is a value of a leaf column.
type entry struct {
	value    any // nil below the leaf's definition level
	rep, def int
}

var errLevels = errors.New("damaged: repetition and definition levels that fit no row")

// build assembles one occurrence of the field from its entries: leaves[i] are
// those of leaf column n.first+i.
func (n *node) build(leaves [][]entry) (any, error) {
	if n.repeated {
		return n.elements(leaves, n.one)
	}
	return n.one(leaves)
}

// one builds the field, or an element of it if it is repeated.
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

// elements splits the entries of the repeated field n where an element of it
// starts, and builds each.
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

// textMap makes a map of the pairs if all keys are text, else returns them.
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
}

func (f *File) openGroup(rg pq.RowGroup, columns []*node) (*group, error) {
	var indices []int
	for _, n := range columns {
		for i := n.first; i < n.last; i++ {
			indices = append(indices, i)
		}
	}
	if err := f.checkGroup(rg, indices); err != nil {
		return nil, err
	}
	g := &group{columns: columns}
	err := guard(func() error {
		chunks := rg.ColumnChunks()
		for _, n := range columns {
			n.eachLeaf(func(leaf *node) {
				g.leaves = append(g.leaves, &leafReader{leaf: leaf, pages: chunks[leaf.first].Pages()})
			})
		}
		return nil
	})
	if err != nil {
		g.close()
		return nil, err
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
	rest := g.leaves
	for _, n := range g.columns {
		entries := make([][]entry, n.last-n.first)
		for i := range entries {
			var err error
			if entries[i], err = rest[i].row(); err != nil {
				return nil, fmt.Errorf("column %q: %w", n.name, err)
			}
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

func (g *group) close() {
	for _, l := range g.leaves {
		l.close()
	}
}

// leafReader reads the entries of a leaf column, page by page.
type leafReader struct {
	leaf    *node
	pages   pq.Pages
	page    pq.Page
	values  pq.ValueReader
	buf     [256]pq.Value
	pending []entry
	ended   bool
}

// row returns the entries of the next row.
func (l *leafReader) row() ([]entry, error) {
	var row []entry
	for {
		if len(l.pending) == 0 {
			if err := guard(l.fill); err != nil {
				return nil, err
			}
			if len(l.pending) == 0 {
				break
			}
		}
		n := 0
		for n < len(l.pending) && (l.pending[n].rep > 0 || len(row)+n == 0) {
			if len(row)+n == 0 && l.pending[n].rep != 0 {
				return nil, errLevels
			}
			n++
		}
		row = append(row, l.pending[:n]...)
		if l.pending = l.pending[n:]; len(l.pending) > 0 {
			break
		}
		if len(row) > maxRowValues {
			return nil, fmt.Errorf("row of more than %d values", maxRowValues)
		}
	}
	if len(row) == 0 {
		return nil, errors.New("damaged: fewer rows than announced")
	}
	return row, nil
}

// fill reads a stretch of values; none remain when pending stays empty.
func (l *leafReader) fill() error {
	l.pending = nil
	for !l.ended {
		if l.page == nil {
			page, err := l.pages.ReadPage()
			if err == io.EOF {
				l.ended = true
				return nil
			}
			if err != nil {
				return err
			}
			l.page, l.values = page, page.Values()
		}
		n, err := l.values.ReadValues(l.buf[:])
		for _, v := range l.buf[:n] {
			e := entry{rep: v.RepetitionLevel(), def: v.DefinitionLevel()}
			if !v.IsNull() {
				var cerr error
				if e.value, cerr = l.leaf.convert(v); cerr != nil {
					return cerr
				}
			}
			l.pending = append(l.pending, e)
		}
		switch {
		case err == io.EOF || n == 0 && err == nil:
			pq.Release(l.page)
			l.page = nil
		case err != nil:
			return err
		}
		if n > 0 {
			return nil
		}
	}
	return nil
}

func (l *leafReader) close() {
	if l.page != nil {
		pq.Release(l.page)
		l.page = nil
	}
	l.pages.Close()
}
