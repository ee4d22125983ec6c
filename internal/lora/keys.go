package lora

import (
	"encoding/json"
	"slices"

	"barka/internal/badinput"
)

// Keys of PEFT's LoraConfig, up to version 0.18.
var (
	// read lists the keys that Config has.
	read = []string{"task_type", "base_model_name_or_path", "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules",
		"use_rslora", "rank_pattern", "alpha_pattern", "peft_type", "bias", "init_lora_weights", "layers_pattern", "layers_to_transform",
		"use_dora", "modules_to_save"}
	// harmless lists the keys that do not change what an adapter computes: who made it, how
	// it was initialised, and where the computation runs.
	harmless = []string{"auto_mapping", "revision", "peft_version", "inference_mode", "megatron_config", "megatron_core", "loftq_config",
		"eva_config", "corda_config", "runtime_config", "qalora_group_size", "ensure_weight_tying"}
	// refused lists the keys that change what an adapter computes, and are not supported.
	refused = []string{"fan_in_fan_out", "lora_bias", "trainable_token_indices", "target_parameters", "use_qalora",
		"layer_replication", "alora_invocation_tokens", "arrow_config"}
)

// checkKeys returns an error that names the first key with a value that changes the
// arithmetic of an adapter in a way that is not implemented. Newer versions of PEFT have keys
// that are not known here: of these, a value that switches something on is refused, because
// it may. Numbers are not: they are settings of what another key switches on.
func checkKeys(data []byte, path string) error {
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		return badinput.Errorf("%s: %w", path, err)
	}
	var unknown []string
	for key, value := range all {
		if slices.Contains(read, key) || slices.Contains(harmless, key) || !switchedOn(value) {
			continue
		}
		unknown = append(unknown, key)
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	key := unknown[0]
	value, err := json.Marshal(all[key])
	if err != nil {
		return err
	}
	if slices.Contains(refused, key) {
		return badinput.Errorf("%s: %s is %s, which changes what the adapter computes and is not supported", path, key, value)
	}
	return badinput.Errorf("%s: %s is %s, a key of PEFT that is not known and may change what the adapter computes; remove it if it "+
		"does not", path, key, value)
}

// switchedOn reports whether a JSON value is more than null, false, a number, or an empty
// string, list or object.
func switchedOn(v any) bool {
	switch v := v.(type) {
	case nil, float64:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}
