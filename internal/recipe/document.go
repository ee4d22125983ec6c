package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"barka/internal/badinput"
	"barka/internal/yamltext"
)

// document holds the values of a recipe's text and the line of each key.
type document struct {
	values   map[string]any // decoded as JSON; numbers are json.Number
	lines    map[string]int // by dotted key; elements of lists are key[0]
	problems []Problem
}

// readDocument reads YAML. It returns an error only for text that is not a mapping at
// all; other mistakes become problems.
func readDocument(data []byte) (*document, error) {
	file, err := yamltext.Parse(data)
	if badinput.Is(err) {
		return nil, err
	}
	if err != nil {
		return nil, badinput.Errorf("not valid YAML:\n%w", err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, badinput.Errorf("expected one YAML document, found %d", len(file.Docs))
	}
	if err := yamltext.Flat(file.Docs[0].Body); err != nil {
		return nil, err
	}
	if err := yamltext.Finite(file.Docs[0].Body); err != nil {
		return nil, err
	}
	text, err := yamltext.JSON(data)
	if err != nil {
		return nil, badinput.Errorf("not valid YAML: %w", err)
	}
	d := &document{lines: map[string]int{}}
	d.locate(file.Docs[0].Body, "")
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, badinput.Errorf("the recipe has a value that JSON cannot hold: %w", err)
	}
	var ok bool
	if d.values, ok = v.(map[string]any); !ok {
		return nil, badinput.Errorf("expected settings such as \"name: my-recipe\", found %s", show(v))
	}
	return d, nil
}

// locate records the lines of a node's keys.
func (d *document) locate(n ast.Node, at string) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	case *ast.AnchorNode:
		d.locate(n.Value, at)
	case *ast.TagNode:
		d.locate(n.Value, at)
	case *ast.SequenceNode:
		for i, v := range n.Values {
			name := fmt.Sprintf("%s[%d]", at, i)
			d.lines[name] = v.GetToken().Position.Line
			d.locate(v, name)
		}
	}
	for _, p := range pairs {
		name := join(at, strings.Trim(p.Key.String(), `"'`))
		if line, twice := d.lines[name]; twice {
			d.add(name, "is set twice, first in line %d", line)
		}
		d.lines[name] = p.Key.GetToken().Position.Line
		d.locate(p.Value, name)
	}
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// line returns the line of a key, or of the nearest key that contains it.
func (d *document) line(key string) int {
	for key != "" {
		if line, ok := d.lines[key]; ok {
			return line
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

// add adds a problem whose text is the key and then the formatted rest.
func (d *document) add(key, format string, args ...any) {
	d.say(key, key+" "+format, args...)
}

// say adds a problem at the line of a key.
func (d *document) say(key, format string, args ...any) {
	d.problems = append(d.problems, Problem{Line: d.line(key), Key: key, Text: fmt.Sprintf(format, args...)})
}

// show formats a value of the file for an error.
func show(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	text := []rune(strings.TrimSpace(b.String()))
	if len(text) > 60 {
		text = append(text[:60], '…')
	}
	return string(text)
}
