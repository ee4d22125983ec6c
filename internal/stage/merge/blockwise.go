package merge

import (
	"bytes"
	"math"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/safetensors"
)

// block is the number of values that are combined at once, a multiple of every block of GGUF.
var block = 1 << 16

// blockwise fills sum with the values lo ≤ i < hi of the result.
type blockwise func(sum []float32, lo, hi int)

// operands are one tensor of all models.
type operands struct {
	n     int // values
	parts []operand
	base  *operand // of TIES, or nil
}

// operand is a tensor of one model.
type operand struct {
	t      safetensors.Tensor
	weight float64
	dir    string
	values []float32 // a block
}

// read returns the values lo ≤ i < hi, until the next call.
func (o *operand) read(lo, hi int) []float32 {
	dt, values := o.t.DType, o.values[:hi-lo]
	dtype.Widen(values, dt, o.t.Data[dt.Bytes(lo):dt.Bytes(hi)])
	return values
}

// same returns an error unless all models have the same bytes.
func (o *operands) same() error {
	for _, p := range o.parts[1:] {
		if p.t.DType != o.parts[0].t.DType || !bytes.Equal(p.t.Data, o.parts[0].t.Data) {
			return badinput.Errorf("merge: tensor %s holds %s and differs between models %s and %s; it cannot be combined", p.t.Name, p.t.DType,
				o.parts[0].dir, p.dir)
		}
	}
	return nil
}

// linear is the weighted sum.
func (o *operands) linear(sum []float32, lo, hi int) {
	wide := make([]float64, hi-lo)
	for i := range o.parts {
		p := &o.parts[i]
		for j, v := range p.read(lo, hi) {
			wide[j] += p.weight * float64(v)
		}
	}
	for j, v := range wide {
		sum[j] = float32(v)
	}
}

// colinear is the cosine above which slerp is a straight line: the sine of the angle is then
// too small to divide by.
const colinear = 0.9995

// slerp returns the point on the arc from the first tensor to the second, as vectors, at the
// second one's weight: sin((1-t)θ)/sin θ times the first plus sin(tθ)/sin θ times the second,
// with θ the angle between them.
func (o *operands) slerp() blockwise {
	a, b := &o.parts[0], &o.parts[1]
	var aa, bb, ab float64
	for lo := 0; lo < o.n; lo += block {
		hi := min(lo+block, o.n)
		y := b.read(lo, hi)
		for j, v := range a.read(lo, hi) {
			x, y := float64(v), float64(y[j])
			aa, bb, ab = aa+x*x, bb+y*y, ab+x*y
		}
	}
	cos := ab / math.Sqrt(aa*bb)
	if math.Abs(cos) <= colinear { // false for NaN, of a vector of zeros
		theta := math.Acos(cos)
		a.weight, b.weight = math.Sin(a.weight*theta)/math.Sin(theta), math.Sin(b.weight*theta)/math.Sin(theta)
	}
	return o.linear
}

// ties returns base + scale·τ. Of each model's change of the base, the density·n values of the
// largest magnitude are kept. The sign of a value is that of the weighted sum of the kept
// changes, and τ is the weighted mean of those that have it.
func (o *operands) ties(density, scale float64) blockwise {
	kept := make([]*trimmed, len(o.parts))
	for i := range o.parts {
		kept[i] = o.trim(&o.parts[i], int(density*float64(o.n)))
	}
	changes := make([][]float32, len(o.parts))
	return func(sum []float32, lo, hi int) {
		base := o.base.read(lo, hi)
		for i := range o.parts {
			changes[i] = kept[i].keep(difference(o.parts[i].read(lo, hi), base))
		}
		for j := range sum {
			var total, part, weight float64
			for i, c := range changes {
				total += o.parts[i].weight * float64(c[j])
			}
			for i, c := range changes {
				if v := float64(c[j]); v*total > 0 {
					part += o.parts[i].weight * v
					weight += o.parts[i].weight
				}
			}
			sum[j] = base[j]
			if weight > 0 {
				sum[j] = float32(float64(base[j]) + scale*part/weight)
			}
		}
	}
}

// difference subtracts base from values, in place.
func difference(values, base []float32) []float32 {
	for j, b := range base {
		values[j] -= b
	}
	return values
}

// trimmed keeps the k values of the largest magnitude of a tensor, as its blocks come in
// order: those above a threshold, and the first of those equal to it.
type trimmed struct {
	threshold uint32 // bits of a magnitude, which have the order of magnitudes
	equal     int    // how many equal to the threshold are kept
}

// trim finds the k-th largest magnitude of a model's change of the base exactly, in two
// passes: its upper bits from a histogram, then its lower ones.
func (o *operands) trim(p *operand, k int) *trimmed {
	upper := o.histogram(p, func(bits uint32) (uint32, bool) { return bits >> 16, true })
	high, above := kth(upper, k)
	lower := o.histogram(p, func(bits uint32) (uint32, bool) { return bits & 0xffff, bits>>16 == high })
	low, more := kth(lower, k-above)
	return &trimmed{high<<16 | low, k - above - more}
}

// histogram counts the bits of the magnitudes of a model's change of the base.
func (o *operands) histogram(p *operand, of func(bits uint32) (bin uint32, counts bool)) []int {
	bins := make([]int, 1<<16)
	for lo := 0; lo < o.n; lo += block {
		hi := min(lo+block, o.n)
		for _, v := range difference(p.read(lo, hi), o.base.read(lo, hi)) {
			if bin, ok := of(magnitude(v)); ok {
				bins[bin]++
			}
		}
	}
	return bins
}

// kth returns the bin of the k-th largest value, and how many values are in the bins above.
func kth(bins []int, k int) (bin uint32, above int) {
	for b := len(bins) - 1; b > 0; b-- {
		if above+bins[b] >= k {
			return uint32(b), above
		}
		above += bins[b]
	}
	return 0, above
}

func magnitude(v float32) uint32 { return math.Float32bits(v) &^ (1 << 31) }

// keep sets the values of a block that are not kept to 0.
func (t *trimmed) keep(values []float32) []float32 {
	for j, v := range values {
		switch bits := magnitude(v); {
		case bits > t.threshold:
		case bits == t.threshold && t.equal > 0:
			t.equal--
		default:
			values[j] = 0
		}
	}
	return values
}
