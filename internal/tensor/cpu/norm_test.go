package cpu_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// TestAddRMSNormBits: the sum and its norm have the bits of the single operations, wherever the
// sum is stored.
func TestAddRMSNormBits(t *testing.T) {
	const rows, width, eps = 40, 333, 1e-6
	d := cpu.New(3)
	defer d.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(rows int) tensor.Tensor {
		x := d.Alloc(rows, width)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64())
		}
		return x
	}
	same := func(x tensor.Tensor) tensor.Tensor {
		y := d.Alloc(x.Rows, x.Cols)
		d.Copy(y, x)
		return y
	}
	x, dx := random(rows), random(rows)
	next := tensor.RMSNorm{W: random(1), Eps: eps, PlusOne: true}
	for _, post := range []tensor.RMSNorm{{}, {W: random(1), Eps: eps}} {
		sum, want := same(dx), d.Alloc(rows, width)
		if !post.W.None() {
			d.RMSNorm(sum, sum, post.W, post.Eps, post.PlusOne)
		}
		d.Add(sum, x)
		d.RMSNorm(want, sum, next.W, next.Eps, next.PlusOne)
		for place, name := range []string{"x", "d", "apart"} {
			px, pd, y := same(x), same(dx), d.Alloc(rows, width)
			out := []tensor.Tensor{px, pd, d.Alloc(rows, width)}[place]
			d.AddRMSNorm(y, out, px, pd, post, next)
			what := fmt.Sprintf("post-norm %v, sum in %s", !post.W.None(), name)
			if !slices.Equal(out.Data, sum.Data) || !slices.Equal(y.Data, want.Data) {
				t.Errorf("%s: other bits than those of the single operations", what)
			}
		}
	}
}
