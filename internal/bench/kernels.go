package bench

import (
	"context"
	"fmt"
	"math"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// beyondCaches is more memory, in bytes, than processors have caches.
const beyondCaches = 512 << 20

// kernels returns the works on kernels: products at the model's largest layer with
// few and many rows, attention, and norms.
func (b *bench) kernels() []work {
	if _, ok := b.o.gpu(); ok {
		return []work{{name: "kernels", skip: "reference/gpu/check.sh measures the kernels of a GPU"}}
	}
	ws := []work{b.product(1, false), b.product(8, false), b.product(2048, false), b.product(2048, true)}
	if b.o.Shape.Seq2Seq() {
		return append(ws, b.norm())
	}
	return append(ws, b.attend(1, 1024), b.attend(1024, 1024), b.norm())
}

// product multiplies rows with a weight, or with its transpose as the backward pass
// does. It walks over more weights than fit the caches, because a model's layers
// do not fit them either.
func (b *bench) product(rows int, transposed bool) work {
	n, k := 4*b.o.Shape.width(), b.o.Shape.width()
	dev, size := b.o.Device, n*k*b.o.DType.Size()
	setup := func() error {
		if b.weights != nil {
			return nil
		}
		noise := weight{"layers.", []int{n, k}}.noise()
		for range min(16, (beyondCaches+size-1)/size) {
			w, err := dev.Pack(tensor.Matrix{Rows: n, Cols: k, DType: dtype.BF16, Bytes: noise}, b.o.DType)
			if err != nil {
				return err
			}
			b.weights = append(b.weights, w)
		}
		return nil
	}
	flops := 2 * float64(rows) * float64(n) * float64(k)
	name, peak := "x·Wᵀ", b.peakFLOPs()
	if transposed {
		name = "dy·W"
		if b.o.DType == dtype.I8 {
			peak = b.c.BF16 // the scales lie along the sum: integers are multiplied as bfloat16
		}
	}
	ceiling := min(peak, flops*b.c.Read/float64(size))
	return work{name: "kernels", variant: fmt.Sprintf("%s %d×%d×%d", name, rows, n, k), unit: "GFLOP/s",
		ceiling: ceiling / 1e9, setup: setup,
		run: func(context.Context) (tally, error) {
			x, y := dev.Alloc(rows, k), dev.Alloc(rows, n)
			defer dev.Free(x, y)
			dev.Zero(x)
			dev.Zero(y)
			turns := max(2, min(512, 4096/rows))
			for i := range turns {
				if w := b.weights[i%len(b.weights)]; transposed {
					dev.MatMulT(x, y, w, false)
				} else {
					dev.MatMul(y, x, w, tensor.Tensor{}, false)
				}
			}
			return tally{units: float64(turns) * flops / 1e9}, nil
		}}
}

// attend measures causal attention of the last queries of a sequence over all keys.
func (b *bench) attend(queries, keys int) work {
	dev, s := b.o.Device, b.o.Shape
	heads := s.dim("num_attention_heads")
	kv, dim := s.optional("num_key_value_heads", heads), s.optional("head_dim", s.width()/heads)
	a := tensor.Attention{Heads: heads, KVHeads: kv, HeadDim: dim, Scale: float32(1 / math.Sqrt(float64(dim))), Causal: true}
	if s.config["attn_logit_softcapping"] != nil {
		a.Softcap = 50
	}
	l := tensor.Packed(keys)
	l.Starts[1], l.Past[0] = int32(queries), int32(keys-queries)
	var pairs float64 // pairs of a query and a key that it attends to
	for q := range queries {
		pairs += float64(keys - q)
	}
	flops := 4 * float64(heads*dim) * pairs
	ceiling := min(b.c.F32, flops*b.c.Read/float64(2*4*keys*kv*dim))
	w := work{name: "kernels", variant: fmt.Sprintf("attention %d×%d", queries, keys), unit: "GFLOP/s", ceiling: ceiling / 1e9}
	w.run = func(context.Context) (tally, error) {
		q, out := dev.Alloc(queries, heads*dim), dev.Alloc(queries, heads*dim)
		k, v := dev.Alloc(keys, kv*dim), dev.Alloc(keys, kv*dim)
		defer dev.Free(q, out, k, v)
		for _, t := range []tensor.Tensor{q, k, v} {
			dev.Zero(t)
		}
		turns := max(4, 256/queries)
		for range turns {
			dev.Attend(out, tensor.Tensor{}, q, k, v, a, tensor.Keys{Layout: &l})
		}
		return tally{units: float64(turns) * flops / 1e9}, nil
	}
	return w
}

// norm measures a norm of more rows than fit the caches.
func (b *bench) norm() work {
	dev, d := b.o.Device, b.o.Shape.width()
	rows := min(1<<14, beyondCaches/4/(4*d))
	bytes := float64(2 * 4 * rows * d)
	w := work{name: "kernels", variant: fmt.Sprintf("RMS norm %d×%d", rows, d), unit: "GB/s", ceiling: b.c.Read / 1e9}
	w.run = func(context.Context) (tally, error) {
		x, y, w := dev.Alloc(rows, d), dev.Alloc(rows, d), dev.Alloc(1, d)
		defer dev.Free(x, y, w)
		dev.Zero(x)
		dev.Zero(w)
		const turns = 8
		for range turns {
			dev.RMSNorm(y, x, w, 1e-6, false)
		}
		return tally{units: turns * bytes / 1e9}, nil
	}
	return w
}
