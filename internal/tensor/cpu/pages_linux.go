package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePages asks for large pages for new memory. Packing a model touches every page
// once, and products read all of them for each batch of tokens.
func hugePages[T byte | uint16 | float32](s []T) []T {
	const huge = 2 << 20
	if len(s) == 0 {
		return s
	}
	size := len(s) * int(unsafe.Sizeof(s[0]))
	first := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	skip := int((huge - first%huge) % huge)
	if whole := (size - skip) / huge * huge; whole > 0 {
		bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), size)
		// It is advice: a system without large pages declines.
		_ = unix.Madvise(bytes[skip:skip+whole], unix.MADV_HUGEPAGE)
	}
	return s
}
