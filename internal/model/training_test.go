package model_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/cpu"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/tensor"
	"barka/internal/testdevice"
)

// batch lays out sequences for training: targets are the next tokens, rows the positions
// that predict a trained token.
func batch(seqs [][]int32, masks [][]int, pick []int) (tokens []int32, layout tensor.Layout, rows, targets []int32) {
	var lengths []int
	for _, i := range pick {
		s := seqs[i]
		for j := 1; j < len(s); j++ {
			if masks[i][j] == 1 {
				rows = append(rows, int32(len(tokens)+j-1))
				targets = append(targets, s[j])
			}
		}
		tokens = append(tokens, s...)
		lengths = append(lengths, len(s))
	}
	return tokens, tensor.Packed(lengths...), rows, targets
}

// uniform is the same weight for all rows.
func uniform(rows []int32, weight float32) []float32 {
	return slices.Repeat([]float32{weight}, len(rows))
}

// backward adds the gradients of Σ nll·scale to the adapter and returns Σ nll.
func backward(t *testing.T, m model.Decoder, seqs [][]int32, masks [][]int, pick []int, scale float32) float64 {
	t.Helper()
	tokens, layout, rows, targets := batch(seqs, masks, pick)
	loss, err := model.Backward(m, &nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions()}, tokens, rows, targets,
		uniform(rows, scale))
	if err != nil {
		t.Fatal(err)
	}
	return loss.Get() / float64(scale)
}

// adapted opens a checkpoint with the adapter that peft started from.
func adapted(t *testing.T, name string) (model.Decoder, *model.Adapter) {
	t.Helper()
	return adaptedAs(t, name, dtype.F32)
}

// adaptedAs does the same with base weights of a type.
func adaptedAs(t *testing.T, name string, dt dtype.DType) (model.Decoder, *model.Adapter) {
	t.Helper()
	m := open(t, name, 2, dt)
	a, err := model.LoadAdapter(m, golden.Dir(name)+"/adapter")
	if err != nil {
		t.Fatal(err)
	}
	return m, a
}

// TestLoRAGradients compares loss and every adapter gradient with peft.
func TestLoRAGradients(t *testing.T) {
	for _, level := range testdevice.Levels() {
		for _, name := range golden.Trained {
			t.Run(fmt.Sprintf("%s/%s", level, name), func(t *testing.T) {
				defer cpu.Use(level)()
				var want golden.Decoder
				g := golden.Load(t, name, &want)
				m, a := adapted(t, name)
				for _, i := range []int{1, 4} {
					_, y := forward(t, m, want.Sequences[i:i+1])
					golden.Near(t, "adapter logits", testdevice.Values(m.Device(), y), g.Tensor(fmt.Sprintf("adapter_logits.%d", i)), f32Tolerance)
				}
				a.Train(m.Device())
				loss := backward(t, m, want.Sequences, want.Masks, []int{0, 1, 2, 3, 4}, 1/float32(want.TrainedTokens))
				golden.Near(t, "loss", []float32{float32(loss / float64(want.TrainedTokens))}, []float32{float32(want.LoRALoss)}, 1e-5)
				left := map[string]bool{}
				for _, n := range g.Names() {
					left[n] = strings.HasPrefix(n, "grad.")
				}
				for _, p := range a.Params() {
					got := make([]float32, p.Grad.Len())
					m.Device().Download(got, p.Grad)
					golden.Near(t, p.Name, got, g.Tensor("grad."+p.Name), 1e-4)
					delete(left, "grad."+p.Name)
				}
				for n, is := range left {
					if is {
						t.Errorf("%s was not compared", n)
					}
				}
			})
		}
	}
}

// TestLoRAOnRoundedWeights: gradients with a base in bfloat16 or of 8-bit integers have nearly the
// direction of those in float32.
func TestLoRAOnRoundedWeights(t *testing.T) {
	least := map[dtype.DType]float64{dtype.BF16: 0.999, dtype.I8: 0.99}
	for _, name := range golden.Trained {
		for dt, cosine := range least {
			t.Run(name+"/"+string(dt), func(t *testing.T) {
				var want golden.Decoder
				g := golden.Load(t, name, &want)
				m, a := adaptedAs(t, name, dt)
				a.Train(m.Device())
				loss := backward(t, m, want.Sequences, want.Masks, []int{0, 1, 2, 3, 4}, 1/float32(want.TrainedTokens))
				golden.Near(t, "loss", []float32{float32(loss / float64(want.TrainedTokens))}, []float32{float32(want.LoRALoss)}, 0.02)
				var dot, norm, expected float64
				for _, p := range a.Params() {
					got := make([]float32, p.Grad.Len())
					m.Device().Download(got, p.Grad)
					for i, w := range g.Tensor("grad." + p.Name) {
						dot += float64(got[i]) * float64(w)
						norm += float64(got[i]) * float64(got[i])
						expected += float64(w) * float64(w)
					}
				}
				if c := dot / math.Sqrt(norm*expected); !(c > cosine) {
					t.Errorf("cosine of the gradients %g", c)
				} else {
					t.Logf("cosine of the gradients %.5f", c)
				}
			})
		}
	}
}

