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
