//go:build cuda && linux

package cuda

import (
	"fmt"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// growing are the tensors of Grow. Each lies at the beginning of a range of addresses of its own, as
// large as the GPU's memory, of which Back maps what is used.
type growing struct {
	used map[uintptr]*cuda.Arena // by address
	// idle are the ranges of freed tensors, with their memory: the first one is used first, so that
	// the tensors of a new cache get the addresses of the old one's.
	idle []*cuda.Arena
}

// Grow implements tensor.Device.
func (d *Device) Grow(t tensor.Tensor, used, rows, cols int, typ tensor.Type) tensor.Tensor {
	if rows < t.Rows || !t.None() && (cols != t.Cols || typ != t.Type) || used > t.Rows {
		panic("cuda: Grow: the shapes do not fit")
	}
	grown := tensor.Tensor{Rows: rows, Cols: cols, Type: typ, Handle: t.Handle}
	d.begin("Grow", grown)
	if int64(grown.Bytes()) > d.gpu.Info.Memory {
		panic(&tensor.Failure{Device: d.Name(), Operation: d.running.String(), OutOfMemory: true,
			Err: fmt.Errorf("it has more bytes than the GPU has memory, %d", d.gpu.Info.Memory)})
	}
	if t.None() {
		a := d.freeRange()
		if d.growing.used == nil {
			d.growing.used = map[uintptr]*cuda.Arena{}
		}
		grown.Handle = uintptr(a.Base())
		d.growing.used[grown.Handle] = a
	}
	return grown
}

// freeRange returns a range that no tensor uses.
func (d *Device) freeRange() *cuda.Arena {
	g := &d.growing
	if len(g.idle) > 0 {
		a := g.idle[0]
		g.idle = g.idle[1:]
		d.memory.live += int64(a.Mapped()) // again
		return a
	}
	a, err := d.gpu.NewArena(int(d.gpu.Info.Memory), smallChunk)
	d.check(err)
	return a
}

// Back implements tensor.Device. It maps some megabytes at once.
func (d *Device) Back(t tensor.Tensor, rows int) {
	a := d.growing.used[t.Handle]
	if a == nil || rows > t.Rows {
		panic("cuda: Back: the tensor was not made by Grow, or has fewer rows")
	}
	bytes := t.Type.Size() * rows * t.Cols
	if a.Mapped() >= bytes {
		return
	}
	d.begin("Back", t)
	before := a.Mapped()
	err := a.Grow(bytes)
	if cuda.OutOfMemory(err) {
		d.check(d.dropRanges())
		d.check(d.memory.arena.Shrink(d.memory.end))
		err = a.Grow(bytes)
	}
	d.memory.live += int64(a.Mapped() - before)
	d.memory.peak = max(d.memory.peak, d.memory.live)
	d.check(err)
}

// endGrowing takes the tensor back if Grow returned it.
func (d *Device) endGrowing(t tensor.Tensor) bool {
	a := d.growing.used[t.Handle]
	if a == nil {
		return false
	}
	delete(d.growing.used, t.Handle)
	d.memory.live -= int64(a.Mapped())
	d.growing.idle = append(d.growing.idle, a)
	return true
}

// dropRanges gives the memory of idle ranges back.
func (d *Device) dropRanges() error {
	idle := d.growing.idle
	d.growing.idle = nil
	for _, a := range idle {
		if err := a.Close(); err != nil {
			return err
		}
	}
	return nil
}

// close gives back the memory of all ranges.
func (g *growing) close() error {
	for _, a := range g.used {
		g.idle = append(g.idle, a)
	}
	for _, a := range g.idle {
		if err := a.Close(); err != nil {
			return err
		}
	}
	g.used, g.idle = nil, nil
	return nil
}
