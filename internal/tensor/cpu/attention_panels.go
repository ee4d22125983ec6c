package cpu

import (
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// keepPanels is the most values of a head whose panels a worker keeps.
const keepPanels = 1 << 21

// keptPanels are panels of a tensor's rows for a list of keys and one head, 32 keys in
// each. A worker makes a panel when a block of queries first needs it, and keeps it for
// the blocks of the same list and head that follow.
type keptPanels struct {
	of   keptRows
	data []float32
	made []bool // for each 32 keys
}

// keptRows identifies the rows of a tensor that a tile's keys select, for its head. Zero
// is none.
type keptRows struct {
	data              *float32
	keys              *int32
	first, last, head int
}

// forgetPanels drops the panels of an earlier operation.
func (d *Device) forgetPanels() {
	for i := range d.workers {
		w := &d.workers[i]
		w.keys.of, w.values.of, w.gradValues.of = keptRows{}, keptRows{}, keptRows{}
	}
}

// keeps reports whether the panels of so many keys are kept for several blocks of queries.
func keeps(a tensor.Attention, keys int) bool { return keys*a.HeadDim <= keepPanels }

// hold makes p the panels of the tile's rows of x, size values for each 32 keys. They
// stay if p holds them already.
func (p *keptPanels) hold(t *tile, x tensor.Tensor, size int) {
	of := keptRows{data: &x.Data[0], keys: &t.keys[0], first: t.first, last: t.last, head: t.head}
	if p.of != of {
		p.of = of
		n := kernel.Panels(t.last - t.first)
		grow(&p.data, n*size)
		clear(grow(&p.made, n))
	}
}

// keyPanel returns the transposed panel [stride, 32] of the tile's rows of x for 32 keys,
// the first of which is first + 32·i.
func (t *tile) keyPanel(p *keptPanels, x tensor.Tensor, i int) []float32 {
	size, lo := t.stride()*kernel.PanelN, t.first+i*kernel.PanelN
	if !t.kept {
		panel := grow(&p.data, size)
		t.locate(x, lo, min(lo+kernel.PanelN, t.last)).KeyPanel(panel, 0)
		return panel
	}
	p.hold(t, x, size)
	panel := p.data[i*size : (i+1)*size]
	if !p.made[i] {
		t.locate(x, lo, min(lo+kernel.PanelN, t.last)).KeyPanel(panel, 0)
		p.made[i] = true
	}
	return panel
}

// valuePanel returns the panel [hi-lo, 32] of the columns c to c+32 of the head in the
// tile's rows of x, for the keys lo ≤ j < hi. Columns beyond the head's width are zero.
func (t *tile) valuePanel(p *keptPanels, x tensor.Tensor, c, lo, hi int) []float32 {
	width := t.a.HeadDim
	gather := func(panel []float32, c, lo, hi int) {
		kernel.GatherPanel(panel, x.Data, t.keys[lo:hi], x.Cols, t.off()+c, min(kernel.PanelN, width-c))
	}
	if !t.kept {
		panel := grow(&p.data, (hi-lo)*kernel.PanelN)
		gather(panel, c, lo, hi)
		return panel
	}
	columns := kernel.Panels(t.last-t.first) * kernel.PanelN * kernel.PanelN // values of 32 columns
	p.hold(t, x, kernel.Panels(width)*kernel.PanelN*kernel.PanelN)
	for i := (lo - t.first) / kernel.PanelN; t.first+i*kernel.PanelN < hi; i++ {
		if p.made[i] {
			continue
		}
		from := t.first + i*kernel.PanelN
		for c := 0; c < width; c += kernel.PanelN {
			gather(p.data[c/kernel.PanelN*columns+i*kernel.PanelN*kernel.PanelN:], c, from, min(from+kernel.PanelN, t.last))
		}
		p.made[i] = true
	}
	return p.data[c/kernel.PanelN*columns+(lo-t.first)*kernel.PanelN:][:(hi-lo)*kernel.PanelN]
}
