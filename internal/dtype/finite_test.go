package dtype

import (
	"math"
	"testing"
)

// TestNotFinite puts each value that is not finite at every position among
// the largest, smallest and other finite ones.
func TestNotFinite(t *testing.T) {
	finite := []float64{0, math.Copysign(0, -1), 1, -1.5, 65504, -65504, 6e-8, -3e-5}
	large := map[DType]float64{F64: math.MaxFloat64, F32: math.MaxFloat32, BF16: 3.3895313892515355e38, F16: 65504}
	for _, d := range []DType{F64, F32, BF16, F16} {
		for n := range 19 {
			var data []byte
			for i := range n {
				v := finite[i%len(finite)]
				if i%3 == 2 {
					v = math.Copysign(large[d], float64(i%2)-0.5)
				}
				data = append(data, encode(d, v)...)
			}
			if at := NotFinite(d, data); at != -1 {
				t.Errorf("%s: value %d of %d finite ones is not", d, at, n)
			}
			for at := range n {
				for _, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
					broken := append([]byte(nil), data...)
					copy(broken[at*d.Size():], encode(d, bad))
					if n-at > 2 {
						copy(broken[(n-1)*d.Size():], encode(d, bad)) // the first counts
					}
					if got := NotFinite(d, broken); got != at {
						t.Errorf("%s: %g at %d of %d is found at %d", d, bad, at, n, got)
					}
				}
			}
		}
	}
}

// TestNotFiniteEveryHalf goes through every value of the 16-bit types.
func TestNotFiniteEveryHalf(t *testing.T) {
	for i := range 1 << 16 {
		data := []byte{byte(i), byte(i >> 8)}
		for d, v := range map[DType]float32{BF16: FromBF16(uint16(i)), F16: FromF16(uint16(i))} {
			if finite := v-v == 0; finite != (NotFinite(d, data) == -1) {
				t.Fatalf("%s %#x: %g", d, i, v)
			}
		}
	}
}

func encode(d DType, v float64) []byte {
	if d == F64 {
		b := math.Float64bits(v)
		return []byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24), byte(b >> 32), byte(b >> 40), byte(b >> 48), byte(b >> 56)}
	}
	return Narrow(d, []float32{float32(v)})
}

func BenchmarkNotFinite(b *testing.B) {
	data := make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if NotFinite(BF16, data) != -1 {
			b.Fatal("zeros are finite")
		}
	}
}
