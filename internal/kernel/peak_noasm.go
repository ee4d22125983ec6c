//go:build !amd64

package kernel

import "barka/internal/dtype"

func peak(turns int, _ dtype.DType) float64 { return peakGeneric(turns) }
