// Package compare tests whether one evaluation is better than another. It reads the
// details that Barka and lighteval write, pairs the answers question by question, and
// tests the difference in every task and in the leaderboard's rows.
package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/eval/leaderboard"
	"barka/internal/eval/tasks"
)

// Options holds the options of a comparison.
type Options struct {
	// Common compares the questions that both runs have. Without it, runs on different
	// questions are an error.
	Common bool
	// Resamples is the number of bootstrap resamples; 0 means Resamples.
	Resamples int
	Seed      int64
	// Flips, if not nil, is called with every question on which the runs differ, task
	// by task.
	Flips func(Flip) error
}

// Difference compares two runs on the same questions.
type Difference struct {
	// Task is suite|task|shots, or a row of the leaderboard.
	Task      string
	Questions int
	// A and B are the scores, from 0 to 1. For several tasks they are means.
	A, B float64
	// Low and High bound the 95 % interval of B-A by a paired bootstrap over the
	// questions of each task. Bootstrap is its two-sided p-value.
	Low, High, Bootstrap float64
	// OnlyA and OnlyB count questions that only one run answered correctly, or for
	// which a judge gave it a higher mark. McNemar is the p-value of McNemar's exact
	// test on these counts, for several tasks on all of their questions.
	OnlyA, OnlyB int
	McNemar      float64
	// Holm is the p-value adjusted for the number of tasks (McNemar) or rows
	// (Bootstrap) that are tested. It is NaN for averages.
	Holm float64

	means []float64 // means of the resamples
}

// Comparison is the result of Compare.
type Comparison struct {
	A, B        *Run
	Leaderboard tasks.Leaderboard
	// Tasks holds the tasks that both runs have, sorted.
	Tasks []Difference
	// Rows holds the rows of the leaderboard whose tasks are all in both runs.
	// Average is the mean of all rows; it has no questions if a row is missing.
	Rows    []Difference
	Average Difference
	// All treats the questions of all tasks as one task.
	All Difference
	// OnlyA and OnlyB list the tasks that only one run has.
	OnlyA, OnlyB []string
	// Notes describe differences between the runs besides the model.
	Notes []string
	// Resamples and Seed are the bootstrap's.
	Resamples int
	Seed      int64
}

// Compare pairs the answers of two evaluations. Without Options.Common it returns an
// error for runs on different questions.
func Compare(a, b *Run, o Options) (*Comparison, error) {
	if o.Resamples == 0 {
		o.Resamples = Resamples
	}
	if o.Resamples < 1 {
		return nil, badinput.Errorf("--resamples is %d, expected a positive number", o.Resamples)
	}
	c := &Comparison{A: a, B: b, Resamples: o.Resamples, Seed: o.Seed}
	pairs, err := c.pairTasks()
	if err != nil {
		return nil, err
	}
	var seen tally
	var unequal []string
	for _, p := range pairs {
		d, err := p.compare(o, &seen)
		if err != nil {
			return nil, err
		}
		unequal = append(unequal, p.unequal...)
		if d.Questions > 0 {
			c.Tasks = append(c.Tasks, d)
		}
	}
	if len(unequal) > 0 && !o.Common {
		if len(unequal) > 5 {
			unequal = append(unequal[:5:5], fmt.Sprintf("and %d more tasks", len(unequal)-5))
		}
		return nil, badinput.Errorf("the runs do not have the same questions (other data, options in another order, or "+
			"another --max-samples):\n  %s\nAdd --common to compare the questions that both have", strings.Join(unequal, "\n  "))
	}
	if len(c.Tasks) == 0 {
		return nil, badinput.Errorf("%s and %s have no question in common", a.Dir, b.Dir)
	}
	c.rows(pairs)
	c.adjust()
	c.notes(seen)
	return c, nil
}

// taskPair is a task that both runs have.
type taskPair struct {
	key            string // suite|task
	name           string // with the shots
	shotsA, shotsB int
	fileA, fileB   string
	unequal        []string // differences between their questions
}

