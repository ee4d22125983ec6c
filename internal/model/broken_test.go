package model_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/golden"
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

// TestBrokenWeights changes one thing of a good checkpoint at a time.
func TestBrokenWeights(t *testing.T) {
	config, err := os.ReadFile(filepath.Join(golden.Dir("gemma2"), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(golden.Dir("gemma2"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const victim = "model.layers.2.mlp.up_proj.weight"
	for _, c := range []struct {
		name, want string
		change     func(x *safetensors.Tensor) (keep bool)
	}{
		{"missing", "tensor " + victim + " is missing", func(x *safetensors.Tensor) bool { return false }},
		{"wrong shape", "expected [80 48]", func(x *safetensors.Tensor) bool { x.Shape = []int{48, 80}; return true }},
		{"wrong type", "type I32", func(x *safetensors.Tensor) bool { x.DType = dtype.I32; return true }},
		{"NaN", "row 3, column 5 is NaN", func(x *safetensors.Tensor) bool {
			x.Data = append([]byte(nil), x.Data...)
			copy(x.Data[4*(3*48+5):], []byte{0, 0, 0xc0, 0x7f})
			return true
		}},
	} {
		dir := t.TempDir()
		var tensors []safetensors.Tensor
		for _, n := range f.Names() {
			x, err := f.Tensor(n)
			if err != nil {
				t.Fatal(err)
			}
			if n == victim && !c.change(&x) {
				continue
			}
			tensors = append(tensors, x)
		}
		if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
			t.Fatal(err)
		}
		dev := cpudevice.New(1)
		_, err := model.OpenDecoder(dir, model.Options{Device: dev, DType: dtype.F32})
		dev.Close()
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), victim) {
			t.Errorf("%s: %v, expected the tensor's name and %q", c.name, err, c.want)
		}
	}
}

// TestAdapterOfAnotherModel: tensors that fit nowhere are an error.
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

// TestAdapterRoundTrip: what is saved is what peft wrote.
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
