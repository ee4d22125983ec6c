//go:build cuda && linux

package cuda

import (
	"barka/internal/cuda"
)

// kernelFor returns the kernel of a family that is likely the fastest for a shape. All of a family give the
// same bits. The bounds are from docs/performance-gpu.md for bfloat16; those of the other families are
// guesses by the same rules: few rows read the weights at full speed by small tiles, and large tiles
// need enough of them to fill the GPU.
func (d *Device) kernelFor(family string, o cuda.Operands) cuda.Product {
	switch family {
	case cuda.ProductBF16:
		return d.chooseBF16(o)
	case cuda.ProductBF16T:
		// Those of the copy engine, bf16_nn_tma_…, wait for a card to pass them.
		return d.first(d.fill("bf16_nn_128x128_s3", o, 2), "bf16_nn_64x32_s4")
	case cuda.ProductF32, cuda.ProductF32T:
		if o.T <= 16 {
			return d.first(family + "_64x8_s4")
		}
		return d.first(d.fill(family+"_128x64_s3", o, 4), family+"_64x8_s4")
	case cuda.ProductGrad:
		o.T *= (o.K + gradRows - 1) / gradRows // chunks beside each other are more tiles
		return d.first(d.fill("f32_grad_128x64_s3", o, 4), "f32_grad_64x8_s4")
	case cuda.ProductI8:
		if o.T <= 8 {
			return d.first("i8_tn_64x8_s6")
		}
		return d.first(d.fill("i8_tn_128x128_s3", o, 2), "i8_tn_64x32_s4")
	}
	panic("cuda: no products of the family " + family)
}

// first returns the first of several kernels that the GPU can run.
func (d *Device) first(names ...string) cuda.Product {
	for _, name := range names {
		if f := d.kernels.Function(name); f != nil {
			return cuda.Product{Function: f}
		}
	}
	panic("cuda: the GPU has no kernel " + names[len(names)-1])
}

// fill returns the name of a kernel if its tiles keep at least a part of the GPU's processors busy, else "".
func (d *Device) fill(name string, o cuda.Operands, part int) string {
	f := d.kernels.Function(name)
	if f == nil || part*(cuda.Product{Function: f}).Tiles(o) < d.gpu.Processors {
		return ""
	}
	return name
}

// chooseBF16 follows the table of kernels: the fastest for 1 to 64 rows, and above that the largest tile
// that fills the GPU.
func (d *Device) chooseBF16(o cuda.Operands) cuda.Product {
	const small = "gemm_small_t32_w2_s4"
	const manyOutputs, fewOutputs = 16384, 3072
	many := o.N >= manyOutputs
	switch {
	case o.T <= 8 && many:
		return d.first("gemm_small_t8_w1_s4")
	case o.T <= 8 || o.T <= 16 && o.N <= fewOutputs:
		return d.first("gemm_small_t8_w1_s8")
	case o.T <= 16 || o.T <= 32 && !many:
		return d.first("gemm_small_t16_w2_s5")
	case o.T > 32 && o.T <= 64 && many:
		return d.first("gemm_small_t64_w4_s4", small)
	case o.T <= 64:
		return d.first(small)
	}
	const box = 64 // values of k that the copy engine takes at once
	if o.K >= box {
		if name := d.fill("gemm_tma_128x256_s4", o, 1); name != "" {
			return d.first(name)
		}
	}
	return d.first(d.fill("gemm_wgmma_128x128_s6", o, 2), d.fill("gemm_128x128_s3", o, 2), small)
}
