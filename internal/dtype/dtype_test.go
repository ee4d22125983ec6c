package dtype

import (
	"math"
	"testing"
)

func TestBF16RoundsToNearestEven(t *testing.T) {
	cases := []struct {
		in   uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
		{0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x80000000, 0x8000},
	}
	for _, c := range cases {
		if got := ToBF16(math.Float32frombits(c.in)); got != c.want {
			t.Errorf("ToBF16(%#x) = %#x, want %#x", c.in, got, c.want)
		}
	}
	if f := FromBF16(ToBF16(math.Float32frombits(0x7f800001))); f == f {
		t.Error("NaN did not stay NaN")
	}
}

// TestF16RoundTrip goes through every half-precision value.
func TestF16RoundTrip(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := FromF16(h)
		if f != f {
			if g := ToF16(f); g&0x7c00 != 0x7c00 || g&0x3ff == 0 {
				t.Fatalf("%#x: NaN became %#x", h, g)
			}
			continue
		}
		if g := ToF16(f); g != h {
			t.Fatalf("%#x widens to %g and narrows to %#x", h, f, g)
		}
	}
}

// TestF16Rounds checks that values between neighbours go to the nearer one,
// ties to even.
func TestF16Rounds(t *testing.T) {
	for i := range 0x7bff {
		lo, hi := FromF16(uint16(i)), FromF16(uint16(i+1))
		mid := float32((float64(lo) + float64(hi)) / 2)
		want := uint16(i)
		if i%2 == 1 {
			want++
		}
		if got := ToF16(mid); got != want {
			t.Fatalf("tie between %#x and %#x went to %#x", i, i+1, got)
		}
		if got := ToF16(math.Nextafter32(mid, hi)); got != uint16(i+1) {
			t.Fatalf("just above the tie at %#x went to %#x", i, got)
		}
	}
	if got := ToF16(65520); got != 0x7c00 {
		t.Errorf("65520 = %#x, want infinity", got)
	}
}

func TestFloat32sRefusesIntegers(t *testing.T) {
	if _, err := Float32s(I32, make([]byte, 4)); err == nil {
		t.Error("I32 accepted as floats")
	}
	if _, err := Float32s(BF16, make([]byte, 3)); err == nil {
		t.Error("half a value accepted")
	}
}
