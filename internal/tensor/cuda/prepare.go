//go:build cuda && linux

package cuda

import (
	"slices"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// packer collects the lists of a pass, so that they reach the GPU with one copy.
type packer struct{ bytes []byte }

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
	starts, past, first, list place
	joined                    *layoutPlaces
}

// addLayout appends the lists of a layout. at returns it once the address of the bytes is known.
func (p *packer) addLayout(l *tensor.Layout) (made *layout, places layoutPlaces) {
	made = &layout{sequences: l.Sequences(), rows: int(l.Starts[len(l.Past)]), most: mostQueries(l)}
	first := make([]int32, 1, len(l.Keys)+1)
	for _, keys := range l.Keys {
		made.keys += len(keys)
		first = append(first, int32(made.keys))
	}
	places = layoutPlaces{p.add(l.Starts), p.add(l.Past), p.add(first), p.add(l.Keys...), nil}
	if j := joined(l); j != nil {
		places.joined = new(layoutPlaces)
		made.joined, *places.joined = p.addLayout(j)
	}
	return made, places
}

// at completes the layout for bytes that begin at an address.
func (l *layout) at(base cuda.Pointer, p layoutPlaces) {
	l.starts, l.past, l.first = base+cuda.Pointer(p.starts), base+cuda.Pointer(p.past), base+cuda.Pointer(p.first)
	l.list = base + cuda.Pointer(p.list)
	if l.joined != nil {
		l.joined.at(base, *p.joined)
	}
}

// Prepare implements tensor.Device.
func (d *Device) Prepare(b tensor.Batch) tensor.Batch {
	p := &d.packer
	p.bytes = p.bytes[:0]
	ints := []*tensor.Ints{&b.Tokens, &b.Positions, &b.Rows, &b.Keep, &b.Picked, &b.Targets}
	places := make([]place, len(ints))
	for i, l := range ints {
		places[i] = p.add(l.Host)
	}
	numbers := p.addNumbers(b.Numbers.Host)
	weights := p.align()
	p.bytes = append(p.bytes, bytesOf(b.Weights.Data)...)
	layouts := []*tensor.Keys{&b.Keys, &b.Source}
	made, layoutsAt := make([]*layout, 2), make([]layoutPlaces, 2)
	for i, k := range layouts {
		if k.Layout != nil {
			made[i], layoutsAt[i] = p.addLayout(k.Layout)
		}
	}
	b.Memory = d.Alloc(1, (len(p.bytes)+3)/4)
	d.begin("Prepare", b.Memory)
	base := cuda.Pointer(b.Memory.Handle)
	d.push(base, p.bytes)
	for i, l := range ints {
		if len(l.Host) > 0 {
			l.Handle = uintptr(base) + uintptr(places[i])
		}
	}
	if len(b.Numbers.Host) > 0 {
		b.Numbers.Handle = uintptr(base) + uintptr(numbers)
	}
	if b.Weights.Data != nil {
		b.Weights.Handle = uintptr(base) + uintptr(weights)
	}
	for i, k := range layouts {
		if k.Layout != nil {
			made[i].at(base, layoutsAt[i])
			k.Prepared = made[i]
		}
	}
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
	p.bytes = p.bytes[:0]
	made, places := p.addLayout(k.Layout)
	l := d.bring(p.bytes)
	made.at(l.at, places)
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
	at := d.take(4 * len(values))
	d.push(at, bytesOf(values))
	d.kept = append(d.kept, cachedList{slices.Clone(values), at})
	return at
}
