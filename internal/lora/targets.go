package lora

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/nearest"
)

// AllLinear is the value of target_modules that selects every linear layer but the head.
const AllLinear = "all-linear"

// Targets is target_modules: a list of suffixes of module paths, or one string, which is
// AllLinear or a regular expression for whole paths.
type Targets struct {
	List    []string
	Pattern string
}

// expression matches what only a regular expression has: a dot is also part of paths.
var expression = regexp.MustCompile(`[*+?()\[\]{}|^$\\]`)

// NewTargets returns a list of suffixes, or the one regular expression for whole paths.
func NewTargets(names []string) Targets {
	if len(names) == 1 && (names[0] == AllLinear || expression.MatchString(names[0])) {
		return Targets{Pattern: names[0]}
	}
	return Targets{List: names}
}

// UnmarshalJSON accepts the list and the string.
func (t *Targets) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &t.List); err == nil {
		return nil
	}
	return json.Unmarshal(data, &t.Pattern)
}

// MarshalJSON writes the form that was read.
func (t Targets) MarshalJSON() ([]byte, error) {
	if t.Pattern != "" {
		return json.Marshal(t.Pattern)
	}
	return json.Marshal(t.List)
}

// Match reports whether the targets include a linear layer.
func (t Targets) Match(module string) (bool, error) {
	if t.Pattern == AllLinear {
		return true, nil
	}
	if t.Pattern != "" {
		re, err := regexp.Compile("^(?:" + t.Pattern + ")$")
		if err != nil {
			return false, badinput.Errorf("target_modules: not a regular expression: %w", err)
		}
		return re.MatchString(module), nil
	}
	return slices.ContainsFunc(t.List, func(s string) bool {
		return module == s || strings.HasSuffix(module, "."+s)
	}), nil
}

// Check returns an error if the pattern, or a name of the list, matches none of a model's
// linear layers. Otherwise a misspelt name would be ignored silently.
func (t Targets) Check(layers []string) error {
	one := func(t Targets, name string) error {
		for _, l := range layers {
			if ok, err := t.Match(l); ok || err != nil {
				return err
			}
		}
		kinds := Kinds(layers)
		hint := ""
		if near := nearest.Name(name, kinds); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return badinput.Errorf("target %s matches no linear layer of the model%s The model has %s",
			name, cmp.Or(hint, "."), strings.Join(kinds, ", "))
	}
	if t.Pattern != "" {
		return one(t, t.Pattern)
	}
	for _, name := range t.List {
		if err := one(Targets{List: []string{name}}, name); err != nil {
			return err
		}
	}
	return nil
}

// Kinds lists the last components of the layers' names, each once.
func Kinds(layers []string) []string {
	var names []string
	for _, l := range layers {
		if name := l[strings.LastIndexByte(l, '.')+1:]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Adapts reports whether the configuration gives a linear layer an adapter, by PEFT's rules:
// exclude_modules first, then target_modules, and for a list of these layers_to_transform.
func (c *Config) Adapts(module string) (bool, error) {
	if c.Exclude != nil {
		if out, err := c.Exclude.Match(module); out || err != nil {
			return false, err
		}
	}
	ok, err := c.Targets.Match(module)
	if !ok || err != nil || c.Targets.Pattern != "" && c.Targets.Pattern != AllLinear || len(c.LayersToTransform) == 0 {
		return ok, err
	}
	layer, ok, err := c.layer(module)
	return ok && slices.Contains(c.LayersToTransform, layer), err
}

// layer returns the number of the layer to which a module belongs: the one after a component
// that layers_pattern names, or any without it.
func (c *Config) layer(module string) (int, bool, error) {
	patterns := []string(c.LayersPattern)
	if len(patterns) == 0 {
		patterns = []string{`[^.]*`}
	}
	for _, pattern := range patterns {
		re, err := regexp.Compile(`^.*\.` + pattern + `\.(\d+)\.`)
		if err != nil {
			return 0, false, badinput.Errorf("layers_pattern: not a regular expression: %w", err)
		}
		if m := re.FindStringSubmatch(module); m != nil {
			n, err := strconv.Atoi(m[len(m)-1])
			return n, err == nil, nil
		}
	}
	return 0, false, nil
}

// CheckLayers returns an error if layers_to_transform names a layer in which nothing is
// adapted.
func (c *Config) CheckLayers(modules []string) error {
	for _, n := range c.LayersToTransform {
		one := *c
		one.LayersToTransform = Ints{n}
		found := false
		for _, m := range modules {
			ok, err := one.Adapts(m)
			if err != nil {
				return err
			}
			found = found || ok
		}
		if !found {
			return badinput.Errorf("layers_to_transform names layer %d, in which no target is found; the model has %d linear layers, "+
				"the last one %s", n, len(modules), modules[len(modules)-1])
		}
	}
	return nil
}
