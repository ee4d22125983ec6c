package merge_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"barka/internal/badinput/badinputtest"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/gguf"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/lowrank"
	"barka/internal/progress"
	"barka/internal/safetensors"
	"barka/internal/stage/merge"
	"barka/internal/tensor/cpu"
	"barka/internal/testfiles"
)

func merging(t *testing.T, name ...string) string {
	return filepath.Join(append([]string{testfiles.Root(t), "testdata", "merging"}, name...)...)
}

// parts returns adapters or models with weights.
func parts(t *testing.T, kind, names string, weights ...float64) (ps []merge.Part) {
	for i, name := range strings.Fields(names) {
		ps = append(ps, merge.Part{Dir: merging(t, kind, name), Digest: name, Weight: weights[i]})
	}
	return ps
}

// values returns the tensors of a file as float32 with their shapes.
func values(t *testing.T, path string) (map[string][]float32, map[string][]int) {
	t.Helper()
	all, shapes := map[string][]float32{}, map[string][]int{}
	for _, x := range golden.Tensors(t, path) {
		v, err := dtype.Float32s(x.DType, x.Data)
		if err != nil {
			t.Fatal(err)
		}
		all[x.Name], shapes[x.Name] = v, x.Shape
	}
	return all, shapes
}

// updates returns s·B·A of every module of an adapter.
func updates(t *testing.T, dir string) map[string]*mat.Dense {
	t.Helper()
	cfg, err := lora.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, shapes := values(t, filepath.Join(dir, lora.WeightsFile))
	out := map[string]*mat.Dense{}
	for name := range all {
		module, ok := lora.ModuleOf(name)
		if !ok {
			continue
		}
		load := func(name string) *mat.Dense { return lowrank.From(shapes[name][0], shapes[name][1], all[name]) }
		var d mat.Dense
		d.Mul(load(lora.NameB(module)), load(lora.NameA(module)))
		scale, _ := cfg.Scale(module)
		d.Scale(float64(scale), &d)
		out[module] = &d
	}
	return out
}

// TestAdaptersEqualPeft compares combinations with those of peft: A and B by linear and cat,
// and the updates by svd, whose vectors have arbitrary signs.
func TestAdaptersEqualPeft(t *testing.T) {
	for want, c := range map[string]merge.Combination{
		"linear":      {Method: merge.Linear, Parts: parts(t, "adapters", "a b", 0.7, 0.4)},
		"cat":         {Method: merge.Cat, Parts: parts(t, "adapters", "a b d", 0.7, -0.4, 2)},
		"svd":         {Method: merge.SVD, Rank: 3, Parts: parts(t, "adapters", "c d", 0.7, 0.4)},
		"svd-largest": {Method: merge.SVD, Parts: parts(t, "adapters", "c d", 0.7, 0.4)},
	} {
		out := filepath.Join(t.TempDir(), "out")
		if err := merge.Adapters(t.Context(), &c, out, merge.Origin{}, progress.Silent); err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		got, peft := updates(t, out), updates(t, merging(t, "adapters", want))
		if len(got) != len(peft) {
			t.Errorf("%s: %d modules, peft has %d", want, len(got), len(peft))
		}
		for module, w := range peft {
			golden.Near(t, want+" "+module, lowrank.Values(got[module]), lowrank.Values(w), 2e-6)
		}
		if c.Method == merge.SVD {
			continue
		}
		a, shapes := values(t, filepath.Join(out, lora.WeightsFile))
		b, wanted := values(t, merging(t, "adapters", want, lora.WeightsFile))
		for name := range b {
			if !slices.Equal(shapes[name], wanted[name]) {
				t.Errorf("%s %s: shape %v, want %v", want, name, shapes[name], wanted[name])
				continue
			}
			golden.Near(t, want+" "+name, a[name], b[name], 1e-6)
		}
	}
}

// TestNegativeWeightSubtracts: peft's linear combination gives A and B the sign of a negative
// weight, so that it cancels; here an adapter minus itself is nothing.
func TestNegativeWeightSubtracts(t *testing.T) {
	for _, method := range []string{merge.Linear, merge.Cat, merge.SVD} {
		c := merge.Combination{Method: method, Parts: parts(t, "adapters", "a a", 1, -0.25)}
		out := filepath.Join(t.TempDir(), "out")
		if err := merge.Adapters(t.Context(), &c, out, merge.Origin{}, progress.Silent); err != nil {
			t.Fatal(err)
		}
		// Linear is linear in A and in B, not in their product: (1+½)·A times (1-½)·B.
		factor := 0.75
		for module, w := range updates(t, merging(t, "adapters", "a")) {
			w.Scale(factor, w)
			golden.Near(t, method+" "+module, lowrank.Values(updates(t, out)[module]), lowrank.Values(w), 2e-6)
		}
	}
}

