package eval

import (
	"fmt"
	"math"
	"strings"

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
	// always giving the commonest answer position, and the same choices
	// compared without division by length. They are NaN without choices.
	Random, Majority, Accuracy float64
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
}

// boardRow is a heading of a leaderboard, with the number of tasks behind it.
type boardRow struct {
	name, key string
	tasks     int
}

// boardTitles and boardRows are the leaderboards in their own order.
var (
	boardTitles = map[tasks.Board]string{tasks.V1: "Open Arabic LLM Leaderboard v1", tasks.V2: "Open Arabic LLM Leaderboard v2"}
	boardRows   = map[tasks.Board][]boardRow{
		tasks.V1: {
			{"ACVA", "community|acva:_average", 58}, {"AlGhafa", "community|alghafa:_average", 9},
			{"MMLU", "community|arabic_mmlu:_average", 57}, {"EXAMS", "community|arabic_exams", 1},
			{"ARC Challenge", "community|arc_challenge_okapi_ar", 1}, {"ARC Easy", "community|arc_easy_ar", 1},
			{"BOOLQ", "community|boolq_ar", 1}, {"COPA", "community|copa_ext_ar", 1},
			{"HELLASWAG", "community|hellaswag_okapi_ar", 1}, {"OPENBOOK QA", "community|openbook_qa_ext_ar", 1},
			{"PIQA", "community|piqa_ar", 1}, {"RACE", "community|race_ar", 1},
			{"SCIQ", "community|sciq_ar", 1}, {"TOXIGEN", "community|toxigen_ar", 1},
		},
		tasks.V2: {
			{"AlGhafa", "community|alghafa:_average", 9}, {"ArabicMMLU", "community|arabic_mmlu:_average", 40},
			{"EXAMS", "community|arabic_exams", 1}, {"MadinahQA", "community|madinah_qa:_average", 2},
			{"AraTrust", "community|aratrust:_average", 8}, {"ALRAGE", "community|alrage_qa", 1},
			{"ArbMMLU-HT", "community|arabic_mmlu_ht:_average", 57},
		},
	}
)

// leaderboard builds the table of a version from the runs with the fewest
// shots each task was asked in.
func leaderboard(board tasks.Board, model string, results []taskResult, runs []*taskRun, baselines []Baseline) Leaderboard {
	table := Leaderboard{Board: board, Model: model}
	total := 0.0
	for _, def := range boardRows[board] {
		row := LeaderboardRow{Name: def.name, Key: def.key, Score: math.NaN(), StdErr: math.NaN()}
		members := rowMembers(def.key, runs)
		if len(members) == def.tasks {
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
func rowMembers(key string, runs []*taskRun) []int {
	var out []int
	for i, r := range runs {
		if r.task.Key() != key && !strings.HasPrefix(groupKey(r.name()), key+"|") {
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
	for _, i := range members {
		row.Random += 100 * baselines[i].Random / n
		row.Majority += 100 * baselines[i].Majority / n
		row.Accuracy += 100 * baselines[i].Acc / n
		row.Questions += len(runs[i].samples)
	}
}

// Markdown writes the table for people.
func (l Leaderboard) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s | ± | acc | majority | random | questions |\n|---|---:|---:|---:|---:|---:|---:|\n", boardTitles[l.Board], strings.ReplaceAll(l.Model, "|", "\\|"))
	done := 0
	for _, r := range l.Rows {
		if math.IsNaN(r.Score) {
			fmt.Fprintf(&b, "| %s | — | — | — | — | — | — |\n", r.Name)
			continue
		}
		done++
		fmt.Fprintf(&b, "| %s | %.2f | %s | %s | %s | %s | %d |\n", r.Name, r.Score, number(r.StdErr), number(r.Accuracy), number(r.Majority), number(r.Random), r.Questions)
	}
	fmt.Fprintf(&b, "| **Average** | **%s** | | | | | |\n", number(l.Average))
	if done < len(l.Rows) {
		fmt.Fprintf(&b, "\nNo average: %d of %d rows were run.\n", done, len(l.Rows))
	}
	if l.Sampled {
		b.WriteString("\nComputed from a sample of the questions.\n")
	}
	return b.String()
}

func number(f float64) string {
	if math.IsNaN(f) {
		return "—"
	}
	return fmt.Sprintf("%.2f", f)
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
			o = append(o, pytext.Object{{Key: "acc", Value: orNull(r.Accuracy)}, {Key: "majority", Value: orNull(r.Majority)}, {Key: "random", Value: orNull(r.Random)}, {Key: "questions", Value: r.Questions}}...)
		}
		rows = append(rows, o)
	}
	return pytext.Object{{Key: "leaderboard", Value: string(l.Board)}, {Key: "model", Value: l.Model}, {Key: "rows", Value: rows}, {Key: "average", Value: orNull(l.Average)}, {Key: "sampled", Value: l.Sampled}}
}

// consoleTable is the markdown table the reference prints.
func consoleTable(results []taskResult, versions map[string]bool) string {
	headers := []string{"Task", "Version", "Metric", "Value", "", "Stderr"}
	numeric := []bool{false, true, false, true, false, true}
	var rows [][]string
	byKey := map[string]taskResult{}
	for _, t := range results {
		byKey[strings.ReplaceAll(t.key, "|", ":")] = t
	}
	for _, key := range sortedKeys(byKey) {
		t := byKey[key]
		name, version := key, ""
		if versions[t.key] {
			version = "0"
		}
		for _, m := range t.metrics {
			if strings.HasSuffix(m.name, "_stderr") {
				continue
			}
			row := []string{name, version, m.name, fmt.Sprintf("%.4f", m.value), "", ""}
			if stderr, ok := t.get(m.name + "_stderr"); ok {
				row[4], row[5] = "±", fmt.Sprintf("%.4f", stderr)
			}
			rows = append(rows, row)
			name, version = "", ""
		}
	}
	return markdownTable(headers, numeric, rows)
}

// markdownTable pads cells to their column's width: headings centred,
// numbers to the right.
func markdownTable(headers []string, numeric []bool, rows [][]string) string {
	width := make([]int, len(headers))
	for i, h := range headers {
		width[i] = max(3, pytext.CodePoints(h))
		for _, r := range rows {
			width[i] = max(width[i], pytext.CodePoints(r[i]))
		}
	}
	var b strings.Builder
	for i, h := range headers {
		space := width[i] - pytext.CodePoints(h)
		b.WriteString("|" + strings.Repeat(" ", space/2) + h + strings.Repeat(" ", space-space/2))
	}
	b.WriteString("|\n")
	for i := range headers {
		if numeric[i] {
			b.WriteString("|" + strings.Repeat("-", width[i]-1) + ":")
		} else {
			b.WriteString("|" + strings.Repeat("-", width[i]))
		}
	}
	b.WriteString("|\n")
	for _, r := range rows {
		for i, cell := range r {
			space := strings.Repeat(" ", width[i]-pytext.CodePoints(cell))
			if numeric[i] {
				b.WriteString("|" + space + cell)
			} else {
				b.WriteString("|" + cell + space)
			}
		}
		b.WriteString("|\n")
	}
	return b.String()
}
