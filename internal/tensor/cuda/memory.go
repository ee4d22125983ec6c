//go:build cuda && linux

package cuda

import (
	"slices"

	"barka/internal/cuda"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// memory hands out ranges of device memory. All work runs in one stream, in the order of recording,
// so a range that is given back can be handed out again at once. The ranges lie in one arena of the
// size of the card, which is mapped as it is needed.
type memory struct {
	gpu   *cuda.GPU
	arena *cuda.Arena
	end   int     // bytes of the arena below which ranges lie
	idle  []block // free ranges below end, by address; neighbours are one range
	used  map[cuda.Pointer]grant
	taken int64 // bytes in used
	last  int64 // number of the last grant
	// apart makes every range an allocation of the driver. Tests use it: the fake driver checks guard
	// bytes around its allocations, and their contents begin as NaN.
	apart bool

	live, peak int64 // bytes of tensors
}

// grant is a range that is in use.
type grant struct {
	bytes  int
	number int64 // in the order of take; 0 for memory that outlives the work that took it, as of weights
	tensor bool  // it counts in live
}

// block is a range of addresses.
type block struct {
	at    cuda.Pointer
	bytes int
}

const (
	memoryUnit  = 256 // bytes; a range's size and alignment
	smallChunk  = 2 << 20
	memoryChunk = 32 << 20 // bytes mapped at once
)

func (m *memory) open(gpu *cuda.GPU) error {
	m.gpu, m.used = gpu, map[cuda.Pointer]grant{}
	chunk := memoryChunk
	if gpu.Info.Memory/1024 < memoryChunk {
		chunk = smallChunk
	}
	var err error
	m.arena, err = gpu.NewArena(int(gpu.Info.Memory), chunk)
	return err
}

func (m *memory) close() error {
	if m.apart {
		for p := range m.used {
			if err := m.gpu.Free(p); err != nil {
				return err
			}
		}
	}
	return m.arena.Close()
}

// take returns a range of at least the given size, with undefined contents.
func (m *memory) take(bytes int) (cuda.Pointer, error) {
	var at cuda.Pointer
	var err error
	if m.apart {
		bytes = max(bytes, 4)
		at, err = m.gpu.Alloc(bytes)
	} else {
		bytes = max((bytes+memoryUnit-1)/memoryUnit, 1) * memoryUnit
		at, err = m.find(bytes)
	}
	if err != nil {
		return 0, err
	}
	m.last++
	m.used[at] = grant{bytes: bytes, number: m.last}
	m.taken += int64(bytes)
	return at, nil
}

// find cuts a range from the smallest free one that has room, or from the end of the arena.
func (m *memory) find(bytes int) (cuda.Pointer, error) {
	best := -1
	for i, b := range m.idle {
		if b.bytes >= bytes && (best < 0 || b.bytes < m.idle[best].bytes) {
			best = i
		}
	}
	if best < 0 {
		if err := m.arena.Grow(m.end + bytes); err != nil {
			return 0, err
		}
		m.end += bytes
		return m.arena.Base() + cuda.Pointer(m.end-bytes), nil
	}
	b := &m.idle[best]
	at := b.at
	b.at, b.bytes = b.at+cuda.Pointer(bytes), b.bytes-bytes
	if b.bytes == 0 {
		m.idle = slices.Delete(m.idle, best, best+1)
	}
	return at, nil
}

// keep makes a range outlive the work that took it.
func (m *memory) keep(at cuda.Pointer) {
	g := m.used[at]
	g.number = 0
	m.used[at] = g
}

// count makes a range count as a tensor.
func (m *memory) count(at cuda.Pointer) {
	g := m.used[at]
	g.tensor = true
	m.used[at] = g
	m.live += int64(g.bytes)
	m.peak = max(m.peak, m.live)
}

// give takes a range back.
func (m *memory) give(at cuda.Pointer) {
	g, ok := m.used[at]
	if !ok {
		panic("cuda: Free: the memory was not allocated by the device, or is free already")
	}
	bytes := g.bytes
	delete(m.used, at)
	m.taken -= int64(bytes)
	if g.tensor {
		m.live -= int64(bytes)
	}
	if m.apart {
		m.gpu.Free(at) // an error is the GPU's own and stays
		return
	}
	i, _ := slices.BinarySearchFunc(m.idle, at, func(b block, at cuda.Pointer) int {
		if b.at < at {
			return -1
		}
		return 1
	})
	m.idle = slices.Insert(m.idle, i, block{at, bytes})
	if i+1 < len(m.idle) && m.idle[i].at+cuda.Pointer(bytes) == m.idle[i+1].at {
		m.idle[i].bytes += m.idle[i+1].bytes
		m.idle = slices.Delete(m.idle, i+1, i+2)
	}
	if i > 0 && m.idle[i-1].at+cuda.Pointer(m.idle[i-1].bytes) == at {
		m.idle[i-1].bytes += m.idle[i].bytes
		m.idle = slices.Delete(m.idle, i, i+1)
	}
	if n := len(m.idle); n > 0 && m.idle[n-1].at+cuda.Pointer(m.idle[n-1].bytes) == m.arena.Base()+cuda.Pointer(m.end) {
		m.end -= m.idle[n-1].bytes
		m.idle = m.idle[:n-1]
	}
}

// take returns device memory for weights, tables and the work of the running operation. It fails the
// operation if there is not enough.
func (d *Device) take(bytes int) cuda.Pointer { return d.takeFrom(d.current(), bytes) }

// current returns the memory that operations use.
func (d *Device) current() *memory {
	if d.scope != nil {
		return d.scope
	}
	return &d.memory
}

func (d *Device) takeFrom(m *memory, bytes int) cuda.Pointer {
	at, err := m.take(bytes)
	if cuda.OutOfMemory(err) && !d.replays.recording { // nothing may wait for the GPU in a recording
		d.check(d.dropRanges())
		d.reclaim()
		at, err = m.take(bytes)
	}
	d.check(err)
	return at
}

// give takes memory of take back. Work recorded before may still use it. What the memory of
// recordings has forgotten is ignored: the results of Replay.
func (d *Device) give(at cuda.Pointer) {
	if r := &d.replays; r.owns(tensor.Tensor{Handle: uintptr(at)}) {
		if _, ok := r.memory.used[at]; ok {
			r.memory.give(at)
		}
		return
	}
	d.memory.give(at)
}

// Mark returns a number that orders what is allocated before it and after it.
func (d *Device) Mark() int64 { return d.memory.last }

// Release frees the tensors and the memory of operations that are younger than a mark. Then it gives
// memory that nothing uses back to the GPU, so that any kind of work can have it.
func (d *Device) Release(mark int64) {
	for at, g := range d.memory.used {
		if g.number > mark {
			d.memory.give(at)
		}
	}
	d.replies.release(mark)
	// An error is the GPU's own, and the next operation reports it.
	d.dropRanges()
	if r := &d.replays; r.open {
		r.drop()
		r.memory.forget()
		r.memory.arena.Shrink(0)
	}
	d.memory.arena.Shrink(d.memory.end)
}

// forget takes everything back.
func (m *memory) forget() {
	clear(m.used)
	m.idle, m.end, m.taken = m.idle[:0], 0, 0
}

// Alloc implements tensor.Device.
func (d *Device) Alloc(rows, cols int) tensor.Tensor { return d.AllocAs(rows, cols, tensor.F32) }

// OperandType implements tensor.Device. Products with BF16 weights read bfloat16, and store it.
func (d *Device) OperandType(w tensor.Weight) tensor.Type {
	if w.DType() == dtype.BF16 {
		return tensor.BF16
	}
	return tensor.F32
}

// AllocAs implements tensor.Device.
func (d *Device) AllocAs(rows, cols int, typ tensor.Type) tensor.Tensor {
	if rows < 0 || cols < 0 {
		panic("cuda: Alloc: negative shape")
	}
	t := tensor.Tensor{Rows: rows, Cols: cols, Type: typ}
	d.begin("Alloc", t)
	at := d.take(t.Bytes())
	t.Handle = uintptr(at)
	if d.scope == nil {
		d.memory.count(at)
	}
	return t
}

// Free implements tensor.Device.
func (d *Device) Free(ts ...tensor.Tensor) {
	for _, t := range ts {
		if t.Handle != 0 && !d.endGrowing(t) {
			d.give(cuda.Pointer(t.Handle))
		}
	}
}

// Peak returns the most memory that tensors have taken at once, in bytes. It does not count weights.
func (d *Device) Peak() int64 { return d.memory.peak }

// Live returns the memory of the tensors that have not been freed, in bytes.
func (d *Device) Live() int64 { return d.memory.live }

// Held returns the memory that the device has taken from the GPU, in bytes.
func (d *Device) Held() int64 { return int64(d.memory.arena.Mapped()) }

// Trim begins Peak again. Freed memory serves tensors of any size, so that nothing need be dropped.
func (d *Device) Trim() { d.memory.peak = d.memory.live }

// PassTokens is how many tokens of a forward pass keep a GPU busy.
func (d *Device) PassTokens() int { return 16384 }

// Workspace returns the bytes that operations take, beside tensors, in a pass over tokens through layers of
// a width and a head over a vocabulary: for the head a chunk of logits in float32 and bfloat16, for a layer
// its input in bfloat16, once more after dropout, float32 copies of the operands of a gradient, and the sums of
// several parts of it.
func (d *Device) Workspace(tokens, width, vocabulary int) int64 {
	head := 6 * int64(min(tokens, chunkRows(vocabulary))) * int64(vocabulary)
	layer := 4 * int64(tokens) * int64(width)
	layer += min(gradBytes, layer)
	if parts := int64(tokens+gradRows-1) / gradRows; parts > 1 {
		layer += min(gradBytes, 4*parts*int64(width)*int64(width))
	}
	return max(head, layer)
}

// Memory returns the free and the whole memory of the GPU in bytes. What the device holds and does
// not use counts as free.
func (d *Device) Memory() (free, total int64, err error) {
	free, total, err = d.gpu.Memory()
	return free + int64(d.memory.arena.Mapped()) - d.memory.taken, total, err
}
