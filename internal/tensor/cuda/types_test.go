//go:build cuda && linux

package cuda

import (
	"fmt"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// An operation that has no kernel for the types of its tensors panics with its name before it does any work.
func TestTypesThatAreRefused(t *testing.T) {
	d := open(t)
	f, b := d.Alloc(4, 16), d.AllocAs(4, 16, tensor.BF16)
	row, bias := d.Alloc(1, 16), d.AllocAs(1, 16, tensor.BF16)
	lse, ids := d.Alloc(4, 1), tensor.Ints{Host: []int32{0, 1, 2, 3}}
	weight := func(dt dtype.DType) tensor.Weight {
		w, err := d.Pack(tensor.Matrix{Rows: 16, Cols: 16, DType: dtype.F32, Bytes: make([]byte, 4*16*16)}, dt)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	none, l := tensor.Tensor{}, tensor.Packed(4)
	a, keys := tensor.Attention{Heads: 1, KVHeads: 1, HeadDim: 16, Scale: 1}, tensor.Keys{Layout: &l}
	for name, call := range map[string]func(){
		"MatMul with accumulate":    func() { d.MatMul(b, f, weight(dtype.BF16), none, true) },
		"MatMul with F32 weights":   func() { d.MatMul(b, f, weight(dtype.F32), none, false) },
		"MatMul with I8 weights":    func() { d.MatMul(f, b, weight(dtype.I8), none, false) },
		"MatMulT with accumulate":   func() { d.MatMulT(b, f, weight(dtype.BF16), true) },
		"MatMulT with F32 weights":  func() { d.MatMulT(b, f, weight(dtype.F32), false) },
		"MatMulT with I8 weights":   func() { d.MatMulT(f, b, weight(dtype.I8), false) },
		"GradWeight":                func() { d.GradWeight(d.AllocAs(16, 16, tensor.BF16), f, f) },
		"RMSNorm: a tensor is":      func() { d.RMSNorm(f, f, bias, 1e-6, false) },
		"RMSNormBackward: no":       func() { d.RMSNormBackward(f, b, f, row, 1e-6, false, true) },
		"AddRMSNorm":                func() { d.AddRMSNorm(f, b, f, f, tensor.RMSNorm{}, tensor.RMSNorm{W: row}) },
		"LayerNorm: no":             func() { d.LayerNorm(b, b, row, row, 1e-6) },
		"LayerNormBackward":         func() { d.LayerNormBackward(b, b, b, row, 1e-6, false) },
		"SplitHeads":                func() { d.SplitHeads(f, f, f, d.AllocAs(4, 48, tensor.BF16), 1) },
		"Attend: a tensor is BF16":  func() { d.Attend(f, lse, f, b, f, a, keys) },
		"Attend: a tensor is F32":   func() { d.AttendBackward(b, b, b, b, f, lse, b, b, b, a, keys) },
		"Activate: no":              func() { d.Activate(f, b, tensor.SiLU) },
		"Gate: no":                  func() { d.Gate(b, f, b, tensor.SiLU) },
		"GateBackward: no":          func() { d.GateBackward(f, b, b, b, b, tensor.SiLU) },
		"Add: no":                   func() { d.Add(b, f) },
		"Scale":                     func() { d.Scale(b, 2) },
		"Softcap":                   func() { d.Softcap(b, 2) },
		"Dropout":                   func() { d.Dropout(b, f, 0.5, 1, tensor.Numbers{Host: make([]uint64, 4)}) },
		"ScaleColumns":              func() { d.ScaleColumns(b, f, row, none) },
		"ColumnDots":                func() { d.ColumnDots(row, b, f) },
		"AddRows":                   func() { d.AddRows(b, b, ids) },
		"ScatterAdd":                func() { d.ScatterAdd(f, b, ids) },
		"Dot":                       func() { d.Dot(d.AllocAs(4, 1, tensor.BF16), none) },
		"SumSquares":                func() { d.SumSquares(b) },
		"Repack":                    func() { d.PackTensor(b) },
		"Grow: the shapes":          func() { d.Grow(d.Grow(none, 0, 8, 16, tensor.BF16), 0, 9, 16, tensor.F32) },
		"Update: a tensor is BF16,": func() { d.Update([]tensor.Param{{Value: b, Grad: b, M: b, V: b}}, 1, tensor.AdamW{}) },
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "cuda: "+name) {
					t.Errorf("%s: %v", name, r)
				}
			}()
			call()
		}()
	}
}
