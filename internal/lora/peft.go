package lora

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/nearest"
)

// ConfigFile and WeightsFile are the names of a PEFT adapter's two files.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

// Prefix and suffixes of PEFT's tensor names around the module path.
const (
	prefix  = "base_model.model."
	suffixA = ".lora_A.weight"
	suffixB = ".lora_B.weight"
)

// NameA returns PEFT's name of the tensor A of a module.
func NameA(module string) string { return prefix + module + suffixA }

// NameB returns PEFT's name of the tensor B of a module.
func NameB(module string) string { return prefix + module + suffixB }

// ModuleOf returns the module path in the name of a tensor A. It reports whether the name
// is one.
func ModuleOf(name string) (string, bool) {
	m, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(m, suffixA)
}

// Config is the part of PEFT's adapter_config.json that this program reads and writes.
type Config struct {
	TaskType          string             `json:"task_type"`
	BaseModel         string             `json:"base_model_name_or_path"`
	Rank              int                `json:"r"`
	Alpha             float64            `json:"lora_alpha"`
	Dropout           float64            `json:"lora_dropout"`
	Targets           Targets            `json:"target_modules"`
	RSLoRA            bool               `json:"use_rslora"`
	RankPattern       map[string]int     `json:"rank_pattern"`
	AlphaPattern      map[string]float64 `json:"alpha_pattern"`
	PEFTType          string             `json:"peft_type"`
	AutoMapping       any                `json:"auto_mapping"`
	Bias              string             `json:"bias"`
	FanInFanOut       bool               `json:"fan_in_fan_out"`
	InferenceMode     bool               `json:"inference_mode"`
	InitWeights       any                `json:"init_lora_weights"`
	LayersPattern     any                `json:"layers_pattern"`
	LayersToTransform any                `json:"layers_to_transform"`
	ModulesToSave     any                `json:"modules_to_save"`
	Revision          any                `json:"revision"`
	DoRA              bool               `json:"use_dora"`
	PEFTVersion       string             `json:"peft_version,omitempty"`
}

// AllLinear is the value of target_modules that selects every linear layer but the head.
const AllLinear = "all-linear"

// Targets is target_modules: a list of suffixes of module paths, or one string, which is
// AllLinear or a regular expression for whole paths.
type Targets struct {
	List    []string
	Pattern string
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

// Scale returns the factor s of a module's B·A, and its rank.
func (c *Config) Scale(module string) (float32, int) {
	rank, alpha := c.Rank, c.Alpha
	if r, ok := pattern(c.RankPattern, module); ok {
		rank = r
	}
	if a, ok := pattern(c.AlphaPattern, module); ok {
		alpha = a
	}
	if c.RSLoRA {
		return float32(alpha / math.Sqrt(float64(rank))), rank
	}
	return float32(alpha / float64(rank)), rank
}

// pattern returns the value of the first key, in alphabetical order, that matches the end of
// a module path, as PEFT does.
func pattern[V any](patterns map[string]V, module string) (V, bool) {
	keys := make([]string, 0, len(patterns))
	for k := range patterns {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if re, err := regexp.Compile(`(?:^|.*\.)(?:` + k + `)$`); err == nil && re.MatchString(module) {
			return patterns[k], true
		}
	}
	var none V
	return none, false
}

// ReadConfig reads adapter_config.json. Settings that change the arithmetic in a way that is
// not implemented are errors.
func ReadConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if err != nil {
		return nil, badinput.Errorf("adapter %s: no readable %s (%w)", dir, ConfigFile, err)
	}
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	var extra struct {
		LoRABias         bool  `json:"lora_bias"`
		TargetParameters []any `json:"target_parameters"`
		TrainableTokens  any   `json:"trainable_token_indices"`
	}
	if err := json.Unmarshal(data, &extra); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	switch {
	case c.PEFTType != "LORA":
		return nil, badinput.Errorf("%s: peft_type %q, expected LORA", path, c.PEFTType)
	case c.Rank <= 0:
		return nil, badinput.Errorf("%s: r is %d, expected a positive rank", path, c.Rank)
	case c.DoRA:
		return nil, badinput.Errorf("%s: use_dora is set; DoRA adapters are not supported", path)
	case c.FanInFanOut:
		return nil, badinput.Errorf("%s: fan_in_fan_out is set; transposed layers are not supported", path)
	case c.Bias != "" && c.Bias != "none" || extra.LoRABias:
		return nil, badinput.Errorf("%s: trained biases are not supported", path)
	case notEmpty(c.ModulesToSave) || notEmpty(extra.TrainableTokens) || len(extra.TargetParameters) > 0:
		return nil, badinput.Errorf("%s: modules_to_save, trainable_token_indices and target_parameters are not supported", path)
	}
	return &c, badinput.Wrap(c.checkPatterns(path))
}

// checkPatterns returns an error for ranks that are not positive and for keys that are not
// regular expressions.
func (c *Config) checkPatterns(path string) error {
	for k, r := range c.RankPattern {
		if r <= 0 {
			return fmt.Errorf("%s: rank_pattern gives %q rank %d, expected a positive one", path, k, r)
		}
		if _, err := regexp.Compile(k); err != nil {
			return fmt.Errorf("%s: rank_pattern: %w", path, err)
		}
	}
	for k := range c.AlphaPattern {
		if _, err := regexp.Compile(k); err != nil {
			return fmt.Errorf("%s: alpha_pattern: %w", path, err)
		}
	}
	return nil
}

// notEmpty reports whether a JSON value is more than null or an empty list or object.
func notEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// File returns the configuration as PEFT writes it.
func (c Config) File() ([]byte, error) {
	c.PEFTType, c.Bias, c.InferenceMode, c.InitWeights = "LORA", "none", true, true
	if c.RankPattern == nil {
		c.RankPattern = map[string]int{}
	}
	if c.AlphaPattern == nil {
		c.AlphaPattern = map[string]float64{}
	}
	if c.TaskType == "" {
		c.TaskType = "CAUSAL_LM"
	}
	data, err := json.MarshalIndent(c, "", "  ")
	return append(data, '\n'), err
}
