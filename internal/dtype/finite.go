package dtype

import (
	"encoding/binary"
	"math"
)

// NotFinite returns the position of the first infinity or NaN among
// little-endian values of a floating type (F64, F32, BF16, F16, or one of whole
// blocks), or -1.
func NotFinite(d DType, data []byte) int {
	if b, ok := blocks[d]; ok {
		return b.notFinite(data)
	}
	mask, size := exponents(d), d.Size()
	// Eight bytes hold one to four values. If all bits of an exponent are set, adding its
	// lowest bit carries into the sign, which the mask has cleared.
	one := mask &^ (mask << 1)
	sign := mask << 1 &^ mask
	i := 0
	for ; i+32 <= len(data); i += 32 {
		b := (*[32]byte)(data[i:])
		x0, x1 := binary.LittleEndian.Uint64(b[0:]), binary.LittleEndian.Uint64(b[8:])
		x2, x3 := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		if ((x0&mask+one)|(x1&mask+one)|(x2&mask+one)|(x3&mask+one))&sign != 0 {
			break
		}
	}
	for ; i+size <= len(data); i += size {
		var v [8]byte
		copy(v[:], data[i:i+size])
		if x := binary.LittleEndian.Uint64(v[:]); (x&mask+one)&sign&lowest(size) != 0 {
			return i / size
		}
	}
	return -1
}

// notFinite returns the first value of a block whose scales are not all
// finite: the products of finite ones are.
func (b block) notFinite(data []byte) int {
	for at := 0; at+b.bytes <= len(data); at += b.bytes {
		for _, s := range b.scales {
			if binary.LittleEndian.Uint16(data[at+s:])&0x7c00 == 0x7c00 {
				return at / b.bytes * b.values
			}
		}
	}
	return -1
}

// exponents has the bits set that hold the exponents of the values in eight
// bytes.
func exponents(d DType) uint64 {
	switch d {
	case F64:
		return math.MaxUint64 >> 1 &^ (1<<52 - 1)
	case F32:
		return 0x7f800000_7f800000
	case BF16:
		return 0x7f80_7f80_7f80_7f80
	case F16:
		return 0x7c00_7c00_7c00_7c00
	}
	panic("dtype: NotFinite: the type is not floating-point")
}

// lowest returns the mask of the first value, of size bytes, in eight bytes.
func lowest(size int) uint64 { return math.MaxUint64 >> (64 - 8*size) }
