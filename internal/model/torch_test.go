package model_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	cpudevice "barka/internal/tensor/cpu"
	"barka/internal/torchfile/torchtest"
)

// openDir opens a decoder of any directory.
func openDir(t *testing.T, dir string, dt dtype.DType) model.Decoder {
	t.Helper()
	dev := cpudevice.New(2)
	t.Cleanup(dev.Close)
	m, err := model.OpenDecoder(dir, model.Options{Device: dev, DType: dt, Log: func(note string) {
		if !strings.Contains(note, "reads images") { // of a golden that has such a part
			t.Error(note)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTorchLogits: a model in pytorch_model.bin gives the same bits as in safetensors. The
// files are PyTorch's own, and for every architecture those of torchtest, single and in
// shards.
func TestTorchLogits(t *testing.T) {
	same := func(name, dir string, dt dtype.DType) {
		t.Run(fmt.Sprintf("%s/%s", filepath.Base(dir), dt), func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, name, &want)
			a, b := openDir(t, golden.Dir(name), dt), openDir(t, dir, dt)
			_, x := forward(t, a, want.Sequences)
			_, y := forward(t, b, want.Sequences)
			if !slices.Equal(x.Data, y.Data) {
				t.Error("other logits than of safetensors")
			}
			if a.Info() != b.Info() {
				t.Errorf("%+v, want %+v", b.Info(), a.Info())
			}
			p, errP := model.MeasureDecoder(golden.Dir(name), dt)
			q, errQ := model.MeasureDecoder(dir, dt)
			if errP != nil || errQ != nil || !reflect.DeepEqual(p, q) {
				t.Errorf("measured %+v (%v), want %+v (%v)", q, errQ, p, errP)
			}
		})
	}
	for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
		same("gemma2", golden.TorchDir("gemma2"), dt)
		same("gemma2-bf16", golden.TorchDir("gemma2-bf16"), dt)
	}
	for i, name := range golden.Decoders {
		dir := filepath.Join(t.TempDir(), name)
		torchtest.Twin(t, golden.Dir(name), dir, 1+i%3)
		same(name, dir, dtype.F32)
	}
}

// TestTorchAdapter: peft's adapter_model.bin gives the same adapter as its safetensors
// file.
func TestTorchAdapter(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gemma2", &want)
	logits := func(dir string) []float32 {
		m := openDir(t, golden.Dir("gemma2"), dtype.F32)
		if _, err := model.LoadAdapter(m, filepath.Join(dir, "adapter")); err != nil {
			t.Fatal(err)
		}
		_, y := forward(t, m, want.Sequences)
		return y.Data
	}
	_, base := forward(t, openDir(t, golden.Dir("gemma2"), dtype.F32), want.Sequences)
	x, y := logits(golden.Dir("gemma2")), logits(golden.TorchDir("gemma2"))
	if !slices.Equal(x, y) || slices.Equal(x, base.Data) {
		t.Error("the adapter in adapter_model.bin does something else, or nothing")
	}
}
