//go:build !linux

package cpu

// hugePages does nothing on systems without an interface for large pages.
func hugePages[T byte | uint16 | float32](s []T) []T { return s }
