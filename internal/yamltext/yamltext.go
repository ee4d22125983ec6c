// Package yamltext reads YAML from outside with the library goccy/go-yaml. What
// makes the library take more than a text's size in memory or time is refused
// before it is called, and a text on which it panics is an error.
package yamltext

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"barka/internal/badinput"
	"barka/internal/panics"
)

// Unmarshal decodes a text into v by the library's struct tags.
func Unmarshal(data []byte, v any) error {
	return guarded(data, maxData, func() error { return yaml.Unmarshal(data, v) })
}

// JSON returns a text of one document as JSON.
func JSON(data []byte) (text []byte, err error) {
	err = guarded(data, maxText, func() (err error) {
		text, err = yaml.YAMLToJSON(data)
		return err
	})
	return text, err
}

// Parse returns the syntax tree of a text.
func Parse(data []byte) (file *ast.File, err error) {
	err = guarded(data, maxText, func() (err error) {
		file, err = parser.ParseBytes(data, 0)
		return err
	})
	return file, err
}

// guarded runs a function of the library on a text within the bounds.
func guarded(data []byte, limit int, f func() error) error {
	if err := bounded(data, limit); err != nil {
		return err
	}
	err := panics.Catch(f)
	if e := new(panics.Error); errors.As(err, &e) {
		return badinput.Errorf("not valid YAML: the parser cannot read it (%v); "+
			"look for tags (!name) and aliases (*name) that stand in odd places", e)
	}
	return err
}
