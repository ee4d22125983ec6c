package reproduce

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/recipe"
)

// Tolerances bound the differences of runs on machines with different kernels.
type Tolerances struct {
	// Rows and Loss are relative, Loss to at least smallLoss, Accuracy is absolute (1 is all questions). One question is
	// tolerated in any task.
	Rows, Loss, Accuracy float64
}

// smallLoss is the loss below which the tolerance no longer shrinks with it, as rounding errors do not.
const smallLoss = 0.1

// DefaultTolerances are those of `barka reproduce`.
func DefaultTolerances() Tolerances { return Tolerances{Rows: 0.05, Loss: 0.02, Accuracy: 0.02} }

// Status is the result of a comparison.
type Status string

// The results of comparisons.
const (
	Equal     Status = "equal"     // to the byte
	Near      Status = "near"      // within the tolerances
	Different Status = "different" // outside of them, or different bytes where equal ones are promised
	Missing   Status = "missing"   // only in the lock
	New       Status = "new"       // only in the new run
)

// Row is a line of a comparison: the files of an output together, or a measure.
type Row struct {
	Dir    string `json:"dir"`
	What   string `json:"what"`
	Locked string `json:"locked"`
	Now    string `json:"now"`
	Status Status `json:"status"`
}

// Comparison compares the results of two runs.
type Comparison struct {
	// SameKernels is set if both ran on one and the same kind of machine and version, so that
	// every byte is compared.
	SameKernels bool  `json:"same_kernels"`
	Rows        []Row `json:"rows"`
}

// Reproduced reports whether all results are equal or, with other kernels, near.
func (c *Comparison) Reproduced() bool {
	return !slices.ContainsFunc(c.Rows, func(r Row) bool { return r.Status != Equal && r.Status != Near })
}

// Count returns how many rows have a status.
func (c *Comparison) Count(s Status) (n int) {
	for _, r := range c.Rows {
		if r.Status == s {
			n++
		}
	}
	return n
}

