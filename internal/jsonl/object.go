package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Object reads a JSON object of any fields. Numbers stay as they are written, as
// json.Number.
func Object(data []byte) (fields map[string]any, err error) {
	if err := Unmarshal(data, &fields); err != nil { // has the plainer messages
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("null, expected an object")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	clear(fields)
	return fields, d.Decode(&fields)
}
