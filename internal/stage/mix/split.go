package mix

import (
	"encoding/binary"
	"fmt"
	"math"

	"barka/internal/dataset"
)

// The validation split draws a lot for each group: a number that depends on the seed and
// the group alone. The groups with lots below the share are held back, so that more data
// does not change the side of a row. With few groups, or one that has most of the rows,
// the share could be missed by far. Then groups are taken in order of their lots, each if
// it brings the share closer.
const (
	// lotBins divides the lots, so that memory does not grow with the number of groups.
	lotBins = 1 << 16
	// tolerance is how far the share may be missed, as a part of it.
	tolerance = 0.25
)

// lot is the number drawn for a key. It is never negative.
func (m *mixer) lot(key string) int64 { return dataset.RecordSeed(m.env.Seed, key, "mix/validation") }

// lotOf is the lot of a row's group.
func (p *plan) lotOf(e entry) int64 {
	if e.alone {
		return int64(binary.LittleEndian.Uint64(e.home[:]))
	}
	root := p.g.root(e.home)
	return p.m.lot(string(root[:]))
}

// split moves rows to the validation set.
func (p *plan) split() error {
	share := p.m.o.Validation
	if share == 0 {
		return nil
	}
	held, rows, bins := int64(0), int64(0), make([]int64, lotBins)
	err := p.eachTaken(func(lot int64) fate {
		rows++
		bins[bucketOf(lot, lotBins)]++
		if float64(lot)/(1<<63) < share {
			held++
		}
		return 1
	})
	if err != nil || rows == 0 {
		return err
	}
	want := share * float64(rows)
	below := func(lot int64) bool { return float64(lot)/(1<<63) < share }
	if math.Abs(float64(held)-want) > tolerance*want {
		var chosen []bool
		chosen, held = choose(bins, want)
		below = func(lot int64) bool { return chosen[bucketOf(lot, lotBins)] }
	}
	switch got := float64(held) / float64(rows); {
	case held == 0:
		p.m.notes = append(p.m.notes, fmt.Sprintf("validation is %g, which holds back none of so few pages, passages and rows: "+
			"a training measures no validation loss", share))
	case math.Abs(got-share) > 2*tolerance*share:
		p.m.notes = append(p.m.notes, fmt.Sprintf("validation is %g, and whole pages, passages and clusters hold back %.2g of the rows",
			share, got))
	}
	return p.eachTaken(func(lot int64) fate {
		if below(lot) {
			return heldBack
		}
		return 1
	})
}

// choose takes bins in order, each if the sum of its rows and of those taken comes closer
// to want.
func choose(bins []int64, want float64) (chosen []bool, sum int64) {
	chosen = make([]bool, len(bins))
	for i, n := range bins {
		if n > 0 && math.Abs(float64(sum+n)-want) < math.Abs(float64(sum)-want) {
			chosen[i] = true
			sum += n
		}
	}
	return chosen, sum
}

// eachTaken calls decide with the lot of each row that the limits let pass. The row's fate
// becomes what decide returns.
func (p *plan) eachTaken(decide func(lot int64) fate) error {
	return p.fates.each(func(e ordered, f fate) (fate, error) {
		if f == 1 {
			f = decide(p.lotOf(e.entry))
		}
		return f, nil
	})
}
