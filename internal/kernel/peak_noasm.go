//go:build !amd64

package kernel

func peak(turns int, bf16 bool) float64 { return peakGeneric(turns) }