// TestTenSteps follows ten AdamW steps with accumulation, clipping and a
// cosine schedule.
func TestTenSteps(t *testing.T) {
	for _, name := range golden.Trained {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			g := golden.Load(t, name, &want)
			// A high learning rate amplifies rounding, which stays below 2e-4.
			m, a := follow(t, name, want.Steps, 1e-2, optim.Cosine(2, 10), 2e-4)
			for _, p := range a.Params() {
				golden.Near(t, "trained "+p.Name, testdevice.Values(m.Device(), p.Value), g.Tensor("trained."+p.Name), 5e-3)
			}
		})
	}
}

// TestHundredSteps follows one hundred steps of every architecture.
func TestHundredSteps(t *testing.T) {
	for _, name := range golden.Trained {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			data, err := os.ReadFile(filepath.Join(golden.Dir("hundred-steps"), name+".json"))
			if err == nil {
				err = json.Unmarshal(data, &want)
			}
			if err != nil || len(want.Steps) != 100 {
				t.Fatalf("%d steps: %v", len(want.Steps), err)
			}
			follow(t, name, want.Steps, 5e-4, optim.Cosine(5, 100), 5e-4)
		})
	}
}

// follow repeats recorded steps, whose losses, norms and rates must be within a relative
// tolerance, and returns the model and its trained adapter.
func follow(t *testing.T, name string, steps []golden.Step, rate float64, schedule func(int) float64,
	tolerance float64) (model.Decoder, *model.Adapter) {
	t.Helper()
	var want golden.Decoder
	golden.Load(t, name, &want)
	m, a := adapted(t, name)
	followWith(t, m, a, want, steps, rate, schedule, tolerance)
	return m, a
}

// followWith repeats recorded steps with an adapter.
func followWith(t *testing.T, m model.Decoder, a *model.Adapter, want golden.Decoder, steps []golden.Step, rate float64,
	schedule func(int) float64, tolerance float64) {
	t.Helper()
	dev := m.Device()
	a.Train(dev)
	opt := optim.New(dev, a.Params(), optim.Config{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
	worst := 0.0
	for i, s := range steps {
		trained := 0
		for _, b := range s.Batches {
			_, _, rows, _ := batch(want.Sequences, want.Masks, b)
			trained += len(rows)
		}
		loss := 0.0
		for _, b := range s.Batches {
			loss += backward(t, m, want.Sequences, want.Masks, b, 1/float32(trained)) / float64(trained)
		}
		norm := opt.GradNorm(dev).Get()
		lr := rate * schedule(i)
		opt.Step(dev, lr, optim.Clip(norm, 1))
		a.Renew(dev)
		for j, pair := range [][2]float64{{loss, s.Loss}, {float64(norm), s.GradNorm}, {lr, s.LR}} {
			golden.Near(t, fmt.Sprintf("step %d, %s", i, []string{"loss", "norm", "rate"}[j]),
				[]float32{float32(pair[0])}, []float32{float32(pair[1])}, tolerance)
			worst = max(worst, math.Abs(pair[0]-pair[1])/max(math.Abs(pair[1]), 1e-12))
		}
	}
	t.Logf("%d steps, largest relative difference %.1e", len(steps), worst)
}

// TestPackedEqualsApart: the gradients of a packed batch equal the sum of those of its
// sequences, up to the order of that sum.
func TestPackedEqualsApart(t *testing.T) {
	for _, name := range golden.Trained {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, name, &want)
			grads := func(batches [][]int) map[string][]float32 {
				m, a := adapted(t, name)
				a.Train(m.Device())
				for _, b := range batches {
					backward(t, m, want.Sequences, want.Masks, b, 0.1)
				}
				out := map[string][]float32{}
				for _, p := range a.Params() {
					out[p.Name] = testdevice.Values(m.Device(), p.Grad)
				}
				return out
			}
			packed, apart := grads([][]int{{1, 2, 3, 4}}), grads([][]int{{1}, {2}, {3}, {4}})
			for name := range packed {
				golden.Near(t, name, packed[name], apart[name], 2e-6)
			}
		})
	}
}
