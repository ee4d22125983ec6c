package cpu_test

import (
	"testing"

	"barka/internal/dtype"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// TestOperationsDoNotAllocate: once its scratch has grown, an operation
// allocates nothing but the results that it returns.
func TestOperationsDoNotAllocate(t *testing.T) {
	d := cpu.New(2)
	defer d.Close()
	const rows, width, vocab = 40, 128, 1024
	fill := func(rows, cols int) tensor.Tensor {
		x := d.Alloc(rows, cols)
		for i := range x.Data {
			x.Data[i] = float32(i%17)/8 - 1
		}
		return x
	}
	x, y, z, u, v := fill(rows, width), fill(rows, width), fill(rows, width), fill(rows, width), fill(rows, width)
	w, b, lse, wide := fill(1, width), fill(1, width), fill(rows, 4), fill(rows, 3*width)
	m := fill(vocab, width)
	packed, err := d.Pack(tensor.Matrix{Rows: vocab, Cols: width, DType: dtype.F32, Bytes: dtype.Bytes(m.Data)}, dtype.BF16)
	if err != nil {
		t.Fatal(err)
	}
	integers, err := d.Pack(tensor.Matrix{Rows: vocab, Cols: width, DType: dtype.F32, Bytes: dtype.Bytes(m.Data)}, dtype.I8)
	if err != nil {
		t.Fatal(err)
	}
	own, long := d.PackTensor(m), fill(rows, vocab)
	ids, numbers := tensor.Ints{Host: make([]int32, rows)}, tensor.Numbers{Host: make([]uint64, rows)}
	targets := tensor.Ints{Host: make([]int32, rows)}
	for i := range ids.Host {
		ids.Host[i] = int32(i)
	}
	nll, losses := make([]float32, rows), d.Alloc(rows, 1)
	a := tensor.Attention{Heads: 4, KVHeads: 2, HeadDim: 32, Scale: 0.25, Softcap: 5, Causal: true}
	kv := [2]tensor.Tensor{fill(rows, 64), fill(rows, 64)}
	dkv := [2]tensor.Tensor{fill(rows, 64), fill(rows, 64)}
	layout := tensor.Packed(25, 15)
	l := tensor.Keys{Layout: &layout}
	lists := tensor.Batch{Tokens: ids, Numbers: numbers, Keys: l}
	rotary := tensor.Rotary{Heads: 4, HeadDim: 32, Freqs: []float32{1, 0.5, 0.1}, Scale: 1}
	params := []tensor.Param{{Value: x, Grad: y, M: z, V: u}, {Value: m, Grad: fill(vocab, width), M: fill(vocab, width),
		V: fill(vocab, width), Packed: own}}
	step := tensor.AdamW{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Correction1: 0.1, Correction2: 0.001}
	for _, c := range []struct {
		name    string
		results float64
		f       func()
	}{
		{"Alloc and Free", 0, func() { d.Free(d.Alloc(rows, width)) }},
		{"Prepare", 0, func() { d.Free(d.Prepare(lists).Memory) }},
		{"AddRows", 0, func() { d.AddRows(x, y, ids) }},
		{"RMSNorm", 0, func() { d.RMSNorm(y, x, w, 1e-6, true) }},
		{"AddRMSNorm", 0, func() { d.AddRMSNorm(y, z, x, z, tensor.RMSNorm{W: w}, tensor.RMSNorm{W: b, Eps: 1e-6}) }},
		{"RMSNormBackward", 0, func() { d.RMSNormBackward(z, y, x, w, 1e-6, true, true) }},
		{"LayerNorm", 0, func() { d.LayerNorm(y, x, w, b, 1e-6) }},
		{"LayerNormBackward", 0, func() { d.LayerNormBackward(z, y, x, w, 1e-6, false) }},
		{"Rotate", 0, func() { d.Rotate(x, ids, rotary, false) }},
		{"SplitHeads", 0, func() { d.SplitHeads(x, y, z, wide, 4) }},
		{"JoinHeads", 0, func() { d.JoinHeads(wide, x, y, z, 4) }},
		{"Attend", 0, func() { d.Attend(u, lse, x, kv[0], kv[1], a, l) }},
		{"AttendBackward", 0, func() { d.AttendBackward(z, dkv[0], dkv[1], y, u, lse, x, kv[0], kv[1], a, l) }},
		{"Activate", 0, func() { d.Activate(y, x, tensor.SiLU) }},
		{"ActivateBackward", 0, func() { d.ActivateBackward(z, y, x, tensor.GELUErf) }},
		{"Gate", 0, func() { d.Gate(z, y, x, tensor.GELUTanh) }},
		{"GateBackward", 0, func() { d.GateBackward(z, y, x, u, v, tensor.SiLU) }},
		{"Add", 0, func() { d.Add(y, x) }},
		{"Scale", 0, func() { d.Scale(y, 0.5) }},
		{"Softcap", 0, func() { d.Softcap(y, 5) }},
		{"Dropout", 0, func() { d.Dropout(y, x, 0.1, 3, numbers) }},
		{"Gather", 0, func() { d.Gather(y, x, ids) }},
		{"Scatter", 0, func() { d.Scatter(y, x, ids) }},
		{"Dot", 0, func() { d.Dot(losses, tensor.Host(rows, 1, nll)) }},
		{"SumSquares", 0, func() { d.SumSquares(x) }},
		{"Update", 0, func() { d.Update(params, 0.5, step) }},
		{"MatMul", 0, func() { d.MatMul(long, x, packed, tensor.Tensor{}, false) }},
		{"MatMul of integers", 0, func() { d.MatMul(long, x, integers, tensor.Tensor{}, false) }},
		{"MatMulT", 0, func() { d.MatMulT(x, long, packed, false) }},
		{"MatMulT of integers", 0, func() { d.MatMulT(x, long, integers, false) }},
		{"GradWeight", 0, func() { d.GradWeight(m, long, x) }},
		{"Repack", 0, func() { d.Repack(own, m) }},
		{"LogProbs", 3, func() { d.LogProbs(x, packed, targets, 5, true) }},
		{"CrossEntropy", 0, func() { d.CrossEntropy(losses, tensor.Tensor{}, x, packed, targets, tensor.Tensor{}, 5) }},
		{"CrossEntropy with gradient", 0, func() { d.CrossEntropy(losses, z, x, packed, targets, tensor.Host(rows, 1, nll), 5) }},
		{"TopK", 3, func() { d.TopK(x, packed, 5, 0, nil, nil) }},
	} {
		c.f()
		if n := testing.AllocsPerRun(20, c.f); n > c.results {
			t.Errorf("%s allocates %g times, expected %g", c.name, n, c.results)
		}
	}
}
