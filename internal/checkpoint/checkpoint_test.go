package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/safetensors"
	"barka/internal/torchfile/torchtest"
)

// TestPreference: of several formats the one that transformers takes is
// opened.
func TestPreference(t *testing.T) {
	dir := t.TempDir()
	tensors := func(name string) []safetensors.Tensor {
		return []safetensors.Tensor{{Name: name, DType: dtype.F32, Shape: []int{1}, Data: make([]byte, 4)}}
	}
	opens := func(format, name string) {
		t.Helper()
		f, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, paths, err := Paths(dir)
		if err != nil || got != format || len(paths) != 1 || !f.Has(name) {
			t.Errorf("%s %v holds %v, %v; want %s of %s", got, paths, f.Names(), err, name, format)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir); !badinput.Is(err) || !strings.Contains(err.Error(), "expected model.safetensors, "+
		"model.safetensors.index.json, pytorch_model.bin") {
		t.Errorf("an empty directory: %v", err)
	}
	torchtest.Write(t, filepath.Join(dir, "pytorch_model-00001-of-00001.bin"), tensors("shard"))
	write("pytorch_model.bin.index.json", `{"weight_map": {"shard": "pytorch_model-00001-of-00001.bin"}}`)
	opens(Torch, "shard")
	torchtest.Write(t, filepath.Join(dir, "pytorch_model.bin"), tensors("one"))
	opens(Torch, "one")
	if err := safetensors.Write(filepath.Join(dir, "model-1.safetensors"), tensors("safe shard"), nil); err != nil {
		t.Fatal(err)
	}
	write("model.safetensors.index.json", `{"weight_map": {"safe shard": "model-1.safetensors"}}`)
	opens(Safetensors, "safe shard")
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), tensors("safe"), nil); err != nil {
		t.Fatal(err)
	}
	opens(Safetensors, "safe")
}

// TestSame compares values, whatever storage they are in.
func TestSame(t *testing.T) {
	f, err := Open(golden.TorchDir("m2m100"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"model.shared.weight", "model.encoder.embed_tokens.weight", true},
		{"model.shared.weight", "lm_head.weight", true},
		{"model.shared.weight", "model.encoder.layers.0.fc1.weight", false},
		{"model.encoder.layers.0.fc1.weight", "model.encoder.layers.1.fc1.weight", false},
	} {
		x, err := f.Tensor(c.a)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(x.Data)
		if same, err := Same(f, c.a, c.b); err != nil || same != c.want || !bytes.Equal(before, x.Data) {
			t.Errorf("%s and %s are the same: %t, %v", c.a, c.b, same, err)
		}
	}
}

// TestUnreadablePlace: weights that cannot be looked at are an error, and not a
// reason to take the next format.
func TestUnreadablePlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "adapter_model.bin"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("adapter_model.safetensors", filepath.Join(dir, "adapter_model.safetensors")); err != nil {
		t.Skip(err)
	}
	if path, err := AdapterPath(dir); !badinput.Is(err) || !strings.Contains(err.Error(), "adapter_model.safetensors") {
		t.Errorf("%s, %v", path, err)
	}
}
