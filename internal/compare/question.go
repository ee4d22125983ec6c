package compare

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"barka/internal/badinput"
	"barka/internal/eval/leaderboard"
	"barka/internal/eval/lighteval"
	"barka/internal/parquet"
	"barka/internal/pytext"
)

// question is a row of a details file.
type question struct {
	example, prompt string
	choices         []string
	gold            int
	metric          string
	value           float64 // value of the metric: 0 or 1, or a judge's mark
	// scores holds the choices' log-probabilities, or nil if the file does not have
	// them. written is the answer in a judged task.
	scores  []float64
	written string
}

// key identifies the question across runs. It includes the right answer, because a
// benchmark can have two questions that differ only in it.
func (q *question) key() string { return q.example + "\x00" + strconv.Itoa(q.gold) }

// answer returns the text that the model chose or wrote.
func (q *question) answer() string {
	if q.scores == nil {
		return q.written
	}
	return q.choices[lighteval.Choose(q.metric, q.scores, q.choices)]
}

// pick appends the answer, if the file has it.
func (q *question) pick(picks []leaderboard.Pick) []leaderboard.Pick {
	switch {
	case q.scores != nil:
		return append(picks, leaderboard.Pick{Choices: q.choices, Chosen: lighteval.Choose(q.metric, q.scores, q.choices), Gold: q.gold})
	case q.metric == "llm_as_judge":
		return append(picks, leaderboard.Pick{Written: q.written})
	}
	return picks
}

// habit returns the most common of a task's answers. It is empty if the file lacks an
// answer.
func habit(task string, picks []leaderboard.Pick, questions int) leaderboard.Habit {
	if len(picks) < questions {
		return leaderboard.Habit{Task: task}
	}
	return leaderboard.NewHabit(task, picks)
}

func (q *question) goldText() string {
	if q.gold < len(q.choices) {
		return q.choices[q.gold]
	}
	return ""
}

var (
	// metricValue finds the value in the printed dict of a question's metric.
	metricValue = regexp.MustCompile(`^\{'(acc|acc_norm|llm_as_judge)': ([01](?:\.\d+)?)\}$`)
	goldIndex   = regexp.MustCompile(`^\[?(\d{1,6})\]?$`)
	prediction  = regexp.MustCompile(`\(([^(),]+), (?:True|False)\)`)
)

// readQuestions reads a details file. The reference writes a cell as an Arrow value or, if
// Arrow rejects a mix of types, as Python's str() of it. Which of the two depends on the
// versions of its libraries.
func readQuestions(path string) ([]question, error) {
	f, err := parquet.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []question
	for row, err := range f.Rows("example", "full_prompt", "choices", "gold_index", "metrics", "predictions") {
		if err != nil {
			return nil, err
		}
		q, err := newQuestion(row)
		if err != nil {
			return nil, badinput.Errorf("%s row %d: %w", path, len(out)+1, err)
		}
		out = append(out, q)
	}
	if len(out) == 0 {
		return nil, badinput.Errorf("%s has no rows", path)
	}
	return out, nil
}

func newQuestion(row map[string]any) (question, error) {
	var q question
	q.example, _ = row["example"].(string)
	q.prompt, _ = row["full_prompt"].(string)
	var ok bool
	if q.metric, q.value, ok = metricOf(row["metrics"]); !ok || q.value < 0 || q.value > 1 {
		return q, badinput.Errorf("metrics are %.60q, expected {'acc_norm': 0 or 1}", fmt.Sprint(row["metrics"]))
	}
	if q.choices, ok = textsOf(row["choices"]); !ok {
		return q, badinput.Errorf("choices are %.60q, expected a list of texts", fmt.Sprint(row["choices"]))
	}
	if q.gold, ok = goldOf(row["gold_index"]); !ok {
		return q, badinput.Errorf("gold_index is %.60q, expected the number of the right choice", fmt.Sprint(row["gold_index"]))
	}
	// The model's answer is needed only for flips and habits.
	if q.metric == "llm_as_judge" {
		if written, ok := textsOf(row["predictions"]); ok && len(written) > 0 {
			q.written = written[0]
		}
		return q, nil
	}
	if scores := scoresOf(row["predictions"]); len(scores) == len(q.choices) {
		q.scores = scores
	}
	return q, nil
}

func metricOf(v any) (name string, value float64, ok bool) {
	switch v := v.(type) {
	case string:
		if m := metricValue.FindStringSubmatch(v); m != nil {
			value, err := strconv.ParseFloat(m[2], 64)
			return m[1], value, err == nil
		}
	case map[string]any:
		for _, name := range []string{"acc_norm", "acc", "llm_as_judge"} {
			if value, ok := numberOf(v[name]); ok {
				return name, value, true
			}
		}
	}
	return "", 0, false
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func textsOf(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		out, err := pytext.StringList(v)
		return out, err == nil
	case []any:
		out := make([]string, len(v))
		for i, x := range v {
			var ok bool
			if out[i], ok = x.(string); !ok {
				return nil, false
			}
		}
		return out, true
	}
	return nil, false
}

func goldOf(v any) (int, bool) {
	switch v := v.(type) {
	case string:
		if m := goldIndex.FindStringSubmatch(v); m != nil {
			n, err := strconv.Atoi(m[1])
			return n, err == nil
		}
	case []any:
		if len(v) == 1 {
			return goldOf(v[0])
		}
	case int64:
		return int(v), v >= 0 && v < 1e6
	}
	return 0, false
}

// scoresOf returns the log-probabilities of a list of pairs (log-probability, greedy), or
// nil if they cannot be read.
func scoresOf(v any) []float64 {
	var out []float64
	add := func(score float64) bool {
		out = append(out, score)
		return !math.IsNaN(score) && !math.IsInf(score, 0)
	}
	switch v := v.(type) {
	case string:
		for _, m := range prediction.FindAllStringSubmatch(v, -1) {
			if score, err := strconv.ParseFloat(m[1], 64); err != nil || !add(score) {
				return nil
			}
		}
	case []any:
		for _, x := range v {
			pair, _ := x.([]any)
			if len(pair) != 2 {
				return nil
			}
			if score, ok := numberOf(pair[0]); !ok || !add(score) {
				return nil
			}
		}
	}
	return out
}
