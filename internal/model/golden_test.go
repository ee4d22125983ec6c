package model_test

import (
	"fmt"
	"strings"
	"testing"

	"barka/internal/cpu"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/tensor"
	cpudevice "barka/internal/tensor/cpu"
)

// f32Tolerance bounds the difference to PyTorch in float32, relative to the
// largest value of a tensor: both sum in float32, in different orders; four
// layers of a few dozen terms leave a few units in the sixth digit.
const f32Tolerance = 2e-5

func open(t testing.TB, name string, threads int, dt dtype.DType) model.Decoder {
	t.Helper()
	dev := cpudevice.New(threads)
	t.Cleanup(dev.Close)
	m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: dev, DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// forward runs sequences as one ragged batch and returns hidden states and
// logits.
func forward(t testing.TB, m model.Decoder, seqs [][]int32) (hidden, logits tensor.Tensor) {
	t.Helper()
	var tokens []int32
	var lengths []int
	for _, s := range seqs {
		tokens = append(tokens, s...)
		lengths = append(lengths, len(s))
	}
	layout := tensor.Packed(lengths...)
	dev := m.Device()
	h, _, err := m.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, tokens, nil)
	if err != nil {
		t.Fatal(err)
	}
	head, softcap := m.Head()
	y := dev.Alloc(h.Rows, m.Info().Vocab)
	dev.MatMul(y, h, head, tensor.Tensor{}, false)
	if softcap > 0 {
		dev.Softcap(y, softcap)
	}
	return h, y
}

// TestLogits compares with transformers, every sequence of one ragged batch
// with the reference's run of that sequence alone, at every kernel level.
func TestLogits(t *testing.T) {
	for _, level := range cpu.Levels() {
		for _, name := range golden.Decoders {
			t.Run(fmt.Sprintf("%s/%s", level, name), func(t *testing.T) {
				defer cpu.Use(level)()
				var want golden.Decoder
				g := golden.Load(t, name, &want)
				m := open(t, name, 2, dtype.F32)
				h, y := forward(t, m, want.Sequences)
				at := 0
				for i, s := range want.Sequences {
					golden.Near(t, fmt.Sprintf("hidden %d", i), h.Slice(at, at+len(s)).Data, g.Tensor(fmt.Sprintf("hidden.%d", i)), f32Tolerance)
					golden.Near(t, fmt.Sprintf("logits %d", i), y.Slice(at, at+len(s)).Data, g.Tensor(fmt.Sprintf("logits.%d", i)), f32Tolerance)
					at += len(s)
				}
			})
		}
	}
}

// TestBF16 compares the bfloat16 path with PyTorch's bfloat16 run. PyTorch
// rounds every intermediate result, Barka the inputs of products alone, so
// the two agree to a few units of bfloat16 (2⁻⁸) only; both must be about as
// far from float32.
func TestBF16(t *testing.T) {
	var want golden.Decoder
	g := golden.Load(t, "gemma2-bf16", &want)
	m := open(t, "gemma2-bf16", 2, dtype.BF16)
	_, y := forward(t, m, want.Sequences)
	at := 0
	for i, s := range want.Sequences {
		golden.Near(t, fmt.Sprintf("logits %d", i), y.Slice(at, at+len(s)).Data, g.Tensor(fmt.Sprintf("bf16.logits.%d", i)), 0.05)
		golden.Near(t, fmt.Sprintf("logits %d against float32", i), y.Slice(at, at+len(s)).Data, g.Tensor(fmt.Sprintf("logits.%d", i)), 0.05)
		at += len(s)
	}
}

// TestBatchInvariance: a sequence's logits are the same bits alone and in a
// batch, on one thread and on several, in both types.
func TestBatchInvariance(t *testing.T) {
	for _, name := range golden.Decoders {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			t.Run(fmt.Sprintf("%s/%s", name, dt), func(t *testing.T) {
				var want golden.Decoder
				golden.Load(t, name, &want)
				m := open(t, name, 3, dt)
				_, whole := forward(t, m, want.Sequences)
				for _, threads := range []int{1, 2} {
					other := open(t, name, threads, dt)
					at := 0
					for i, s := range want.Sequences {
						_, alone := forward(t, other, want.Sequences[i:i+1])
						for j, v := range alone.Data {
							if w := whole.Slice(at, at+len(s)).Data[j]; v != w {
								t.Fatalf("sequence %d, %d threads: logit %d is %g alone, %g in the batch", i, threads, j, v, w)
							}
						}
						at += len(s)
					}
				}
			})
		}
	}
}

// TestCache: feeding a sequence in pieces through a cache gives the same
// bits as running it whole.
func TestCache(t *testing.T) {
	for _, name := range golden.Decoders {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, name, &want)
			m := open(t, name, 2, dtype.F32)
			seq := want.Sequences[4]
			whole, _ := forward(t, m, [][]int32{seq})
			cache := m.NewCache()
			var rows []int32
			for at := 0; at < len(seq); {
				n := min(1+at%5, len(seq)-at)
				fresh := cache.Reserve(n)
				rows = append(rows, fresh...)
				layout := tensor.Layout{Starts: []int32{0, int32(n)}, Past: []int32{int32(at)}, Keys: [][]int32{rows}}
				p := &nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions(), Rows: fresh}
				h, _, err := m.Forward(p, seq[at:at+n], cache)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range h.Data {
					if w := whole.Slice(at, at+n).Data[i]; v != w {
						t.Fatalf("token %d: state %d is %g through the cache, %g whole", at+i/h.Cols, i%h.Cols, v, w)
					}
				}
				at += n
			}
		})
	}
}