// CheckInputs returns a badinput error that names the inputs which are not those of the lock,
// with both digests.
func (l *Lock) CheckInputs(now []recipe.Input) error {
	var list []string
	for _, was := range l.Inputs {
		i := slices.IndexFunc(now, func(in recipe.Input) bool { return in.Key == was.Key && in.Name == was.Name })
		if i < 0 {
			list = append(list, fmt.Sprintf("%s: %s is not there", was.Key, was.Name))
			continue
		}
		list = append(list, changes(was, now[i])...)
	}
	for _, in := range now {
		if !slices.ContainsFunc(l.Inputs, func(was recipe.Input) bool { return in.Key == was.Key && in.Name == was.Name }) {
			list = append(list, fmt.Sprintf("%s: %s was not there", in.Key, in.Name))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return badinput.Errorf("the inputs are not those of the lock:\n  %s\nput the former files back, or name the directory that holds "+
		"them with --inputs", strings.Join(list, "\n  "))
}

// changes lists the differences of an input.
func changes(was, now recipe.Input) (list []string) {
	about := was.Key + ": " + was.Name
	if len(was.Commit) > 0 && !slices.Equal(was.Commit, now.Commit) {
		about += fmt.Sprintf(" (commit %s, now %s)", strings.Join(was.Commit, " "), strings.Join(now.Commit, " "))
	}
	for _, d := range differences(was.Files, now.Files) {
		list = append(list, about+", "+d.text())
	}
	return list
}

// difference is a file that two lists do not share.
type difference struct {
	name     string
	was, now *recipe.File
}

func (d difference) text() string {
	switch {
	case d.now == nil:
		return d.name + " is missing; its SHA-256 was " + d.was.SHA256
	case d.was == nil:
		return d.name + " is new, with the SHA-256 " + d.now.SHA256
	}
	return fmt.Sprintf("%s has the SHA-256 %s, and the lock %s", d.name, d.now.SHA256, d.was.SHA256)
}

// differences compares two lists of files.
func differences(was, now []recipe.File) (list []difference) {
	find := func(files []recipe.File, name string) *recipe.File {
		if i := slices.IndexFunc(files, func(f recipe.File) bool { return f.Name == name }); i >= 0 {
			return &files[i]
		}
		return nil
	}
	for _, f := range was {
		if other := find(now, f.Name); other == nil || *other != f {
			list = append(list, difference{f.Name, &f, other})
		}
	}
	for _, f := range now {
		if find(was, f.Name) == nil {
			list = append(list, difference{f.Name, nil, &f})
		}
	}
	return list
}

// Compare compares the results of a new run with those of the lock.
func (l *Lock) Compare(ran *recipe.Ran, now []recipe.Result, t Tolerances) *Comparison {
	c := &Comparison{SameKernels: len(l.Machines) == 1 && slices.Equal(l.Machines, ran.Machines) && l.Barka == ran.Barka}
	for _, was := range l.Results {
		i := slices.IndexFunc(now, func(r recipe.Result) bool { return r.Dir == was.Dir })
		if i < 0 {
			c.Rows = append(c.Rows, Row{was.Dir, "output", files(len(was.Files)), "", Missing})
			continue
		}
		c.output(was, now[i], t)
	}
	for _, r := range now {
		if !slices.ContainsFunc(l.Results, func(was recipe.Result) bool { return was.Dir == r.Dir }) {
			c.Rows = append(c.Rows, Row{r.Dir, "output", "", files(len(r.Files)), New})
		}
	}
	return c
}

// output compares an output: its files, and its measures if the files differ.
func (c *Comparison) output(was, now recipe.Result, t Tolerances) {
	differ := differences(was.Files, now.Files)
	if len(differ) == 0 {
		c.Rows = append(c.Rows, Row{was.Dir, files(len(was.Files)), "", "", Equal})
		return
	}
	rows, worst := compareMeasures(was, now, t)
	if c.SameKernels {
		worst = Different
	}
	var names []string
	for _, d := range differ {
		names = append(names, d.name)
	}
	what := fmt.Sprintf("%d of %s: %s", len(differ), files(len(was.Files)), shorten(names))
	c.Rows = append(c.Rows, Row{was.Dir, what, "", "", worst})
	c.Rows = append(c.Rows, rows...)
}

// compareMeasures compares the measures of two outputs. An output without measures, such as a
// merged model, follows from others and counts as near.
func compareMeasures(was, now recipe.Result, t Tolerances) (rows []Row, worst Status) {
	worst = Near
	for _, m := range was.Measures {
		r := Row{Dir: was.Dir, What: m.Name, Locked: text(m), Status: Missing}
		if i := slices.IndexFunc(now.Measures, func(n recipe.Measure) bool { return n.Name == m.Name }); i >= 0 {
			other := now.Measures[i]
			r.Now, r.Status = text(other), t.compare(m, other)
		}
		if r.Status != Equal && r.Status != Near {
			worst = Different
		}
		rows = append(rows, r)
	}
	return rows, worst
}

// compare compares two values of a measure.
func (t Tolerances) compare(was, now recipe.Measure) Status {
	gap, allowed := math.Abs(was.Value-now.Value), 0.0
	switch was.Kind {
	case recipe.Rows:
		allowed = t.Rows * math.Abs(was.Value)
	case recipe.LossKind:
		allowed = t.Loss * max(math.Abs(was.Value), smallLoss)
	case recipe.Accuracy:
		allowed = max(t.Accuracy, 1/float64(max(was.Questions, 1)))
	}
	const rounding = 1e-9
	switch {
	case was.Value == now.Value:
		return Equal
	case gap <= allowed+rounding: // false for NaN
		return Near
	}
	return Different
}

func text(m recipe.Measure) string {
	switch m.Kind {
	case recipe.Rows:
		return fmt.Sprintf("%.0f", m.Value)
	case recipe.Accuracy:
		return fmt.Sprintf("%.4f of %d", m.Value, m.Questions)
	}
	return fmt.Sprintf("%.6f", m.Value)
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// shorten lists the first names.
func shorten(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", …"
}
