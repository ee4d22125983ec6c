package main

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"barka/internal/badinput"
	"barka/internal/bench"
	"barka/internal/dataset"
	"barka/internal/langid"
	"barka/internal/prose"
	"barka/internal/resident"
	"barka/internal/stage/filter"
)

const (
	rulesWork = "rules"
	// mostRuled is the number of rows that rules hold in memory.
	mostRuled = 20_000
)

// rules measures the rules of filter and the identification of languages on one thread, over the
// first rows of a dataset. The outcome is the number of rows that pass, or whose messages are all
// in their language.
func (c *benchCmd) rules(a *app, path string) ([]bench.Result, error) {
	rows, size, err := c.ruled(a, path)
	if err != nil {
		return nil, err
	}
	o := filter.Defaults()
	shape := fmt.Sprintf("%d rows, %.1f MB", len(rows), float64(size)/1e6)
	var results []bench.Result
	for _, work := range []struct {
		variant string
		passes  func(dataset.Instruction) (bool, error)
	}{
		{"all rules, one thread", func(r dataset.Instruction) (bool, error) {
			why, err := o.Check(r)
			return why.Reason == "", err
		}},
		{"language alone, one thread", func(r dataset.Instruction) (bool, error) { return inItsLanguage(r), nil }},
	} {
		result := bench.Result{Work: rulesWork, Variant: work.variant, Shape: shape, Unit: "MB/s"}
		debug.FreeOSMemory()
		resident.ResetPeak()
		for i := range max(c.Repeat, 1) + 1 {
			start, passed := time.Now(), 0
			for _, r := range rows {
				ok, err := work.passes(r)
				if err != nil {
					return nil, err
				}
				if ok {
					passed++
				}
			}
			if result.Outcome = float64(passed); i > 0 { // the first fills caches
				result.Rates = append(result.Rates, float64(size)/1e6/time.Since(start).Seconds())
			}
			if err := a.ctx.Err(); err != nil {
				return nil, err
			}
		}
		slices.Sort(result.Rates)
		result.Value, result.Median = result.Rates[len(result.Rates)-1], result.Rates[len(result.Rates)/2]
		result.PeakRSS = resident.Peak()
		results = append(results, result)
	}
	return results, nil
}

// ruled returns the first rows of a dataset and the bytes of their messages and sources.
func (c *benchCmd) ruled(a *app, path string) (rows []dataset.Instruction, size int, err error) {
	if err := dataset.Require(path, dataset.Instructions); err != nil {
		return nil, 0, err
	}
	for r, err := range dataset.Rows[dataset.Instruction](a.ctx, path) {
		if err != nil {
			return nil, 0, err
		}
		for _, m := range slices.Concat(r.Messages, r.MessagesEN) {
			size += len(m.Content)
		}
		if rows = append(rows, r); len(rows) == mostRuled {
			break
		}
	}
	if size == 0 {
		return nil, 0, badinput.Errorf("bench: %s has no messages; --input takes a dataset of instructions", path)
	}
	return rows, size, nil
}

// inItsLanguage reports whether all messages of a row seem to be in its language.
func inItsLanguage(r dataset.Instruction) bool {
	own := true
	for _, m := range r.Messages {
		own = langid.Identify(prose.Words(m.Content)).Language == r.Language && own
	}
	for _, m := range r.MessagesEN {
		own = langid.Identify(prose.Words(m.Content)).Language == "eng_Latn" && own
	}
	return own
}
