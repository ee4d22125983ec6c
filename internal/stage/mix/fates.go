package mix

import (
	"errors"
	"iter"
	"math/bits"
	"path/filepath"

	"barka/internal/diskmap"
)

// fates hold the fate of each row in files: by the row's place in the shuffle while the plan
// is made, and by its place in the inputs afterwards.
type fates struct {
	s        *survey
	shuffled *diskmap.Array  // of the entries, in their order
	ordinals *diskmap.Sorter // of those that are settled
	shift    int             // of an ordinal in a key
}

func newFates(s *survey, dir string) (*fates, error) {
	shuffled, err := diskmap.NewArray(filepath.Join(dir, "fates"))
	if err != nil {
		return nil, err
	}
	ordinals, err := diskmap.NewSorter(filepath.Join(dir, "fates-sorted"))
	if err != nil {
		return nil, errors.Join(err, shuffled.Remove())
	}
	return &fates{s, shuffled, ordinals, 64 - bits.Len64(uint64(s.Rows))}, nil
}

// each calls decide with each entry in the order of the shuffle and its fate, which becomes
// what decide returns. At first it is 0.
func (f *fates) each(decide func(e ordered, now fate) (fate, error)) error {
	i := 0
	for e, err := range f.s.ordered() {
		if err != nil {
			return err
		}
		now, err := f.shuffled.Get(i)
		if err != nil {
			return err
		}
		then, err := decide(e, fate(now))
		if err != nil {
			return err
		}
		if then != fate(now) {
			if err := f.shuffled.Set(i, uint64(then)); err != nil {
				return err
			}
		}
		i++
	}
	return nil
}

// settle stores the last fate of a row.
func (f *fates) settle(ordinal int64, last fate) error {
	return f.ordinals.Add(uint64(ordinal)<<f.shift, int(last))
}

// inOrder returns a function for the fates of rows in the order of the inputs, and one that
// ends the reading. A row without an entry, which has no id, is refused.
func (f *fates) inOrder() (of func(ordinal int64) (fate, error), stop func()) {
	next, stop := iter.Pull2(f.ordinals.All())
	at, known := int64(-1), refused // the last entry
	return func(ordinal int64) (fate, error) {
		for at < ordinal {
			e, err, ok := next()
			switch {
			case err != nil:
				return 0, err
			case !ok:
				at = f.s.Rows
			default:
				at, known = int64(e.Key>>f.shift), fate(e.Number)
			}
		}
		if at > ordinal {
			return refused, nil
		}
		return known, nil
	}, stop
}

func (f *fates) remove() error { return errors.Join(f.shuffled.Remove(), f.ordinals.Remove()) }
