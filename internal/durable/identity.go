package durable

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"barka/internal/dataset"
)

// Identity holds everything that decides a stage's output. Options is a struct with
// json tags. It holds the options that change the output and no others: no threads, no
// output path, no credentials. Version counts changes of the stage's algorithm, and
// Changed describes the last one.
type Identity struct {
	Stage   string
	Version int
	Changed string
	Options any
	Inputs  map[string]string // name -> path
	Seed    int64

	ctx context.Context // ends the reading of inputs; nil for no end
}

// identity is an Identity with the digests of the inputs instead of their paths.
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
	known := &identity{Stage: id.Stage, Version: id.Version, Options: options, Seed: id.Seed,
		Inputs: map[string]dataset.InputInfo{}, changed: id.Changed}
	ctx := id.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	for name, path := range id.Inputs {
		if known.Inputs[name], err = dataset.Examine(ctx, path); err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
	}
	return known, nil
}

func identityOf(m *dataset.Manifest) *identity {
	return &identity{Stage: m.Stage, Version: m.Version, Options: m.Options, Inputs: m.Inputs, Seed: m.Seed}
}

// SettingsOf returns the settings that decided a finished directory.
func SettingsOf(m *dataset.Manifest) Settings { return identityOf(m).settings() }

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

// differences lists how now differs from then, as Settings.Differences does.
func differences(then, now *identity) []string {
	if then.Stage == now.Stage && then.Version < now.Version && now.changed != "" {
		// Options of two versions cannot always be compared.
		return []string{fmt.Sprintf("stage version was %d and is now %d (%s)", then.Version, now.Version, now.changed)}
	}
	return then.settings().Differences(now.settings())
}

func (id *identity) settings() Settings {
	s := Settings{"stage": id.Stage, "stage version": fmt.Sprint(id.Version), "seed": fmt.Sprint(id.Seed)}
	for name, in := range id.Inputs {
		s["content of input "+name] = in.Digest
	}
	s.Add(id.Options)
	return s
}
