package filter

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"barka/internal/dataset"
	"barka/internal/durable"
)

// earlierSet is a dataset whose rows are not to be repeated. Its rows stand before those of
// the input in the log and are compared with them, but pass all rules and are not written.
type earlierSet struct {
	name, path string
	end        int // number of the last of its rows in the log, plus 1
}

// earlierSets returns the datasets that env names besides the instructions, in order of their
// names: dataset.EarlierInput, a number, and what the set is called in reasons.
func earlierSets(env durable.Env) (sets []earlierSet, err error) {
	end := 0
	for _, key := range slices.Sorted(maps.Keys(env.In)) {
		name, ok := strings.CutPrefix(key, dataset.EarlierInput)
		if !ok {
			continue
		}
		_, name, _ = strings.Cut(name, " ") // behind the number
		path := env.In[key]
		if err := dataset.Require(path, dataset.Instructions); err != nil {
			return nil, err
		}
		n, err := dataset.Count(path)
		if err != nil {
			return nil, err
		}
		end += n
		sets = append(sets, earlierSet{name, path, end})
	}
	return sets, nil
}

// rowsBefore is the number of rows of the earlier sets.
func rowsBefore(sets []earlierSet) int {
	if len(sets) == 0 {
		return 0
	}
	return sets[len(sets)-1].end
}

// known is a row, and whether it is of an earlier set.
type known struct {
	dataset.Instruction
	earlier bool
}

// withEarlier returns the rows of the earlier sets and of the input.
func withEarlier(ctx context.Context, sets []earlierSet, path string) iter.Seq2[known, error] {
	return func(yield func(known, error) bool) {
		for _, s := range append(slices.Clone(sets), earlierSet{path: path}) {
			for r, err := range dataset.Rows[dataset.Instruction](ctx, s.path) {
				if !yield(known{r, s.end > 0}, err) || err != nil {
					return
				}
			}
		}
	}
}

// behind returns rows with numbers from n on: n empty ones stand before them.
func behind[Row any](n int, rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var none Row
		for range n {
			if !yield(none, nil) {
				return
			}
		}
		rows(yield)
	}
}

// across returns what a reason says more if row at is of an earlier set: the end of its name, and
// the set's name.
func across(sets []earlierSet, at int) (suffix, where string) {
	for _, s := range sets {
		if at < s.end {
			return "_across_sets", " in " + s.name
		}
	}
	return "", ""
}