// batch lays sequences out for training: targets are the next tokens, rows
// the positions that predict a trained one.
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

// backward adds the gradients of Σ nll·scale to the adapter and returns Σ nll.
func backward(t *testing.T, m model.Decoder, seqs [][]int32, masks [][]int, pick []int, scale float32) float64 {
	t.Helper()
	tokens, layout, rows, targets := batch(seqs, masks, pick)
	loss, err := model.Backward(m, &nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions()}, tokens, rows, targets, scale)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// TestLoRAGradients compares loss and every adapter gradient with peft.
func TestLoRAGradients(t *testing.T) {
	for _, level := range cpu.Levels() {
		t.Run(level.String(), func(t *testing.T) {
			defer cpu.Use(level)()
			var want golden.Decoder
			g := golden.Load(t, "gemma2", &want)
			m := open(t, "gemma2", 2, dtype.F32)
			a, err := model.LoadAdapter(m, golden.Dir("gemma2")+"/adapter")
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{1, 4} {
				_, y := forward(t, m, want.Sequences[i:i+1])
				golden.Near(t, "adapter logits", y.Data, g.Tensor(fmt.Sprintf("adapter_logits.%d", i)), f32Tolerance)
			}
			a.Train(m.Device())
			loss := backward(t, m, want.Sequences, want.Masks, []int{0, 1, 2, 3, 4}, 1/float32(want.TrainedTokens))
			golden.Near(t, "loss", []float32{float32(loss / float64(want.TrainedTokens))}, []float32{float32(want.LoRALoss)}, 1e-5)
			seen := 0
			for _, p := range a.Params() {
				got := make([]float32, p.Grad.Len())
				m.Device().Download(got, p.Grad)
				golden.Near(t, p.Name, got, g.Tensor("grad."+p.Name), 1e-4)
				seen++
			}
			if seen != 2*7*4 {
				t.Errorf("%d gradients compared, expected 56", seen)
			}
		})
	}
}

// TestTenSteps follows ten AdamW steps with accumulation, clipping and a
// cosine schedule.
func TestTenSteps(t *testing.T) {
	var want golden.Decoder
	g := golden.Load(t, "gemma2", &want)
	m := open(t, "gemma2", 2, dtype.F32)
	a, err := model.LoadAdapter(m, golden.Dir("gemma2")+"/adapter")
	if err != nil {
		t.Fatal(err)
	}
	dev := m.Device()
	a.Train(dev)
	opt := optim.New(dev, a.Params(), optim.Config{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
	schedule := optim.Cosine(2, 10)
	for i, s := range want.Steps {
		trained := 0
		for _, b := range s.Batches {
			_, _, rows, _ := batch(want.Sequences, want.Masks, b)
			trained += len(rows)
		}
		loss := 0.0
		for _, b := range s.Batches {
			loss += backward(t, m, want.Sequences, want.Masks, b, 1/float32(trained)) / float64(trained)
		}
		norm := opt.Clip(dev, 1)
		lr := 1e-2 * schedule(i)
		opt.Step(dev, lr)
		a.Pack(dev)
		// Ten steps at a high rate amplify rounding; it stays below 2e-4.
		got := []float32{float32(loss), float32(norm), float32(lr)}
		for j, w := range []float64{s.Loss, s.GradNorm, s.LR} {
			golden.Near(t, fmt.Sprintf("step %d, %s", i, []string{"loss", "norm", "rate"}[j]), got[j:j+1], []float32{float32(w)}, 2e-4)
		}
	}
	for _, p := range a.Params() {
		got := make([]float32, p.Value.Len())
		dev.Download(got, p.Value)
		golden.Near(t, "trained "+p.Name, got, g.Tensor("trained."+p.Name), 5e-3)
	}
}

// TestPackedEqualsApart: gradients of a packed batch equal the sum over its
// sequences one by one, up to the order of that one sum.
func TestPackedEqualsApart(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gemma2", &want)
	grads := func(batches [][]int) map[string][]float32 {
		m := open(t, "gemma2", 2, dtype.F32)
		a, err := model.LoadAdapter(m, golden.Dir("gemma2")+"/adapter")
		if err != nil {
			t.Fatal(err)
		}
		a.Train(m.Device())
		for _, b := range batches {
			backward(t, m, want.Sequences, want.Masks, b, 0.1)
		}
		out := map[string][]float32{}
		for _, p := range a.Params() {
			out[p.Name] = append([]float32(nil), p.Grad.Data...)
		}
		return out
	}
	packed, apart := grads([][]int{{1, 2, 3, 4}}), grads([][]int{{1}, {2}, {3}, {4}})
	for name := range packed {
		golden.Near(t, name, packed[name], apart[name], 2e-6)
	}
}

// TestBrokenCheckpoints: what does not fit is named.
func TestBrokenCheckpoints(t *testing.T) {
	dev := cpudevice.New(1)
	defer dev.Close()
	o := model.Options{Device: dev, DType: dtype.F32}
	for _, c := range []struct{ config, want string }{
		{`{"architectures":["MambaForCausalLM"]}`, "not supported"},
		{`{"architectures":[]}`, "no architectures"},
		{`{`, "not valid JSON"},
		{`{"architectures":["Gemma2ForCausalLM"]}`, "vocab_size is 0"},
	} {
		dir := modelWith(t, c.config)
		if _, err := model.OpenDecoder(dir, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", c.config, err, c.want)
		}
	}
	if _, err := model.OpenDecoder(golden.Dir("m2m100"), o); err == nil || !strings.Contains(err.Error(), "encoder-decoder") {
		t.Errorf("translation model as a decoder: %v", err)
	}
}
