package mix

import (
	"encoding/binary"
	"slices"

	"barka/internal/dataset"
)

// Few-shot rows show other rows, with their answers, before their question. One that shows a
// row of the validation set must not be trained on. Rows that show each other are not tied as
// those of a page are: all rows of a set would soon be in one group.

// putShown spools the rows that a row shows, with its place in the inputs.
func (s *survey) putShown(ordinal int64, shown []string, to *spool) error {
	for _, id := range shown {
		key := dataset.KeyOf(id)
		if err := to.put(s.buckets+linkBuckets, binary.LittleEndian.AppendUint64(key[:8:8], uint64(ordinal))); err != nil {
			return err
		}
	}
	return nil
}

// dropShowing takes the rows that show a held row out of the training set. Memory has 8 bytes for
// each held row and for each of these.
func (p *plan) dropShowing() error {
	var held []uint64 // halves of the keys of ids
	any := false
	for _, err := range p.s.spool.records(p.s.buckets + linkBuckets) {
		if err != nil {
			return err
		}
		any = true
		break
	}
	if !any || p.m.o.Validation == 0 {
		return nil
	}
	err := p.fates.each(func(e ordered, f fate) (fate, error) {
		if f == heldBack {
			held = append(held, binary.LittleEndian.Uint64(e.id[:]))
		}
		return f, nil
	})
	if err != nil {
		return err
	}
	slices.Sort(held)
	var showing []int64
	for record, err := range p.s.spool.records(p.s.buckets + linkBuckets) {
		if err != nil {
			return err
		}
		if _, ok := slices.BinarySearch(held, binary.LittleEndian.Uint64(record)); ok {
			showing = append(showing, int64(binary.LittleEndian.Uint64(record[8:])))
		}
	}
	slices.Sort(showing)
	return p.fates.each(func(e ordered, f fate) (fate, error) {
		if _, ok := slices.BinarySearch(showing, e.ordinal); ok && f == 1 {
			return showsHeld, nil
		}
		return f, nil
	})
}
