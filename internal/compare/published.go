package compare

import (
	"fmt"

	"barka/internal/eval/tasks"
)

// Published holds figures that others published. None of them was measured here.
type Published struct {
	// Base and Tuned name the models, and Source the place of the figures.
	Base, Tuned, Source string
	// Note describes defects of the figures.
	Note string
	// Figures are in percent, by the leaderboard's rows and "Average".
	Figures map[string][2]float64
}

// published is the table of the project whose results Barka aims to reach.
var published = Published{
	Base: "Gemma-2-9b-it", Tuned: "BARKA-9b-it",
	Source: "the README of github.com/Slim205/Arabicllm",
	Note: "AlGhafa's 54.17 for the base is as printed; the run behind its other 13 figures has 52.17, which would make " +
		"that average 56.34. SciQ's options were shuffled without a seed, separately in each of two processes, so that its " +
		"figures mean little.",
	Figures: map[string][2]float64{
		"ACVA": {48.98, 73.55}, "AlGhafa": {54.17, 54.63}, "MMLU": {53.33, 52.51}, "EXAMS": {50.65, 52.89},
		"ARC Challenge": {55.00, 58.88}, "ARC Easy": {52.45, 59.46}, "BOOLQ": {83.99, 86.38}, "COPA": {60.00, 62.22},
		"HELLASWAG": {32.33, 38.00}, "OPENBOOK QA": {50.30, 56.16}, "PIQA": {70.54, 71.96}, "RACE": {45.55, 48.73},
		"SCIQ": {51.06, 50.35}, "TOXIGEN": {82.35, 85.45}, "Average": {56.48, 60.80},
	},
}

// Remark returns the source of the figures and their defects, for readers.
func (p Published) Remark() string {
	return fmt.Sprintf("Published figures are those of %s; they were not measured here. %s", p.Source, p.Note)
}

// PublishedFor returns the published figures for a leaderboard, if there are any.
func PublishedFor(b tasks.Leaderboard) (Published, bool) { return published, b == tasks.V1 }

// Pair is a row of measured and published figures.
type Pair struct {
	Name string
	// Measured is nil if the row was not compared.
	Measured    *Difference
	Base, Tuned float64
}

// Beside returns the published rows together with the measured ones.
func (c *Comparison) Beside(p Published) []Pair {
	var out []Pair
	for _, h := range c.Leaderboard.TableRows() {
		out = append(out, c.pair(h.Name, p))
	}
	return append(out, c.pair(average, p))
}

func (c *Comparison) pair(name string, p Published) Pair {
	out := Pair{Name: name, Base: p.Figures[name][0], Tuned: p.Figures[name][1]}
	for i := range c.Rows {
		if c.Rows[i].Task == name {
			out.Measured = &c.Rows[i]
		}
	}
	if name == average && c.Average.Questions > 0 {
		out.Measured = &c.Average
	}
	return out
}
