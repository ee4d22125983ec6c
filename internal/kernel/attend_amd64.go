package kernel

import "barka/internal/cpu"

// ldd and ldq are in bytes, at in values; there are four places a group.

//go:noescape
func scoresAVX512x1(dst *float32, ldd uintptr, q *float32, ldq uintptr, k *float32, at *int, groups, blocks int)

//go:noescape
func scoresAVX512x2(dst *float32, ldd uintptr, q *float32, ldq uintptr, k *float32, at *int, groups, blocks int)

//go:noescape
func scoresAVX512x3(dst *float32, ldd uintptr, q *float32, ldq uintptr, k *float32, at *int, groups, blocks int)

//go:noescape
func scoresAVX2x1(dst *float32, ldd uintptr, q *float32, ldq uintptr, k *float32, at *int, groups, blocks int)

//go:noescape
func scoresAVX2x2(dst *float32, ldd uintptr, q *float32, ldq uintptr, k *float32, at *int, groups, blocks int)

//go:noescape
func scoresAVX2x3(dst *float32, ldd uintptr, q *float32, ldq uintptr, k *float32, at *int, groups, blocks int)

//go:noescape
func weightedAVX512(y, p, v *float32, at *int, groups, blocks int)

//go:noescape
func weightedAVX2(y, p, v *float32, at *int, groups, blocks int)

//go:noescape
func combineAVX512x1(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX512x2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX512x3(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX512x4(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX512x5(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX512x6(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX2x1(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX2x2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX2x3(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX2x4(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX2x5(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func combineAVX2x6(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX512x1(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX512x2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX512x3(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX512x4(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX512x5(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX512x6(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX2x1(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX2x2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX2x3(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX2x4(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX2x5(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

//go:noescape
func reduceAVX2x6(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int)

func (p *Places) scores(dst []float32, ldd int, q []float32, ldq, rows int, at []int) {
	d, dq, groups, blocks := uintptr(4*ldd), uintptr(4*ldq), len(at)/4, p.d/16
	switch l := cpu.Current(); {
	case l >= cpu.AVX512 && rows == 3:
		scoresAVX512x3(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case l >= cpu.AVX512 && rows == 2:
		scoresAVX512x2(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case l >= cpu.AVX512:
		scoresAVX512x1(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case l == cpu.AVX2 && rows == 3:
		scoresAVX2x3(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case l == cpu.AVX2 && rows == 2:
		scoresAVX2x2(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case l == cpu.AVX2:
		scoresAVX2x1(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	default:
		p.scoresGeneric(dst, ldd, q, ldq, rows, at)
	}
}

func (p *Places) weighted(y, w []float32, at []int) {
	switch l := cpu.Current(); {
	case l >= cpu.AVX512:
		weightedAVX512(&y[0], &w[0], &p.base[0], &at[0], len(at)/4, p.d/16)
	case l == cpu.AVX2:
		weightedAVX2(&y[0], &w[0], &p.base[0], &at[0], len(at)/4, p.d/16)
	default:
		p.weightedGeneric(y, w, at)
	}
}

func combineAVX512(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, rows, k int) {
	switch rows {
	case 1:
		combineAVX512x1(c, ldc, a, lda, b, k)
	case 2:
		combineAVX512x2(c, ldc, a, lda, b, k)
	case 3:
		combineAVX512x3(c, ldc, a, lda, b, k)
	case 4:
		combineAVX512x4(c, ldc, a, lda, b, k)
	case 5:
		combineAVX512x5(c, ldc, a, lda, b, k)
	case 6:
		combineAVX512x6(c, ldc, a, lda, b, k)
	}
}

func combineAVX2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, rows, k int) {
	switch rows {
	case 1:
		combineAVX2x1(c, ldc, a, lda, b, k)
	case 2:
		combineAVX2x2(c, ldc, a, lda, b, k)
	case 3:
		combineAVX2x3(c, ldc, a, lda, b, k)
	case 4:
		combineAVX2x4(c, ldc, a, lda, b, k)
	case 5:
		combineAVX2x5(c, ldc, a, lda, b, k)
	case 6:
		combineAVX2x6(c, ldc, a, lda, b, k)
	}
}

func combine(c []float32, ldc int, a []float32, lda, m, k int, panel []float32) {
	switch l := cpu.Current(); {
	case l >= cpu.AVX512:
		combineAVX512(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], m, k)
	case l == cpu.AVX2:
		combineAVX2(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], m, k)
		combineAVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[PanelN/2], m, k)
	default:
		combineGeneric(c, ldc, a, lda, m, k, panel)
	}
}

func reduceAVX512(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, columns, k int) {
	switch columns {
	case 1:
		reduceAVX512x1(c, ldc, a, lda, b, k)
	case 2:
		reduceAVX512x2(c, ldc, a, lda, b, k)
	case 3:
		reduceAVX512x3(c, ldc, a, lda, b, k)
	case 4:
		reduceAVX512x4(c, ldc, a, lda, b, k)
	case 5:
		reduceAVX512x5(c, ldc, a, lda, b, k)
	case 6:
		reduceAVX512x6(c, ldc, a, lda, b, k)
	}
}

func reduceAVX2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, columns, k int) {
	switch columns {
	case 1:
		reduceAVX2x1(c, ldc, a, lda, b, k)
	case 2:
		reduceAVX2x2(c, ldc, a, lda, b, k)
	case 3:
		reduceAVX2x3(c, ldc, a, lda, b, k)
	case 4:
		reduceAVX2x4(c, ldc, a, lda, b, k)
	case 5:
		reduceAVX2x5(c, ldc, a, lda, b, k)
	case 6:
		reduceAVX2x6(c, ldc, a, lda, b, k)
	}
}

func reduce(c []float32, ldc int, a []float32, lda, n, k int, panel []float32) {
	switch l := cpu.Current(); {
	case l >= cpu.AVX512:
		reduceAVX512(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], n, k)
	case l == cpu.AVX2:
		reduceAVX2(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], n, k)
		reduceAVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[PanelN/2], n, k)
	default:
		reduceGeneric(c, ldc, a, lda, n, k, panel)
	}
}
