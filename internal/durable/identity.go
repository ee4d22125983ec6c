package durable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// Identity is everything that decides a stage's output. Options is a struct
// (with json tags) of all that changes it, and of nothing else: no threads, no
// output path, no credentials. Version counts changes of the stage's algorithm.
type Identity struct {
	Stage   string
	Version int
	Changed string
	Options any
	Inputs  map[string]string // name -> path
	Seed    int64
}

// identity is an Identity with the inputs' content in place of their paths.
type identity struct {
	Stage   string                       `json:"stage"`
	Version int                          `json:"version"`
	Options json.RawMessage              `json:"options"`
	Inputs  map[string]dataset.InputInfo `json:"inputs"`
	Seed    int64                        `json:"seed"`

	changed string
}

func (id Identity) resolve() (*identity, error) {
	options, err := json.Marshal(id.Options)
	if err != nil {
		return nil, fmt.Errorf("options of stage %s: %w", id.Stage, err)
	}
	if id.Options == nil {
		options = []byte("{}")
	}
	if options, err = canonical(options); err != nil {
		return nil, err
	}
	known := &identity{Stage: id.Stage, Version: id.Version, Options: options, Seed: id.Seed, Inputs: map[string]dataset.InputInfo{}, changed: id.Changed}
	for name, path := range id.Inputs {
		if known.Inputs[name], err = dataset.Examine(path); err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
	}
	return known, nil
}

func identityOf(m *dataset.Manifest) *identity {
	return &identity{Stage: m.Stage, Version: m.Version, Options: m.Options, Inputs: m.Inputs, Seed: m.Seed}
}

// canonical sorts the keys of JSON objects and drops white space.
func canonical(data []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// differences says how now differs from then, a phrase a setting, in a stable
// order; none when both are the same.
func differences(then, now *identity) ([]string, error) {
	if then.Stage == now.Stage && then.Version < now.Version && now.changed != "" {
		// Options of two versions need not compare.
		return []string{fmt.Sprintf("stage version was %d and is now %d (%s)", then.Version, now.Version, now.changed)}, nil
	}
	a, err := then.flatten()
	if err != nil {
		return nil, err
	}
	b, err := now.flatten()
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(a)+len(b))
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var all []string
	for _, name := range names {
		x, inA := a[name]
		y, inB := b[name]
		switch {
		case !inA:
			all = append(all, fmt.Sprintf("%s is now %s and was not set", name, shorten(y)))
		case !inB:
			all = append(all, fmt.Sprintf("%s was %s and is no longer set", name, shorten(x)))
		case x != y:
			all = append(all, fmt.Sprintf("%s was %s and is now %s", name, shorten(x), shorten(y)))
		}
	}
	return all, nil
}

func shorten(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// flatten lists the settings by dotted name.
func (id *identity) flatten() (map[string]string, error) {
	flat := map[string]string{
		"stage":         id.Stage,
		"stage version": fmt.Sprint(id.Version),
		"seed":          fmt.Sprint(id.Seed),
	}
	for name, in := range id.Inputs {
		flat["content of input "+name] = in.Digest
	}
	d := json.NewDecoder(bytes.NewReader(id.Options))
	d.UseNumber()
	var options any
	if err := d.Decode(&options); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	flattenInto(flat, "option", options)
	return flat, nil
}

func flattenInto(flat map[string]string, name string, v any) {
	if m, ok := v.(map[string]any); ok {
		separator := "."
		if name == "option" {
			separator = " "
		}
		for k, v := range m {
			flattenInto(flat, name+separator+k, v)
		}
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		text = fmt.Append(nil, v)
	}
	flat[name] = string(text)
}

// refusal is the error for a directory that was made with other settings.
func refusal(dir, state string, diffs []string) error {
	return badinput.Errorf("%s was %s with other settings: %s; give --restart to make it anew, or another --out",
		dir, state, strings.Join(diffs, "; "))
}
