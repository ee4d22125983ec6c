package mix

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// portion is the share of a group of training rows that the weights name: how many
// copies all of its rows get, and how much of it, from the first row of the shuffle,
// gets one more. Amounts are rows or tokens.
type portion struct {
	name      string
	available int64
	copies    int64
	more      int64
	passed    int64 // of the rows that have their copies
}

// By what weights divide the training rows.
const (
	byDataset = "dataset" // column dataset
	bySource  = "source"  // name of the input
	byForm    = "form"    // column form
)

// What weights measure, beside the name of a tokenizer.
const (
	ofRows   = "rows"
	ofTokens = "tokens" // of the only tokenizer
)

// weightGroup is the name by which the weights know a class.
func (o Options) weightGroup(c *class) string {
	switch o.WeightsBy {
	case bySource:
		return c.Source
	case byForm:
		return cmp.Or(c.Form, "none")
	}
	return c.Dataset
}

// amount returns what a row counts for in the weights: its tokens in its language, or
// one.
func (m *mixer) amount(e entry) int64 {
	if m.o.WeightsOf == ofRows || m.o.WeightsOf == "" {
		return 1
	}
	tokenizer := max(0, slices.Index(m.o.Tokenizers, m.o.WeightsOf))
	return int64(e.tokens[2*tokenizer])
}

// validateWeights reports the first setting of the weights that makes no sense.
func (o Options) validateWeights() error {
	switch {
	case !slices.Contains([]string{"", byDataset, bySource, byForm}, o.WeightsBy):
		return badinput.Errorf("mix: weights_by is %q, expected dataset, source or form", o.WeightsBy)
	case o.Size < 0:
		return badinput.Errorf("mix: size is %d, expected 0 or more", o.Size)
	case len(o.Weights) == 0 && o.Size > 0:
		return badinput.Errorf("mix: size is %d without weights to divide it; use limits to take fewer rows", o.Size)
	case len(o.Weights) > 0 && (o.MaxRepeats < 1 || o.MaxRepeats > maxCopies):
		return badinput.Errorf("mix: max_repeats is %d, expected 1 to %d", o.MaxRepeats, maxCopies)
	}
	sum := 0.0
	for name, w := range o.Weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return badinput.Errorf("mix: the weight of %s is %g, expected 0 or more", name, w)
		}
		sum += w
	}
	if len(o.Weights) > 0 && !(sum > 0) {
		return badinput.Errorf("mix: all weights are 0, so the mix would have no rows")
	}
	return nil
}

// CheckUnit compares the unit of the weights with the tokenizers.
func (o Options) CheckUnit() error {
	switch {
	case len(o.Weights) == 0 || o.WeightsOf == ofRows || o.WeightsOf == "" || slices.Contains(o.Tokenizers, o.WeightsOf):
		return nil
	case o.WeightsOf != ofTokens:
		return badinput.Errorf("mix: weights_of is %q, expected rows, tokens or one of the tokenizers (%s)", o.WeightsOf,
			strings.Join(o.Tokenizers, ", "))
	case len(o.Tokenizers) != 1:
		return badinput.Errorf("mix: weights_of is tokens, and there are %d tokenizers (%s); name one of them in weights_of",
			len(o.Tokenizers), strings.Join(o.Tokenizers, ", "))
	}
	return nil
}

// weigh turns the weights into copies of the training rows.
func (p *plan) weigh() error {
	if len(p.m.o.Weights) == 0 {
		return nil
	}
	if err := p.available(); err != nil {
		return err
	}
	p.share()
	index := map[string]int{}
	for i, g := range p.portion {
		index[g.name] = i
	}
	return p.fates.each(func(e ordered, f fate) (fate, error) {
		if f != 1 {
			return f, nil
		}
		g := &p.portion[index[p.m.o.weightGroup(p.s.Classes[e.class])]]
		copies := g.copies
		if g.passed < g.more {
			copies++
		}
		g.passed += p.m.amount(e.entry)
		if copies == 0 {
			return overWeight, nil
		}
		return fate(copies), nil
	})
}

// available measures the groups. Each has a weight, and each weight has a group.
func (p *plan) available() error {
	have := map[string]int64{}
	for _, c := range p.s.Classes {
		have[p.m.o.weightGroup(c)] += 0
	}
	err := p.fates.each(func(e ordered, f fate) (fate, error) {
		if f == 1 {
			have[p.m.o.weightGroup(p.s.Classes[e.class])] += p.m.amount(e.entry)
		}
		return f, nil
	})
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(have))
	for _, name := range slices.Sorted(maps.Keys(p.m.o.Weights)) {
		if _, ok := have[name]; !ok {
			return badinput.Errorf("mix: weight of %s: no row has that %s; there are: %s", name, p.m.o.weightsBy(),
				strings.Join(names, ", "))
		}
	}
	for _, name := range names {
		if _, ok := p.m.o.Weights[name]; !ok {
			return badinput.Errorf("mix: weights has no %s %s; give it a weight, 0 to leave it out (there are: %s)",
				p.m.o.weightsBy(), name, strings.Join(names, ", "))
		}
		p.portion = append(p.portion, portion{name: name, available: have[name]})
	}
	return nil
}

// share computes the portions. Without a size, the mix stays as large as the groups
// with a weight are.
func (p *plan) share() {
	o, sum := p.m.o, 0.0
	size := o.Size
	for _, g := range p.portion {
		sum += o.Weights[g.name]
		if o.Size == 0 && o.Weights[g.name] > 0 {
			size += g.available
		}
	}
	for i := range p.portion {
		g := &p.portion[i]
		want := int64(math.Round(o.Weights[g.name] / sum * float64(size)))
		if most := g.available * int64(o.MaxRepeats); want > most {
			p.m.notes = append(p.m.notes, fmt.Sprintf("%s has %d %s to train on and would need %d: it gets %d, "+
				"%d times each row (max_repeats), which is less than its weight", g.name, g.available, o.unit(), want, most, o.MaxRepeats))
			want = most
		}
		if g.available > 0 {
			g.copies, g.more = want/g.available, want%g.available
		}
	}
}

func (o Options) weightsBy() string {
	if o.WeightsBy == "" {
		return byDataset
	}
	return o.WeightsBy
}

func (o Options) unit() string {
	if o.WeightsOf == ofRows || o.WeightsOf == "" {
		return ofRows
	}
	return ofTokens
}
