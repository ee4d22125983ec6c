package kernel

import "unsafe"

// view32 views 8-, 16- or 32-bit values as 32-bit words.
func view32[T byte | uint16 | float32](x []T) []uint32 {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(x[0]))/4)
}

// view16 views 64-bit words as 16-bit integers, the lowest first.
func view16(x []uint64) []int16 {
	return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
