package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// TestModelArguments: the ways in which lighteval's command line names a model.
func TestModelArguments(t *testing.T) {
	dir := t.TempDir()
	config := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		cmd            evalRunCmd
		model, adapter string
	}{
		{evalRunCmd{Model: "m"}, "m", ""},
		{evalRunCmd{lightevalFlags: lightevalFlags{ModelArgs: "pretrained=EleutherAI/pythia-70m,dtype=bfloat16"}},
			"EleutherAI/pythia-70m", ""},
		{evalRunCmd{lightevalFlags: lightevalFlags{ModelArgs: "pretrained=a/b,revision=v1"}}, "a/b@v1", ""},
		{evalRunCmd{lightevalFlags: lightevalFlags{ModelConfig: config("base.yaml",
			"model:\n  type: base\n  base_params:\n    model_args: \"pretrained=a/b,revision=main\"\n    dtype: bfloat16\n")}}, "a/b", ""},
		{evalRunCmd{lightevalFlags: lightevalFlags{ModelConfig: config("adapter.yaml",
			"model:\n  base_params:\n    model_args: pretrained=my/adapter\n  merged_weights:\n    adapter_weights: "+
				"true\n    base_model: a/b\n")}}, "a/b", "my/adapter"},
	} {
		c.cmd.Seeds = 1
		if err := c.cmd.apply(&app{}); err != nil || c.cmd.Model != c.model || c.cmd.Adapter != c.adapter {
			t.Errorf("model %q, adapter %q, %v; want %q, %q", c.cmd.Model, c.cmd.Adapter, err, c.model, c.adapter)
		}
	}
	for _, c := range []struct{ name, text, want string }{
		{"none.yaml", "model: {}\n", "pretrained="},
		{"delta.yaml", "model:\n  base_params: {model_args: pretrained=a}\n  merged_weights: {delta_weights: true}\n", "delta_weights"},
		{"half.yaml", "model:\n  base_params: {model_args: pretrained=a}\n  merged_weights: {adapter_weights: true}\n", "base_model"},
		{"broken.yaml", "model: [", "broken.yaml"},
	} {
		cmd := evalRunCmd{lightevalFlags: lightevalFlags{ModelConfig: config(c.name, c.text), Seeds: 1}}
		if err := cmd.apply(&app{}); !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
