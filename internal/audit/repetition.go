package audit

import (
	"fmt"
	"slices"
)

// repetitions finds rows that repeat an earlier row of their family, with the same
// answer, another answer, or other options.
func (r *Report) repetitions(items []item) {
	type group struct{ rows []*item }
	asked, questions := map[string]*group{}, map[string]*item{}
	var order []*group
	for i := range items {
		it := &items[i]
		r.options(it)
		question := it.task.family + "\x00" + it.question
		key := question + "\x00" + it.sortedOptions()
		g := asked[key]
		if g == nil {
			g = &group{}
			asked[key] = g
			order = append(order, g)
			if first := questions[question]; first != nil {
				it.task.Repeated++
				r.find(it, Repeated, first, "")
			} else {
				questions[question] = it
			}
		}
		g.rows = append(g.rows, it)
	}
	for _, g := range order {
		r.group(g.rows)
	}
}

// options finds equal options in a row.
func (r *Report) options(it *item) {
	for i, o := range it.options {
		if j := slices.Index(it.options[:i], o); j >= 0 {
			it.task.SameOptions++
			r.find(it, SameOptions, nil, fmt.Sprintf("options %d and %d are both %q", j+1, i+1, o))
			return
		}
	}
}

// group finds duplicates and contradictions among rows with equal questions and options.
func (r *Report) group(rows []*item) {
	first := map[string]*item{}
	for _, it := range rows {
		if like := first[it.answer()]; like != nil {
			it.task.Duplicates++
			r.find(it, Duplicate, like, "")
		} else {
			first[it.answer()] = it
		}
	}
	if len(first) < 2 {
		return
	}
	for _, it := range rows {
		for _, other := range rows {
			if other.answer() != it.answer() {
				it.task.Contradictory++
				r.find(it, Contradiction, other, fmt.Sprintf("answer %q, there %q", it.answer(), other.answer()))
				break
			}
		}
	}
}
