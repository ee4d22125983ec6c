package look

import (
	"encoding/json"
	"math"
	"strconv"
)

// Canonical writes columns as JSON that is the same for equal rows, whether they were read
// from Parquet or from JSON lines: keys are sorted, what is empty is left out, and numbers
// have their shortest digits.
func Canonical(columns map[string]any) []byte {
	data, err := json.Marshal(normal(columns, true))
	if err != nil { // no reader returns such a value
		panic(err)
	}
	return data
}

// normal returns a value with its numbers as shortest digits, and with drop without empty
// fields.
func normal(v any, drop bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			if !drop || !Empty(e) {
				out[name] = normal(e, drop)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = normal(e, drop)
		}
		return out
	case float32:
		return digits(float64(v))
	case float64:
		return digits(v)
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return v
		}
		if f, err := v.Float64(); err == nil && f != math.Trunc(f) {
			return digits(f)
		}
	}
	return v
}

// digits writes a number with the fewest digits that give it back: as a float32 if it is
// one, since Parquet's reader returns those as float64.
func digits(f float64) any {
	bits := 64
	if float64(float32(f)) == f {
		bits = 32
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return text // as JSON has no number for it
	}
	return json.Number(text)
}
