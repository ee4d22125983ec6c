// Package leaderboard writes Barka's own files about a run, beside those of the
// reference: the table of the Open Arabic LLM Leaderboard, the baselines with which a
// score has to be compared, and the answers that a model gives to nearly everything.
package leaderboard

import (
	"fmt"
	"math"

	"barka/internal/eval/lighteval"
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/pytext"
)

// Row is a row of the leaderboard's table. Scores are in percent.
type Row struct {
	// Name is the leaderboard's name for the row, Key its entry in results.
	Name, Key string
	// Tasks counts the tasks of the row, Run those that were run. The row is
	// partial if some of them, but not all, were run.
	Tasks, Run int
	// Score is acc_norm, or the judge's mark of ALRAGE: the mean over the tasks
	// that were run, NaN without any. StdErr is its standard error.
	Score, StdErr float64
	// Random is the score of guessing, Majority that of always giving each task's most
	// common answer, and Accuracy the score without division by length. Constant is
	// the best score of a single answer to all questions of the row, and
	// ConstantAnswer is that answer. The scores are NaN without choices.
	Random, Majority, Constant, Accuracy float64
	ConstantAnswer                       string
	// Questions counts the questions behind the score.
	Questions int
}

// Partial reports whether some, but not all, of the row's tasks were run.
func (row Row) Partial() bool { return row.Run > 0 && row.Run < row.Tasks }

// Label returns the row's name. A partial row adds the number of its tasks.
func (row Row) Label() string {
	if !row.Partial() {
		return row.Name
	}
	return fmt.Sprintf("%s (partial: %d of %d tasks)", row.Name, row.Run, row.Tasks)
}

// Table is the table of the Open Arabic LLM Leaderboard.
type Table struct {
	Version tasks.Leaderboard
	Model   string
	Rows    []Row
	// Average is the plain mean of the rows' scores, or NaN if one is missing or
	// partial.
	Average float64
	// Sampled is set if some questions of a task were not asked.
	Sampled bool
	// Tasks holds all tasks that were run, also those in no row.
	Tasks []Baseline
}

// New returns the table of a run with the results of the reference's report. A row is
// computed from the runs of its tasks with the fewest shots.
func New(run *record.Run, results []lighteval.Result) Table {
	table := Table{Version: run.Settings.Leaderboard, Model: run.Model.Name}
	for _, t := range run.Tasks {
		table.Tasks = append(table.Tasks, baseline(t))
	}
	total := 0.0
	for _, h := range table.Version.TableRows() {
		members := rowMembers(h, run.Tasks)
		row := Row{Name: h.Name, Key: h.Key, Tasks: h.Tasks, Run: len(members), Score: math.NaN(), StdErr: math.NaN()}
		if len(members) > 0 {
			row.fill(run.Tasks, results, table.Tasks, members)
		}
		for _, i := range members {
			t := run.Tasks[i]
			table.Sampled = table.Sampled || len(t.Questions) < t.Original
		}
		if row.Partial() {
			total = math.NaN()
		}
		total += row.Score
		table.Rows = append(table.Rows, row)
	}
	table.Average = total / float64(len(table.Rows))
	return table
}

// rowMembers returns the indices of the tasks behind a row: those with its lowest number
// of shots.
func rowMembers(h tasks.TableRow, run []*record.Task) []int {
	var out []int
	for i, t := range run {
		if !h.Includes(t.Task.Key()) {
			continue
		}
		if len(out) > 0 && t.Shots.K < run[out[0]].Shots.K {
			out = out[:0]
		}
		if len(out) == 0 || t.Shots.K == run[out[0]].Shots.K {
			out = append(out, i)
		}
	}
	return out
}

// fill computes a row from its members. The first entries of results are those of the
// tasks.
func (row *Row) fill(run []*record.Task, results []lighteval.Result, baselines []Baseline, members []int) {
	measured := make([]lighteval.Result, len(members))
	for i, m := range members {
		measured[i] = results[m]
	}
	name := run[members[0]].Task.MetricName()
	means := lighteval.Average(measured, []lighteval.Metric{{Name: name}, {Name: name + "_stderr"}})
	row.Score, row.StdErr = 100*means[0].Value, 100*means[1].Value
	n := float64(len(members))
	var behind []Baseline
	for _, i := range members {
		behind = append(behind, baselines[i])
		row.Random += 100 * baselines[i].Random / n
		row.Majority += 100 * baselines[i].Majority / n
		row.Accuracy += 100 * baselines[i].Acc / n
		row.Questions += len(run[i].Questions)
	}
	best := bestConstant(behind)
	row.Constant, row.ConstantAnswer = 100*best.Share, best.Text
}

// Object returns the table for programs. Missing numbers are null.
func (l Table) Object() pytext.Object {
	orNull := func(f float64) any {
		if math.IsNaN(f) {
			return nil
		}
		return f
	}
	var rows []any
	for _, r := range l.Rows {
		// A program that reads only score must not mistake a partial row for a complete
		// one.
		score, partial := r.Score, math.NaN()
		if r.Partial() {
			score, partial = partial, score
		}
		o := pytext.Object{{Key: "name", Value: r.Name}, {Key: "key", Value: r.Key}, {Key: "tasks", Value: r.Tasks},
			{Key: "tasks_run", Value: r.Run},
			{Key: "score", Value: orNull(score)}, {Key: "partial_score", Value: orNull(partial)}, {Key: "stderr", Value: orNull(r.StdErr)}}
		if r.Run > 0 {
			o = append(o, pytext.Object{{Key: "acc", Value: orNull(r.Accuracy)}, {Key: "majority", Value: orNull(r.Majority)},
				{Key: "constant", Value: orNull(r.Constant)}, {Key: "constant_answer", Value: r.ConstantAnswer},
				{Key: "random", Value: orNull(r.Random)}, {Key: "questions", Value: r.Questions}}...)
		}
		rows = append(rows, o)
	}
	same := []any{}
	for _, n := range l.SameAnswers() {
		same = append(same, n)
	}
	return pytext.Object{{Key: "leaderboard", Value: string(l.Version)}, {Key: "title", Value: l.Version.Title()},
		{Key: "model", Value: l.Model}, {Key: "rows", Value: rows},
		{Key: "average", Value: orNull(l.Average)}, {Key: "sampled", Value: l.Sampled}, {Key: "same_answers", Value: same}}
}
