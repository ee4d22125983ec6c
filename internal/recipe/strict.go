package recipe

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"barka/internal/badinput"
	"barka/internal/nearest"
)

// toJSON turns a recipe into JSON after checking every key against the types
// above: an unknown key is an error with its line and the key it was probably
// meant to be. It also returns the top-level blocks that are given.
func toJSON(data []byte) ([]byte, map[string]bool, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, nil, badinput.Errorf("not valid YAML:\n%w", err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, nil, badinput.Errorf("expected one YAML document, found %d", len(file.Docs))
	}
	blocks := map[string]bool{}
	if err := checkKeys(file.Docs[0].Body, reflect.TypeFor[Recipe](), "", blocks); err != nil {
		return nil, nil, err
	}
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, nil, badinput.Errorf("not valid YAML: %w", err)
	}
	return text, blocks, nil
}

// checkKeys walks a mapping and the type that it is read into.
func checkKeys(n ast.Node, t reflect.Type, at string, blocks map[string]bool) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return nil
	}
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	case *ast.NullNode:
		return nil
	default:
		return badinput.Errorf("line %d: %s must have settings of its own, found %s", n.GetToken().Position.Line, at, n.String())
	}
	known := map[string]reflect.Type{}
	if t.Kind() == reflect.Struct {
		known = keys(t)
	}
	seen := map[string]bool{}
	for _, v := range values {
		key := strings.Trim(v.Key.String(), `"'`)
		line := v.Key.GetToken().Position.Line
		field, ok := known[key]
		if t.Kind() == reflect.Map {
			field, ok = t.Elem(), true // its keys are names
		}
		if !ok {
			return badinput.Errorf("line %d: unknown key %q%s%s", line, at+key, suggestion(key, known), list(at, known))
		}
		if seen[key] {
			return badinput.Errorf("line %d: key %q appears twice", line, at+key)
		}
		seen[key] = true
		if blocks != nil {
			blocks[key] = true
		}
		if err := checkKeys(v.Value, field, at+key+".", nil); err != nil {
			return err
		}
	}
	return nil
}

// keys lists the JSON names of a struct's fields.
func keys(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		if f := t.Field(i).Type; t.Field(i).Anonymous {
			if f.Kind() == reflect.Pointer {
				f = f.Elem()
			}
			maps.Copy(out, keys(f))
			continue
		}
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out[name] = t.Field(i).Type
		}
		if alias := t.Field(i).Tag.Get("alias"); alias != "" { // an earlier name, which the type's UnmarshalJSON knows
			out[alias] = t.Field(i).Type
		}
	}
	return out
}

func names(known map[string]reflect.Type) []string {
	var out []string
	for k := range known {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// suggestion names the key that was probably meant.
func suggestion(key string, known map[string]reflect.Type) string {
	if best := nearest.Name(key, names(known)); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

func list(at string, known map[string]reflect.Type) string {
	where := strings.TrimSuffix(at, ".")
	if where == "" {
		where = "a recipe"
	}
	return " (keys of " + where + ": " + strings.Join(names(known), ", ") + ")"
}