// TestModelsEqualReference compares combinations of models with reference/merging.py, in
// blocks that are smaller than the tensors.
func TestModelsEqualReference(t *testing.T) {
	defer merge.SetBlock(256)()
	want, _ := values(t, merging(t, "models", "golden.safetensors"))
	base := &merge.Part{Dir: merging(t, "models", "base"), Digest: "base"}
	compared := 0
	for method, c := range map[string]merge.Combination{
		"linear":      {Method: merge.Linear, Parts: parts(t, "models", "a b c", 2, 1, 1)},
		"slerp":       {Method: merge.Slerp, Parts: parts(t, "models", "a b", 0.75, 0.25)},
		"ties":        {Method: merge.TIES, Parts: parts(t, "models", "a b c", 2, 1, 1), Base: base, Density: 0.2, Scale: 1},
		"ties-scaled": {Method: merge.TIES, Parts: parts(t, "models", "a b", 1, 1), Base: base, Density: 0.6, Scale: 0.7},
	} {
		out := filepath.Join(t.TempDir(), "out")
		if err := merge.Models(t.Context(), &c, out, merge.Origin{}, progress.Silent); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		for _, x := range golden.Tensors(t, out) {
			stored, _, _ := checkpointInfo(t, merging(t, "models", "a"), x.Name)
			if x.DType != stored {
				t.Errorf("%s %s is stored as %s, in the first model as %s", method, x.Name, x.DType, stored)
			}
			v, err := dtype.Float32s(x.DType, x.Data)
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 1e-6
			if x.DType == dtype.BF16 {
				tolerance = 1.0 / 256
			}
			golden.Near(t, method+" "+x.Name, v, want[method+"."+x.Name], tolerance)
			compared++
		}
	}
	if compared != len(want) {
		t.Errorf("%d of %d tensors were compared", compared, len(want))
	}
}

func checkpointInfo(t *testing.T, dir, name string) (dtype.DType, []int, bool) {
	t.Helper()
	f, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return f.Info(name)
}

