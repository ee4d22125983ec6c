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
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/safetensors"
	cpudevice "barka/internal/tensor/cpu"
)

// modelWith returns a model directory with the given config.json and the
// weights of the reference Gemma-2.
func modelWith(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(golden.Dir("gemma2"), "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), weights, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// changed copies a checkpoint and changes or drops one of its tensors.
func changed(t *testing.T, name, victim string, change func(x *safetensors.Tensor) (keep bool)) string {
	t.Helper()
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join(golden.Dir(name), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	tensors := golden.Tensors(t, golden.Dir(name))
	i := slices.IndexFunc(tensors, func(x safetensors.Tensor) bool { return x.Name == victim })
	if i < 0 {
		t.Fatalf("%s has no tensor %s", name, victim)
	}
	if !change(&tensors[i]) {
		tensors = slices.Delete(tensors, i, i+1)
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// refused opens a broken checkpoint; the error must name the tensor.
func refused(t *testing.T, dir, victim, want string) {
	t.Helper()
	dev := cpudevice.New(1)
	defer dev.Close()
	o := model.Options{Device: dev, DType: dtype.F32}
	_, err := model.OpenDecoder(dir, o)
	if err != nil && strings.Contains(err.Error(), "encoder-decoder") {
		_, err = model.OpenSeq2Seq(dir, o)
	}
	if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), victim) {
		t.Errorf("%v; expected the tensor's name, %s, and %q", err, victim, want)
	}
}

// TestBrokenWeights changes one thing of a good checkpoint at a time.
func TestBrokenWeights(t *testing.T) {
	const victim = "model.layers.2.mlp.up_proj.weight"
	for _, c := range []struct {
		want   string
		change func(x *safetensors.Tensor) (keep bool)
	}{
		{"tensor " + victim + " is missing", func(x *safetensors.Tensor) bool { return false }},
		{"expected [80 48]", func(x *safetensors.Tensor) bool { x.Shape = []int{48, 80}; return true }},
		{"type I32", func(x *safetensors.Tensor) bool { x.DType = dtype.I32; return true }},
	} {
		refused(t, changed(t, "gemma2", victim, c.change), victim, c.want)
	}
}

// TestNotFiniteWeights puts NaN and infinities in every kind of tensor.
func TestNotFiniteWeights(t *testing.T) {
	nan, inf := []byte{0, 0, 0xc0, 0x7f}, []byte{0, 0, 0x80, 0xff}
	for _, c := range []struct {
		name, victim string
		at           int
		value        []byte
		want         string
	}{
		{"gemma2", "model.layers.2.mlp.up_proj.weight", 3*48 + 5, nan, "row 3, column 5 is NaN"},
		{"gemma2", "model.embed_tokens.weight", 319*48 + 47, inf, "row 319, column 47 is -Inf"}, // tied
		{"gemma2", "model.layers.3.post_feedforward_layernorm.weight", 40, nan, "position 40 is NaN"},
		{"gptneox", "gpt_neox.embed_in.weight", 17*64 + 1, nan, "row 17, column 1 is NaN"},
		{"gptneox", "embed_out.weight", 0, inf, "row 0, column 0 is -Inf"},
		{"gptneox", "gpt_neox.layers.1.attention.query_key_value.bias", 191, inf, "position 191 is -Inf"},
		{"gptneox", "gpt_neox.final_layer_norm.bias", 0, nan, "position 0 is NaN"},
		{"llama", "model.embed_tokens.weight", 5, nan, "row 0, column 5 is NaN"},
		{"llama", "lm_head.weight", 48, nan, "row 1, column 0 is NaN"},
		{"llama", "model.norm.weight", 47, inf, "position 47 is -Inf"},
		{"qwen2", "model.layers.0.self_attn.k_proj.bias", 7, nan, "position 7 is NaN"},
		{"m2m100", "model.encoder.layers.0.fc1.bias", 2, nan, "position 2 is NaN"},
		{"m2m100", "model.decoder.layer_norm.weight", 2, nan, "position 2 is NaN"},
	} {
		refused(t, changed(t, c.name, c.victim, func(x *safetensors.Tensor) bool {
			copy(x.Data[4*c.at:], c.value)
			return true
		}), c.victim, c.want)
	}
}

// TestNotFiniteAdapter does the same with the tensors of an adapter.
func TestNotFiniteAdapter(t *testing.T) {
	from, dir := filepath.Join(golden.Dir("llama"), "adapter"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(from, lora.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	victim := lora.NameB("model.layers.1.mlp.down_proj")
	var tensors []safetensors.Tensor
	for _, n := range f.Names() {
		x, err := f.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		if n == victim {
			x.Data = append([]byte(nil), x.Data...)
			copy(x.Data[4*6:], []byte{0, 0, 0x80, 0x7f})
		}
		tensors = append(tensors, x)
	}
	if err := os.Remove(filepath.Join(dir, lora.WeightsFile)); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(filepath.Join(dir, lora.WeightsFile), tensors, nil); err != nil {
		t.Fatal(err)
	}
	_, err = model.LoadAdapter(open(t, "llama", 1, dtype.F32), dir)
	if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), victim+": the value at row 1, column 2 is +Inf") {
		t.Errorf("error %v", err)
	}
}

// TestAdapterOfAnotherModel: tensors that fit no layer are an error.
func TestAdapterOfAnotherModel(t *testing.T) {
	dev := cpudevice.New(1)
	defer dev.Close()
	m, err := model.OpenDecoder(golden.Dir("gptneox"), model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.LoadAdapter(m, filepath.Join(golden.Dir("gemma2"), "adapter")); err == nil || !badinput.Is(err) {
		t.Errorf("Gemma-2 adapter on GPT-NeoX: %v", err)
	}
}

// TestAdapterRoundTrip: an adapter that peft wrote is saved with the same content.
func TestAdapterRoundTrip(t *testing.T) {
	dev := cpudevice.New(1)
	defer dev.Close()
	m, err := model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(golden.Dir("gemma2"), "adapter")
	a, err := model.LoadAdapter(m, from)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := a.Save(dev, dir); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(from, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("adapter_model.safetensors differs from the file peft wrote")
	}
	var config map[string]any
	data, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	if config["peft_type"] != "LORA" || config["r"] != 4.0 || config["lora_alpha"] != 8.0 {
		t.Errorf("adapter_config.json: %v", config)
	}
}
