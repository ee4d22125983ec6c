// Package scoretable reads leaderboard_*.json, the table of scores that barka eval writes beside
// the reference's files.
package scoretable

import (
	"encoding/json"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// Table is such a file, as far as reports and cards use it.
type Table struct {
	Leaderboard string   `json:"leaderboard"` // its version; empty before there were two
	Title       string   `json:"title"`
	Model       string   `json:"model"`
	Rows        []Row    `json:"rows"`
	Average     *float64 `json:"average"`
	Sampled     bool     `json:"sampled"`
	// Same names the tasks in which the model gave one answer to everything.
	Same []string `json:"same_answers"`
	// Tasks has every task that was run, by suite|task|shots; shares from 0 to 1.
	Tasks map[string]struct {
		Questions int64    `json:"questions"`
		Score     *float64 `json:"score"`
		AccNorm   *float64 `json:"acc_norm"` // the score of files that have none
		Majority  *float64 `json:"majority"`
		Random    *float64 `json:"random"`
	} `json:"tasks"`
}

// Row is a row of the leaderboard: a task, or the average of a group of them. Scores are in
// percent.
type Row struct {
	Name      string   `json:"name"`
	Key       string   `json:"key"`
	Tasks     int      `json:"tasks"`
	Run       int      `json:"tasks_run"`
	Score     *float64 `json:"score"`         // nil if the row is partial
	Partial   *float64 `json:"partial_score"` // of a row of which not all tasks were run
	StdErr    *float64 `json:"stderr"`
	Majority  *float64 `json:"majority"`
	Random    *float64 `json:"random"`
	Questions int64    `json:"questions"`
}

// Members lists the tasks behind a row, with their numbers of questions.
func (t *Table) Members(key string) map[string]int64 {
	family, group := strings.CutSuffix(key, ":_average")
	out := map[string]int64{}
	for name, task := range t.Tasks {
		if group && strings.HasPrefix(name, family+":") || !group && strings.HasPrefix(name, key+"|") {
			out[name] = task.Questions
		}
	}
	return out
}

// TaskNames are the names of the tasks, sorted.
func (t *Table) TaskNames() []string { return slices.Sorted(maps.Keys(t.Tasks)) }

// Read reads a table, or the newest one below a directory.
func Read(path string) (*Table, error) {
	dir, err := badinput.IsDir(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	if dir {
		newest, err := newestBelow(path)
		if err != nil {
			return nil, err
		}
		path = newest
	}
	text, err := badinput.ReadFile(path, badinput.MaxSettings)
	if err != nil {
		return nil, badinput.Errorf("leaderboard table: %w", err)
	}
	t := new(Table)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	if len(t.Rows) == 0 {
		return nil, badinput.Errorf("%s: no rows; expected a leaderboard_*.json of barka eval", path)
	}
	if t.Leaderboard == "" {
		t.Leaderboard = "oall"
	}
	if t.Title == "" {
		t.Title = "Open Arabic LLM Leaderboard"
	}
	return t, nil
}

// newestBelow finds the table with the latest time in its name.
func newestBelow(dir string) (string, error) {
	newest := ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err == nil && !d.IsDir() && strings.HasPrefix(name, "leaderboard_") && strings.HasSuffix(name, ".json") &&
			name > filepath.Base(newest) {
			newest = path
		}
		return err
	})
	if err != nil {
		return "", badinput.Errorf("leaderboard table: %w", err)
	}
	if newest == "" {
		return "", badinput.Errorf("%s: no leaderboard_*.json here; run barka eval first", dir)
	}
	return newest, nil
}
