// Package golden loads the reference checkpoints and their recorded outputs in
// testdata/models, for tests. The scripts in reference/ wrote them with transformers and
// peft. testdata/models/README.md describes them.
package golden

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"barka/internal/dtype"
	"barka/internal/safetensors"
)

// Dir returns the directory of a reference checkpoint.
func Dir(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "testdata", "models", name)
}

// TorchDir returns the directory of a reference checkpoint, or an adapter, that PyTorch
// wrote as pytorch_model.bin. reference/torchfile.py made it from Dir.
func TorchDir(name string) string {
	return filepath.Join(Dir(""), "..", "torch", name)
}

// Goldens are the recorded tensors of one checkpoint.
type Goldens struct {
	t    testing.TB
	name string
	file *safetensors.File
}

// Load opens the recorded tensors of a checkpoint and decodes golden.json, its recorded ids
// and scalars, into values.
func Load(t testing.TB, name string, values any) *Goldens {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(Dir(name), "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, values); err != nil {
		t.Fatalf("%s/golden.json: %v", name, err)
	}
	f, err := safetensors.Open(filepath.Join(Dir(name), "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &Goldens{t, name, f}
}

// Tensor returns a recorded tensor's values.
func (g *Goldens) Tensor(name string) []float32 {
	g.t.Helper()
	x, err := g.file.Tensor(name)
	if err != nil {
		g.t.Fatal(err)
	}
	values, err := dtype.Float32s(x.DType, x.Data)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return values
}

// Names lists the recorded tensors.
func (g *Goldens) Names() []string { return g.file.Names() }

// Tensors returns the tensors of a safetensors file, or of the checkpoint in a directory. The
// caller may change them.
func Tensors(t testing.TB, path string) []safetensors.Tensor {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		x.Data = bytes.Clone(x.Data)
		tensors = append(tensors, x)
	}
	return tensors
}

// Near fails the test if a value of got differs from that of want by more than tol times
// the largest magnitude in want. It returns the largest difference, as a multiple of that
// magnitude.
func Near(t testing.TB, what string, got, want []float32, tol float64) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return math.Inf(1)
	}
	scale := 1e-6
	for _, w := range want {
		scale = max(scale, math.Abs(float64(w)))
	}
	worst, at := 0.0, -1
	for i, w := range want {
		d := math.Abs(float64(got[i])-float64(w)) / scale
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		if d > worst {
			worst, at = d, i
		}
	}
	if worst > tol {
		t.Errorf("%s: value %d is %g, want %g; %.2g of the largest, tolerance %.2g", what, at, got[at], want[at], worst, tol)
	}
	return worst
}
