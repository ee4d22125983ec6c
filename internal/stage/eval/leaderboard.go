package eval

import (
	"fmt"
	"math"

	"barka/internal/pytext"
	"barka/internal/stage/eval/tasks"
)

// LeaderboardRow is one of the leaderboard's numbers, in percent.
type LeaderboardRow struct {
	// Name is the leaderboard's heading, Key the entry of results.
	Name, Key string
	// Score is acc_norm, or the judge's mark of ALRAGE; NaN when the tasks were
	// not all run. StdErr is its standard error.
	Score, StdErr float64
	// Random, Majority and Accuracy put the score in its place: guessing,
	// giving the commonest answer of each task, and the same choices compared
	// without division by length. Constant is the best that one answer to all
	// questions of the row scores, and ConstantAnswer which one that is. They
	// are NaN without choices.
	Random, Majority, Constant, Accuracy float64
	ConstantAnswer                       string
	// Questions counts what the score was computed from.
	Questions int
}

// Leaderboard is the table of the Open Arabic LLM Leaderboard.
type Leaderboard struct {
	Board tasks.Board
	Model string
	Rows  []LeaderboardRow
	// Average is the plain mean of the rows' scores; NaN when one is missing.
	Average float64
	// Sampled says that not all questions of every task were asked.
	Sampled bool
	// Tasks are all tasks that were run, counted on the leaderboard or not.
	Tasks []Baseline
}

// leaderboard builds the table of a version from the runs with the fewest
// shots each task was asked in.
func leaderboard(board tasks.Board, model string, results []taskResult, runs []*taskRun, baselines []Baseline) Leaderboard {
	table := Leaderboard{Board: board, Model: model, Tasks: baselines}
	total := 0.0
	for _, h := range board.Headings() {
		row := LeaderboardRow{Name: h.Name, Key: h.Key, Score: math.NaN(), StdErr: math.NaN()}
		members := rowMembers(h, runs)
		if len(members) == h.Tasks {
			row.fill(results, runs, baselines, members)
		}
		for _, i := range members {
			table.Sampled = table.Sampled || len(runs[i].samples) < runs[i].original
		}
		total += row.Score
		table.Rows = append(table.Rows, row)
	}
	table.Average = total / float64(len(table.Rows))
	return table
}

// rowMembers lists the runs behind a row: those of its lowest number of shots.
func rowMembers(h tasks.Heading, runs []*taskRun) []int {
	var out []int
	for i, r := range runs {
		if !h.Holds(r.task.Key()) {
			continue
		}
		if len(out) > 0 && r.shots.K < runs[out[0]].shots.K {
			out = out[:0]
		}
		if len(out) == 0 || r.shots.K == runs[out[0]].shots.K {
			out = append(out, i)
		}
	}
	return out
}

func (row *LeaderboardRow) fill(results []taskResult, runs []*taskRun, baselines []Baseline, members []int) {
	key, metric := fmt.Sprintf("%s|%d", row.Key, runs[members[0]].shots.K), runs[members[0]].task.MetricName()
	for _, t := range results {
		if t.key == key {
			row.Score, _ = t.get(metric)
			if stderr, ok := t.get(metric + "_stderr"); ok {
				row.StdErr = 100 * stderr
			}
			row.Score *= 100
		}
	}
	n := float64(len(members))
	var behind []Baseline
	for _, i := range members {
		behind = append(behind, baselines[i])
		row.Random += 100 * baselines[i].Random / n
		row.Majority += 100 * baselines[i].Majority / n
		row.Accuracy += 100 * baselines[i].Acc / n
		row.Questions += len(runs[i].samples)
	}
	best := bestConstant(behind)
	row.Constant, row.ConstantAnswer = 100*best.Share, best.Text
}

// Object writes the table for programs; what is missing is null.
func (l Leaderboard) Object() pytext.Object {
	orNull := func(f float64) any {
		if math.IsNaN(f) {
			return nil
		}
		return f
	}
	var rows []any
	for _, r := range l.Rows {
		o := pytext.Object{{Key: "name", Value: r.Name}, {Key: "key", Value: r.Key}, {Key: "score", Value: orNull(r.Score)}, {Key: "stderr", Value: orNull(r.StdErr)}}
		if !math.IsNaN(r.Score) {
			o = append(o, pytext.Object{{Key: "acc", Value: orNull(r.Accuracy)}, {Key: "majority", Value: orNull(r.Majority)}, {Key: "constant", Value: orNull(r.Constant)},
				{Key: "constant_answer", Value: r.ConstantAnswer}, {Key: "random", Value: orNull(r.Random)}, {Key: "questions", Value: r.Questions}}...)
		}
		rows = append(rows, o)
	}
	return pytext.Object{{Key: "leaderboard", Value: string(l.Board)}, {Key: "model", Value: l.Model}, {Key: "rows", Value: rows}, {Key: "average", Value: orNull(l.Average)}, {Key: "sampled", Value: l.Sampled}}
}
