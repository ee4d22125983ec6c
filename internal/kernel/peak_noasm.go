//go:build !amd64

package kernel

import "barka/internal/dtype"

func peak(iterations int, _ dtype.DType) float64 { return peakGeneric(iterations) }
