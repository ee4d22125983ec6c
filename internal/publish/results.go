package publish

import (
	"fmt"
	"strings"

	"barka/internal/badinput"
	"barka/internal/scoretable"
)

// results are the evaluations of a model and of its base; either may be nil.
type results struct{ tuned, base *scoretable.Table }

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

func readScores(flag, dir string) (*scoretable.Table, error) {
	if dir == "" {
		return nil, nil
	}
	t, err := scoretable.Read(dir)
	if err != nil {
		return nil, badinput.Errorf("%s: %w", flag, err)
	}
	return t, nil
}

// score is a cell of the card's table.
func score(t *scoretable.Table, row int) string {
	if t == nil || row >= len(t.Rows) {
		return "–"
	}
	r := t.Rows[row]
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
			base = " " + score(r.base, find(r.base, row.Key)) + " |"
		}
		fmt.Fprintf(b, "| %s |%s %s | %s | %d |\n", name, base, score(s, i), random, row.Questions)
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
func find(t *scoretable.Table, key string) int {
	for i, r := range t.Rows {
		if r.Key == key {
			return i
		}
	}
	return len(t.Rows)
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
