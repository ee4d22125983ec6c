package dtype

import (
	"encoding/binary"
)

// Types of GGUF files that hold values in blocks: small integers and the
// scales, in half precision, that they are multiplied with. The layouts and
// the order of operations are those of ggml (ggml-quants.c); the values are
// those of the package gguf, bit for bit.
const (
	Q4_0 DType = "Q4_0" // 32 values: d·(q-8)
	Q4_1 DType = "Q4_1" // 32 values: d·q + m
	Q5_0 DType = "Q5_0" // 32 values: d·(q-16)
	Q5_1 DType = "Q5_1" // 32 values: d·q + m
	Q8_0 DType = "Q8_0" // 32 values: d·q
	Q4_K DType = "Q4_K" // 256 values in groups of 32: d·s·q - m·t
	Q5_K DType = "Q5_K" // likewise
	Q6_K DType = "Q6_K" // 256 values in groups of 16: d·s·(q-32)
)

// block is the layout of a type: how many values a block holds, in how many
// bytes, and where its half-precision scales stand.
type block struct {
	values, bytes int
	scales        []int
	widen         func(dst []float32, b []byte)
}

var blocks = map[DType]block{
	Q4_0: {32, 18, []int{0}, widenQ4_0},
	Q4_1: {32, 20, []int{0, 2}, widenQ4_1},
	Q5_0: {32, 22, []int{0}, widenQ5_0},
	Q5_1: {32, 24, []int{0, 2}, widenQ5_1},
	Q8_0: {32, 34, []int{0}, widenQ8_0},
	Q4_K: {256, 144, []int{0, 2}, widenQ4_K},
	Q5_K: {256, 176, []int{0, 2}, widenQ5_K},
	Q6_K: {256, 210, []int{208}, widenQ6_K},
}

// Blocked reports whether d holds its values in blocks.
func (d DType) Blocked() bool { _, ok := blocks[d]; return ok }

// Block returns how many values are stored together and in how many bytes: 1
// and Size for a plain type.
func (d DType) Block() (values, bytes int) {
	if b, ok := blocks[d]; ok {
		return b.values, b.bytes
	}
	return 1, d.Size()
}

// Bytes returns what n values take, a whole number of blocks.
func (d DType) Bytes(n int) int {
	values, bytes := d.Block()
	return n / values * bytes
}

func half(b []byte) float32 { return FromF16(binary.LittleEndian.Uint16(b)) }

// The conversions to float32 keep a compiler from fusing a product and a sum,
// which would round once where the reference rounds twice.

func widenQ4_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:18] {
		dst[i], dst[i+16] = d*float32(int(q&15)-8), d*float32(int(q>>4)-8)
	}
}

func widenQ4_1(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for i, q := range b[4:20] {
		dst[i], dst[i+16] = float32(d*float32(q&15))+m, float32(d*float32(q>>4))+m
	}
}

func widenQ5_0(dst []float32, b []byte) {
	d, high := half(b), binary.LittleEndian.Uint32(b[2:])
	for i, q := range b[6:22] {
		lo, hi := int(q&15)|int(high>>i&1)<<4, int(q>>4)|int(high>>(i+16)&1)<<4
		dst[i], dst[i+16] = d*float32(lo-16), d*float32(hi-16)
	}
}

func widenQ5_1(dst []float32, b []byte) {
	d, m, high := half(b), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
	for i, q := range b[8:24] {
		lo, hi := int(q&15)|int(high>>i&1)<<4, int(q>>4)|int(high>>(i+16)&1)<<4
		dst[i], dst[i+16] = float32(d*float32(lo))+m, float32(d*float32(hi))+m
	}
}

func widenQ8_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:34] {
		dst[i] = float32(int8(q)) * d
	}
}

// scalesK unpacks the 6-bit scale and minimum of group j of 8 from 12 bytes.
func scalesK(b []byte, j int) (scale, minimum float32) {
	if j < 4 {
		return float32(b[j] & 63), float32(b[j+4] & 63)
	}
	return float32(b[j+4]&15 | b[j-4]>>6<<4), float32(b[j+4]>>4 | b[j]>>6<<4)
}

func widenQ4_K(dst []float32, b []byte) {
	d, m, scales, qs := half(b), half(b[2:]), b[4:16], b[16:144]
	for j := range 8 {
		s, t := scalesK(scales, j)
		s, t = d*s, m*t
		for i := range 32 {
			q := qs[j/2*32+i] >> (j % 2 * 4) & 15
			dst[j*32+i] = float32(s*float32(q)) - t
		}
	}
}

func widenQ5_K(dst []float32, b []byte) {
	d, m, scales, high, qs := half(b), half(b[2:]), b[4:16], b[16:48], b[48:176]
	for j := range 8 {
		s, t := scalesK(scales, j)
		s, t = d*s, m*t
		for i := range 32 {
			q := qs[j/2*32+i]>>(j%2*4)&15 | high[i]>>j&1<<4
			dst[j*32+i] = float32(s*float32(q)) - t
		}
	}
}

func widenQ6_K(dst []float32, b []byte) {
	low, high, scales, d := b[0:128], b[128:192], b[192:208], half(b[208:])
	for j := range 8 { // groups of 32
		for i := range 32 {
			q := low[j/4*64+j%2*32+i]>>(j/2%2*4)&15 | high[j/4*32+i]>>(j%4*2)&3<<4
			dst[j*32+i] = float32(d*float32(int8(scales[j*2+i/16]))) * float32(int(q)-32)
		}
	}
}
