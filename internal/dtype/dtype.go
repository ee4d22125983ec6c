// Package dtype names the number types of checkpoints. It converts the 16-bit ones:
// bfloat16, which is the upper half of a float32, and IEEE half precision. Narrowing rounds
// to nearest, ties to even. NaN stays NaN.
package dtype

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// DType is a number type, with its name in safetensors.
type DType string

const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// Size returns the bytes of one value, 0 for an unknown type and for one that
// holds its values in blocks.
func (d DType) Size() int {
	switch d {
	case F64, I64, U64:
		return 8
	case F32, I32, U32:
		return 4
	case F16, BF16, I16, U16:
		return 2
	case I8, U8, Bool:
		return 1
	}
	return 0
}

// Float reports whether d holds floating-point weights this program reads.
func (d DType) Float() bool { return d == F32 || d == BF16 || d == F16 || d.Blocked() }

// ToBF16 rounds a float32 to bfloat16 bits.
func ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// FromBF16 widens bfloat16 bits, exactly.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// RoundBF16 rounds a float32 to the nearest bfloat16 value.
func RoundBF16(f float32) float32 { return FromBF16(ToBF16(f)) }

// FromF16 widens IEEE half-precision bits, exactly.
func FromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
	// Subnormal: frac·2⁻²⁴ is exact in float32.
	f := float32(frac) * (1.0 / (1 << 24))
	if sign != 0 {
		return -f
	}
	return f
}

// ToF16 rounds a float32 to IEEE half-precision bits.
func ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x47800000: // 65536 and more become infinity
		return sign | 0x7c00
	case b < 0x38800000: // below the smallest normal, 2⁻¹⁴
		// Adding 0.5 leaves frac·2⁻²⁴, rounded to even, in the low bits.
		g := math.Float32frombits(b) + 0.5
		return sign | uint16(math.Float32bits(g)-0x3f000000)
	}
	b += 0xfff + b>>13&1
	return sign | uint16((b-0x38000000)>>13)
}

// Float32s converts little-endian bytes of a floating type to float32 values.
func Float32s(d DType, data []byte) ([]float32, error) {
	values, size := d.Block()
	if !d.Float() && d != F64 {
		return nil, fmt.Errorf("type %s: expected F32, BF16, F16, F64 or a type of GGUF's", d)
	}
	if len(data)%size != 0 {
		return nil, fmt.Errorf("%d bytes are not a whole number of %s values", len(data), d)
	}
	out := make([]float32, len(data)/size*values)
	Widen(out, d, data)
	return out, nil
}

// Widen fills dst from little-endian bytes of type d (F32, BF16, F16, F64, or
// one of blocks); data must hold len(dst) values, whole blocks of them.
func Widen(dst []float32, d DType, data []byte) {
	switch d {
	case F32:
		if values, ok := View32(data); ok {
			copy(dst, values)
			return
		}
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	case BF16:
		if halves, ok := View16(data); ok {
			for i, h := range halves[:len(dst)] {
				dst[i] = FromBF16(h)
			}
			return
		}
		for i := range dst {
			dst[i] = FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = FromF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:])))
		}
	default:
		b, ok := blocks[d]
		if !ok {
			panic("dtype: Widen: the type is not floating-point")
		}
		for at := 0; at < len(dst); at += b.values {
			b.widen(dst[at:at+b.values], data[at/b.values*b.bytes:][:b.bytes])
		}
	}
}

// Narrow returns values as little-endian bytes of type d (F32, BF16 or F16).
func Narrow(d DType, values []float32) []byte {
	out := make([]byte, len(values)*d.Size())
	switch d {
	case F32:
		AppendBytes(out[:0], values)
	case BF16:
		for i, v := range values {
			binary.LittleEndian.PutUint16(out[2*i:], ToBF16(v))
		}
	case F16:
		for i, v := range values {
			binary.LittleEndian.PutUint16(out[2*i:], ToF16(v))
		}
	default:
		panic("dtype: Narrow: the type is not F32, BF16 or F16")
	}
	return out
}

// Bytes returns float32 values as little-endian bytes.
func Bytes(values []float32) []byte { return Narrow(F32, values) }

// AppendBytes appends float32 values to dst as little-endian bytes.
func AppendBytes(dst []byte, values []float32) []byte {
	dst = slices.Grow(dst, 4*len(values))
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
	}
	return dst
}

// View16 views a byte slice as 16-bit words, so that mapped weights need no copy. It reports
// false if the slice is not aligned or the machine is not little-endian.
func View16(data []byte) ([]uint16, bool) {
	if len(data)%2 != 0 || !littleEndian {
		return nil, false
	}
	if len(data) == 0 {
		return nil, true
	}
	p := unsafe.Pointer(unsafe.SliceData(data))
	if uintptr(p)%2 != 0 {
		return nil, false
	}
	return unsafe.Slice((*uint16)(p), len(data)/2), true
}

// View32 views a byte slice as float32 values, under the conditions of View16.
func View32(data []byte) ([]float32, bool) {
	if len(data)%4 != 0 || !littleEndian {
		return nil, false
	}
	if len(data) == 0 {
		return nil, true
	}
	p := unsafe.Pointer(unsafe.SliceData(data))
	if uintptr(p)%4 != 0 {
		return nil, false
	}
	return unsafe.Slice((*float32)(p), len(data)/4), true
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
