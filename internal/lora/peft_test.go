package lora

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// FuzzReadConfig reads any adapter_config.json; what is accepted names a
// scale and matches modules without a panic, and survives being written.
func FuzzReadConfig(f *testing.F) {
	golden, err := os.ReadFile("../../testdata/models/gemma2/adapter/adapter_config.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":"all-linear",
		"rank_pattern":{"q_proj":4},"alpha_pattern":{".*":2}}`))
	f.Add([]byte(`{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":"(a+)+$","use_rslora":true}`))
	f.Add([]byte(`{"peft_type":"LORA","r":8,"rank_pattern":{"q_proj":0}}`))
	f.Add([]byte(`{"peft_type":"LORA","r":8,"alpha_pattern":{"(":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig(dir)
		if err != nil {
			return
		}
		const module = "model.layers.0.self_attn.q_proj"
		scale, rank := c.Scale(module)
		if rank < 1 || scale != scale {
			t.Errorf("accepted with rank %d and scale %g", rank, scale)
		}
		matched, err := c.Targets.Match(module)
		if err != nil {
			return
		}
		written, err := c.File()
		if err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), written, 0o644); err != nil {
			t.Fatal(err)
		}
		again, err := ReadConfig(dir)
		if err != nil {
			t.Fatalf("written as %s, which is refused: %v", written, err)
		}
		if m, err := again.Targets.Match(module); err != nil || m != matched {
			t.Errorf("written as %s, it matches %v (%v), before %v", written, m, err, matched)
		}
	})
}

// TestTargetsThatMatchNothing: each target of a list must match a layer.
func TestTargetsThatMatchNothing(t *testing.T) {
	layers := []string{"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.q_proj"}
	for _, good := range []Targets{{Pattern: AllLinear}, {List: []string{"q_proj", "v_proj"}},
		{List: []string{"layers.1.self_attn.q_proj"}}, {Pattern: `.*q_proj`}} {
		if err := good.Check(layers); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for want, bad := range map[string]Targets{
		"target v_porj matches no linear layer of the model; did you mean v_proj? The model has q_proj, v_proj": {List: []string{"q_proj",
			"v_porj"}},
		"target query_key_value matches no linear layer of the model. The model has": {List: []string{"query_key_value"}},
		"target .*mlp matches no linear layer":                                       {Pattern: ".*mlp"},
		"not a regular expression":                                                   {Pattern: "("},
	} {
		if err := bad.Check(layers); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, expected %q", bad, err, want)
		}
	}
}
