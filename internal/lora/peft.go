package lora

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
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
	suffixM = ".lora_magnitude_vector"
)

// NameA returns PEFT's name of the tensor A of a module.
func NameA(module string) string { return prefix + module + suffixA }

// NameB returns PEFT's name of the tensor B of a module.
func NameB(module string) string { return prefix + module + suffixB }

// NameM returns PEFT's name of DoRA's magnitudes of a module.
func NameM(module string) string { return prefix + module + suffixM }

// NameFull returns PEFT's name of the weights of a module that is trained itself.
func NameFull(module string) string { return prefix + module + ".weight" }

// FullOf returns the module path in the name of weights of a module that is trained itself,
// such as NameFull makes. It reports whether the name may be one.
func FullOf(name string) (string, bool) {
	m, ok := strings.CutPrefix(name, prefix)
	if !ok || strings.Contains(m, ".lora_") {
		return "", false
	}
	return strings.CutSuffix(m, ".weight")
}

// Saves reports whether modules_to_save names a module, by the end of its path.
func (c *Config) Saves(module string) bool {
	return slices.ContainsFunc(c.ModulesToSave, func(s string) bool { return module == s || strings.HasSuffix(module, "."+s) })
}

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
	TaskType          string            `json:"task_type"`
	BaseModel         string            `json:"base_model_name_or_path"`
	Rank              int               `json:"r"`
	Alpha             float64           `json:"lora_alpha"`
	Dropout           float64           `json:"lora_dropout"`
	Targets           Targets           `json:"target_modules"`
	Exclude           *Targets          `json:"exclude_modules"`
	RSLoRA            bool              `json:"use_rslora"`
	RankPattern       Patterns[int]     `json:"rank_pattern"`
	AlphaPattern      Patterns[float64] `json:"alpha_pattern"`
	PEFTType          string            `json:"peft_type"`
	AutoMapping       any               `json:"auto_mapping"`
	Bias              string            `json:"bias"`
	FanInFanOut       bool              `json:"fan_in_fan_out"`
	InferenceMode     bool              `json:"inference_mode"`
	InitWeights       any               `json:"init_lora_weights"`
	LayersPattern     Strings           `json:"layers_pattern"`
	LayersToTransform Ints              `json:"layers_to_transform"`
	ModulesToSave     Strings           `json:"modules_to_save"`
	Revision          any               `json:"revision"`
	DoRA              bool              `json:"use_dora"`
	PEFTVersion       string            `json:"peft_version,omitempty"`
}

// Scale returns the factor s of a module's B·A, and its rank.
func (c *Config) Scale(module string) (float32, int) {
	rank, alpha := c.Rank, c.Alpha
	if r, ok := c.RankPattern.of(module); ok {
		rank = r
	}
	if a, ok := c.AlphaPattern.of(module); ok {
		alpha = a
	}
	if c.RSLoRA {
		return float32(alpha / math.Sqrt(float64(rank))), rank
	}
	return float32(alpha / float64(rank)), rank
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
	if err := checkKeys(data, path); err != nil {
		return nil, err
	}
	switch {
	case c.PEFTType != "LORA":
		return nil, badinput.Errorf("%s: peft_type %q, expected LORA", path, c.PEFTType)
	case c.Rank <= 0:
		return nil, badinput.Errorf("%s: r is %d, expected a positive rank", path, c.Rank)
	case c.Bias != "" && c.Bias != "none":
		return nil, badinput.Errorf("%s: bias is %q, expected none; trained biases are not supported", path, c.Bias)
	}
	if err := c.checkInit(); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	return &c, badinput.Wrap(c.checkPatterns(path))
}

// Check returns an error if a regular expression of the configuration is none.
func (c *Config) Check() error {
	_, err := c.Adapts("x.layers.0.x")
	return cmp.Or(err, c.RankPattern.check("rank_pattern"), c.AlphaPattern.check("alpha_pattern"))
}

// checkInit returns an error if the adapter belongs to a base that its initialisation has
// changed, so that its values are wrong on the base itself.
func (c *Config) checkInit() error {
	name, _ := c.InitWeights.(string)
	switch kind, _, _ := strings.Cut(name, "_niter_"); kind {
	case "pissa", "olora", "corda", "loftq":
		return fmt.Errorf("init_lora_weights is %q: the adapter's values belong to a base that its initialisation has changed; save it "+
			"with peft's path_initial_model_for_weight_conversion, which makes it an adapter of the base itself", name)
	}
	return nil
}

// checkPatterns returns an error for ranks that are not positive and for keys that are not
// regular expressions.
func (c *Config) checkPatterns(path string) error {
	for _, e := range c.RankPattern {
		if e.Value <= 0 {
			return fmt.Errorf("%s: rank_pattern gives %q rank %d, expected a positive one", path, e.Key, e.Value)
		}
	}
	if err := cmp.Or(c.RankPattern.check("rank_pattern"), c.AlphaPattern.check("alpha_pattern")); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Doubled returns the configuration of an adapter of twice the rank with the same scales.
func (c Config) Doubled() Config {
	factor := 2.0
	if c.RSLoRA {
		factor = math.Sqrt2
	}
	c.Rank *= 2
	c.Alpha *= factor
	c.RankPattern, c.AlphaPattern = slices.Clone(c.RankPattern), slices.Clone(c.AlphaPattern)
	for i := range c.RankPattern {
		c.RankPattern[i].Value *= 2
	}
	for i := range c.AlphaPattern {
		c.AlphaPattern[i].Value *= factor
	}
	return c
}

// File returns the configuration as PEFT writes it.
func (c Config) File() ([]byte, error) {
	c.PEFTType, c.Bias, c.InferenceMode, c.InitWeights = "LORA", "none", true, true
	if c.TaskType == "" {
		c.TaskType = "CAUSAL_LM"
	}
	data, err := json.MarshalIndent(c, "", "  ")
	return append(data, '\n'), err
}
