package model_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/safetensors"
	cpudevice "barka/internal/tensor/cpu"
)

// configured returns a copy of a checkpoint with changed settings in config.json; null
// removes a setting.
func configured(t *testing.T, name string, settings map[string]any) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden.Dir(name), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	for k, v := range settings {
		if v == nil {
			delete(config, k)
		} else {
			config[k] = v
		}
	}
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), golden.Tensors(t, golden.Dir(name)), nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAbsurdConfigs: values that no model has are refused by name, before memory is
// allocated for them.
func TestAbsurdConfigs(t *testing.T) {
	type settings = map[string]any
	for _, c := range []struct {
		name, key string
		value     any
		want      string
	}{
		{"llama", "hidden_size", -48, "hidden_size is -48, expected a positive number"},
		{"llama", "vocab_size", 1 << 40, "vocab_size is 1099511627776, expected at most"},
		{"llama", "num_hidden_layers", 1 << 30, "num_hidden_layers is 1073741824, expected at most"},
		{"llama", "num_hidden_layers", 3, "model.layers.2.input_layernorm.weight is missing"},
		{"llama", "num_attention_heads", 0, "num_attention_heads is 0"},
		{"llama", "num_key_value_heads", 3, "4 attention heads cannot share 3"},
		{"llama", "head_dim", 15, "head_dim 15 is odd"},
		{"llama", "head_dim", 1 << 23, "wider than"},
		{"llama", "head_dim", 18, "expected [72 48]"},
		{"llama", "intermediate_size", 1e18, "intermediate_size is 1000000000000000000"},
		{"llama", "hidden_size", 1e30, "config.json"},
		{"llama", "hidden_size", "48", "hidden_size"},
		{"llama", "max_position_embeddings", -1, "max_position_embeddings is -1"},
		{"llama", "max_position_embeddings", 1 << 31, "max_position_embeddings is 2147483648, expected at most 2147483647"},
		{"llama", "rms_norm_eps", -1e-5, "rms_norm_eps is -1e-05"},
		{"llama", "rms_norm_eps", 1e-60, "rms_norm_eps is 1e-60"},
		{"llama", "rope_theta", -10000.0, "rope_theta is -10000"},
		{"llama", "rope_theta", 1e300, "rope_theta is 1e+300"},
		{"llama", "hidden_act", "mish", `hidden_act "mish" is not supported`},
		{"llama", "rope_scaling", settings{"rope_type": "yarn", "factor": 4.0}, `rope_scaling type "yarn" is not supported`},
		{"llama", "rope_scaling", settings{"type": "dynamic", "factor": 4.0}, `rope_scaling type "dynamic" is not supported`},
		{"llama", "rope_scaling", settings{"type": "linear", "factor": -4.0}, "factor is -4"},
		{"llama", "rope_scaling", settings{"rope_type": "llama3", "factor": 8.0}, "low_freq_factor is 0"},
		{"llama", "rope_scaling", settings{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0,
			"original_max_position_embeddings": 64}, "high_freq_factor is 4"},
		{"llama", "mlp_bias", true, "model.layers.0.mlp.gate_proj.bias is missing"},
		{"llama", "attention_bias", true, "model.layers.0.self_attn.o_proj.bias is missing"},
		{"mistral", "sliding_window", 0, "sliding_window is 0"},
		{"qwen2-window", "sliding_window", -6, "sliding_window is -6"},
		{"qwen2-window", "layer_types", []string{"full_attention"}, "layer_types has 1 entries for 2 layers"},
		{"qwen2-window", "layer_types", []string{"full_attention", "chunked_attention"}, `layer_types[1] is "chunked_attention"`},
		{"gemma2", "layer_types", []string{"sliding_attention"}, "layer_types has 1 entries for 4 layers"},
		{"gemma2", "query_pre_attn_scalar", 0, "query_pre_attn_scalar is 0"},
		{"gemma2", "final_logit_softcapping", -30, "final_logit_softcapping is -30"},
		{"gemma2", "attn_logit_softcapping", 0, "attn_logit_softcapping is 0"},
		{"gptneox", "num_attention_heads", 5, "not a multiple of num_attention_heads 5"},
		{"gptneox", "rotary_pct", 1.5, "rotary_pct 1.5"},
		{"gptneox", "rotary_emb_base", -1, "rotary_emb_base is -1"},
		{"m2m100", "encoder_layers", 1 << 40, "encoder_layers is 1099511627776"},
		{"m2m100", "d_model", -4, "d_model is -4"},
		{"m2m100", "decoder_attention_heads", -1, "attention heads"},
	} {
		dir := configured(t, c.name, settings{c.key: c.value})
		dev := cpudevice.New(1)
		o := model.Options{Device: dev, DType: dtype.F32}
		_, err := model.OpenDecoder(dir, o)
		if c.name == "m2m100" {
			_, err = model.OpenSeq2Seq(dir, o)
		}
		dev.Close()
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s %v: %v, expected %q", c.name, c.key, c.value, err, c.want)
		}
	}
}

