package merge_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/gguf"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/progress"
	"barka/internal/safetensors"
	"barka/internal/stage/merge"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/testfiles"
	"barka/internal/torchfile/torchtest"
)

// TestMergeEqualsPeft compares the logits of our merged checkpoint with those
// of peft's.
func TestMergeEqualsPeft(t *testing.T) {
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	for _, name := range golden.Trained {
		t.Run(name, func(t *testing.T) {
			dir, out := golden.Dir(name), filepath.Join(t.TempDir(), "merged")
			origin := merge.Origin{Base: "b", Adapter: "a"}
			if err := merge.Run(t.Context(), dev, dir, filepath.Join(dir, "adapter"), out, origin, progress.Silent); err != nil {
				t.Fatal(err)
			}
			m, err := model.OpenDecoder(out, model.Options{Device: dev, DType: dtype.F32})
			if err != nil {
				t.Fatal(err)
			}
			var want golden.Decoder
			g := golden.Load(t, name, &want)
			for _, i := range []int{1, 4} {
				layout := tensor.Packed(len(want.Sequences[i]))
				h, _, err := m.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, want.Sequences[i], nil)
				if err != nil {
					t.Fatal(err)
				}
				head, softcap := m.Head()
				y := dev.Alloc(h.Rows, m.Info().Vocab)
				dev.MatMul(y, h, head, tensor.Tensor{}, false)
				if softcap > 0 {
					dev.Softcap(y, softcap)
				}
				golden.Near(t, fmt.Sprintf("merged logits %d", i), y.Data, g.Tensor(fmt.Sprintf("merged_logits.%d", i)), 2e-5)
			}
		})
	}
}

// TestMergeOfTorchFiles: the merged model is the same to the byte, in
// safetensors, whatever format base and adapter have. The head that
// pytorch_model.bin repeats is left out, as transformers leaves it out.
func TestMergeOfTorchFiles(t *testing.T) {
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	merged := func(base, adapter string) (map[string]string, string) {
		out := filepath.Join(t.TempDir(), "merged")
		if err := merge.Run(t.Context(), dev, base, adapter, out, merge.Origin{}, progress.Silent); err != nil {
			t.Fatal(err)
		}
		return testfiles.Tree(t, out), out
	}
	want, _ := merged(golden.Dir("gemma2"), filepath.Join(golden.Dir("gemma2"), "adapter"))
	got, _ := merged(golden.TorchDir("gemma2"), filepath.Join(golden.TorchDir("gemma2"), "adapter"))
	if got["model.safetensors"] != want["model.safetensors"] || got["pytorch_model.bin"] != "" || got["config.json"] == "" {
		t.Errorf("merged files %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}

	// A config.json that says that the head is a matrix of its own keeps it.
	base := t.TempDir()
	if err := os.CopyFS(base, os.DirFS(golden.TorchDir("gemma2"))); err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(testfiles.Tree(t, base)["config.json"], "{", `{"tie_word_embeddings": false,`, 1)
	if err := os.WriteFile(filepath.Join(base, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	_, out := merged(base, filepath.Join(golden.TorchDir("gemma2"), "adapter"))
	f, err := safetensors.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !f.Has("lm_head.weight") || !f.Has("model.embed_tokens.weight") {
		t.Errorf("tensors %v", f.Names())
	}
}

// TestMergeKeepsWhatDiffers: a head is left out for its bytes, not for its
// checksum, which anybody can write into a file.
func TestMergeKeepsWhatDiffers(t *testing.T) {
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	tensors := golden.Tensors(t, golden.Dir("gemma2"))
	for _, x := range tensors {
		if x.Name == "model.embed_tokens.weight" {
			x.Name = "lm_head.weight"
			tensors = append(tensors, x)
		}
	}
	base, adapter := t.TempDir(), filepath.Join(golden.Dir("gemma2"), "adapter")
	if err := os.CopyFS(base, os.DirFS(golden.TorchDir("gemma2"))); err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(base, "pytorch_model.bin")
	torchtest.Write(t, weights, tensors)
	for _, changed := range []bool{false, true} {
		if changed {
			data, err := os.ReadFile(weights)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(tensors, func(x safetensors.Tensor) bool { return x.Name == "lm_head.weight" })
			data[bytes.LastIndex(data, tensors[i].Data)] ^= 1
			if err := os.WriteFile(weights, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		out := filepath.Join(t.TempDir(), "merged")
		if err := merge.Run(t.Context(), dev, base, adapter, out, merge.Origin{}, progress.Silent); err != nil {
			t.Fatal(err)
		}
		merged, err := safetensors.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if merged.Has("lm_head.weight") != changed {
			t.Errorf("the head differs: %t; it is in the merged model: %t", changed, merged.Has("lm_head.weight"))
		}
		if err := merged.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMergeRefusesGGUF: quantised blocks are not written.
func TestMergeRefusesGGUF(t *testing.T) {
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	base, err := gguf.Directory(filepath.Join(golden.Dir("qwen3"), "..", "..", "gguf", "qwen3.gguf"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	origin := merge.Origin{Base: "b", Adapter: "a"}
	err = merge.Run(t.Context(), dev, base, filepath.Join(golden.Dir("qwen3"), "adapter"), out, origin, progress.Silent)
	if !badinput.Is(err) || !strings.Contains(err.Error(), "is a GGUF file") {
		t.Errorf("%v", err)
	}
}

func TestMergeRefuses(t *testing.T) {
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	dir := golden.Dir("gemma2")
	adapter := filepath.Join(dir, "adapter")
	exists := dir // a model, but not a merged one
	missing := filepath.Join(t.TempDir(), "none")

	nan := t.TempDir()
	if err := os.CopyFS(nan, os.DirFS(adapter)); err != nil {
		t.Fatal(err)
	}
	ts := golden.Tensors(t, filepath.Join(adapter, lora.WeightsFile))
	for _, x := range ts {
		copy(x.Data, []byte{0, 0, 0xc0, 0x7f})
	}
	if err := os.Remove(filepath.Join(nan, lora.WeightsFile)); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(filepath.Join(nan, lora.WeightsFile), ts, nil); err != nil {
		t.Fatal(err)
	}

	for want, c := range map[string]struct{ base, adapter, out string }{
		"exists":               {dir, adapter, exists},
		"adapter_config.json":  {dir, missing, missing + "/out"},
		"fit no layer":         {golden.Dir("gptneox"), adapter, missing},
		"the merged value at ": {dir, nan, missing},
	} {
		err := merge.Run(t.Context(), dev, c.base, c.adapter, c.out, merge.Origin{}, progress.Silent)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if left, _ := filepath.Glob(c.out + "*"); c.out == missing && len(left) > 0 {
			t.Errorf("%s: left %v", want, left)
		}
	}
}