// TestModelsOfOtherFormats: a model that is combined with itself as a pytorch_model.bin, whose
// head repeats the embeddings, is the model; of GGUF blocks, their values in bfloat16.
func TestModelsOfOtherFormats(t *testing.T) {
	combined := func(a, b string) string {
		out := filepath.Join(t.TempDir(), "out")
		c := merge.Combination{Method: merge.Linear, Parts: []merge.Part{{Dir: a, Weight: 1}, {Dir: b, Weight: 1}}}
		if err := merge.Models(t.Context(), &c, out, merge.Origin{}, progress.Silent); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, dirs := range [][2]string{{golden.Dir("gemma2"), golden.TorchDir("gemma2")}, {golden.TorchDir("gemma2"), golden.Dir("gemma2")}} {
		want, _ := values(t, golden.Dir("gemma2"))
		got, _ := values(t, combined(dirs[0], dirs[1]))
		if len(got) != len(want) {
			t.Errorf("%d tensors, want %d", len(got), len(want))
		}
		for name, w := range want {
			golden.Near(t, name, got[name], w, 1e-7)
		}
	}
	quantised, err := gguf.Directory(filepath.Join(testfiles.Root(t), "testdata", "gguf", "types.gguf"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(quantised)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks := 0
	for _, x := range golden.Tensors(t, combined(quantised, quantised)) {
		stored, err := f.Tensor(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := dtype.Float32s(stored.DType, stored.Data)
		if err != nil {
			t.Fatal(err)
		}
		if stored.DType.Blocked() {
			blocks++
			got, err := dtype.Float32s(x.DType, x.Data)
			if err != nil {
				t.Fatal(err)
			}
			if want, err = dtype.Float32s(dtype.BF16, dtype.Narrow(dtype.BF16, want)); err != nil {
				t.Fatal(err)
			}
			if x.DType != dtype.BF16 || !slices.Equal(got, want) { // zeros may have lost their sign
				t.Errorf("%s, %s: not the values of the blocks in bfloat16", x.Name, x.DType)
			}
		}
	}
	if blocks == 0 {
		t.Error("no quantised tensors")
	}
}

// TestCombinationsRefuse: what cannot be combined is bad input that names it, and leaves
// nothing behind.
func TestCombinationsRefuse(t *testing.T) {
	changed := func(from, name string, change func(x *safetensors.Tensor)) string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		path, _ := filepath.Glob(filepath.Join(dir, "*.safetensors"))
		ts := golden.Tensors(t, path[0])
		for i := range ts {
			if ts[i].Name == name {
				change(&ts[i])
			}
		}
		if err := safetensors.Write(path[0], ts, nil); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const embedding = "model.embed_tokens.weight"
	fewer := func(x *safetensors.Tensor) {
		x.Shape = []int{x.Shape[0] - 1, x.Shape[1]}
		x.Data = x.Data[:len(x.Data)-x.DType.Bytes(x.Shape[1])]
	}
	a := merging(t, "models", "a")
	dora := golden.Dir("lora-variants/gemma2-dora")
	other := parts(t, "models", "a b", 1, 1)
	other[1].Dir = changed(a, embedding, fewer)
	renamed := parts(t, "models", "a b", 1, 1)
	renamed[1].Dir = changed(a, embedding, func(x *safetensors.Tensor) { x.Name = "another" })
	nan := parts(t, "models", "a b", 1, 1)
	nan[1].Dir = changed(a, embedding, func(x *safetensors.Tensor) { copy(x.Data, []byte{0, 0, 0xc0, 0x7f}) })
	foreign := parts(t, "adapters", "a b", 1, 1)
	foreign[1].Dir = changed(foreign[1].Dir, lora.NameB("model.layers.0.self_attn.v_proj"), fewer)
	withHead := parts(t, "adapters", "a b", 1, 1)
	withHead[1].Dir = golden.Dir("lora-variants/gemma2-full")
	withDoRA := parts(t, "adapters", "a b", 1, 1)
	withDoRA[1].Dir = dora
	for want, c := range map[string]merge.Combination{
		"other vocabularies":        {Method: merge.Linear, Parts: other},
		"another, and model":        {Method: merge.Linear, Parts: renamed},
		"is NaN after":              {Method: merge.Linear, Parts: nan},
		"slerp goes from one":       {Method: merge.Slerp, Parts: parts(t, "models", "a b c", 1, 1, 1)},
		"name it with --base":       {Method: merge.TIES, Parts: parts(t, "models", "a b", 1, 1), Density: 0.2},
		"weights of all models":     {Method: merge.Linear, Parts: parts(t, "models", "a b", 0, 0)},
		"models are combined by":    {Method: merge.SVD, Parts: parts(t, "models", "a b", 1, 1)},
		"has weights of its own":    {Method: merge.Cat, Parts: withHead},
		"is a DoRA adapter":         {Method: merge.Cat, Parts: withDoRA},
		"adapters of different mod": {Method: merge.Cat, Parts: foreign},
		"linear needs one rank":     {Method: merge.Linear, Parts: parts(t, "adapters", "a d", 1, 1)},
		"take at most":              {Method: merge.SVD, Rank: 1000, Parts: parts(t, "adapters", "a d", 1, 1)},
		"adapters are combined by":  {Method: merge.TIES, Parts: parts(t, "adapters", "a b", 1, 1)},
	} {
		out, err := filepath.Join(t.TempDir(), "out"), error(nil)
		if strings.Contains(c.Parts[0].Dir, "adapters") {
			err = merge.Adapters(t.Context(), &c, out, merge.Origin{}, progress.Silent)
		} else {
			err = merge.Models(t.Context(), &c, out, merge.Origin{}, progress.Silent)
		}
		badinputtest.Want(t, err, want)
		if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
			t.Errorf("%s: left %v", want, left)
		}
	}
}

// TestCombinationStands: the same combination is not made again, another one is refused.
func TestCombinationStands(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	c := merge.Combination{Method: merge.Linear, Parts: parts(t, "models", "a b", 1, 1)}
	run := func() error { return merge.Models(t.Context(), &c, out, merge.Origin{}, progress.Silent) }
	if err := run(); err != nil {
		t.Fatal(err)
	}
	before := testfiles.Tree(t, out)
	if err := run(); err != nil {
		t.Fatal(err)
	}
	testfiles.Same(t, "made again", testfiles.Tree(t, out), before)
	c.Parts[1].Weight = 2
	badinputtest.Want(t, run(), "remove it, or choose another --out", "parts")
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	badinputtest.Want(t, merge.Run(t.Context(), dev, golden.Dir("llama"), merging(t, "adapters", "a"), out,
		merge.Origin{Base: "b", Adapter: "a"}, progress.Silent), "remove it")
}
