package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/compare"
	"barka/internal/htmlpage"
	"barka/internal/scoretable"
)

// comparison is what was evaluated, of one model or of two: the leaderboard's
// rows and every task.
type comparison struct {
	Title               string
	BaseName, TunedName string
	HasBase, HasTuned   bool
	Sampled             bool
	// Rows have a score of a model at least. NotRun names the others.
	Rows   []row
	NotRun []string
	// Average is over all rows; it has no score where one is missing.
	Average row
	Tasks   []row
	// Same names the tasks in which a model gave one answer to everything.
	Same []string
	// Tests compares the two models; nil where there are not two, or no details of them, and then
	// NoTests says why.
	Tests   *tests
	NoTests string
}

// Two reports whether there is a before and an after.
func (c *comparison) Two() bool { return c.HasBase && c.HasTuned }

// Partial reports whether a row was computed from a part of its tasks.
func (c *comparison) Partial() bool {
	return slices.ContainsFunc(c.Rows, func(r row) bool { return r.Mark != "" })
}

// manyTasks is how many tasks are shown without a click.
const manyTasks = 20

// Open reports whether the list of tasks is unfolded.
func (c *comparison) Open() bool { return len(c.Tasks) <= manyTasks }

// row is a benchmark or a task, in percent. Missing numbers are NaN.
type row struct {
	Name             string
	Mark             string // what the row lacks; empty for a whole one
	Base, Tuned      float64
	StdErr           float64 // of the tuned model, else of the base
	Majority, Random float64
	Questions        int64
	// Apart means that the models answered different questions, so that their
	// scores have no difference.
	Apart bool
	// Test is the test of the difference, with its p-value; nil without one.
	Test *compare.Difference
	P    float64
}

func newRow(name string) row {
	nan := math.NaN()
	return row{Name: name, Base: nan, Tuned: nan, StdErr: nan, Majority: nan, Random: nan}
}

// Shown reports whether the row has any score.
func (r row) Shown() bool { return !math.IsNaN(r.Base) || !math.IsNaN(r.Tuned) }

// last is the tuned model's score, else the base's.
func (r row) last() float64 {
	if math.IsNaN(r.Tuned) {
		return r.Base
	}
	return r.Tuned
}

// Change is the gain in points; NaN without both scores, or where they are of
// different questions.
func (r row) Change() float64 {
	if r.Apart {
		return math.NaN()
	}
	return r.Tuned - r.Base
}

// ChangeText is the gain with its sign.
func (r row) ChangeText() string {
	switch text := fmt.Sprintf("%+.2f", r.Change()); {
	case r.Apart:
		return "other questions"
	case math.IsNaN(r.Change()):
		return ""
	case text == "+0.00" || text == "-0.00":
		return "0.00"
	default:
		return strings.Replace(text, "-", "−", 1)
	}
}

// Direction names the gain for the style sheet.
func (r row) Direction() string {
	switch d := r.Change(); {
	case d >= 0.005:
		return "up"
	case d <= -0.005:
		return "down"
	}
	return "same"
}

// Known reports whether a number is there.
func (row) Known(f float64) bool { return !math.IsNaN(f) }

// Low and Span place the bar between the two scores, in percent.
func (r row) Low() float64 { return min(r.Base, r.Tuned) }

// Span is the width of that bar.
func (r row) Span() float64 {
	if math.IsNaN(r.Change()) {
		return 0
	}
	return math.Abs(r.Change())
}

// side is one of the two evaluations.
type side struct {
	*scoretable.Table
	name  string
	score func(*row) *float64
}

