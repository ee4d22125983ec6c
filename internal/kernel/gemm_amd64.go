package kernel

import (
	"unsafe"

	"barka/internal/cpu"
)

// flag is how assembly takes a bool.
func flag(b bool) uintptr {
	if b {
		return 1
	}
	return 0
}

// tileF32 computes a tile of rows×32 at the level in use. c, a and b have been
// checked.
func tileF32(c []float32, ldc int, a, b []float32, rows, k int, load bool, next nextBlock) {
	if k == 0 {
		return
	}
	ahead, step := next.prefetch()
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		tileF32AVX512(&c[0], uintptr(4*ldc), &a[0], &b[0], rows, k, flag(load), ahead, step)
	case level >= cpu.AVX2 && rows == 1:
		rowF32AVX2(&c[0], &a[0], &b[0], k, flag(load))
	case level >= cpu.AVX2:
		tileF32AVX2(&c[0], uintptr(4*ldc), &a[0], &b[0], rows, k, flag(load))
		tileF32AVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], &b[PanelN/2], rows, k, flag(load))
	default:
		tileF32Generic(c, ldc, a, b, rows, k, load)
	}
}

// tileBF16 computes a tile of rows×32 over pairs of k at the level in use.
func tileBF16(c []float32, ldc int, a []float32, b []uint16, rows, pairs int, load bool, next nextBlock) {
	if pairs == 0 {
		return
	}
	ahead, step := next.prefetch()
	words := view32(b)
	at := func(i int) *float32 { return (*float32)(unsafe.Pointer(&words[i])) }
	switch level := cpu.Current(); {
	case level >= cpu.AVX512BF16:
		tileBF16AVX512BF16(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load), ahead, step)
	case level >= cpu.AVX512:
		tileBF16AVX512(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load), ahead, step)
	case level >= cpu.AVX2 && rows == 1:
		rowBF16AVX2(&c[0], &a[0], at(0), pairs, flag(load))
	case level >= cpu.AVX2:
		tileBF16AVX2(&c[0], uintptr(4*ldc), &a[0], at(0), rows, pairs, flag(load))
		tileBF16AVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], at(PanelN/2), rows, pairs, flag(load))
	default:
		tileBF16Generic(c, ldc, a, b, rows, pairs, load)
	}
}
