package yamltext

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"barka/internal/badinput"
)

// Bounds of a text. The library takes memory and time with the square of the
// depth and of some marks, and an alias of aliases stands for any amount of text.
const (
	maxText  = 64 << 10  // bytes of a text that is parsed into a tree
	maxData  = 256 << 10 // bytes of one that is decoded
	maxDepth = 32
	maxMarks = 64 // anchors, aliases and tags
)

// bounded refuses text that the library cannot be given.
func bounded(data []byte, limit int) error {
	if len(data) > limit {
		return badinput.Errorf("the YAML text has %d bytes, expected at most %d", len(data), limit)
	}
	var columns []int // of the mappings and lists in block style that are open
	flow, marks := 0, 0
	for _, t := range lexer.Tokenize(string(data)) {
		at := t.Position.Column
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			if flow--; flow < 0 {
				return badinput.Errorf("line %d: not valid YAML: %s without its beginning", t.Position.Line, t.Value)
			}
		case token.AliasType, token.AnchorType, token.TagType:
			marks++
		case token.MappingValueType, token.SequenceEntryType, token.MappingKeyType:
			if flow > 0 {
				break
			}
			if t.Type == token.MappingValueType && t.Prev != nil {
				at = t.Prev.Position.Column
			}
			for len(columns) > 0 && columns[len(columns)-1] >= at {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, at)
		}
		if len(columns)+flow > maxDepth {
			return badinput.Errorf("line %d: nested more than %d deep", t.Position.Line, maxDepth)
		}
		if marks > maxMarks {
			return badinput.Errorf("line %d: more than %d anchors (&name), aliases (*name) and tags (!name)", t.Position.Line, maxMarks)
		}
	}
	return nil
}

// nested finds an alias inside of an anchor: each level would multiply the text.
type nested struct {
	inside bool
	line   *int
}

// Visit implements ast.Visitor.
func (n nested) Visit(node ast.Node) ast.Visitor {
	switch node.(type) {
	case *ast.AnchorNode:
		n.inside = true
	case *ast.AliasNode:
		if n.inside && *n.line == 0 {
			*n.line = node.GetToken().Position.Line
		}
	}
	return n
}

// numbers finds a value that is no number in JSON either.
type numbers struct{ found *ast.Node }

// Visit implements ast.Visitor.
func (n numbers) Visit(node ast.Node) ast.Visitor {
	switch node.(type) {
	case *ast.InfinityNode, *ast.NanNode:
		if *n.found == nil {
			*n.found = node
		}
	}
	return n
}

// Finite refuses .inf and .nan.
func Finite(root ast.Node) error {
	var found ast.Node
	if ast.Walk(numbers{&found}, root); found != nil {
		t := found.GetToken()
		return badinput.Errorf("line %d: %s is not a value that a setting can have; expected a finite number", t.Position.Line, t.Value)
	}
	return nil
}

// Flat refuses an alias within what an anchor names.
func Flat(root ast.Node) error {
	line := 0
	if ast.Walk(nested{line: &line}, root); line > 0 {
		return badinput.Errorf("line %d: an alias (*name) within what an anchor (&name) names; write the settings out", line)
	}
	return nil
}