// TestOtherSpellings: config.json with settings that older and newer files omit or write
// elsewhere gives the same logits.
func TestOtherSpellings(t *testing.T) {
	type settings = map[string]any
	llama3 := settings{"rope_theta": 10000.0, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
		"original_max_position_embeddings": 64}
	for what, c := range map[string]struct {
		name     string
		settings settings
	}{
		"rope_parameters": {"llama", settings{"rope_scaling": nil, "rope_theta": nil, "rope_parameters": llama3}},
		"type for rope_type": {"llama", settings{"rope_scaling": settings{"type": "llama3", "factor": 8.0,
			"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}},
		"no biases named": {"llama", settings{"attention_bias": nil, "mlp_bias": nil, "hidden_act": nil,
			"max_position_embeddings": nil}},
		"no head_dim":    {"mistral", settings{"head_dim": nil}},
		"no layer_types": {"qwen2-window", settings{"layer_types": nil}},
		"no windows": {"qwen2", settings{"layer_types": nil, "use_sliding_window": nil, "sliding_window": 4,
			"max_window_layers": 0}},
		"Qwen2's rope_parameters": {"qwen2", settings{"rope_scaling": nil, "rope_theta": nil,
			"rope_parameters": settings{"rope_theta": 1000000.0, "rope_type": "default"}}},
		"rotary in newer GPT-NeoX": {"gptneox", settings{"rotary_pct": nil, "rotary_emb_base": nil,
			"rope_parameters": settings{"rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 0.25}}},
		"Gemma 2's defaults": {"gemma2", settings{"layer_types": nil, "max_position_embeddings": nil, "rms_norm_eps": nil,
			"rope_theta": nil}},
		"head_dim spelled out": {"qwen2", settings{"head_dim": 12}},
	} {
		var want golden.Decoder
		golden.Load(t, c.name, &want)
		dev := cpudevice.New(1)
		t.Cleanup(dev.Close)
		m, err := model.OpenDecoder(configured(t, c.name, c.settings), model.Options{Device: dev, DType: dtype.F32})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		_, got := forward(t, m, want.Sequences)
		_, same := forward(t, open(t, c.name, 1, dtype.F32), want.Sequences)
		golden.Near(t, what, got.Data, same.Data, 0)
	}
}

// TestDefaultsStay: an omitted setting has its default, also after another model was loaded
// with another value.
func TestDefaultsStay(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"mistral":      {"sliding_window": 4096},
		"qwen2-window": {"sliding_window": 4096, "layer_types": nil},
	} {
		var want golden.Decoder
		golden.Load(t, name, &want)
		logits := func(dir string) []float32 {
			dev := cpudevice.New(1)
			t.Cleanup(dev.Close)
			m, err := model.OpenDecoder(dir, model.Options{Device: dev, DType: dtype.F32})
			if err != nil {
				t.Fatal(err)
			}
			_, y := forward(t, m, want.Sequences)
			return y.Data
		}
		wide, own := logits(configured(t, name, settings)), logits(golden.Dir(name))
		settings["sliding_window"] = nil
		golden.Near(t, name, logits(configured(t, name, settings)), wide, 0)
		if slices.Equal(wide, own) {
			t.Errorf("%s: the window changes nothing", name)
		}
	}
}