// pairTasks pairs the tasks of the runs for every number of shots that both have. If they
// have none in common, it pairs the lowest number of each.
func (c *Comparison) pairTasks() ([]*taskPair, error) {
	var out []*taskPair
	for _, key := range slices.Sorted(maps.Keys(c.A.files)) {
		shotsA, shotsB := slices.Sorted(maps.Keys(c.A.files[key])), slices.Sorted(maps.Keys(c.B.files[key]))
		if len(shotsB) == 0 {
			c.OnlyA = append(c.OnlyA, key)
			continue
		}
		before := len(out)
		for _, k := range shotsA {
			if slices.Contains(shotsB, k) {
				out = append(out, &taskPair{key: key, name: fmt.Sprintf("%s|%d", key, k), shotsA: k, shotsB: k, fileA: c.A.files[key][k],
					fileB: c.B.files[key][k]})
			}
		}
		if len(out) == before {
			k, l := shotsA[0], shotsB[0]
			out = append(out, &taskPair{key: key, name: fmt.Sprintf("%s|%d→%d", key, k, l), shotsA: k, shotsB: l,
				fileA: c.A.files[key][k], fileB: c.B.files[key][l]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.B.files)) {
		if c.A.files[key] == nil {
			c.OnlyB = append(c.OnlyB, key)
		}
	}
	if len(out) == 0 {
		return nil, badinput.Errorf("%s and %s have no task in common", c.A.Dir, c.B.Dir)
	}
	return out, nil
}

// tally counts what the notes report.
type tally struct {
	questions, otherPrompts, otherChoices, droppedA, droppedB int
	otherShots                                                []string
	habitsA, habitsB                                          []leaderboard.Habit
}

// compare pairs the questions of the task and tests the difference.
func (p *taskPair) compare(o Options, seen *tally) (Difference, error) {
	x := paired{Difference: Difference{Task: p.name}}
	a, err := readQuestions(p.fileA)
	if err != nil {
		return x.Difference, err
	}
	b, err := readQuestions(p.fileB)
	if err != nil {
		return x.Difference, err
	}
	for i, j := range matches(a, b) {
		if j < 0 {
			continue
		}
		if a[i].metric != b[j].metric {
			return x.Difference, badinput.Errorf("the metric of %s is %s in %s and %s in %s; compare evaluations with the same metric",
				p.name, a[i].metric, p.fileA, b[j].metric, p.fileB)
		}
		seen.differences(&a[i], &b[j])
		if x.add(&a[i], &b[j]) && o.Flips != nil {
			if err := o.Flips(newFlip(p.name, i, &a[i], &b[j])); err != nil {
				return x.Difference, err
			}
		}
	}
	n := len(x.gains)
	x.Questions = n
	lackA, lackB := len(a)-n, len(b)-n
	if lackA+lackB > 0 {
		p.unequal = []string{fmt.Sprintf("%s: %d questions in A, %d in B, %d in both", p.name, len(a), len(b), n)}
	}
	seen.questions, seen.droppedA, seen.droppedB = seen.questions+n, seen.droppedA+lackA, seen.droppedB+lackB
	if p.shotsA != p.shotsB {
		seen.otherShots = append(seen.otherShots, p.name)
	}
	if n == 0 {
		return x.Difference, nil
	}
	seen.habitsA = append(seen.habitsA, habit(p.name, x.picksA, n))
	seen.habitsB = append(seen.habitsB, habit(p.name, x.picksB, n))
	x.A, x.B = x.A/float64(n), x.B/float64(n)
	x.test(newDifferences(x.gains).resample(o.Resamples, o.Seed, p.key))
	return x.Difference, nil
}

// differences counts the ways in which a question was put to the runs differently.
func (t *tally) differences(a, b *question) {
	if a.prompt != b.prompt {
		t.otherPrompts++
	}
	if !slices.Equal(a.choices, b.choices) {
		t.otherChoices++
	}
}

// paired is a Difference in progress. gains holds the difference B-A of each question so
// far, and picksA and picksB the answers.
type paired struct {
	Difference
	gains          []float64
	picksA, picksB []leaderboard.Pick
}

// add counts a question, and reports whether the runs differ on it.
func (x *paired) add(a, b *question) bool {
	gain := b.value - a.value
	x.gains = append(x.gains, gain)
	x.picksA, x.picksB = a.pick(x.picksA), b.pick(x.picksB)
	x.A, x.B = x.A+a.value, x.B+b.value
	switch {
	case gain < 0:
		x.OnlyA++
	case gain > 0:
		x.OnlyB++
	}
	return gain != 0
}

// matches returns, for every question of a, the index of the same question in b, or -1.
// Repetitions of a question are paired in order.
func matches(a, b []question) []int {
	at := map[string][]int{}
	for j := range b {
		at[b[j].key()] = append(at[b[j].key()], j)
	}
	out := make([]int, len(a))
	for i := range a {
		key := a[i].key()
		out[i] = -1
		if js := at[key]; len(js) > 0 {
			out[i], at[key] = js[0], js[1:]
		}
	}
	return out
}

// test computes the statistics from the counts and the resamples.
func (d *Difference) test(means []float64) {
	d.means, d.Holm = means, math.NaN()
	d.Low, d.High, d.Bootstrap = interval(means)
	d.McNemar = mcNemar(d.OnlyA, d.OnlyB)
}

// Names of lines that sum up others.
const (
	average      = "Average"
	allQuestions = "All questions"
)

// rows combines tasks into the leaderboard's rows, their average, and all
// questions.
func (c *Comparison) rows(pairs []*taskPair) {
	lowest := map[string]Difference{} // each task with its lowest number of shots
	for _, p := range pairs {
		i := slices.IndexFunc(c.Tasks, func(d Difference) bool { return d.Task == p.name })
		if _, ok := lowest[p.key]; !ok && i >= 0 {
			lowest[p.key] = c.Tasks[i]
		}
	}
	c.Leaderboard = c.leaderboard(slices.Sorted(maps.Keys(lowest)))
	for _, h := range c.Leaderboard.TableRows() {
		var members []Difference
		for _, key := range slices.Sorted(maps.Keys(lowest)) {
			if h.Includes(key) {
				members = append(members, lowest[key])
			}
		}
		if len(members) == h.Tasks {
			c.Rows = append(c.Rows, combine(h.Name, members))
		}
	}
	if len(c.Rows) == len(c.Leaderboard.TableRows()) {
		c.Average = combine(average, c.Rows)
	}
	c.All = pool(c.Tasks)
}

// leaderboard returns the version that the runs record, or else the one that has tasks
// with these names.
func (c *Comparison) leaderboard(keys []string) tasks.Leaderboard {
	if modes, ok := c.A.general["config"].(map[string]any); ok && modes["leaderboard"] == string(tasks.V2) {
		return tasks.V2
	}
	for _, key := range keys {
		if _, ok := tasks.Lookup(tasks.V1, key); !ok {
			return tasks.V2
		}
	}
	return tasks.V1
}

// combine returns the plain mean of tasks or rows.
func combine(name string, members []Difference) Difference {
	d := Difference{Task: name}
	var means [][]float64
	for _, m := range members {
		d.Questions += m.Questions
		d.A += m.A / float64(len(members))
		d.B += m.B / float64(len(members))
		d.OnlyA += m.OnlyA
		d.OnlyB += m.OnlyB
		means = append(means, m.means)
	}
	d.test(meanOf(means))
	return d
}

// pool returns the Difference over the questions of all tasks as if they were one task.
func pool(members []Difference) Difference {
	d := Difference{Task: allQuestions}
	for _, m := range members {
		d.Questions += m.Questions
	}
	means := make([]float64, len(members[0].means))
	for _, m := range members {
		weight := float64(m.Questions) / float64(d.Questions)
		d.A += weight * m.A
		d.B += weight * m.B
		d.OnlyA += m.OnlyA
		d.OnlyB += m.OnlyB
		for i, x := range m.means {
			means[i] += float64(weight * x)
		}
	}
	d.test(means)
	return d
}

// adjust corrects the p-values for the number of tests.
func (c *Comparison) adjust() {
	for _, list := range []struct {
		ds []Difference
		p  func(Difference) float64
	}{{c.Tasks, func(d Difference) float64 { return d.McNemar }}, {c.Rows, func(d Difference) float64 { return d.Bootstrap }}} {
		ps := make([]float64, len(list.ds))
		for i, d := range list.ds {
			ps[i] = list.p(d)
		}
		for i, p := range holm(ps) {
			list.ds[i].Holm = p
		}
	}
}
