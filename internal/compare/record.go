package compare

import "math"

// Record is the comparison for programs. Scores are from 0 to 1.
type Record struct {
	A            RunRecord          `json:"a"`
	B            RunRecord          `json:"b"`
	Leaderboard  string             `json:"leaderboard"`
	Resamples    int                `json:"resamples"`
	Seed         int64              `json:"seed"`
	Rows         []DifferenceRecord `json:"rows"`
	Average      *DifferenceRecord  `json:"average"`
	Tasks        []DifferenceRecord `json:"tasks"`
	AllQuestions DifferenceRecord   `json:"all_questions"`
	OnlyInA      []string           `json:"only_in_a"`
	OnlyInB      []string           `json:"only_in_b"`
	Notes        []string           `json:"notes"`
	Flips        []Flip             `json:"flips,omitempty"`
}

// RunRecord identifies an evaluation.
type RunRecord struct {
	Model   string `json:"model"`
	Time    string `json:"time"`
	Details string `json:"details"`
}

// DifferenceRecord is a Difference for programs.
type DifferenceRecord struct {
	Name      string   `json:"name"`
	Questions int      `json:"questions"`
	A         float64  `json:"a"`
	B         float64  `json:"b"`
	Change    float64  `json:"change"`
	Low       float64  `json:"low"`
	High      float64  `json:"high"`
	OnlyA     int      `json:"only_a"`
	OnlyB     int      `json:"only_b"`
	McNemar   float64  `json:"p_mcnemar"`
	Bootstrap float64  `json:"p_bootstrap"`
	Holm      *float64 `json:"p_holm"`
}

// Record returns the comparison with some of its flips.
func (c *Comparison) Record(flips []Flip) Record {
	list := func(ds []Difference) []DifferenceRecord {
		out := []DifferenceRecord{}
		for _, d := range ds {
			out = append(out, d.record())
		}
		return out
	}
	run := func(r *Run) RunRecord { return RunRecord{r.Model, r.Time, r.Dir} }
	texts := func(xs []string) []string { return append([]string{}, xs...) }
	r := Record{A: run(c.A), B: run(c.B), Leaderboard: string(c.Leaderboard), Resamples: c.Resamples, Seed: c.Seed,
		Rows: list(c.Rows), Tasks: list(c.Tasks),
		AllQuestions: c.All.record(), OnlyInA: texts(c.OnlyA), OnlyInB: texts(c.OnlyB), Notes: texts(c.Notes), Flips: flips}
	if c.Average.Questions > 0 {
		a := c.Average.record()
		r.Average = &a
	}
	return r
}

func (d Difference) record() DifferenceRecord {
	r := DifferenceRecord{d.Task, d.Questions, d.A, d.B, d.B - d.A, d.Low, d.High, d.OnlyA, d.OnlyB, d.McNemar, d.Bootstrap, nil}
	if !math.IsNaN(d.Holm) {
		r.Holm = &d.Holm
	}
	return r
}
