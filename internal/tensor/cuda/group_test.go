//go:build cuda && linux

package cuda

import (
	"testing"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// Products of few rows with BF16 weights are one launch. Those of many rows, or with other weights, are
// one launch each.
func TestMatMulsIsOneLaunch(t *testing.T) {
	d := open(t)
	const K = 64
	for _, c := range []struct {
		rows     int
		dtype    dtype.DType
		launches int64
	}{{1, dtype.BF16, 1}, {64, dtype.BF16, 1}, {65, dtype.BF16, 3}, {4, dtype.F32, 3}} {
		stored := tensor.BF16
		if c.dtype == dtype.F32 {
			stored = tensor.F32
		}
		x := d.AllocAs(c.rows, K, stored)
		d.Zero(x)
		var ps tensor.Products
		for i, n := range []int{40, 8, 17} {
			w, err := d.Pack(tensor.Matrix{Rows: n, Cols: K, DType: dtype.F32, Bytes: make([]byte, 4*n*K)}, c.dtype)
			if err != nil {
				t.Fatal(err)
			}
			ps[i] = tensor.Product{Y: d.AllocAs(c.rows, n, stored), W: w}
		}
		before := d.launches
		d.MatMuls(x, ps)
		if n := d.launches - before; n != c.launches {
			t.Errorf("%d rows with %s weights: %d launches, want %d", c.rows, c.dtype, n, c.launches)
		}
		d.Free(x, ps[0].Y, ps[1].Y, ps[2].Y)
	}
}
