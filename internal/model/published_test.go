package model_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/golden"
	"barka/internal/model"
)

// publishedModel is a row of testdata/configs/models.tsv.
type publishedModel struct{ names, config, parameters, source string }

func publishedModels(t *testing.T) []publishedModel {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden.Dir(""), "..", "configs", "models.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var out []publishedModel
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			t.Fatalf("models.tsv: %q", line)
		}
		out = append(out, publishedModel{f[0], f[1], f[2], f[3]})
	}
	return out
}

// configDir returns a directory with a config.json of testdata/configs.
func configDir(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden.Dir(""), "..", "configs", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// presentIn returns tensor names by which loaders recognise a checkpoint with these
// settings.
func presentIn(config string) []string {
	switch {
	case strings.HasPrefix(config, "nllb"):
		return []string{"model.shared.weight"}
	case strings.HasPrefix(config, "gemma-3") && config != "gemma-3-270m" && config != "gemma-3-1b" && config != "gemma-3-4b-text":
		return []string{"model.language_model.embed_tokens.weight"}
	}
	return nil
}

// TestPublishedModels builds every published model of the list from its settings, without
// weights, and compares the number of parameters. Unsupported ones are refused by name.
func TestPublishedModels(t *testing.T) {
	for _, p := range publishedModels(t) {
		t.Run(p.names, func(t *testing.T) {
			dir := configDir(t, p.config)
			shapes, info, err := model.Requires(dir, presentIn(p.config)...)
			if p.parameters == "refused" {
				if !badinput.Is(err) || !strings.Contains(err.Error(), "is not supported; supported: ") {
					t.Errorf("%v, expected a refusal by name", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !published(t, info.Parameters, p.parameters) {
				t.Errorf("%d parameters, published are %s", info.Parameters, p.parameters)
			}
			total := int64(0)
			for _, s := range shapes {
				total += int64(s[0]) * int64(s[1])
			}
			if total != info.Parameters || info.Layers == 0 || info.Vocab == 0 || info.MaxPositions == 0 {
				t.Errorf("tensors of %d values, %+v", total, info)
			}
		})
	}
}

// TestModelsAreDocumented: docs/models.md has a line for every model of the list.
func TestModelsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(golden.Dir(""), "..", "..", "docs", "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range publishedModels(t) {
		var c struct{ Architectures []string }
		data, err := model.ReadConfig(configDir(t, p.config))
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("| %s | `%s` | %s | %s |\n", p.names, c.Architectures[0], cmp.Or(p.parameters, "not stated"), p.source)
		if p.parameters == "refused" {
			line = fmt.Sprintf("| %s | `%s` |\n", p.names, c.Architectures[0])
		}
		if !strings.Contains(string(doc), line) {
			t.Errorf("docs/models.md has no line %q", line)
		}
	}
	for _, name := range model.Architectures() {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/models.md does not name %s", name)
		}
	}
}

// TestEndTokensOfGemma3: without generation_config.json, the end tokens are those of
// config.json, <eos> and <end_of_turn>. With only one of them TranslateGemma would not end
// its texts.
func TestEndTokensOfGemma3(t *testing.T) {
	g, err := model.ReadGeneration(configDir(t, "gemma-3-4b"))
	if err != nil || !slices.Equal(g.EOS, []int32{1, 106}) {
		t.Errorf("%v, %v", g.EOS, err)
	}
}

// published reports whether a number equals a published one, which is exact or rounded:
// 999885952, 494M, 1.657B. "" is unknown.
func published(t *testing.T, n int64, text string) bool {
	t.Helper()
	unit := 1.0
	number := text
	for suffix, u := range map[string]float64{"M": 1e6, "B": 1e9} {
		if s, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = s, u
		}
	}
	if text == "" {
		return true
	}
	want, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatal(err)
	}
	_, decimals, _ := strings.Cut(number, ".")
	last := unit * math.Pow(10, -float64(len(decimals))) // of the last digit
	if unit == 1 {
		last = 0
	}
	return math.Abs(float64(n)-want*unit) <= last/2
}

// TestShapesOfPublishedModels: names and shapes of the tensors are those of the hub's
// files.
func TestShapesOfPublishedModels(t *testing.T) {
	for _, c := range []struct {
		config, tensor string
		shape          []int
	}{
		{"gemma-3-27b", "model.language_model.layers.61.self_attn.q_proj.weight", []int{4096, 5376}},
		{"gemma-3-4b", "model.language_model.layers.0.self_attn.k_norm.weight", []int{1, 256}},
		{"gemma-2-27b", "model.layers.45.mlp.down_proj.weight", []int{4608, 36864}},
		{"qwen3-0.6b", "model.layers.27.self_attn.o_proj.weight", []int{1024, 2048}},
		{"qwen2.5-7b", "model.layers.0.self_attn.k_proj.bias", []int{1, 512}},
		{"hunyuan-mt-7b", "model.layers.0.self_attn.query_layernorm.weight", []int{1, 128}},
		{"llama-3.2-1b", "model.layers.15.self_attn.v_proj.weight", []int{512, 2048}},
		{"pythia-12b", "embed_out.weight", []int{50688, 5120}},
		{"smollm3-3b", "model.layers.35.mlp.gate_proj.weight", []int{11008, 2048}},
		{"nllb-3.3b", "model.decoder.layers.23.encoder_attn.q_proj.weight", []int{2048, 2048}},
	} {
		shapes, _, err := model.Requires(configDir(t, c.config), presentIn(c.config)...)
		if err != nil || fmt.Sprint(shapes[c.tensor]) != fmt.Sprint(c.shape) {
			t.Errorf("%s: %s is %v (%v), want %v", c.config, c.tensor, shapes[c.tensor], err, c.shape)
		}
	}
}
