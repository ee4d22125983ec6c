package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"barka/internal/nearest"
)

// Unmarshal is json.Unmarshal that refuses the escape of half a surrogate pair,
// such as "\ud83d" alone. json.Unmarshal silently replaces it.
func Unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return plainly(err, reflect.TypeOf(v))
	}
	return halves(data)
}

// Strict is Unmarshal for requests that people write. A field that v's type does
// not have, at any depth, is an error that suggests the name that was probably
// meant. A field that appears twice is an error too. Values of types with their
// own UnmarshalJSON are not checked.
func Strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if json.Valid(data) { // otherwise Unmarshal has the better message
		if err := checkFields(d, reflect.TypeOf(v), ""); err != nil {
			return err
		}
	}
	return Unmarshal(data, v)
}

// plainly rewrites an error about a Go type in terms of JSON. The value was read into type t.
func plainly(err error, t reflect.Type) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	want := map[reflect.Kind]string{reflect.String: "a string", reflect.Bool: "true or false",
		reflect.Struct: "an object", reflect.Map: "an object",
		reflect.Slice: "a list", reflect.Float32: "a number", reflect.Float64: "a number", reflect.Int: "a whole number",
		reflect.Int32: "a whole number", reflect.Int64: "a whole number"}[wrong.Type.Kind()]
	if want == "" {
		return err
	}
	where := ""
	if wrong.Field != "" {
		where = keys(wrong.Field, t) + ": "
	}
	return fmt.Errorf("%sexpected %s, found %s", where, want, wrong.Value)
}

// keys returns the path of a field in type t without the names of embedded structs, which are
// no keys of the JSON text.
func keys(path string, t reflect.Type) string {
	var out []string
	for _, key := range strings.Split(path, ".") {
		for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map) {
			t = t.Elem()
		}
		if t == nil || t.Kind() != reflect.Struct {
			out, t = append(out, key), nil
			continue
		}
		if f, ok := t.FieldByName(key); ok && f.Anonymous {
			t = f.Type
			continue
		}
		out, t = append(out, key), fields(t)[key]
	}
	return strings.Join(out, ".")
}

// checkFields walks a value of valid JSON together with the type t that it is
// read into. t is nil for a value that is not checked.
func checkFields(d *json.Decoder, t reflect.Type, at string) error {
	for t != nil && t.Kind() == reflect.Pointer && !readsItself(t) {
		t = t.Elem()
	}
	if t != nil && readsItself(t) {
		t = nil
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		err = checkObject(d, t, at)
	case json.Delim('['):
		var of reflect.Type
		if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			of = t.Elem()
		}
		for i := 0; err == nil && d.More(); i++ {
			err = checkFields(d, of, at+"["+strconv.Itoa(i)+"]")
		}
	default:
		return nil
	}
	if err == nil {
		_, err = d.Token() // the closing bracket
	}
	return err
}

func checkObject(d *json.Decoder, t reflect.Type, at string) error {
	if at != "" {
		at += "."
	}
	var known map[string]reflect.Type
	if t != nil && t.Kind() == reflect.Struct {
		known = fields(t)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key := token.(string)
		field, ok := known[key]
		switch {
		case known != nil && !ok:
			return unknown(at, key, known)
		case seen[key]:
			return fmt.Errorf("field %q appears twice", at+key)
		case known == nil && t != nil && t.Kind() == reflect.Map:
			field = t.Elem()
		}
		seen[key] = true
		if err := checkFields(d, field, at+key); err != nil {
			return err
		}
	}
	return nil
}

func unknown(at, key string, known map[string]reflect.Type) error {
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	suggestion := ""
	if name := nearest.Name(key, names); name != "" {
		suggestion = "; did you mean " + name + "?"
	}
	return fmt.Errorf("unknown field %q%s (fields: %s)", at+key, suggestion, strings.Join(names, ", "))
}

// fields returns the types of a struct's fields by their JSON names.
func fields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && !f.Anonymous && name != "-" {
			if name == "" {
				name = f.Name
			}
			out[name] = f.Type
		}
	}
	return out
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func readsItself(t reflect.Type) bool {
	return t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler)
}

// halves returns an error if valid JSON contains the escape of one half of a
// surrogate pair without the other half.
func halves(data []byte) error {
	for i := 0; ; i += 2 { // skip the escape
		n := bytes.IndexByte(data[i:], '\\')
		if n < 0 {
			return nil
		}
		i += n
		switch r := escape(data[i:]); {
		case r>>10 == 0xd800>>10 && escape(data[i+6:])>>10 == 0xdc00>>10:
			i += 10
		case r>>11 == 0xd800>>11:
			return fmt.Errorf(`%s is half of a character, without its other half`, data[i:i+6])
		}
	}
}

// escape returns the value of the \u escape at the start of data, or 0.
func escape(data []byte) uint64 {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0
	}
	r, _ := strconv.ParseUint(string(data[2:6]), 16, 32)
	return r
}
