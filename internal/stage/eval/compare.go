package eval

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/parquet"
	"barka/internal/stage/eval/tasks"
)

// Difference compares two runs on the same questions.
type Difference struct {
	// Task is suite|task|shots, or a heading of the leaderboard.
	Task      string
	Questions int
	// A and B are the scores, from 0 to 1.
	A, B float64
	// StdErr is the standard error of B-A, from the questions' own
	// differences; pairing makes it smaller than that of either score.
	StdErr float64
	// OnlyA and OnlyB count questions that one run alone got right, or that a
	// judge marked higher, and P is
	// the two-sided probability of a split at least as uneven if both were
	// equally good: McNemar's exact test. On the leaderboard's rows and
	// average, which weigh tasks, P is that of the normal distribution.
	OnlyA, OnlyB int
	P            float64
}

// Comparison is the result of Compare.
type Comparison struct {
	// Tasks are the tasks both runs have, sorted.
	Tasks []Difference
	// Rows are the leaderboard's rows whose tasks both runs have; Average is
	// over all of them, and has no questions when one is missing.
	Rows    []Difference
	Average Difference
	// OnlyA and OnlyB list tasks that one run alone has.
	OnlyA, OnlyB []string
}

// answer is one question as a details file holds it.
type answer struct {
	example string
	value   float64 // 0 or 1, or the judge's mark
}

// Compare reads the details of two runs (Outcome.DetailsDir, or the details
// of the reference) and pairs their answers question by question. Runs on
// different questions are refused.
func Compare(a, b string) (*Comparison, error) {
	filesA, err := detailFiles(a)
	if err != nil {
		return nil, err
	}
	filesB, err := detailFiles(b)
	if err != nil {
		return nil, err
	}
	c := new(Comparison)
	pairs := map[string]Difference{}
	for _, task := range sortedKeys(filesA) {
		if filesB[task] == "" {
			c.OnlyA = append(c.OnlyA, task)
			continue
		}
		d, err := compareTask(task, filesA[task], filesB[task])
		if err != nil {
			return nil, err
		}
		pairs[task] = d
		c.Tasks = append(c.Tasks, d)
	}
	for _, task := range sortedKeys(filesB) {
		if filesA[task] == "" {
			c.OnlyB = append(c.OnlyB, task)
		}
	}
	if len(c.Tasks) == 0 {
		return nil, badinput.Errorf("%s and %s have no task in common", a, b)
	}
	c.addRows(pairs)
	return c, nil
}

// detailName takes the task out of details_{task}|{shots}_{time}.parquet.
var detailName = regexp.MustCompile(`^details_(.+\|.+\|\d+)_\d{4}-\d\d-\d\dT[\d.-]+\.parquet$`)

func detailFiles(dir string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "details_*.parquet"))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, path := range paths {
		if m := detailName.FindStringSubmatch(filepath.Base(path)); m != nil {
			out[m[1]] = path
		}
	}
	if len(out) == 0 {
		return nil, badinput.Errorf("%s: no details_suite|task|shots_time.parquet here; expected the directory of one evaluation's details", dir)
	}
	return out, nil
}

func compareTask(task, fileA, fileB string) (Difference, error) {
	a, err := readAnswers(fileA)
	if err != nil {
		return Difference{}, err
	}
	b, err := readAnswers(fileB)
	if err != nil {
		return Difference{}, err
	}
	d := Difference{Task: task, Questions: len(a)}
	if len(a) != len(b) {
		return d, badinput.Errorf("%s: %d questions in %s, %d in %s", task, len(a), fileA, len(b), fileB)
	}
	gains := make([]float64, len(a))
	for i := range a {
		if a[i].example != b[i].example {
			return d, badinput.Errorf("%s: question %d differs between %s and %s (other data, order, or number of samples)", task, i+1, fileA, fileB)
		}
		gains[i] = b[i].value - a[i].value
		d.A += a[i].value / float64(len(a))
		d.B += b[i].value / float64(len(a))
		d.OnlyA += count(gains[i] < 0)
		d.OnlyB += count(gains[i] > 0)
	}
	if len(a) > 1 {
		d.StdErr = standardError(gains)
	}
	d.P = signTest(d.OnlyA, d.OnlyB)
	return d, nil
}

// metricValue finds the value in the metrics that lighteval from 0.5 on, and
// barka at first, wrote: the printed dict.
var metricValue = regexp.MustCompile(`^\{'(?:acc|acc_norm|llm_as_judge)': ([01](?:\.\d+)?)\}$`)

