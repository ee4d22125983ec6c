package model_test

import (
	"fmt"
	"math"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/testdevice"
)

// TestErrorOfBF16: a GPU with BF16 weights stores the operands of products as BF16, and the CPU rounds the
// inputs of products alone. The root mean square of the logits' error against PyTorch in float32 is at most
// half as much again as the CPU's, and less than that of PyTorch in bfloat16, which rounds all results.
func TestErrorOfBF16(t *testing.T) {
	if !testdevice.OnGPU() {
		t.Skip("the CPU is the measure; BARKA_TEST_DEVICE=cuda tests a GPU")
	}
	for _, name := range golden.Decoders {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			g := golden.Load(t, name, &want)
			host := cpu.New(1)
			defer host.Close()
			of := func(dev tensor.Device) (sum float64) {
				m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: dev, DType: dtype.BF16})
				if err != nil {
					t.Fatal(err)
				}
				_, y := forward(t, m, want.Sequences)
				at := 0
				for i, s := range want.Sequences {
					sum += squaredError(testdevice.Values(dev, y.Slice(at, at+len(s))), g.Tensor(fmt.Sprintf("logits.%d", i)))
					at += len(s)
				}
				return math.Sqrt(sum)
			}
			gpu, onCPU := of(testdevice.New(t, 1)), of(host)
			t.Logf("error %.4g, on the CPU %.4g: a ratio of %.2f", gpu, onCPU, gpu/onCPU)
			if !(gpu <= 1.5*onCPU) {
				t.Errorf("the error is %g, on the CPU %g", gpu, onCPU)
			}
			if name != "gemma2-bf16" {
				return
			}
			torch := 0.0
			for i := range want.Sequences {
				torch += squaredError(g.Tensor(fmt.Sprintf("bf16.logits.%d", i)), g.Tensor(fmt.Sprintf("logits.%d", i)))
			}
			t.Logf("error of PyTorch in bfloat16 %.4g", math.Sqrt(torch))
			if gpu > math.Sqrt(torch) {
				t.Errorf("the error is %g, of PyTorch %g", gpu, math.Sqrt(torch))
			}
		})
	}
}

func squaredError(got, want []float32) (sum float64) {
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		sum += d * d
	}
	return sum
}

// TestSavedBytes counts what a pass keeps for its backward pass, with operands of the types in which the
// CPU and a GPU store them: the residual stream before each half of a block, the norms' results and the
// layers' outputs, queries, keys, values and the result of attention, gate, up and hidden, the log-sum-exps,
// and the inputs of B.
func TestSavedBytes(t *testing.T) {
	for stored, size := range map[tensor.Type]int{tensor.F32: 4, tensor.BF16: 2} {
		dev := cpu.NewMeter()
		dev.Store(stored)
		m, err := model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: dev, DType: dtype.BF16})
		if err != nil {
			t.Fatal(err)
		}
		a, err := model.LoadAdapter(m, golden.Dir("gemma2")+"/adapter")
		if err != nil {
			t.Fatal(err)
		}
		saved := func(tokens int) int64 {
			before := dev.Live()
			layout := tensor.Packed(tokens)
			p := &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions(), Save: true}
			if _, _, err := m.Forward(p, make([]int32, tokens), nil); err != nil {
				t.Fatal(err)
			}
			return dev.Live() - before
		}
		const tokens = 1 << 12
		got := float64(saved(tokens)) / tokens
		D := m.Info().Hidden
		want := 2 * 4 * D // the last residual stream, and the final norm's result
		for i, l := range m.Linears() {
			n, k := l.Dims()
			switch i % 7 {
			case 0: // Q
				want += 4*2*D + size*4*D + size*2*n + 4*4 // 4 heads
			case 1, 2, 4, 5: // K, V, gate, up
				want += size * n
			case 6: // hidden
				want += size * k
			}
			if l.LoRA != nil {
				want += 4 * l.LoRA.Rank()
			}
		}
		if len(a.Pairs) == 0 || got != float64(want) {
			t.Errorf("%s: %g bytes a token, expected %d", stored, got, want)
		}
	}
}
