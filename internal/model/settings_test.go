package model_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/model"
	cpudevice "barka/internal/tensor/cpu"
)

// settings reads a golden's config.json.
func settings(t testing.TB, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden.Dir(name), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// altered returns settings with changes; a nil value leaves a setting out.
func altered(t testing.TB, config, changes map[string]any) []byte {
	t.Helper()
	config = maps.Clone(config)
	maps.Copy(config, changes)
	maps.DeleteFunc(config, func(_ string, v any) bool { return v == nil })
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// withSettings returns a model directory with a golden's weights and changed settings.
func withSettings(t *testing.T, name string, config, changes map[string]any) string {
	t.Helper()
	data := altered(t, config, changes)
	dir := t.TempDir()
	weights, err := os.ReadFile(filepath.Join(golden.Dir(name), "model.safetensors"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "model.safetensors"), weights, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

type object = map[string]any

// TestStylesOfSettings: the spellings of config.json before and after
// transformers 5, and settings nested in text_config, mean the same.
func TestStylesOfSettings(t *testing.T) {
	linear := func(theta float64) object {
		return object{"rope_type": "linear", "factor": 8.0, "rope_theta": theta}
	}
	gemma3, before := settings(t, "gemma3"), settings(t, "gptneox")
	scaling := settings(t, "llama")["rope_scaling"].(map[string]any)
	part := maps.Clone(scaling)
	delete(part, "original_max_position_embeddings")
	neox := object{"rope_type": "default", "partial_rotary_factor": before["rotary_pct"], "rope_theta": before["rotary_emb_base"]}
	for _, c := range []struct {
		name, what string
		changes    object
	}{
		{"gemma3", "pattern", object{"layer_types": nil, "sliding_window_pattern": 2}},
		{"gemma3", "pattern and list", object{"sliding_window_pattern": 2}},
		{"gemma3", "defaults left out", object{"rope_theta": nil, "rope_local_base_freq": nil,
			"hidden_activation": nil, "rms_norm_eps": nil, "tie_word_embeddings": nil}},
		{"gemma3", "rope_parameters", object{"rope_theta": nil, "rope_local_base_freq": nil, "rope_scaling": nil, "rope_parameters": object{
			"full_attention": linear(1e6), "sliding_attention": object{"rope_type": "default", "rope_theta": 10000.0}}}},
		{"gemma3", "rope_parameters beside the flat settings", object{"rope_parameters": object{
			"full_attention": linear(1e6), "sliding_attention": object{"rope_type": "default", "rope_theta": 10000.0}}}},
		{"gemma3", "text_config", object{"text_config": gemma3, "num_hidden_layers": 3.0}},
		{"gemma3", "text_config with other spellings of numbers", object{"text_config": object{"rope_theta": json.Number("1e6")},
			"rope_theta": json.Number("1000000.0")}},
		{"gemma3", "end tokens and types of text_config", object{"text_config": object{"eos_token_id": 1}, "eos_token_id": []int{1, 106}}},
		{"llama", "both styles, one without the original length", object{"rope_scaling": part, "rope_parameters": scaling}},
		{"qwen3", "rope_parameters", object{"rope_theta": nil, "rope_parameters": object{"rope_type": "default", "rope_theta": 1e6}}},
		{"hunyuan", "rope_parameters", object{"rope_theta": nil, "rope_scaling": nil,
			"rope_parameters": object{"rope_type": "dynamic", "alpha": 1000.0, "rope_theta": 10000.0}}},
		{"smollm3", "rope_parameters", object{"rope_theta": nil, "rope_parameters": object{"rope_type": "default", "rope_theta": 2e6}}},
		{"smollm3", "the default base", object{"rope_theta": nil}},
		{"gptneox", "rope_parameters", object{"rotary_pct": nil, "rotary_emb_base": nil, "rope_parameters": neox}},
		{"smollm3", "list of layers without rotation", object{"no_rope_layers": nil}},
		{"smollm3", "interval left to the list", object{"no_rope_layer_interval": nil}},
	} {
		t.Run(c.name+"/"+c.what, func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, c.name, &want)
			_, x := forward(t, open(t, c.name, 2, dtype.F32), want.Sequences)
			_, y := forward(t, openDir(t, withSettings(t, c.name, settings(t, c.name), c.changes), dtype.F32), want.Sequences)
			if !slices.Equal(x.Data, y.Data) {
				t.Error("other logits")
			}
		})
	}
}

// kinds returns rope_parameters of Gemma 3 with the given bases.
func kinds(full, sliding float64) object {
	return object{"full_attention": object{"rope_type": "default", "rope_theta": full},
		"sliding_attention": object{"rope_type": "default", "rope_theta": sliding}}
}

// contradictions holds changes after which two spellings of one setting differ, or settings
// do not fit together, with the expected reason.
var contradictions = []struct {
	name    string
	changes object
	want    string
}{
	{"gemma3", object{"sliding_window_pattern": 3}, "layer_types[1]"},
	{"gemma3", object{"sliding_window_pattern": 0}, "sliding_window_pattern is 0"},
	{"gemma3", object{"layer_types": []string{"full_attention"}}, "layer_types has 1 entries"},
	{"gemma3", object{"rope_scaling": nil, "rope_parameters": kinds(5e5, 10000)},
		"rope_theta is 1e+06, and rope_parameters: rope_theta is 500000"},
	{"gemma3", object{"rope_scaling": nil, "rope_parameters": kinds(1e6, 20000)},
		"rope_local_base_freq is 10000, and rope_parameters: rope_theta is 20000"},
	{"gemma3", object{"rope_parameters": kinds(1e6, 10000)}, "rope_scaling has the type \"linear\", and rope_parameters \"default\""},
	{"gemma3", object{"rope_parameters": object{"full_attention": object{"rope_type": "linear", "factor": 4.0},
		"sliding_attention": object{}}}, "factor is 8 in rope_scaling, and 4 in rope_parameters"},
	{"gemma3", object{"rope_parameters": object{"full_attention": object{}}}, "an entry for one kind of layers"},
	{"gemma3", object{"rope_parameters": object{"full_attention": object{}, "sliding_attention": object{}, "rope_theta": 1e6}},
		"settings beside them"},
	{"gemma3", object{"rope_scaling": object{"rope_type": "linear", "type": "dynamic", "factor": 8.0}},
		"rope_scaling: rope_type is \"linear\", and type \"dynamic\""},
	{"gemma3", object{"torch_dtype": "bfloat16"}, "torch_dtype is \"bfloat16\", and dtype is \"float32\""},
	{"llama", object{"rope_scaling": nil, "rope_parameters": kinds(5e5, 10000)}, "entries for kinds of layers"},
	{"llama", object{"rope_theta": 1e4, "rope_scaling": object{"rope_type": "linear", "factor": 2.0, "rope_theta": 2e4}},
		"rope_theta is 10000, and rope_scaling: rope_theta is 20000"},
	{"gptneox", object{"rotary_pct": 0.5, "rope_parameters": object{"partial_rotary_factor": 0.25}},
		"rotary_pct is 0.5, and rope_parameters: partial_rotary_factor is 0.25"},
	{"gptneox", object{"rotary_emb_base": 10000, "rope_theta": 20000}, "rotary_emb_base is 10000, and rope_theta is 20000"},
	{"qwen2", object{"layer_types": []string{"full_attention", "sliding_attention"}},
		"layer_types[1] is \"sliding_attention\", and use_sliding_window is false"},
	{"qwen3", object{"layer_types": []string{"full_attention", "sliding_attention"}}, "and use_sliding_window is false"},
	{"smollm3", object{"use_sliding_window": false}, "layer_types[2] is \"sliding_attention\", and use_sliding_window is false"},
	{"smollm3", object{"no_rope_layer_interval": 2}, "no_rope_layers[1] is 1, which contradicts no_rope_layer_interval 2"},
	{"gemma3", object{"use_bidirectional_attention": true}, "bidirectional"},
	{"gemma3", object{"hidden_activation": "relu"}, "hidden_activation"},
	{"gemma3", object{"head_dim": 17}, "head_dim 17 is odd"},
	{"gemma3", object{"text_config": object{"num_hidden_layers": 7}}, "num_hidden_layers is 3, and 7 in text_config"},
	{"gemma3", object{"text_config": "none"}, "text_config"},
	{"gemma3", object{"text_config": object{"rms_norm_eps": 0.5}}, "rms_norm_eps is 0.000001, and 0.5 in text_config"},
	{"gemma3", object{"text_config": object{"rope_scaling": nil}}, "in text_config; remove the wrong one"},
	{"gemma3", object{"text_config": object{"query_pre_attn_scalar": 7}}, "query_pre_attn_scalar is"},
	{"qwen3", object{"rope_parameters": object{"rope_theta": 2e6}}, "rope_theta is 1e+06, and rope_parameters: rope_theta is 2e+06"},
	{"qwen3", object{"num_key_value_heads": 3}, "cannot share 3"},
	{"hunyuan", object{"rope_scaling": object{"type": "dynamic", "factor": 2.0}}, "rope_scaling type \"dynamic\""},
	{"hunyuan", object{"rope_scaling": object{"type": "dynamic", "alpha": -1.0}}, "alpha is -1"},
	{"hunyuan", object{"rope_scaling": object{"type": "dynamic", "alpha": 1e33}}, "stretched by alpha"},
	{"smollm3", object{"no_rope_layers": []int{1}}, "no_rope_layers has 1 entries"},
	{"smollm3", object{"no_rope_layers": nil, "no_rope_layer_interval": 0}, "no_rope_layer_interval is 0"},
}

// TestContradictorySettings: a model with contradictory settings is not opened.
func TestContradictorySettings(t *testing.T) {
	dev := cpudevice.New(1)
	defer dev.Close()
	for _, c := range contradictions {
		dir := withSettings(t, c.name, settings(t, c.name), c.changes)
		if _, err := model.OpenDecoder(dir, model.Options{Device: dev, DType: dtype.F32}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, expected %q", c.name, c.changes, err, c.want)
		}
	}
}

// TestImagesAreLeftOut: of a model that also reads images only the language model is
// measured, and its layers have the names that peft uses.
func TestImagesAreLeftOut(t *testing.T) {
	m := open(t, "gemma3-images", 1, dtype.F32)
	s, err := model.MeasureDecoder(golden.Dir("gemma3-images"), dtype.F32)
	if err != nil {
		t.Fatal(err)
	}
	if s.Parameters != m.Info().Parameters || s.Layers != 2 || s.Vocab != 320 {
		t.Errorf("measured %+v, opened %+v", s.Info, m.Info())
	}
	var names []string
	for _, l := range m.Linears() {
		names = append(names, l.Name)
	}
	var measured []string
	for _, l := range s.Linears {
		measured = append(measured, l.Name)
	}
	slices.Sort(names)
	slices.Sort(measured)
	if !slices.Equal(names, measured) || !slices.Contains(names, "model.language_model.layers.1.self_attn.q_proj") {
		t.Errorf("layers %v, measured %v", names, measured)
	}
	a, err := model.NewAdapter(m, lora.Config{Rank: 2, Alpha: 2, Targets: lora.Targets{Pattern: lora.AllLinear}}, 1)
	if err != nil || len(a.Pairs) != len(names) ||
		a.Config.Targets.Pattern != `model\.language_model\..*\.(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)` {
		t.Errorf("adapter of %d layers with targets %+v: %v", len(a.Pairs), a.Config.Targets, err)
	}
	if err := model.CheckKind(golden.Dir("gemma3-images"), false); err != nil {
		t.Error(err)
	}
}