// metricOf returns the value of a question's only metric.
func metricOf(metrics any) (float64, bool) {
	switch m := metrics.(type) {
	case map[string]any:
		if len(m) != 1 {
			return 0, false
		}
		for _, v := range m {
			switch v := v.(type) {
			case int64:
				return float64(v), true
			case float64:
				return v, true
			}
		}
	case string:
		if found := metricValue.FindStringSubmatch(m); found != nil {
			v, err := strconv.ParseFloat(found[1], 64)
			return v, err == nil
		}
	}
	return 0, false
}

func readAnswers(path string) ([]answer, error) {
	f, err := parquet.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []answer
	for row, err := range f.Rows("example", "metrics") {
		if err != nil {
			return nil, err
		}
		example, _ := row["example"].(string)
		value, ok := metricOf(row["metrics"])
		if !ok || !(value >= 0 && value <= 1) {
			return nil, badinput.Errorf("%s row %d: metrics are %.60q, expected one, acc_norm, acc or llm_as_judge, from 0 to 1", path, len(out)+1, fmt.Sprint(row["metrics"]))
		}
		out = append(out, answer{example, value})
	}
	if len(out) == 0 {
		return nil, badinput.Errorf("%s: no rows", path)
	}
	return out, nil
}

// signTest is the two-sided exact binomial test of a against b successes.
func signTest(a, b int) float64 {
	n, k := a+b, min(a, b)
	logN, _ := math.Lgamma(float64(n + 1))
	p := 0.0
	for i := 0; i <= k; i++ {
		x, _ := math.Lgamma(float64(i + 1))
		y, _ := math.Lgamma(float64(n - i + 1))
		p += math.Exp(logN - x - y - float64(n)*math.Ln2)
	}
	return min(1, 2*p)
}

// addRows combines tasks into the leaderboard's rows and average. Means of
// independent tasks add their variances.
func (c *Comparison) addRows(pairs map[string]Difference) {
	rows := boardRows[boardOf(sortedKeys(pairs))]
	for _, def := range rows {
		var members []Difference
		for _, task := range sortedKeys(pairs) {
			key, _, _ := cutLast(task, "|")
			if key == def.key || strings.HasPrefix(groupKey(task), def.key+"|") {
				members = append(members, pairs[task])
			}
		}
		if len(members) == def.tasks {
			c.Rows = append(c.Rows, combine(def.name, members))
		}
	}
	if len(c.Rows) == len(rows) {
		c.Average = combine("Average", c.Rows)
	}
}

// boardOf is the version of the leaderboard that has tasks of such names.
func boardOf(names []string) tasks.Board {
	for _, name := range names {
		key, _, _ := cutLast(name, "|")
		if _, ok := tasks.Lookup(tasks.V1, key); !ok {
			return tasks.V2
		}
	}
	return tasks.V1
}

func combine(name string, members []Difference) Difference {
	if len(members) == 1 {
		members[0].Task = name
		return members[0]
	}
	d := Difference{Task: name}
	n, variance := float64(len(members)), 0.0
	for _, m := range members {
		d.Questions += m.Questions
		d.A += m.A / n
		d.B += m.B / n
		d.OnlyA += m.OnlyA
		d.OnlyB += m.OnlyB
		variance += m.StdErr * m.StdErr / (n * n)
	}
	d.StdErr, d.P = math.Sqrt(variance), 1
	if d.StdErr > 0 {
		d.P = math.Erfc(math.Abs(d.B-d.A) / d.StdErr / math.Sqrt2)
	}
	return d
}

// Markdown writes the leaderboard's rows, or the tasks when there are none,
// in percent.
func (c *Comparison) Markdown() string {
	var b strings.Builder
	b.WriteString("| | before | after | change | ± | only before | only after | p |\n|---|---:|---:|---:|---:|---:|---:|---:|\n")
	rows := c.Rows
	if len(rows) == 0 {
		rows = c.Tasks
	}
	if c.Average.Questions > 0 {
		rows = append(rows[:len(rows):len(rows)], c.Average)
	}
	for _, d := range rows {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %+.2f | %.2f | %d | %d | %.3g |\n", strings.ReplaceAll(d.Task, "|", "\\|"),
			100*d.A, 100*d.B, 100*(d.B-d.A), 100*d.StdErr, d.OnlyA, d.OnlyB, d.P)
	}
	return b.String()
}
