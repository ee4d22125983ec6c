package kernel

import (
	"unsafe"

	"barka/internal/cpu"
)

// Each tile computes c[r][j] (=|+=) Σₖ a[k][r]·b[k][j] for its number of rows
// and 32 columns (AVX2: 16), k ascending; ldc is in bytes, load says whether
// c is added to. The bfloat16 tiles take pairs of k.
//
// The stubs are listed by rows so that the switch below is a jump table.

//go:noescape
func tileF32AVX512x1(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x2(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x3(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x4(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x5(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x6(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x7(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x8(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x9(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x10(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x11(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX512x12(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx1(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx2(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx3(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx4(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx5(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx6(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx7(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx8(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx9(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx10(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx11(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16Dotx12(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x1(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x2(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x3(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x4(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x5(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x6(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x7(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x8(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x9(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x10(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x11(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX512x12(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX2x1(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX2x2(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX2x3(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX2x4(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX2x5(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileF32AVX2x6(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX2x1(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX2x2(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX2x3(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX2x4(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX2x5(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

//go:noescape
func tileBF16AVX2x6(c *float32, ldc uintptr, a, b *float32, k int, load uintptr)

func tileF32AVX512(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr) {
	switch rows {
	case 1:
		tileF32AVX512x1(c, ldc, a, b, k, load)
	case 2:
		tileF32AVX512x2(c, ldc, a, b, k, load)
	case 3:
		tileF32AVX512x3(c, ldc, a, b, k, load)
	case 4:
		tileF32AVX512x4(c, ldc, a, b, k, load)
	case 5:
		tileF32AVX512x5(c, ldc, a, b, k, load)
	case 6:
		tileF32AVX512x6(c, ldc, a, b, k, load)
	case 7:
		tileF32AVX512x7(c, ldc, a, b, k, load)
	case 8:
		tileF32AVX512x8(c, ldc, a, b, k, load)
	case 9:
		tileF32AVX512x9(c, ldc, a, b, k, load)
	case 10:
		tileF32AVX512x10(c, ldc, a, b, k, load)
	case 11:
		tileF32AVX512x11(c, ldc, a, b, k, load)
	case 12:
		tileF32AVX512x12(c, ldc, a, b, k, load)
	}
}

func tileBF16Dot(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr) {
	switch rows {
	case 1:
		tileBF16Dotx1(c, ldc, a, b, k, load)
	case 2:
		tileBF16Dotx2(c, ldc, a, b, k, load)
	case 3:
		tileBF16Dotx3(c, ldc, a, b, k, load)
	case 4:
		tileBF16Dotx4(c, ldc, a, b, k, load)
	case 5:
		tileBF16Dotx5(c, ldc, a, b, k, load)
	case 6:
		tileBF16Dotx6(c, ldc, a, b, k, load)
	case 7:
		tileBF16Dotx7(c, ldc, a, b, k, load)
	case 8:
		tileBF16Dotx8(c, ldc, a, b, k, load)
	case 9:
		tileBF16Dotx9(c, ldc, a, b, k, load)
	case 10:
		tileBF16Dotx10(c, ldc, a, b, k, load)
	case 11:
		tileBF16Dotx11(c, ldc, a, b, k, load)
	case 12:
		tileBF16Dotx12(c, ldc, a, b, k, load)
	}
}

func tileBF16AVX512(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr) {
	switch rows {
	case 1:
		tileBF16AVX512x1(c, ldc, a, b, k, load)
	case 2:
		tileBF16AVX512x2(c, ldc, a, b, k, load)
	case 3:
		tileBF16AVX512x3(c, ldc, a, b, k, load)
	case 4:
		tileBF16AVX512x4(c, ldc, a, b, k, load)
	case 5:
		tileBF16AVX512x5(c, ldc, a, b, k, load)
	case 6:
		tileBF16AVX512x6(c, ldc, a, b, k, load)
	case 7:
		tileBF16AVX512x7(c, ldc, a, b, k, load)
	case 8:
		tileBF16AVX512x8(c, ldc, a, b, k, load)
	case 9:
		tileBF16AVX512x9(c, ldc, a, b, k, load)
	case 10:
		tileBF16AVX512x10(c, ldc, a, b, k, load)
	case 11:
		tileBF16AVX512x11(c, ldc, a, b, k, load)
	case 12:
		tileBF16AVX512x12(c, ldc, a, b, k, load)
	}
}

func tileF32AVX2(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr) {
	switch rows {
	case 1:
		tileF32AVX2x1(c, ldc, a, b, k, load)
	case 2:
		tileF32AVX2x2(c, ldc, a, b, k, load)
	case 3:
		tileF32AVX2x3(c, ldc, a, b, k, load)
	case 4:
		tileF32AVX2x4(c, ldc, a, b, k, load)
	case 5:
		tileF32AVX2x5(c, ldc, a, b, k, load)
	case 6:
		tileF32AVX2x6(c, ldc, a, b, k, load)
	}
}

func tileBF16AVX2(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr) {
	switch rows {
	case 1:
		tileBF16AVX2x1(c, ldc, a, b, k, load)
	case 2:
		tileBF16AVX2x2(c, ldc, a, b, k, load)
	case 3:
		tileBF16AVX2x3(c, ldc, a, b, k, load)
	case 4:
		tileBF16AVX2x4(c, ldc, a, b, k, load)
	case 5:
		tileBF16AVX2x5(c, ldc, a, b, k, load)
	case 6:
		tileBF16AVX2x6(c, ldc, a, b, k, load)
	}
}

func flag(b bool) uintptr {
	if b {
		return 1
	}
	return 0
}

// tileF32 dispatches a tile of rows×32; c, a and b have been checked.
func tileF32(c []float32, ldc int, a, b []float32, rows, k int, load bool) {
	if k == 0 {
		return
	}
	switch cpu.Current() {
	case cpu.AVX512, cpu.AVX512BF16:
		tileF32AVX512(&c[0], uintptr(4*ldc), &a[0], &b[0], rows, k, flag(load))
	case cpu.AVX2:
		tileF32AVX2(&c[0], uintptr(4*ldc), &a[0], &b[0], rows, k, flag(load))
		tileF32AVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], &b[PanelN/2], rows, k, flag(load))
	default:
		tileF32Generic(c, ldc, a, b, rows, k, load)
	}
}

// tileBF16 dispatches a tile of rows×32 over pairs of k.
func tileBF16(c []float32, ldc int, a []float32, b []uint16, rows, pairs int, load bool) {
	if pairs == 0 {
		return
	}
	words := view32(b)
	at := func(i int) *float32 { return (*float32)(unsafe.Pointer(&words[i])) }
	switch cpu.Current() {
	case cpu.AVX512BF16:
		tileBF16Dot(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load))
	case cpu.AVX512:
		tileBF16AVX512(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load))
	case cpu.AVX2:
		tileBF16AVX2(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load))
		tileBF16AVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], at(PanelN/2), rows, pairs, flag(load))
	default:
		tileBF16Generic(c, ldc, a, b, rows, pairs, load)
	}
}
