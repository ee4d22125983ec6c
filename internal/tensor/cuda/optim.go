//go:build cuda && linux

package cuda

import (
	"encoding/binary"
	"math"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// Values that one block of the kernels in optim.cu works on.
const (
	updatedValues = 2048
	squaredValues = 16384
)

// rows64 collects 64-bit words, the fields of the tables in optim.cu.
type rows64 []byte

func (r *rows64) add(words ...uint64) {
	for _, w := range words {
		*r = binary.LittleEndian.AppendUint64(*r, w)
	}
}

// Update implements tensor.Device. One kernel updates all parameters.
func (d *Device) Update(ps []tensor.Param, scale float32, a tensor.AdamW) {
	var rows rows64
	first, n := 0, 0
	for _, p := range ps {
		sameShape(p.Grad, p.Value)
		sameShape(p.M, p.Value)
		sameShape(p.V, p.Value)
		checkF32("Update", p.Value, p.Grad, p.M, p.V)
		if p.Value.Len() == 0 {
			continue
		}
		rows.add(uint64(p.Value.Handle), uint64(p.Grad.Handle), uint64(p.M.Handle), uint64(p.V.Handle), uint64(p.Value.Len()), uint64(first))
		first += (p.Value.Len() + updatedValues - 1) / updatedValues
		n++
	}
	d.begin("Update")
	if n == 0 {
		return
	}
	table := d.bring(rows)
	d.launch("adamw", first, 1, cuda.Argument(table.at), cuda.Int(n), cuda.Float(scale), cuda.Float(1-a.Beta1), cuda.Float(a.Beta2),
		cuda.Float(1-a.Beta2), cuda.Float(float32(math.Sqrt(float64(a.Correction2)))), cuda.Float(a.Eps),
		cuda.Float(1-a.LR*a.WeightDecay), cuda.Float(float32(float64(a.LR)/float64(a.Correction1))))
	d.drop(table)
	for _, p := range ps {
		if p.Packed != nil {
			d.Repack(p.Packed, p.Value)
		}
	}
}

// SumSquares implements tensor.Device.
func (d *Device) SumSquares(ts ...tensor.Tensor) tensor.Value {
	var rows rows64
	first, n := 0, 0
	for _, t := range ts {
		if t.Len() > 0 {
			rows.add(uint64(t.Handle), uint64(t.Len()), uint64(first))
			first += (t.Len() + squaredValues - 1) / squaredValues
			n++
		}
	}
	checkF32("SumSquares", ts...)
	d.begin("SumSquares", ts...)
	if n == 0 {
		return tensor.Known(0.0)
	}
	table, partial := d.bring(rows), d.take(8*first)
	d.launch("sum_squares", first, 1, cuda.Argument(partial), cuda.Argument(table.at), cuda.Int(n))
	out := d.take(8)
	d.launch("fold64", 1, 1, cuda.Argument(out), cuda.Argument(partial), cuda.Int(first))
	d.drop(table)
	d.give(partial)
	return d.number(out)
}

// Dot implements tensor.Device.
func (d *Device) Dot(x, weights tensor.Tensor) tensor.Value {
	if x.Cols != 1 || !weights.None() && weights.Len() != x.Rows {
		panic("cuda: the weights do not fit the rows")
	}
	checkF32("Dot", x, weights)
	d.begin("Dot", x, weights)
	if x.Rows == 0 {
		return tensor.Known(0.0)
	}
	w, out := d.values(weights), d.take(8)
	d.launch("dot64", 1, 1, cuda.Argument(out), pointer(x), cuda.Argument(w.at), cuda.Int(x.Rows))
	d.drop(w)
	return d.number(out)
}

// number returns the float64 at an address, which it frees.
func (d *Device) number(at cuda.Pointer) tensor.Value {
	wait := d.pull(at, 8)
	d.give(at)
	return tensor.Later(func() (v float64) {
		wait(func(b []byte) { v = math.Float64frombits(binary.LittleEndian.Uint64(b)) })
		return v
	})
}
