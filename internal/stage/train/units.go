package train

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// set is one of several datasets: samples [Sample, Sample+Samples), which are units
// [first, first+n), of which an epoch takes take.
type set struct {
	Path    string `json:"path"`
	Sample  int    `json:"sample"`
	Samples int    `json:"samples"`
	Tokens  int64  `json:"tokens"`
	Trained int64  `json:"trained"`

	first, n, take int
}

// lay divides the samples into units, and decides how many units of each set an epoch takes.
func (d *Data) lay(o Options, sources []Source) {
	d.paired, d.packs, d.units = o.Objective == ObjectiveDPO, nil, 0
	for i := range d.sets {
		s := &d.sets[i]
		s.first, s.n = d.units, s.Samples
		switch {
		case d.paired:
			s.n /= 2
		case o.Objective == ObjectiveText:
			packs := d.pack(s.Sample, s.Sample+s.Samples, o.MaxLength)
			d.packs, s.n = append(d.packs, packs...), len(packs)
		}
		d.units += s.n
		s.take = s.n
		if w := sources[i].Weight; w > 0 {
			s.take = max(1, int(w*float64(s.n)+0.5))
		}
	}
	d.replay(sources)
}

// replay sets how many units of the replayed datasets an epoch takes.
func (d *Data) replay(sources []Source) {
	others, share := 0, 0.0
	for i, s := range sources {
		if share += s.replay; s.replay == 0 {
			others += d.sets[i].take
		}
	}
	for i, s := range sources {
		if s.replay > 0 {
			d.sets[i].take = max(1, int(s.replay/(1-share)*float64(others)+0.5))
		}
	}
}

// pack packs samples [from, to) into units of at most limit tokens: the longest first, each
// into the fullest unit that has room for it (best-fit decreasing).
func (d *Data) pack(from, to, limit int) (packs [][]int32) {
	order := make([]int32, 0, to-from)
	for i := from; i < to; i++ {
		order = append(order, int32(i))
	}
	size := func(i int32) int { return int(d.tokens.index[i].tokens) }
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(size(b), size(a)) })
	open := make([][]int32, limit+1) // units by their room
	some := make([]uint64, limit/64+1)
	for _, i := range order {
		room, unit := smallest(some, size(i)), int32(len(packs))
		if room < 0 {
			packs, room = append(packs, nil), limit
		} else {
			last := len(open[room]) - 1
			unit = open[room][last]
			if open[room] = open[room][:last]; last == 0 {
				some[room/64] &^= 1 << (room % 64)
			}
		}
		packs[unit] = append(packs[unit], i)
		left := max(room-size(i), 0)
		open[left] = append(open[left], unit)
		some[left/64] |= 1 << (left % 64)
	}
	return packs
}

// smallest returns the smallest number from least on whose bit is set, or -1.
func smallest(set []uint64, least int) int {
	for w := least / 64; w < len(set); w++ {
		word := set[w]
		if w == least/64 {
			word &= ^uint64(0) << (least % 64)
		}
		if word != 0 {
			return 64*w + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// Samples returns the number of units that can be trained on.
func (d *Data) Samples() int { return d.units }

// samples returns the samples of a unit.
func (d *Data) samples(unit int) []int32 {
	switch {
	case d.packs != nil:
		return d.packs[unit]
	case d.paired:
		return []int32{int32(2 * unit), int32(2*unit + 1)}
	}
	return []int32{int32(unit)}
}

// length returns the tokens of a unit.
func (d *Data) length(unit int) (n int) {
	for _, i := range d.samples(unit) {
		n += int(d.tokens.index[i].tokens)
	}
	return n
}

// trained returns the trained tokens of units.
func (d *Data) trained(units []int) (n int) {
	for _, u := range units {
		for _, i := range d.samples(u) {
			n += int(d.tokens.index[i].trained)
		}
	}
	return n
}

// name returns where a unit comes from: files and rows.
func (d *Data) name(unit int) string {
	var all []string
	for _, i := range d.samples(unit) {
		if s := d.source(i); len(all) == 0 || all[len(all)-1] != s {
			all = append(all, s)
		}
	}
	return strings.Join(all, ", ")
}

// names returns where units come from.
func (d *Data) names(units []int) string {
	var all []string
	for _, u := range units {
		all = append(all, d.name(u))
	}
	return strings.Join(all, ", ")
}

// source returns where a sample comes from: a file and a row.
func (d *Data) source(sample int32) (name string) {
	for _, s := range d.sets {
		if int(sample) >= s.Sample {
			name = fmt.Sprintf("%s row %d", s.Path, d.tokens.index[sample].row)
		}
	}
	return name
}
