//go:build !unix

package diskmap

func allocate(n int) []uint64 { return make([]uint64, n) }

func free([]uint64) {}
