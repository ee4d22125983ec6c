//go:build cuda && linux

package cuda

import (
	"unsafe"
)

// Pointer is an address in device memory.
type Pointer uint64

// Alloc allocates device memory of the given size in bytes, aligned to 256. Its contents are
// undefined. For what is allocated and freed during work there is Arena.
func (g *GPU) Alloc(bytes int) (Pointer, error) {
	var p Pointer
	err := g.do(func() error { return g.driver.call(cuMemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes)) })
	return p, err
}

// Free frees memory of Alloc, after the work recorded before.
func (g *GPU) Free(p Pointer) error {
	return g.do(func() error { return g.driver.call(cuMemFree, uintptr(p)) })
}

// Memory returns the free and the whole memory of the device, bytes. Other programs share it.
func (g *GPU) Memory() (free, total int64, err error) {
	err = g.do(func() error {
		return g.driver.call(cuMemGetInfo, uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total)))
	})
	return
}

// Host is page-locked host memory, the only kind that the GPU copies from and to.
type Host struct {
	Bytes   []byte
	address uintptr
}

// AllocHost allocates page-locked memory of the given size in bytes.
func (g *GPU) AllocHost(bytes int) (*Host, error) {
	var p unsafe.Pointer
	if err := g.do(func() error {
		return g.driver.call(cuMemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes), 0)
	}); err != nil {
		return nil, err
	}
	return &Host{Bytes: unsafe.Slice((*byte)(p), bytes), address: uintptr(p)}, nil
}

// FreeHost frees page-locked memory, after the work recorded before.
func (g *GPU) FreeHost(h *Host) error {
	return g.do(func() error { return g.driver.call(cuMemFreeHost, h.address) })
}

// CopyIn records a copy of bytes from host memory at offset to the device. The host's bytes must not
// change until the stream has passed it.
func (s *Stream) CopyIn(dst Pointer, src *Host, offset, bytes int) {
	s.gpu.thread.later(func() error {
		return s.gpu.driver.call(cuMemcpyHtoDAsync, uintptr(dst), src.address+uintptr(offset), uintptr(bytes), s.handle)
	})
}

// CopyOut records a copy from the device to host memory at offset. The bytes are there once the
// stream has passed it.
func (s *Stream) CopyOut(dst *Host, offset int, src Pointer, bytes int) {
	s.gpu.thread.later(func() error {
		return s.gpu.driver.call(cuMemcpyDtoHAsync, dst.address+uintptr(offset), uintptr(src), uintptr(bytes), s.handle)
	})
}

// Copy records a copy within the device.
func (s *Stream) Copy(dst, src Pointer, bytes int) {
	s.gpu.thread.later(func() error {
		return s.gpu.driver.call(cuMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), s.handle)
	})
}

// Fill records setting bytes of device memory to a value.
func (s *Stream) Fill(dst Pointer, value byte, bytes int) {
	s.gpu.thread.later(func() error {
		return s.gpu.driver.call(cuMemsetD8Async, uintptr(dst), uintptr(value), uintptr(bytes), s.handle)
	})
}

// stagingBytes is the size of each of the two buffers of Upload and Download.
const stagingBytes = 4 << 20

// Upload copies Go memory to the device through page-locked buffers and waits for it.
func (g *GPU) Upload(dst Pointer, src []byte) error {
	return g.staged(len(src), func(h *Host, half, at, n int) {
		copy(h.Bytes[half:half+n], src[at:])
		g.Compute.CopyIn(dst+Pointer(at), h, half, n)
	}, nil)
}

// Download copies device memory to Go memory, after the work recorded before, and waits for it.
func (g *GPU) Download(dst []byte, src Pointer) error {
	return g.staged(len(dst), func(h *Host, half, at, n int) {
		g.Compute.CopyOut(h, half, src+Pointer(at), n)
	}, func(h *Host, half, at, n int) { copy(dst[at:at+n], h.Bytes[half:]) })
}

// staged moves `bytes` through two halves of a page-locked buffer: begin starts the copy of a piece,
// end is called when it has arrived, while the next piece is on its way.
func (g *GPU) staged(bytes int, begin, end func(h *Host, half, at, n int)) error {
	if bytes == 0 {
		return g.Synchronize()
	}
	h, err := g.AllocHost(2 * min(stagingBytes, bytes))
	if err != nil {
		return err
	}
	defer g.FreeHost(h)
	size := len(h.Bytes) / 2
	var passed [2]*Event
	for i := range passed {
		if passed[i], err = g.NewEvent(); err != nil {
			return err
		}
		defer passed[i].Close()
	}
	pieces := (bytes + size - 1) / size
	length := func(i int) int { return min(size, bytes-i*size) }
	finish := func(i int) error {
		if err := passed[i%2].Synchronize(); err != nil {
			return err
		}
		if end != nil {
			end(h, i%2*size, i*size, length(i))
		}
		return nil
	}
	for i := range pieces {
		if i >= 2 {
			if err := finish(i - 2); err != nil {
				return err
			}
		}
		begin(h, i%2*size, i*size, length(i))
		g.Compute.Record(passed[i%2])
	}
	for i := max(pieces-2, 0); i < pieces; i++ {
		if err := finish(i); err != nil {
			return err
		}
	}
	return nil
}
