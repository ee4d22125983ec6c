package publish

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
)

// scores is the table of an evaluation, as barka eval writes it beside the reference's files.
type scores struct {
	Title string `json:"title"`
	Model string `json:"model"`
	Rows  []struct {
		Name      string   `json:"name"`
		Key       string   `json:"key"`
		Tasks     int      `json:"tasks"`
		Run       int      `json:"tasks_run"`
		Score     *float64 `json:"score"`         // in percent; nil if the row is partial
		Partial   *float64 `json:"partial_score"` // of a row of which not all tasks were run
		StdErr    *float64 `json:"stderr"`
		Random    *float64 `json:"random"`
		Questions int64    `json:"questions"`
	} `json:"rows"`
	Average *float64 `json:"average"`
	Sampled bool     `json:"sampled"`
}

// results are the evaluations of a model and of its base; either may be nil.
type results struct{ tuned, base *scores }

// readResults reads the newest tables below the directories of the evaluations.
func readResults(o Options) (r results, err error) {
	if r.tuned, err = readScores("--results", o.Results); err != nil {
		return r, err
	}
	if r.base, err = readScores("--base-results", o.BaseResults); err != nil {
		return r, err
	}
	if r.base != nil && r.tuned != nil && r.base.Title != r.tuned.Title {
		return r, badinput.Errorf("--results is of the %s, --base-results of the %s", r.tuned.Title, r.base.Title)
	}
	return r, nil
}

func readScores(flag, dir string) (*scores, error) {
	if dir == "" {
		return nil, nil
	}
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
		return nil, badinput.Errorf("%s: %w", flag, err)
	}
	if newest == "" {
		return nil, badinput.Errorf("%s %s has no leaderboard_*.json; expected an output directory of barka eval", flag, dir)
	}
	var s scores
	return &s, badinput.ReadJSON(newest, &s)
}

// score is a cell of the table.
func (s *scores) score(row int) string {
	if s == nil || row >= len(s.Rows) {
		return "–"
	}
	r := s.Rows[row]
	value := r.Score
	if value == nil {
		value = r.Partial
	}
	if value == nil {
		return "–"
	}
	text := fmt.Sprintf("%.2f", *value)
	if r.StdErr != nil {
		text += fmt.Sprintf(" ± %.2f", *r.StdErr)
	}
	return text
}

// table writes the scores of the rows that were run.
func (r results) table(b *strings.Builder) {
	s := r.tuned
	if s == nil {
		return
	}
	fmt.Fprintf(b, "\n## Evaluation\n\n%s, by `barka eval`, which computes lighteval's scores.\n\n", s.Title)
	if r.base != nil {
		b.WriteString("| task | base | this model | random | questions |\n|---|---:|---:|---:|---:|\n")
	} else {
		b.WriteString("| task | this model | random | questions |\n|---|---:|---:|---:|\n")
	}
	for i, row := range s.Rows {
		if row.Run == 0 {
			continue
		}
		name := cell(row.Name)
		if row.Run < row.Tasks {
			name += fmt.Sprintf(" (%d of %d tasks)", row.Run, row.Tasks)
		}
		random := "–"
		if row.Random != nil {
			random = fmt.Sprintf("%.2f", *row.Random)
		}
		base := ""
		if r.base != nil {
			base = " " + r.base.score(r.base.find(row.Key)) + " |"
		}
		fmt.Fprintf(b, "| %s |%s %s | %s | %d |\n", name, base, s.score(i), random, row.Questions)
	}
	switch {
	case s.Average != nil && r.base != nil && r.base.Average != nil:
		fmt.Fprintf(b, "| **average** | %.2f | %.2f | | |\n", *r.base.Average, *s.Average)
	case s.Average != nil && r.base == nil:
		fmt.Fprintf(b, "| **average** | %.2f | | |\n", *s.Average)
	default:
		b.WriteString("\nNot all tasks of the leaderboard were run: there is no average, and the scores of partial rows do not compare with " +
			"the leaderboard's.\n")
	}
	if s.Sampled {
		b.WriteString("\nOnly some questions of a task were asked.\n")
	}
}

// find returns the row with a key, or the number of rows.
func (s *scores) find(key string) int {
	for i, r := range s.Rows {
		if r.Key == key {
			return i
		}
	}
	return len(s.Rows)
}

// index writes the scores in the form that the hub shows beside a card. Only whole rows are
// in it, and nothing of a run that asked some of the questions.
func (r results) index(b *strings.Builder, name string) {
	s := r.tuned
	if s == nil || s.Sampled {
		return
	}
	var entries strings.Builder
	for _, row := range s.Rows {
		if row.Score == nil || row.Run != row.Tasks {
			continue
		}
		_, key, _ := strings.Cut(row.Key, "|")
		fmt.Fprintf(&entries, "  - task:\n      type: text-generation\n    dataset:\n      name: %s\n      type: %s\n    metrics:\n"+
			"    - type: acc_norm\n      name: %s\n      value: %.2f\n", quote(row.Name), quote(strings.TrimSuffix(key, ":_average")),
			quote(s.Title), *row.Score)
	}
	if entries.Len() > 0 {
		fmt.Fprintf(b, "model-index:\n- name: %s\n  results:\n%s", quote(name), entries.String())
	}
}
