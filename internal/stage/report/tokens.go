package report

import (
	"cmp"
	"slices"
	"strings"

	"barka/internal/stage/mix"
)

// tokenTable counts tokens by source of the training set, as the mix counted them.
type tokenTable struct {
	Tokenizers []string
	Rows       []tokenRow
	Total      tokenRow
}

// tokenRow is a source. Counts has two numbers per tokenizer: in the row's language, and in its
// source language.
type tokenRow struct {
	Dataset, Form, Language, Licence, Made string
	Train, Validation                      int64
	Counts                                 []int64
}

// readTokens reads the counts of the last mix among the stages; nil if there is none.
func readTokens(stages []stage, dirs []string) (*tokenTable, error) {
	for i := len(stages) - 1; i >= 0; i-- {
		if stages[i].Name != "mix" {
			continue
		}
		s, err := mix.ReadSources(dirs[i])
		if err != nil || s == nil {
			return nil, err
		}
		t := &tokenTable{Tokenizers: s.Tokenizers, Total: tokenRow{Dataset: "all", Counts: make([]int64, 2*len(s.Tokenizers))}}
		for _, c := range s.Classes {
			row := tokenRow{c.Dataset, c.Form, c.Language, cmp.Or(c.Licence, "unknown"), made(c.Generator, c.Translator), c.Train, c.Validation,
				append(c.Tokens, make([]int64, 2*len(s.Tokenizers))...)[:2*len(s.Tokenizers)]}
			t.Rows = append(t.Rows, row)
			t.Total.Train += row.Train
			t.Total.Validation += row.Validation
			for k, n := range row.Counts {
				t.Total.Counts[k] += n
			}
		}
		return t, nil
	}
	return nil, nil
}

// made names the models that made a row.
func made(generator, translator string) string {
	var parts []string
	if generator != "" {
		parts = append(parts, "written by "+generator)
	}
	if translator != "" {
		parts = append(parts, "translated by "+translator)
	}
	return strings.Join(parts, ", ")
}

// licence is a licence with the rows and datasets that are under it.
type licence struct {
	Name     string
	Rows     int64
	Datasets string
}

// Licences sums up the rows by licence, the largest first.
func (t *tokenTable) Licences() (all []licence) {
	names := map[string][]string{}
	for _, r := range t.Rows {
		i := slices.IndexFunc(all, func(l licence) bool { return l.Name == r.Licence })
		if i < 0 {
			i = len(all)
			all = append(all, licence{Name: r.Licence})
		}
		all[i].Rows += r.Train + r.Validation
		if !slices.Contains(names[r.Licence], r.Dataset) {
			names[r.Licence] = append(names[r.Licence], r.Dataset)
		}
	}
	for i := range all {
		all[i].Datasets = strings.Join(names[all[i].Name], ", ")
	}
	slices.SortStableFunc(all, func(a, b licence) int { return cmp.Compare(b.Rows, a.Rows) })
	return all
}
