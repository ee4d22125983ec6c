package torchfile

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/safetensors"
)

var testdata = filepath.Join("..", "..", "testdata")

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func openSafetensors(t *testing.T, path string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// same compares a tensor with its twin, bit for bit.
func same(t *testing.T, f *File, name string, want safetensors.Tensor) {
	t.Helper()
	got, err := f.Tensor(name)
	if err != nil {
		t.Error(err)
		return
	}
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("%s is %s %v %x, want %s %v %x", name, got.DType, got.Shape, got.Data, want.DType, want.Shape, want.Data)
	}
}

// TestLayouts reads every layout of tensors and of files that PyTorch wrote.
func TestLayouts(t *testing.T) {
	want := openSafetensors(t, filepath.Join(testdata, "torch", "layouts.safetensors"))
	for _, name := range []string{"layouts.bin", "layouts-dict.bin", "layouts-protocol5.bin", "layouts-1.6.bin", "layouts-deflated.bin"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, filepath.Join(testdata, "torch", name))
			if !slices.Equal(f.Names(), want.Names()) {
				t.Errorf("tensors %v, want %v", f.Names(), want.Names())
			}
			var bytes int64
			for _, tensor := range want.Names() {
				x, err := want.Tensor(tensor)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // what is forgotten is read again
					same(t, f, tensor, x)
					f.Release(tensor)
				}
				if tensor != "tied" {
					bytes += int64(len(x.Data))
				}
			}
			if f.Owner("tied") != "base" || f.Owner("base") != "base" || f.Owner("rows") != "rows" || f.Bytes() != bytes {
				t.Errorf("tied is owned by %s, base by %s, rows by %s; %d bytes, want %d",
					f.Owner("tied"), f.Owner("base"), f.Owner("rows"), f.Bytes(), bytes)
			}
		})
	}
}

// TestMatrix: a matrix that is in row-major order in the file is not copied.
func TestMatrix(t *testing.T) {
	f := open(t, filepath.Join(testdata, "torch", "layouts.bin"))
	for _, c := range []struct {
		name       string
		rows, cols int
		inFile     bool
	}{{"base", 6, 10, true}, {"rows", 3, 10, true}, {"transposed", 10, 6, false}, {"strided", 3, 4, false}, {"buffer.parameter", 1, 4, true}} {
		m, err := f.Matrix(c.name, c.rows, c.cols)
		if err != nil {
			t.Error(err)
			continue
		}
		if (m.File != nil) != c.inFile {
			t.Errorf("%s is in the file: %t, want %t", c.name, m.File != nil, c.inFile)
		}
		if m.File == nil {
			continue
		}
		read := make([]byte, len(m.Bytes))
		if _, err := m.File.ReadAt(read, m.Offset); err != nil || !bytes.Equal(read, m.Bytes) {
			t.Errorf("%s: the file has other bytes: %v", c.name, err)
		}
		m.Release(0, len(m.Bytes))
		if !bytes.Equal(read, m.Bytes) {
			t.Errorf("%s: other bytes after they were forgotten", c.name)
		}
	}
	for name, want := range map[string]string{"base": "expected [5 5]", "plain.float64": "F64", "plain.int64": "I64", "none": "is missing"} {
		rows, cols := 6, 10
		if name == "base" {
			rows, cols = 5, 5
		} else if name == "plain.int64" {
			rows, cols = 1, 7
		}
		if _, err := f.Matrix(name, rows, cols); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestModels compares whole models and an adapter with their safetensors.
func TestModels(t *testing.T) {
	for _, c := range []struct{ torch, safetensors string }{
		{"gemma2", "gemma2"}, {"gemma2-bf16", "gemma2-bf16"}, {"m2m100", "m2m100"},
		{"gemma2/adapter/adapter_model.bin", "gemma2/adapter/adapter_model.safetensors"},
	} {
		f, want := open(t, filepath.Join(testdata, "torch", c.torch)), openSafetensors(t, filepath.Join(testdata, "models", c.safetensors))
		if f.Bytes() != want.Bytes() {
			t.Errorf("%s: %d bytes, want %d", c.torch, f.Bytes(), want.Bytes())
		}
		for _, name := range f.Names() {
			owner := f.Owner(name)
			x, err := want.Tensor(owner)
			if err != nil {
				t.Error(err)
				continue
			}
			same(t, f, name, x)
		}
	}
}

// TestRepeated: the embedding that NLLB's shards repeat is one matrix.
func TestRepeated(t *testing.T) {
	f := open(t, filepath.Join(testdata, "torch", "m2m100"))
	for _, name := range []string{"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"} {
		if f.Owner(name) != "model.shared.weight" {
			t.Errorf("%s is owned by %s", name, f.Owner(name))
		}
	}
	// Norms of equal values are not tied.
	for _, name := range f.Names() {
		if _, shape, _ := f.Info(name); len(shape) == 1 && f.Owner(name) != name {
			t.Errorf("%s is owned by %s", name, f.Owner(name))
		}
	}
}

// TestIncompleteShards: a shard that is missing, cut short or of another model
// is named.
func TestIncompleteShards(t *testing.T) {
	const second = "pytorch_model-00002-of-00003.bin"
	from := filepath.Join(testdata, "torch", "m2m100")
	for want, change := range map[string]func(path string) error{
		"checkpoint file: ":                     os.Remove,
		second + ": not a readable zip archive": func(path string) error { return os.Truncate(path, 100_000) },
		"is missing, though the index names this file": func(path string) error {
			data, err := os.ReadFile(filepath.Join(from, "pytorch_model-00003-of-00003.bin"))
			if err != nil {
				return err
			}
			return os.WriteFile(path, data, 0o644)
		},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		if err := change(filepath.Join(dir, second)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), second) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
