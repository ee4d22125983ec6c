//go:build cuda && linux

package cuda

import (
	"fmt"
	"unsafe"
)

// Arena is a range of device addresses that memory is mapped into as it grows: what lies in it never
// moves, and growing copies nothing.
type Arena struct {
	gpu      *GPU
	base     Pointer
	reserved int
	chunk    int // bytes that one mapping has
	handles  []uint64
}

// allocationProperties is the driver's CUmemAllocationProp: pinned memory on one device.
type allocationProperties struct {
	kind, handleTypes          int32
	locationKind, locationID   int32
	windowsHandle              uintptr
	compression, directCapable byte
	usage                      uint16
	reserved                   [4]byte
}

// accessDescription is CUmemAccessDesc.
type accessDescription struct{ locationKind, locationID, flags int32 }

const (
	allocationPinned = 1
	locationDevice   = 1
	accessReadWrite  = 3
)

// NewArena reserves addresses for up to `bytes` of memory and maps none. Memory comes in chunks of the
// given size in bytes, rounded up to what the device demands.
func (g *GPU) NewArena(bytes, chunk int) (*Arena, error) {
	a := &Arena{gpu: g}
	properties := a.properties()
	return a, g.do(func() error {
		var granularity uint64
		const minimum = 0
		if err := g.driver.call(cuMemGetAllocationGranularity, uintptr(unsafe.Pointer(&granularity)),
			uintptr(unsafe.Pointer(&properties)), minimum); err != nil {
			return err
		}
		a.chunk = roundUp(chunk, int(granularity))
		a.reserved = roundUp(bytes, a.chunk)
		return g.driver.call(cuMemAddressReserve, uintptr(unsafe.Pointer(&a.base)), uintptr(a.reserved), 0, 0, 0)
	})
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

func (a *Arena) properties() allocationProperties {
	return allocationProperties{kind: allocationPinned, locationKind: locationDevice, locationID: a.gpu.device}
}

// Base is the first address.
func (a *Arena) Base() Pointer { return a.base }

// Contains reports whether an address lies in the arena's range.
func (a *Arena) Contains(p Pointer) bool { return p >= a.base && p < a.base+Pointer(a.reserved) }

// Mapped returns how many bytes from the base can be used.
func (a *Arena) Mapped() int { return len(a.handles) * a.chunk }

// Grow maps memory until `bytes` can be used. What was mapped before keeps its contents. An error
// leaves the arena as it was or grown in part; OutOfMemory tells a lack of memory.
func (a *Arena) Grow(bytes int) error {
	if bytes > a.reserved {
		return &Error{Call: "Arena.Grow", Code: codeOutOfMemory, Name: "CUDA_ERROR_OUT_OF_MEMORY",
			Text: fmt.Sprintf("%d bytes are wanted, addresses are reserved for %d", bytes, a.reserved)}
	}
	for a.Mapped() < bytes {
		if err := a.gpu.do(a.mapChunk); err != nil {
			return err
		}
	}
	return nil
}

func (a *Arena) mapChunk() error {
	d, at := a.gpu.driver, uintptr(a.base)+uintptr(a.Mapped())
	properties := a.properties()
	var handle uint64
	if err := d.call(cuMemCreate, uintptr(unsafe.Pointer(&handle)), uintptr(a.chunk), uintptr(unsafe.Pointer(&properties)), 0); err != nil {
		return err
	}
	if err := d.call(cuMemMap, at, uintptr(a.chunk), 0, uintptr(handle), 0); err != nil {
		d.call(cuMemRelease, uintptr(handle))
		return err
	}
	access := accessDescription{locationKind: locationDevice, locationID: a.gpu.device, flags: accessReadWrite}
	if err := d.call(cuMemSetAccess, at, uintptr(a.chunk), uintptr(unsafe.Pointer(&access)), 1); err != nil {
		d.call(cuMemUnmap, at, uintptr(a.chunk))
		d.call(cuMemRelease, uintptr(handle))
		return err
	}
	a.handles = append(a.handles, handle)
	return nil
}

// Shrink gives the chunks behind the first `bytes` back, after the work recorded before.
func (a *Arena) Shrink(bytes int) error {
	if keep := roundUp(bytes, a.chunk) / a.chunk; keep < len(a.handles) {
		return a.gpu.do(func() error { return a.unmap(keep) })
	}
	return nil
}

// unmap gives back all chunks but the first ones.
func (a *Arena) unmap(keep int) error {
	d := a.gpu.driver
	if err := d.call(cuCtxSynchronize); err != nil {
		return err
	}
	for n := len(a.handles) - 1; n >= keep; n-- {
		if err := d.call(cuMemUnmap, uintptr(a.base)+uintptr(n*a.chunk), uintptr(a.chunk)); err != nil {
			return err
		}
		handle := a.handles[n]
		a.handles = a.handles[:n]
		if err := d.call(cuMemRelease, uintptr(handle)); err != nil {
			return err
		}
	}
	return nil
}

// Close gives memory and addresses back, after the work recorded before.
func (a *Arena) Close() error {
	return a.gpu.do(func() error {
		if err := a.unmap(0); err != nil {
			return err
		}
		return a.gpu.driver.call(cuMemAddressFree, uintptr(a.base), uintptr(a.reserved))
	})
}
