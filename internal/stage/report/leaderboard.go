package report

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
)

// comparison is the leaderboard's table, of one model or of two.
type comparison struct {
	BaseName, TunedName string
	HasBase, HasTuned   bool
	Sampled             bool
	Rows                []row
	Average             row
}

// row is a benchmark. Missing numbers are NaN.
type row struct {
	Name             string
	Base, Tuned      float64
	StdErr           float64 // of the tuned model, else of the base
	Majority, Random float64
	Questions        int64
}

// Shown says whether the row has any score.
func (r row) Shown() bool { return !math.IsNaN(r.Base) || !math.IsNaN(r.Tuned) }

// Change is the gain in points; NaN without both scores.
func (r row) Change() float64 { return r.Tuned - r.Base }

// ChangeText is the gain with its sign.
func (r row) ChangeText() string {
	if math.IsNaN(r.Change()) {
		return ""
	}
	return strings.Replace(fmt.Sprintf("%+.2f", r.Change()), "-", "−", 1)
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

// Known says whether a number is there.
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

// table is a leaderboard_*.json file, as far as it is used here.
type table struct {
	Board string `json:"leaderboard"` // its version; empty before there were two
	Model string `json:"model"`
	Rows  []struct {
		Name      string   `json:"name"`
		Score     *float64 `json:"score"`
		StdErr    *float64 `json:"stderr"`
		Majority  *float64 `json:"majority"`
		Random    *float64 `json:"random"`
		Questions int64    `json:"questions"`
	} `json:"rows"`
	Average *float64 `json:"average"`
	Sampled bool     `json:"sampled"`
}

func readComparison(base, tuned string) (*comparison, error) {
	c := &comparison{Average: row{Name: "Average", Base: math.NaN(), Tuned: math.NaN()}}
	index := map[string]int{}
	board := ""
	for i, path := range []string{base, tuned} {
		if path == "" {
			continue
		}
		t, err := readTable(path)
		if err != nil {
			return nil, err
		}
		if board != "" && t.Board != board {
			return nil, badinput.Errorf("the evaluations before and after are of versions %s and %s of the leaderboard; name the leaderboard_*.json files of the same one", board, t.Board)
		}
		board = t.Board
		c.Sampled = c.Sampled || t.Sampled
		for _, r := range t.Rows {
			at, ok := index[r.Name]
			if !ok {
				at = len(c.Rows)
				index[r.Name] = at
				c.Rows = append(c.Rows, row{Name: r.Name, Base: math.NaN(), Tuned: math.NaN(), StdErr: math.NaN(), Majority: math.NaN(), Random: math.NaN()})
			}
			set(&c.Rows[at].StdErr, r.StdErr)
			set(&c.Rows[at].Majority, r.Majority)
			set(&c.Rows[at].Random, r.Random)
			c.Rows[at].Questions = max(c.Rows[at].Questions, r.Questions)
			set([]*float64{&c.Rows[at].Base, &c.Rows[at].Tuned}[i], r.Score)
		}
		set([]*float64{&c.Average.Base, &c.Average.Tuned}[i], t.Average)
		if i == 0 {
			c.BaseName, c.HasBase = t.Model, true
		} else {
			c.TunedName, c.HasTuned = t.Model, true
		}
	}
	return c, nil
}

// set stores a number that is there.
func set(to *float64, from *float64) {
	if from != nil {
		*to = *from
	}
}

// readTable reads a table, or the newest one below a directory.
func readTable(path string) (*table, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		newest, err := newestTable(path)
		if err != nil {
			return nil, err
		}
		path = newest
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, badinput.Errorf("leaderboard table: %w", err)
	}
	t := new(table)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	if len(t.Rows) == 0 {
		return nil, badinput.Errorf("%s: no rows; expected a leaderboard_*.json of barka eval", path)
	}
	if t.Board == "" {
		t.Board = "oall"
	}
	return t, nil
}

// newestTable finds the table with the latest time in its name.
func newestTable(dir string) (string, error) {
	newest := ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err == nil && !d.IsDir() && strings.HasPrefix(name, "leaderboard_") && strings.HasSuffix(name, ".json") && name > filepath.Base(newest) {
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

// score writes a number of the table.
func score(f float64) string {
	if math.IsNaN(f) {
		return "—"
	}
	return fmt.Sprintf("%.2f", f)
}
