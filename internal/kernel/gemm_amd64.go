package kernel

import (
	"unsafe"

	"barka/internal/cpu"
)

// Each tile computes c[r][j] (=|+=) Σₖ a[k][r]·b[k][j] for its number of rows
// and 32 columns (AVX2: 16), k ascending; ldc is in bytes, load says whether
// c is added to. The bfloat16 tiles take pairs of k.

//go:noescape
func tileF32AVX512(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr)

//go:noescape
func tileBF16Dot(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr)

//go:noescape
func tileBF16AVX512(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr)

//go:noescape
func tileF32AVX2(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr)

//go:noescape
func tileBF16AVX2(c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr)

// A row is a tile of one row and 32 columns.

//go:noescape
func rowF32AVX2(c, a, b *float32, k int, load uintptr)

//go:noescape
func rowBF16AVX2(c, a, b *float32, k int, load uintptr)

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
	case cpu.AVX512, cpu.AVX512VNNI, cpu.AVX512BF16:
		tileF32AVX512(&c[0], uintptr(4*ldc), &a[0], &b[0], rows, k, flag(load))
	case cpu.AVX2:
		if rows == 1 {
			rowF32AVX2(&c[0], &a[0], &b[0], k, flag(load))
			return
		}
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
	case cpu.AVX512, cpu.AVX512VNNI:
		tileBF16AVX512(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load))
	case cpu.AVX2:
		if rows == 1 {
			rowBF16AVX2(&c[0], &a[0], at(0), pairs, flag(load))
			return
		}
		tileBF16AVX2(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load))
		tileBF16AVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], at(PanelN/2), rows, pairs, flag(load))
	default:
		tileBF16Generic(c, ldc, a, b, rows, pairs, load)
	}
}
