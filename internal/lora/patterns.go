package lora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"barka/internal/badinput"
)

// Entry is a regular expression for the ends of module paths, and the value of the modules
// that match it.
type Entry[V any] struct {
	Key   string
	Value V
}

// Patterns is rank_pattern or alpha_pattern: a JSON object whose order matters, because the
// first key that matches counts.
type Patterns[V any] []Entry[V]

// NewPatterns returns the entries of a map, sorted by key, as PEFT writes them.
func NewPatterns[V any](m map[string]V) Patterns[V] {
	var p Patterns[V]
	for k, v := range m {
		p = append(p, Entry[V]{k, v})
	}
	slices.SortFunc(p, func(a, b Entry[V]) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	return p
}

// UnmarshalJSON reads an object in its order.
func (p *Patterns[V]) UnmarshalJSON(data []byte) error {
	*p = nil
	d := json.NewDecoder(bytes.NewReader(data))
	start, err := d.Token()
	if err != nil || start == nil {
		return err
	}
	if start != json.Delim('{') {
		return fmt.Errorf("a pattern is %s, expected an object", data)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		e := Entry[V]{Key: key.(string)}
		if err := d.Decode(&e.Value); err != nil {
			return err
		}
		*p = append(*p, e)
	}
	return nil
}

// MarshalJSON writes the object in its order.
func (p Patterns[V]) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, e := range p {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(e.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(e.Value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}

// of returns the value of the first key that matches the end of a module path, as PEFT does.
func (p Patterns[V]) of(module string) (V, bool) {
	for _, e := range p {
		if re, err := regexp.Compile(`^(?:.*\.)?(?:` + e.Key + `)$`); err == nil && re.MatchString(module) {
			return e.Value, true
		}
	}
	var none V
	return none, false
}

// check returns an error for a key that is not a regular expression.
func (p Patterns[V]) check(name string) error {
	for _, e := range p {
		if _, err := regexp.Compile(e.Key); err != nil {
			return badinput.Errorf("%s: not a regular expression: %w", name, err)
		}
	}
	return nil
}

// Ints is a JSON list of integers, or one of them alone.
type Ints []int

// UnmarshalJSON accepts both.
func (n *Ints) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) == nil && !bytes.Equal(data, []byte("null")) {
		*n = Ints{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(n))
}

// Strings is a JSON list of strings, or one of them alone.
type Strings []string

// UnmarshalJSON accepts both; an empty string is an empty list.
func (s *Strings) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil && !bytes.Equal(data, []byte("null")) {
		if *s = nil; one != "" {
			*s = Strings{one}
		}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(s))
}
