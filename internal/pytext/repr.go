// Package pytext writes and reads text exactly as Python does: repr of floats,
// strings and lists, json.dumps, str.rstrip, the csv module's dialect, and list
// literals. Results and prompts are compared byte by byte with those of Python
// tools.
package pytext

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Float returns repr(f): the shortest digits that read back as f, in
// positional notation for exponents from -4 to 15.
func Float(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == 0:
		if math.Signbit(f) {
			return "-0.0"
		}
		return "0.0"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	exp, err := strconv.Atoi(exponent)
	if err != nil {
		panic("pytext: strconv wrote no exponent")
	}
	if exp >= -4 && exp < 16 {
		s = strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	return fmt.Sprintf("%se%+03d", mantissa, exp)
}

// Bool returns str(b).
func Bool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// Quote returns repr(s). It prefers single quotes and escapes the characters for
// which str.isprintable is false. Bytes that are not UTF-8 appear as after
// decoding with errors="replace" in Python.
func Quote(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case printable(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

// printable is str.isprintable for one character. It is true for the space and for
// everything outside the categories Other and Separator.
func printable(r rune) bool {
	if r == ' ' {
		return true
	}
	return unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r)
}

// Value returns str(v) for the types a dataset row holds: nil, bool, integers,
// floats, strings, and lists of these.
func Value(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return Repr(v)
}

// Repr returns repr(v) for the types a dataset row holds.
func Repr(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return Bool(v)
	case string:
		return Quote(v)
	case int:
		return strconv.Itoa(v)
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case float32:
		return Float(float64(v))
	case float64:
		return Float(v)
	case []string:
		return List(v, Quote)
	case []int:
		return List(v, strconv.Itoa)
	case []any:
		return List(v, Repr)
	}
	return fmt.Sprint(v)
}

// List returns repr of a list, given repr of its elements.
func List[T any](xs []T, repr func(T) string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, x := range xs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(repr(x))
	}
	b.WriteByte(']')
	return b.String()
}

// CodePoints returns len(s) in Python: Unicode code points.
func CodePoints(s string) int { return utf8.RuneCountInString(s) }

// IsSpace is str.isspace for one character.
func IsSpace(r rune) bool {
	switch {
	case r >= 0x1c && r <= 0x1f: // information separators: space in Python, not in unicode.IsSpace
		return true
	}
	return unicode.IsSpace(r)
}

// RStrip returns s.rstrip() and what it removed.
func RStrip(s string) (kept, removed string) {
	kept = strings.TrimRightFunc(s, IsSpace)
	return kept, s[len(kept):]
}
