package mix

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// fate is what becomes of a row: the number of its copies in the training set, or
// one of the constants.
type fate = byte

const (
	refused    fate = 255 - iota // see mixer.refuse
	duplicate                    // an earlier row has the id
	overLimit                    // of its dataset
	overWeight                   // left out by the weights
	heldBack                     // in the validation set
	showsHeld                    // a few-shot row that shows one of the validation set

	// maxCopies bounds Options.MaxRepeats.
	maxCopies = 100
)

// plan decides the fate of every row from the survey.
type plan struct {
	m       *mixer
	s       *survey
	g       groups
	fates   *fates
	records int64            // rows that are written, rejected ones included
	taken   map[string]int64 // rows of each dataset that the limits let pass
	kept    map[string]int64 // those of them that are in the mix, once
	portion []portion        // of the weights' groups, in order of their names
}

// plan makes the plan. It keeps files in dir until the plan is closed.
func (m *mixer) plan(s *survey, dir string) (_ *plan, err error) {
	g, err := s.groups()
	if err != nil {
		return nil, err
	}
	p := &plan{m: m, s: s, g: g, taken: map[string]int64{}, kept: map[string]int64{}}
	if err := p.checkNames(); err != nil {
		return nil, err
	}
	if p.fates, err = newFates(s, dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	for _, step := range []func() error{p.limit, p.split, p.dropShowing, p.weigh, p.tally, p.checkMinima} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// close removes the files of the plan.
func (p *plan) close() error { return p.fates.remove() }

// checkNames refuses options that name what no row has, and lists that match nothing.
func (p *plan) checkNames() error {
	m, sets := p.m, map[string]bool{}
	for _, c := range p.s.Classes {
		sets[c.Dataset] = true
	}
	switch {
	case p.s.Rows == 0:
		return badinput.Errorf("mix: none of %s has a row, so there is nothing to mix",
			strings.Join(slices.Sorted(maps.Keys(m.env.In)), ", "))
	case len(m.drop) > 0 && p.s.Dropped == 0:
		return badinput.Errorf("%s: none of its %d ids is in the sets to mix; was another set audited?", m.o.Drop, len(m.drop))
	}
	for _, named := range []struct {
		what string
		by   map[string]int
	}{{"limit", m.o.Limits}, {"at_least", m.o.AtLeast}} {
		for _, d := range slices.Sorted(maps.Keys(named.by)) {
			if !sets[d] {
				return badinput.Errorf("mix: %s of %s: no row is of a dataset of that name; datasets there: %s", named.what, d,
					strings.Join(slices.Sorted(maps.Keys(sets)), ", "))
			}
		}
	}
	return nil
}

// limit applies the limits, and finds ids that occur again.
func (p *plan) limit() error {
	return p.fates.each(func(e ordered, _ fate) (fate, error) {
		d := p.s.Classes[e.class].Dataset
		limit, limited := p.m.o.Limits[d]
		switch {
		case e.again:
			return duplicate, nil
		case e.refused:
			return refused, nil
		case limited && p.taken[d] >= int64(limit):
			return overLimit, nil
		}
		p.taken[d]++
		return 1, nil
	})
}

// tally counts the rows and tokens of each class that are in the mix, and sorts the fates
// for the second pass.
func (p *plan) tally() error {
	p.records = p.s.Rows
	return p.fates.each(func(e ordered, f fate) (fate, error) {
		copies := int64(0) // in the training set
		if f <= maxCopies {
			copies = int64(f)
			p.records += copies - 1
		}
		if c := p.s.Classes[e.class]; copies > 0 || f == heldBack {
			c.add(e.entry, copies)
			p.kept[c.Dataset]++
		}
		return f, p.fates.settle(e.ordinal, f)
	})
}

// checkMinima refuses a mix that has fewer rows of a dataset than were asked for.
func (p *plan) checkMinima() error {
	for _, d := range slices.Sorted(maps.Keys(p.m.o.AtLeast)) {
		want, read := p.m.o.AtLeast[d], int64(0)
		for _, c := range p.s.Classes {
			if c.Dataset == d {
				read += c.Read
			}
		}
		if p.kept[d] < int64(want) {
			return badinput.Errorf("mix: at_least asks for %d rows of %s, and the mix has %d different ones: of %d rows read, "+
				"%d can be used within the limits, and the weights leave out %d; lower at_least, or give the set more rows or weight",
				want, d, p.kept[d], read, p.taken[d], p.taken[d]-p.kept[d])
		}
	}
	return nil
}

// reason is why a row with the fate is not in the mix. r is refused in the words of
// mixer.refuse.
func (p *plan) reason(f fate, r dataset.Instruction, why dataset.Reject) dataset.Reject {
	switch f {
	case duplicate:
		return dataset.Reject{Reason: "duplicate_id", Detail: r.ID}
	case overLimit:
		return dataset.Reject{Reason: "over_limit", Detail: fmt.Sprintf("%s is limited to %d rows", r.Dataset, p.m.o.Limits[r.Dataset])}
	case overWeight:
		return dataset.Reject{Reason: "over_weight", Detail: "left out by the weights"}
	case showsHeld:
		return dataset.Reject{Reason: "shows_validation", Detail: "one of its examples is in the validation set"}
	}
	return why
}