func readComparison(base, tuned string) (*comparison, error) {
	c := &comparison{Average: newRow("Average")}
	var sides []side
	for i, path := range []string{base, tuned} {
		if path == "" {
			continue
		}
		t, err := scoretable.Read(path)
		if err != nil {
			return nil, err
		}
		if len(sides) > 0 && t.Leaderboard != sides[0].Leaderboard {
			return nil, badinput.Errorf("the evaluations before and after are of versions %s and %s of the "+
				"leaderboard; name the leaderboard_*.json files of the same one", sides[0].Leaderboard, t.Leaderboard)
		}
		s := side{t, "before", func(r *row) *float64 { return &r.Base }}
		if i == 0 {
			c.BaseName, c.HasBase = t.Model, true
		} else {
			s = side{t, "after", func(r *row) *float64 { return &r.Tuned }}
			c.TunedName, c.HasTuned = t.Model, true
		}
		sides = append(sides, s)
		c.Title = t.Title
		c.Sampled = c.Sampled || t.Sampled
		set(s.score(&c.Average), t.Average)
		for _, n := range t.Same {
			c.Same = append(c.Same, t.Model+", "+n)
		}
	}
	c.rows(sides)
	c.tasks(sides)
	return c, nil
}

// rows puts the leaderboard's rows side by side, in the order of the first.
func (c *comparison) rows(sides []side) {
	var all []row
	index := map[string]int{}
	for _, s := range sides {
		for _, r := range s.Rows {
			at, ok := index[r.Name]
			if !ok {
				at = len(all)
				index[r.Name] = at
				all = append(all, newRow(r.Name))
				all[at].Mark, all[at].Apart = partsOf(r.Key, sides)
			}
			to := &all[at]
			set(&to.StdErr, r.StdErr)
			set(&to.Majority, r.Majority)
			set(&to.Random, r.Random)
			set(s.score(to), r.Partial)
			set(s.score(to), r.Score)
			to.Questions = max(to.Questions, r.Questions)
		}
	}
	for _, r := range all {
		if r.Shown() {
			c.Rows = append(c.Rows, r)
		} else {
			c.NotRun = append(c.NotRun, r.Name)
		}
	}
}

// partsOf says how many of a row's tasks each side ran, if not all of them,
// and whether the sides ran different ones.
func partsOf(key string, sides []side) (mark string, apart bool) {
	var marks []string
	for _, s := range sides {
		for _, r := range s.Rows {
			if r.Key == key && r.Partial != nil {
				marks = append(marks, fmt.Sprintf("%d of %d tasks", r.Run, r.Tasks))
				if len(sides) > 1 {
					marks[len(marks)-1] += " " + s.name
				}
			}
		}
	}
	if len(sides) > 1 {
		a, b := sides[0].Members(key), sides[1].Members(key)
		apart = len(a) > 0 && len(b) > 0 && !maps.Equal(a, b)
		if len(marks) == 2 && !apart {
			marks = []string{strings.TrimSuffix(marks[0], " "+sides[0].name)}
		}
	}
	if len(marks) > 0 {
		mark = "partial: " + strings.Join(marks, ", ")
	}
	return mark, apart
}

// tasks puts all tasks side by side, those of the leaderboard's rows and
// others, sorted by their names.
func (c *comparison) tasks(sides []side) {
	index := map[string]int{}
	asked := map[string][]int64{}
	for _, s := range sides {
		for _, name := range s.TaskNames() {
			t := s.Tasks[name]
			at, ok := index[name]
			if !ok {
				at = len(c.Tasks)
				index[name] = at
				c.Tasks = append(c.Tasks, newRow(htmlpage.ShortTask(name)))
			}
			asked[name] = append(asked[name], t.Questions)
			to := &c.Tasks[at]
			if t.Score == nil {
				t.Score = t.AccNorm
			}
			set(s.score(to), inPercent(t.Score))
			set(&to.Majority, inPercent(t.Majority))
			set(&to.Random, inPercent(t.Random))
			to.Questions = max(to.Questions, t.Questions)
			to.Apart = len(asked[name]) == 2 && asked[name][0] != asked[name][1]
		}
	}
	slices.SortStableFunc(c.Tasks, func(a, b row) int { return strings.Compare(a.Name, b.Name) })
}

func inPercent(f *float64) *float64 {
	if f == nil {
		return nil
	}
	p := 100 * *f
	return &p
}

// set stores a number that is there.
func set(to *float64, from *float64) {
	if from != nil {
		*to = *from
	}
}
