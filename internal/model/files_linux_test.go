package model_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/dtype"
	"barka/internal/gguf"
	"barka/internal/golden"
	"barka/internal/model"
	cpudevice "barka/internal/tensor/cpu"
)

// TestCloseLetsFilesGo: an open model holds its files, and a closed one does not, in every
// format of weights. A model that is refused, for example for its kind, holds no files.
func TestCloseLetsFilesGo(t *testing.T) {
	dev := cpudevice.New(1)
	defer dev.Close()
	o := model.Options{Device: dev, DType: dtype.F32}
	decoder := func(dir string) (io.Closer, error) { return model.OpenDecoder(dir, o) }
	seq2seq := func(dir string) (io.Closer, error) { return model.OpenSeq2Seq(dir, o) }
	for _, c := range []struct {
		name string
		from string
		open func(dir string) (io.Closer, error)
	}{
		{"decoder", golden.Dir("gemma3"), decoder},
		{"encoder-decoder", golden.Dir("m2m100"), seq2seq},
		{"PyTorch", golden.TorchDir("gemma2"), decoder},
		{"GGUF", filepath.Join(golden.Dir(""), "..", "gguf"), decoder},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err == nil {
				err = os.CopyFS(dir, os.DirFS(c.from))
			}
			if err != nil {
				t.Fatal(err)
			}
			at := dir
			if c.name == "GGUF" {
				if at, err = gguf.Directory(filepath.Join(dir, "qwen3.gguf"), filepath.Join(dir, "cache")); err != nil {
					t.Fatal(err)
				}
			}
			m, err := c.open(at)
			if err != nil {
				t.Fatal(err)
			}
			if maps, fds := golden.Held(t, dir); maps == 0 || fds == 0 {
				t.Errorf("an open model has %d mappings and %d descriptors", maps, fds)
			}
			for range 2 {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
			wrongKind := 0
			for _, open := range []func(string) (io.Closer, error){decoder, seq2seq} {
				if m, err := open(at); err != nil {
					wrongKind++
				} else if err := m.Close(); err != nil {
					t.Error(err)
				}
				if maps, fds := golden.Held(t, dir); maps != 0 || fds != 0 {
					t.Errorf("%d mappings and %d descriptors are left", maps, fds)
				}
			}
			if wrongKind != 1 {
				t.Errorf("the model is of %d kinds", 2-wrongKind)
			}
		})
	}
}
