package bench

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/tensor/cpu"
	"barka/internal/tokenizer"
)

// tiny shapes have every tensor of the real ones.
var tiny = []Shape{
	{"gemma", 2, gemma2(32, 64, 4, 2, 8, 8, 300), gatedTensors},
	{"llama", 2, llama("LlamaForCausalLM", "llama", 32, 64, 4, 2, 300, 1e4), gatedTensors},
	{"qwen", 2, llama("Qwen2ForCausalLM", "qwen2", 32, 64, 4, 2, 300, 1e4), gatedTensors},
	{"gemma3", 2, gemma3(32, 64, 4, 1, 8, 6, 300), gatedTensors},
	{"qwen3", 2, qwen3(32, 64, 4, 2, 10, 300), gatedTensors},
	{"pythia", 2, neox(32, 64, 4, 300), neoxTensors},
	{"nllb", 2, m2m100(32, 64, 4, 300), m2m100Tensors},
}

// TestEveryWorkRuns opens each shape's checkpoint with the real loader and
// measures all that fits it.
func TestEveryWorkRuns(t *testing.T) {
	for _, s := range tiny {
		t.Run(s.Name, func(t *testing.T) {
			dir := t.TempDir()
			var written int64
			if err := s.WriteCheckpoint(dir, func(n int64) { written += n }); err != nil {
				t.Fatal(err)
			}
			if all, _ := s.Parameters(); written != 2*all {
				t.Errorf("%d bytes written, the shape has %d parameters", written, all)
			}
			dev := cpu.New(2)
			defer dev.Close()
			seen := map[string]bool{}
			o := Options{Dir: dir, Shape: &s, Device: dev, Threads: 1, DType: dtype.BF16, Repeat: 1,
				Tokenizer: tokenizerDir, Text: text(t, "two words\n\nand a line more"), Vocabulary: 100}
			err := Run(context.Background(), o, func(r Result) {
				if r.Skipped != "" {
					return
				}
				seen[r.Work] = true
				bounded := r.Work != "ceiling" && r.Work != "tokenize"
				restricted := strings.HasSuffix(r.Variant, ", 100 tokens")
				if !(r.Value > 0) || r.Unit == "" || restricted != (r.Work == "translate") || bounded && !(r.Ceiling > 0 && r.Share > 0) {
					t.Errorf("%+v", r)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			want := Works()
			if s.Seq2Seq() {
				want = []string{"kernels", "load", "translate", "tokenize"}
			}
			for _, w := range want {
				if w != "translate" && w != "quality" && !seen[w] || w == "translate" && s.Seq2Seq() && !seen[w] {
					t.Errorf("%s was not measured", w)
				}
			}
		})
	}
}

// tokenizerDir holds the layout of Gemma with a small vocabulary.
var tokenizerDir = filepath.Join("..", "..", "testdata", "chain", "models", "gemma2")

func text(t *testing.T, s string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokenize(t *testing.T) {
	dev := cpu.New(1)
	defer dev.Close()
	measure := func(works []string, dir, file string) (r Result, err error) {
		o := Options{Works: works, Shape: &tiny[0], Device: dev, Threads: 1, DType: dtype.F32, Repeat: 2, Tokenizer: dir, Text: file}
		err = Run(t.Context(), o, func(got Result) { r = got })
		return r, err
	}
	lines := []string{"الخط الأول", "and the second"}
	r, err := measure([]string{"tokenize"}, tokenizerDir, text(t, strings.Join(lines, "\r\n")+"\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(tokenizerDir)
	if err != nil {
		t.Fatal(err)
	}
	var want uint64
	for _, l := range lines {
		for _, id := range tok.Encode(l, true) {
			want = Checksum(want, id)
		}
	}
	if r.Outcome != float64(want) || len(r.Rates) != 2 {
		t.Errorf("checksum %v, expected %d; %d rates, expected 2", r.Outcome, want, len(r.Rates))
	}
	for _, c := range []struct{ dir, file, want string }{
		{"", "", "--tokenizer"},
		{tokenizerDir, filepath.Join(t.TempDir(), "none"), "none"},
		{tokenizerDir, text(t, "\n\n"), "no text"},
		{tokenizerDir, text(t, "\xff"), "UTF-8"},
		{t.TempDir(), text(t, "x"), "tokenizer"},
	} {
		if _, err := measure([]string{"tokenize"}, c.dir, c.file); err == nil || !badinput.Is(err) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("tokenizer %q, text %q: error %v, expected one about %s", c.dir, c.file, err, c.want)
		}
	}
}

// TestInputsAreTheWorks: what inputs.json says is what is run.
func TestInputsAreTheWorks(t *testing.T) {
	for _, s := range tiny {
		dir := t.TempDir()
		if err := s.WriteInputs(dir); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "inputs.json"))
		if err != nil {
			t.Fatal(err)
		}
		var in Inputs
		if err := json.Unmarshal(data, &in); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(in, s.Inputs()) {
			t.Errorf("%s: inputs.json holds other ids", s.Name)
		}
		if (in.Translate != nil) != s.Seq2Seq() || (in.LoRA != nil) == s.Seq2Seq() {
			t.Errorf("%s: works of another kind of model", s.Name)
		}
	}
}

func TestEqualShapesGetEqualBytes(t *testing.T) {
	read := func() string {
		dir := t.TempDir()
		if err := tiny[0].WriteCheckpoint(dir, nil); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if read() != read() {
		t.Error("two checkpoints of one shape differ")
	}
}

func TestUnknownNames(t *testing.T) {
	if _, err := Find("gemma-3", 0); err == nil || !strings.Contains(err.Error(), "gemma-2-2b") {
		t.Errorf("error %v, want one that lists the shapes", err)
	}
	if s, err := Find("gemma-2-2b", 4); err != nil || s.Layers != 4 {
		t.Errorf("%v, %v", s, err)
	}
	if all, _ := must(t, "gemma-2-2b").Parameters(); all != 2614341888 {
		t.Errorf("gemma-2-2b has %d parameters, the model has 2,614,341,888", all)
	}
	if err := Run(context.Background(), Options{Works: []string{"speed"}}, nil); err == nil {
		t.Error("an unknown work was accepted")
	}
}

func must(t *testing.T, name string) *Shape {
	s, err := Find(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestQuality: a model is no way from itself, nearest as bfloat16, and not far
// as integers.
func TestQuality(t *testing.T) {
	dir := t.TempDir()
	if err := tiny[0].WriteCheckpoint(dir, nil); err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(1)
	defer dev.Close()
	var kl []float64
	for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
		values := map[string]float64{}
		o := Options{Works: []string{"quality"}, Dir: dir, Shape: &tiny[0], Device: dev, Threads: 1, DType: dt}
		if err := Run(t.Context(), o, func(r Result) { values[r.Variant] = r.Value }); err != nil {
			t.Fatal(err)
		}
		if values["tokens compared"] != 4*511 || !(values["the same as float32"] > 0) {
			t.Errorf("%s: %v", dt, values)
		}
		kl = append(kl, values["mean KL from float32"])
	}
	if kl[0] != 0 || !(kl[1] > 0 && kl[1] < kl[2] && kl[2] < 1e-2) {
		t.Errorf("divergences %g of float32, bfloat16 and int8", kl)
	}
}

// TestQualityOfAModel: on a text of its own.
func TestQualityOfAModel(t *testing.T) {
	dev := cpu.New(1)
	defer dev.Close()
	o := Options{Works: []string{"quality"}, Shape: &tiny[0], Device: dev, Threads: 1, DType: dtype.I8, Model: tokenizerDir}
	if err := Run(t.Context(), o, func(Result) {}); err == nil || !strings.Contains(err.Error(), "--text") {
		t.Errorf("error %v, expected one about --text", err)
	}
	o.Text = text(t, "بغداد عاصمة العراق.\nتقع على نهر دجلة.")
	seen := 0
	if err := Run(t.Context(), o, func(r Result) {
		if r.Work == "quality" && r.Shape == tokenizerDir {
			seen++
		}
	}); err != nil || seen != 6 {
		t.Errorf("%d values, error %v", seen, err)
	}
}
