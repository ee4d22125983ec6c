package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	cpudevice "barka/internal/tensor/cpu"
)

// FuzzConfig opens a checkpoint with any config.json. It must fit the weights or be
// refused, without a panic and without memory for false sizes. The seeds are the goldens'
// settings and contradictory ones.
func FuzzConfig(f *testing.F) {
	names := append([]string{"m2m100"}, golden.Decoders...)
	dir := f.TempDir()
	for i, name := range names {
		config, err := os.ReadFile(filepath.Join(golden.Dir(name), "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(config, uint8(i))
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(golden.Dir(name))); err != nil {
			f.Fatal(err)
		}
	}
	for _, c := range contradictions {
		f.Add(altered(f, settings(f, c.name), c.changes), uint8(slices.Index(names, c.name)))
	}
	dev := cpudevice.New(1)
	f.Cleanup(dev.Close)
	f.Fuzz(func(t *testing.T, config []byte, which uint8) {
		at := filepath.Join(dir, names[int(which)%len(names)])
		if err := os.WriteFile(filepath.Join(at, "config.json"), config, 0o644); err != nil {
			t.Fatal(err)
		}
		o := model.Options{Device: dev, DType: dtype.F32}
		if m, err := model.OpenDecoder(at, o); err == nil {
			forward(t, m, [][]int32{{0, 1}})
		}
		_, _ = model.OpenSeq2Seq(at, o)
	})
}
