package pytext

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Field is one key of an Object.
type Field struct {
	Key   string
	Value any
}

// Object is a JSON object that keeps the order of its keys, as a Python dict.
type Object []Field

// Set appends a key.
func (o *Object) Set(key string, value any) { *o = append(*o, Field{key, value}) }

// Get returns the value of key, or nil.
func (o Object) Get(key string) any {
	for _, f := range o {
		if f.Key == key {
			return f.Value
		}
	}
	return nil
}

// JSON returns json.dumps(v, indent=2): keys in order, floats as repr, characters
// outside ASCII as \u escapes. It accepts nil, bool, int, int64, float64, string,
// []string, []any, Object, and pointers to int and string (nil is null). Anything
// else is an error.
func JSON(v any) ([]byte, error) {
	var b strings.Builder
	if err := writeJSON(&b, v, "\n"); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

func writeJSON(b *strings.Builder, v any, newline string) error {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case *int:
		if v == nil {
			b.WriteString("null")
			return nil
		}
		return writeJSON(b, *v, newline)
	case *string:
		if v == nil {
			b.WriteString("null")
			return nil
		}
		return writeJSON(b, *v, newline)
	case float64:
		b.WriteString(jsonFloat(v))
	case string:
		writeJSONString(b, v)
	case []string:
		return writeJSONList(b, v, newline)
	case []any:
		return writeJSONList(b, v, newline)
	case Object:
		return writeJSONObject(b, v, newline)
	default:
		return fmt.Errorf("json: %T has no Python counterpart", v)
	}
	return nil
}

// jsonFloat returns repr of a float, with json.dumps's names for NaN and infinity.
func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return Float(f)
}

func writeJSONList[T any](b *strings.Builder, xs []T, newline string) error {
	if len(xs) == 0 {
		b.WriteString("[]")
		return nil
	}
	b.WriteByte('[')
	for i, x := range xs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(newline + "  ")
		if err := writeJSON(b, x, newline+"  "); err != nil {
			return err
		}
	}
	b.WriteString(newline + "]")
	return nil
}

func writeJSONObject(b *strings.Builder, o Object, newline string) error {
	if len(o) == 0 {
		b.WriteString("{}")
		return nil
	}
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(newline + "  ")
		writeJSONString(b, f.Key)
		b.WriteString(": ")
		if err := writeJSON(b, f.Value, newline+"  "); err != nil {
			return fmt.Errorf("%s: %w", f.Key, err)
		}
	}
	b.WriteString(newline + "}")
	return nil
}

func writeJSONString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\f':
			b.WriteString(`\f`)
		case r == '\b':
			b.WriteString(`\b`)
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}
