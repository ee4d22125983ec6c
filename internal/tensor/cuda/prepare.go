//go:build cuda && linux

package cuda

import (
	"slices"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// packer collects the lists of a pass, so that they reach the GPU with one copy.
type packer struct {
	bytes []byte
	// keys are the lists of keys of all layouts, which come last: theirs is the only length that
	// changes from one decoded token to the next.
	keys    [][]int32
	pending int // of their numbers
}

func (p *packer) reset() {
	clear(p.keys)
	p.bytes, p.keys, p.pending = p.bytes[:0], p.keys[:0], 0
}

// addKeys appends the lists of keys.
func (p *packer) addKeys() place { return p.add(p.keys...) }

// place is where a list begins in the packer's bytes.
type place int

// align makes the next list begin at a multiple of 16 bytes.
func (p *packer) align() place {
	for len(p.bytes)%16 != 0 {
		p.bytes = append(p.bytes, 0)
	}
	return place(len(p.bytes))
}

// add appends lists of 32-bit numbers as one.
func (p *packer) add(lists ...[]int32) place {
	at := p.align()
	for _, l := range lists {
		p.bytes = append(p.bytes, bytesOf(l)...)
	}
	return at
}

func (p *packer) addNumbers(l []uint64) place {
	at := p.align()
	p.bytes = append(p.bytes, bytesOf(l)...)
	return at
}

// layout is a Layout in the GPU's memory.
type layout struct {
	sequences, rows int // S and T
	keys            int // Σ len(Keys[s])
	most            int // queries of one sequence
	starts, past    cuda.Pointer
	// Sequence s has the rows list[first[s]] … list[first[s+1]-1] of the key tensor.
	first, list cuda.Pointer
	joined      *layout // see joined, in attention.go
}

// layoutPlaces are the places of a layout's lists.
type layoutPlaces struct {
	starts, past, first place
	joined              *layoutPlaces
}

// addLayout appends the lists of a layout but for those of the keys, which addKeys appends. at
// completes it once the address of the bytes is known.
func (p *packer) addLayout(l *tensor.Layout) (made *layout, places layoutPlaces) {
	made = &layout{sequences: l.Sequences(), rows: int(l.Starts[len(l.Past)]), most: mostQueries(l)}
	first := append(make([]int32, 0, len(l.Keys)+1), int32(p.pending))
	for _, keys := range l.Keys {
		made.keys += len(keys)
		p.pending += len(keys)
		first = append(first, int32(p.pending))
	}
	p.keys = append(p.keys, l.Keys...)
	places = layoutPlaces{p.add(l.Starts), p.add(l.Past), p.add(first), nil}
	if j := joined(l); j != nil {
		places.joined = new(layoutPlaces)
		made.joined, *places.joined = p.addLayout(j)
	}
	return made, places
}

// at completes the layout for bytes that begin at an address.
func (l *layout) at(base cuda.Pointer, p layoutPlaces, keys place) {
	l.starts, l.past, l.first = base+cuda.Pointer(p.starts), base+cuda.Pointer(p.past), base+cuda.Pointer(p.first)
	l.list = base + cuda.Pointer(keys)
	if l.joined != nil {
		l.joined.at(base, *p.joined, keys)
	}
}

// batchPlaces are the places of a batch's lists.
type batchPlaces struct {
	ints                   [6]place // in the order of listsOf
	numbers, weights, keys place
	layouts                [2]*layout
	layoutsAt              [2]layoutPlaces
}

func listsOf(b *tensor.Batch) [6]*tensor.Ints {
	return [...]*tensor.Ints{&b.Tokens, &b.Positions, &b.Rows, &b.Keep, &b.Picked, &b.Targets}
}

// pack collects the lists of a batch.
func (p *packer) pack(b *tensor.Batch) (places batchPlaces) {
	p.reset()
	for i, l := range listsOf(b) {
		places.ints[i] = p.add(l.Host)
	}
	places.numbers = p.addNumbers(b.Numbers.Host)
	places.weights = p.align()
	p.bytes = append(p.bytes, bytesOf(b.Weights.Data)...)
	for i, k := range [...]tensor.Keys{b.Keys, b.Source} {
		if k.Layout != nil {
			places.layouts[i], places.layoutsAt[i] = p.addLayout(k.Layout)
		}
	}
	places.keys = p.addKeys()
	return places
}

// at sets the addresses of a batch's lists.
func (p *batchPlaces) at(base cuda.Pointer, b *tensor.Batch) {
	for i, l := range listsOf(b) {
		if len(l.Host) > 0 {
			l.Handle = uintptr(base) + uintptr(p.ints[i])
		}
	}
	if len(b.Numbers.Host) > 0 {
		b.Numbers.Handle = uintptr(base) + uintptr(p.numbers)
	}
	if b.Weights.Data != nil {
		b.Weights.Handle = uintptr(base) + uintptr(p.weights)
	}
	for i, k := range [...]*tensor.Keys{&b.Keys, &b.Source} {
		if k.Layout != nil {
			p.layouts[i].at(base, p.layoutsAt[i], p.keys)
			k.Prepared = p.layouts[i]
		}
	}
}

// Prepare implements tensor.Device.
func (d *Device) Prepare(b tensor.Batch) tensor.Batch {
	places := d.packer.pack(&b)
	b.Memory = d.Alloc(1, (len(d.packer.bytes)+3)/4)
	d.begin("Prepare", b.Memory)
	base := cuda.Pointer(b.Memory.Handle)
	d.push(base, d.packer.bytes)
	places.at(base, &b)
	return b
}

// list is a list in the GPU's memory.
type list struct {
	at  cuda.Pointer
	own bool // drop frees it
}

// ints returns a list's address. It brings an unprepared list to the GPU. drop ends its use.
func (d *Device) ints(l tensor.Ints) list {
	if l.Handle != 0 {
		return list{cuda.Pointer(l.Handle), false}
	}
	return d.bring(bytesOf(l.Host))
}

// numbers does the same for 64-bit numbers.
func (d *Device) numbers(l tensor.Numbers) list {
	if l.Handle != 0 {
		return list{cuda.Pointer(l.Handle), false}
	}
	return d.bring(bytesOf(l.Host))
}

// values does the same for a tensor that may be a Host tensor.
func (d *Device) values(t tensor.Tensor) list {
	if t.Handle != 0 || t.None() {
		return list{cuda.Pointer(t.Handle), false}
	}
	return d.bring(bytesOf(t.Data))
}

// layout returns a layout that Prepare made, or makes it. drop ends the use of the list.
func (d *Device) layout(k tensor.Keys) (*layout, list) {
	if made, ok := k.Prepared.(*layout); ok {
		return made, list{}
	}
	p := &d.packer
	p.reset()
	made, places := p.addLayout(k.Layout)
	keys := p.addKeys()
	l := d.bring(p.bytes)
	made.at(l.at, places, keys)
	return made, l
}

// bring copies bytes into memory of its own.
func (d *Device) bring(bytes []byte) list {
	at := d.take(len(bytes))
	d.push(at, bytes)
	return list{at, true}
}

// drop frees a list that an operation brought itself. Work recorded before may still read it.
func (d *Device) drop(l list) {
	if l.own {
		d.give(l.at)
	}
}

// cachedList is a short list of values that stays on the GPU.
type cachedList struct {
	host []float32
	at   cuda.Pointer
}

// cached returns the address of values that few calls change, as the frequencies of a model.
func (d *Device) cached(values []float32) cuda.Pointer {
	for _, c := range d.kept {
		if slices.Equal(c.host, values) {
			return c.at
		}
	}
	at := d.takeFrom(&d.memory, 4*len(values)) // it stays longer than the operations that are recorded
	d.memory.keep(at)
	d.push(at, bytesOf(values))
	d.kept = append(d.kept, cachedList{slices.Clone(values), at})
	return at
}
