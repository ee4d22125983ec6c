//go:build unix

package diskmap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate returns n words, which are 0, outside the heap.
func allocate(n int) []uint64 {
	b, err := unix.Mmap(-1, 0, 8*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err) // as make does when memory runs out
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// free frees what allocate returned.
func free(words []uint64) {
	if words == nil {
		return
	}
	if err := unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))); err != nil {
		panic(err) // the words are not those of allocate
	}
}
