//go:build !linux

package cpu

// hugePages asks for large pages where the system has an interface for it.
func hugePages[T int8 | uint16 | float32](s []T) []T { return s }
