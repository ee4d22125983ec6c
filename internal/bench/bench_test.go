package bench

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/tensor/cpu"
)

// tiny shapes have every tensor of the real ones.
var tiny = []Shape{
	{"gemma", 2, gemma2(32, 64, 4, 2, 8, 8, 300), gatedTensors},
	{"llama", 2, llama("LlamaForCausalLM", "llama", 32, 64, 4, 2, 300, 1e4), gatedTensors},
	{"qwen", 2, llama("Qwen2ForCausalLM", "qwen2", 32, 64, 4, 2, 300, 1e4), gatedTensors},
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
			o := Options{Dir: dir, Shape: &s, Device: dev, Threads: 1, DType: dtype.BF16, Repeat: 1}
			err := Run(context.Background(), o, func(r Result) {
				seen[r.Work] = true
				if !(r.Value > 0) || r.Unit == "" || r.Work != "ceiling" && !(r.Ceiling > 0 && r.Share > 0) {
					t.Errorf("%+v", r)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			want := Works()
			if s.Seq2Seq() {
				want = []string{"kernels", "load", "translate"}
			}
			for _, w := range want {
				if w != "translate" && !seen[w] || w == "translate" && s.Seq2Seq() && !seen[w] {
					t.Errorf("%s was not measured", w)
				}
			}
		})
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
