package main

import (
	"strings"

	"barka/internal/badinput"
	"barka/internal/yamltext"
)

// lightevalFlags are the flags of lighteval's command line of May 2024 that barka
// has under other names or does not need. They are accepted so that a command line
// written for lighteval works unchanged.
type lightevalFlags struct {
	ModelArgs   string `aliases:"model_args" help:"The model in lighteval's spelling." xor:"model" placeholder:"pretrained=ID,..."`
	ModelConfig string `name:"model-config-path" aliases:"model_config_path" help:"lighteval's model file (YAML)." xor:"model"`
	SaveDetails bool   `name:"save-details" aliases:"save_details" hidden:""`
	CustomTasks string `name:"custom-tasks" aliases:"custom_tasks" hidden:""`
	Processes   int    `name:"dataset-loading-processes" aliases:"dataset_loading_processes" hidden:""`
	CacheDir    string `name:"cache-dir" aliases:"cache_dir" hidden:""`
	Seeds       int    `name:"num-fewshot-seeds" aliases:"num_fewshot_seeds" default:"1" hidden:""`
	PushResults bool   `name:"push-results-to-hub" aliases:"push_results_to_hub" hidden:""`
	PushDetails bool   `name:"push-details-to-hub" aliases:"push_details_to_hub" hidden:""`
	PublicRun   bool   `name:"public-run" aliases:"public_run" hidden:""`
	ResultsOrg  string `name:"results-org" aliases:"results_org" hidden:""`
}

// apply sets the model that lighteval's arguments name, and warns of flags without
// effect. dtype in the arguments is ignored, as by lighteval: the weights keep the
// checkpoint's type.
func (c *evalRunCmd) apply(a *app) error {
	args := c.ModelArgs
	if c.ModelConfig != "" {
		var err error
		if args, err = c.readModelConfig(); err != nil {
			return err
		}
	}
	revision := ""
	for _, kv := range strings.Split(args, ",") {
		k, v, _ := strings.Cut(kv, "=")
		switch v = strings.TrimSpace(v); strings.TrimSpace(k) {
		case "pretrained":
			c.Model = v
		case "revision":
			revision = v
		}
	}
	if revision != "" && revision != "main" {
		c.Model += "@" + revision
	}
	switch {
	case c.Model == "":
		return usagef("eval: no model is named; give --model MODEL, or --model_args pretrained=MODEL")
	case c.Seeds != 1:
		return usagef("eval: --num_fewshot_seeds is %d, expected 1: examples are taken in the dataset's order, without a seed", c.Seeds)
	case c.PushResults || c.PushDetails || c.PublicRun || c.ResultsOrg != "":
		a.ui.Warnf("barka uploads nothing; the results stay in %s", c.OutputDir)
	}
	if c.CustomTasks != "" {
		a.ui.Infof("%s is not read: the tasks are built in (--tasks list prints them)", c.CustomTasks)
	}
	return nil
}

// readModelConfig returns the model arguments of a lighteval model file. An
// adapter in it becomes --adapter, on top of base_model.
func (c *evalRunCmd) readModelConfig() (string, error) {
	text, err := badinput.ReadFile(c.ModelConfig, badinput.MaxSettings)
	if err != nil {
		return "", badinput.Errorf("model configuration: %w", err)
	}
	var file struct {
		Model struct {
			Base struct {
				Args string `yaml:"model_args"`
			} `yaml:"base_params"`
			Merged struct {
				Delta   bool   `yaml:"delta_weights"`
				Adapter bool   `yaml:"adapter_weights"`
				Base    string `yaml:"base_model"`
			} `yaml:"merged_weights"`
		} `yaml:"model"`
	}
	if err := yamltext.Unmarshal(text, &file); err != nil {
		return "", badinput.Errorf("%s: %w", c.ModelConfig, err)
	}
	m := file.Model
	switch {
	case !strings.Contains(m.Base.Args, "pretrained="):
		return "", badinput.Errorf("%s: model.base_params.model_args is %q, expected pretrained=MODEL,...", c.ModelConfig, m.Base.Args)
	case m.Merged.Delta:
		return "", badinput.Errorf("%s: model.merged_weights.delta_weights is set, which barka does not read; "+
			"merge them with their base first, or use a LoRA adapter", c.ModelConfig)
	case m.Merged.Adapter && m.Merged.Base == "":
		return "", badinput.Errorf("%s: model.merged_weights.adapter_weights is set without base_model; "+
			"name the adapter's base there", c.ModelConfig)
	case m.Merged.Adapter:
		_, rest, _ := strings.Cut(m.Base.Args, "pretrained=")
		c.Adapter, _, _ = strings.Cut(rest, ",")
		return "pretrained=" + m.Merged.Base, nil
	}
	return m.Base.Args, nil
}
