//go:build cuda && linux

package cuda

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/tensor"
)

// put copies values to the GPU as rows.
func put(d *Device, rows int, values []float32) tensor.Tensor {
	t := d.Alloc(rows, len(values)/rows)
	d.Upload(t, values)
	return t
}

// rowsOfLogits are kinds of rows that a selection can get wrong.
var rowsOfLogits = map[string]func(i, n int, r *rand.Rand) float32{
	"normal":     func(_, _ int, r *rand.Rand) float32 { return float32(r.NormFloat64()) },
	"equal":      func(int, int, *rand.Rand) float32 { return -3 },
	"two values": func(i, _ int, _ *rand.Rand) float32 { return float32(i % 2) },
	"zeros of both signs": func(i, _ int, _ *rand.Rand) float32 {
		return float32(math.Copysign(0, float64(i%2)-0.5))
	},
	"ascending":  func(i, _ int, _ *rand.Rand) float32 { return float32(i) },
	"descending": func(i, _ int, _ *rand.Rand) float32 { return -float32(i) },
	"close": func(_, _ int, r *rand.Rand) float32 {
		return math.Float32frombits(math.Float32bits(7) + uint32(r.IntN(3)))
	},
	"NaN and -Inf": func(i, _ int, r *rand.Rand) float32 {
		return []float32{float32(math.NaN()), float32(math.Inf(-1)), float32(r.NormFloat64())}[i%3]
	},
	"in one thread": func(i, _ int, _ *rand.Rand) float32 { return float32((i%threads - 5) * (i % threads)) },
}

// The k best of a row are those that a sort gives, for each way that the kernel can take.
func TestChoose(t *testing.T) {
	d, random := open(t), rand.New(rand.NewPCG(1, 9))
	for name, f := range rowsOfLogits {
		for _, n := range []int{1, 7, 256, 2500} {
			row := make([]float32, n)
			for i := range row {
				row[i] = f(i, n, random)
			}
			want := make([]candidate, n)
			for i, v := range row {
				if v != v {
					v = float32(math.Inf(-1))
				}
				want[i] = candidate{int32(i), v}
			}
			slices.SortFunc(want, func(a, b candidate) int {
				return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.token, b.token))
			})
			logits := put(d, 1, row)
			for _, k := range []int{1, 2, 5, 255, 256, 257, 2048, 2049} {
				if k > n {
					continue
				}
				got := d.choose(logits, k)()[0]
				if !slices.Equal(got, want[:k]) {
					t.Fatalf("%s: the %d best of %d are %v, want %v", name, k, n, got[:min(k, 5)], want[:min(k, 5)])
				}
			}
		}
	}
}

// The results of a row are its own: its log-sum-exp is that of float64, and a NaN spoils no other row.
func TestScan(t *testing.T) {
	d, random := open(t), rand.New(rand.NewPCG(2, 9))
	const n = 3000
	for _, softcap := range []float32{0, 4} {
		values, targets := make([]float32, 4*n), []int32{0, n - 1, 17, 100}
		for i := range values {
			values[i] = float32(random.NormFloat64() * 20)
		}
		values[2*n+5] = float32(math.NaN())
		for i := range n { // as after a ban of all tokens
			values[3*n+i] = float32(math.Inf(-1))
		}
		bytes := d.scanned(put(d, 4, values), targets, softcap)
		for r := range 2 {
			total, own, before := 0.0, capped64(values[r*n+int(targets[r])], softcap), 0
			for i, v := range values[r*n : (r+1)*n] {
				total += math.Exp(capped64(v, softcap))
				if v > values[r*n+int(targets[r])] || v == values[r*n+int(targets[r])] && i < int(targets[r]) {
					before++
				}
			}
			b := bytes[rowBytes*r:]
			if lse := float64At(b); math.Abs(lse-math.Log(total)) > 1e-5 {
				t.Errorf("log-sum-exp %g, want %g", lse, math.Log(total))
			}
			if v := float32At(b[8:]); math.Abs(float64(v)-own) > 1e-5 {
				t.Errorf("target's logit %g, want %g", v, own)
			}
			if rank := int(b[16]) | int(b[17])<<8; softcap == 0 && rank != before+1 {
				t.Errorf("rank %d, want %d", rank, before+1)
			}
		}
		if lse := float64At(bytes[2*rowBytes:]); lse == lse {
			t.Errorf("log-sum-exp %g of a row with a NaN", lse)
		}
		if lse := float64At(bytes[3*rowBytes:]); softcap == 0 && !math.IsInf(lse, -1) {
			t.Errorf("log-sum-exp %g of a row of -Inf", lse)
		}
	}
}

// scanned runs head_scan over some logits and returns the rows' results.
func (d *Device) scanned(logits tensor.Tensor, targets []int32, softcap float32) []byte {
	p := head{n: logits.Cols, softcap: softcap, rows: d.take(rowBytes * logits.Rows)}
	p.targets = d.ints(tensor.Ints{Host: targets})
	d.begin("Test", logits)
	d.scan(&p, logits, 0, logits.Rows)
	return d.collect(p.rows, rowBytes*logits.Rows)()
}

func capped64(v, c float32) float64 {
	if c == 0 {
		return float64(v)
	}
	return float64(c) * math.Tanh(float64(v)/float64(c))
}

// The bits of a row do not depend on how many tokens other rows have.
func TestScanOfWiderRows(t *testing.T) {
	d, random := open(t), rand.New(rand.NewPCG(3, 9))
	const n, more = 700, 300
	narrow, wide := make([]float32, n), make([]float32, n+more)
	for i := range wide {
		wide[i] = float32(math.Inf(-1))
		if i < n {
			narrow[i] = float32(random.NormFloat64())
			wide[i] = narrow[i]
		}
	}
	a, b := d.scanned(put(d, 1, narrow), []int32{3}, 0), d.scanned(put(d, 1, wide), []int32{3}, 0)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("results %v, with masked tokens %v", a, b)
	}
}

// Sums over many values are those of float64, and the same bits in one tensor and in several.
func TestSums(t *testing.T) {
	d, random := open(t), rand.New(rand.NewPCG(4, 9))
	values, weights := make([]float32, 40_000), make([]float32, 1000)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	squares, dot := 0.0, 0.0
	for _, v := range values {
		squares += float64(v) * float64(v)
	}
	for i := range weights {
		weights[i] = float32(random.NormFloat64())
		dot += float64(weights[i]) * float64(values[i])
	}
	x, none := put(d, 1, values), d.Alloc(0, 5)
	if got := d.SumSquares(none, x, none).Get(); math.Abs(got-squares) > 1e-10*squares {
		t.Errorf("sum of squares %g, want %g", got, squares)
	}
	a, b := d.SumSquares(x, x), d.SumSquares(x) // both pending at once
	if a.Get() != 2*b.Get() {
		t.Errorf("sums of squares %g and %g", a.Get(), b.Get())
	}
	if d.SumSquares().Get() != 0 || d.SumSquares(none).Get() != 0 {
		t.Error("a sum of nothing is not 0")
	}
	column := tensor.Tensor{Rows: 1000, Cols: 1, Handle: x.Handle}
	if got := d.Dot(column, tensor.Host(1000, 1, weights)).Get(); got != dot {
		t.Errorf("dot product %g, want %g: the sum is in order", got, dot)
	}
	if got := d.Dot(column.Slice(0, 1), tensor.Tensor{}).Get(); got != float64(values[0]) {
		t.Errorf("sum %g of one value %g", got, values[0])
	}
}
