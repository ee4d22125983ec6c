package merge_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/checkpoint"
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
			var want golden.Decoder
			g := golden.Load(t, name, &want)
			mergedLogits(t, dev, golden.Dir(name), filepath.Join(golden.Dir(name), "adapter"), want.Sequences, g)
		})
	}
}

// mergedLogits merges and compares the logits of two sequences with the recorded ones.
func mergedLogits(t *testing.T, dev *cpu.Device, base, adapter string, seqs [][]int32, g *golden.Goldens) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "merged")
	origin := merge.Origin{Base: "b", Adapter: "a"}
	if err := merge.Run(t.Context(), dev, base, adapter, out, origin, progress.Silent); err != nil {
		t.Fatal(err)
	}
	m, err := model.OpenDecoder(out, model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 4} {
		layout := tensor.Packed(len(seqs[i]))
		h, _, err := m.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, seqs[i], nil)
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
}

// TestMergeOfVariantsEqualsPeft does so for DoRA, rsLoRA and patterns.
func TestMergeOfVariantsEqualsPeft(t *testing.T) {
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	for base, names := range golden.Variants {
		for _, name := range names {
			t.Run(base+"-"+name, func(t *testing.T) {
				var of, want golden.Decoder
				golden.Load(t, base, &of)
				variant := filepath.Join("lora-variants", base+"-"+name)
				g := golden.Load(t, variant, &want)
				mergedLogits(t, dev, golden.Dir(base), golden.Dir(variant), of.Sequences, g)
			})
		}
	}
}

// TestMergeUntiesTheHead: with weights of their own for the embeddings alone, the head is the
// base's embeddings, and the configuration says that they are two.
func TestMergeUntiesTheHead(t *testing.T) {
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	out := filepath.Join(t.TempDir(), "merged")
	adapter := golden.Dir("lora-variants/gemma2-full-embeddings")
	if err := merge.Run(t.Context(), dev, golden.Dir("gemma2"), adapter, out, merge.Origin{}, progress.Silent); err != nil {
		t.Fatal(err)
	}
	got, _ := values(t, out)
	base, _ := values(t, golden.Dir("gemma2"))
	own, _ := values(t, filepath.Join(adapter, lora.WeightsFile))
	if !slices.Equal(got["lm_head.weight"], base["model.embed_tokens.weight"]) ||
		!slices.Equal(got["model.embed_tokens.weight"], own[lora.NameFull("model.embed_tokens")]) {
		t.Error("the head is not the base's, or the embeddings are not the adapter's")
	}
	if config := testfiles.Tree(t, out)["config.json"]; !strings.Contains(config, `"tie_word_embeddings": false`) {
		t.Errorf("config.json: %s", config)
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

// TestMergeOfGGUF: the merged model of a GGUF file is that of its dequantised weights, rounded
// once to bfloat16 where the file has blocks.
func TestMergeOfGGUF(t *testing.T) {
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	base, err := gguf.Directory(filepath.Join(testfiles.Root(t), "testdata", "gguf", "types.gguf"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := checkpoint.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	adapter := adapterOf(t, stored, "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj")
	merged := func(base string) checkpoint.File {
		out := filepath.Join(t.TempDir(), "merged")
		if err := merge.Run(t.Context(), dev, base, adapter, out, merge.Origin{}, progress.Silent); err != nil {
			t.Fatal(err)
		}
		if files := testfiles.Tree(t, out); files["tokenizer.json"] == "" || files["model.gguf"] != "" {
			t.Errorf("merged files %v", slices.Sorted(maps.Keys(files)))
		}
		f, err := checkpoint.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	got, want, blocks := merged(base), merged(dequantised(t, base, stored)), 0
	if !slices.Equal(got.Names(), want.Names()) {
		t.Fatalf("tensors %v, want %v", got.Names(), want.Names())
	}
	for _, name := range got.Names() {
		a, errA := got.Tensor(name)
		b, errB := want.Tensor(name)
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if dt, _, _ := stored.Info(name); dt.Blocked() {
			blocks++
			values, err := dtype.Float32s(b.DType, b.Data)
			if err != nil {
				t.Fatal(err)
			}
			b.DType, b.Data = dtype.BF16, dtype.Narrow(dtype.BF16, values)
		}
		if a.DType != b.DType || !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s, %s: not the values of the dequantised model as %s", name, a.DType, b.DType)
		}
	}
	if blocks == 0 {
		t.Error("the file has no quantised tensors")
	}
}

// adapterOf writes an adapter of rank 2 with random values on modules of a model.
func adapterOf(t *testing.T, f checkpoint.File, modules ...string) string {
	t.Helper()
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(3, 4))
	var tensors []safetensors.Tensor
	add := func(name string, rows, cols int) {
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = rng.Float32() - 0.5
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: dtype.F32, Shape: []int{rows, cols}, Data: dtype.Bytes(values)})
	}
	for _, module := range modules {
		_, shape, ok := f.Info(module + ".weight")
		if !ok {
			t.Fatalf("no module %s", module)
		}
		add(lora.NameA(module), 2, shape[1])
		add(lora.NameB(module), shape[0], 2)
	}
	config := `{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"]}`
	if err := os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(filepath.Join(dir, "adapter_model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dequantised writes a model whose quantised tensors are float32.
func dequantised(t *testing.T, dir string, f checkpoint.File) string {
	t.Helper()
	out := t.TempDir()
	for name, data := range testfiles.Tree(t, dir) {
		if !gguf.Is(filepath.Join(dir, name)) {
			if err := os.WriteFile(filepath.Join(out, name), []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	var sources []safetensors.Source
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if x.DType.Blocked() {
			values, err := dtype.Float32s(x.DType, x.Data)
			if err != nil {
				t.Fatal(err)
			}
			x.DType, x.Data = dtype.F32, dtype.Bytes(values)
		}
		data := x.Data
		sources = append(sources, safetensors.Source{Name: name, DType: x.DType, Shape: x.Shape,
			Data: func() ([]byte, error) { return data, nil }})
	}
	if err := safetensors.WriteModel(out, sources, nil, 1<<30, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return out
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
