package audit

import (
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/badinput"
	"barka/internal/compare"
)

// Scores holds a run's scores on all questions that it answered, and on the clean ones. A
// clean question has no defect and, if training sets were compared, is in none of them.
type Scores struct {
	Details string  `json:"details"`
	Tasks   []Score `json:"tasks"`
	// Families holds means over tasks. OnClean is the mean over the tasks with clean
	// questions.
	Families []Score `json:"families"`
	// Unknown counts answers to questions that the benchmark files do not have.
	Unknown int `json:"unknown"`
}

// Score is the score of a task (suite|task|shots) or of a family.
type Score struct {
	Name    string  `json:"name"`
	Rows    int     `json:"rows"`
	All     float64 `json:"all"` // from 0 to 1
	Clean   int     `json:"clean"`
	OnClean float64 `json:"on_clean"`
}

// score adds the scores of the answers in a details directory.
func (r *Report) score(dir string, items []item) error {
	run, err := compare.Open(dir)
	if err != nil {
		return err
	}
	answers, err := run.Answers()
	if err != nil {
		return err
	}
	s := Scores{Details: run.Dir}
	byTask := map[string][]*item{}
	for i := range items {
		if it := &items[i]; it.test {
			byTask[it.task.Task] = append(byTask[it.task.Task], it)
		}
	}
	families := map[string][]Score{}
	known := 0
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		rows := byTask[name[:strings.LastIndexByte(name, '|')]]
		if rows == nil {
			continue
		}
		score, unknown := scoreTask(name, answers[name], rows)
		known += score.Rows
		s.Unknown += unknown
		s.Tasks = append(s.Tasks, score)
		families[rows[0].task.family] = append(families[rows[0].task.family], score)
	}
	if known == 0 {
		return badinput.Errorf("%s has no answer to any question of the audited tasks; give the --data that the evaluation had", dir)
	}
	for _, family := range slices.Sorted(maps.Keys(families)) {
		s.Families = append(s.Families, meanScore(family, families[family]))
	}
	r.Scores = append(r.Scores, s)
	return nil
}

// scoreTask pairs answers with rows by their prompts. A model gives equal answers to equal
// prompts, so the order of rows with one prompt does not matter.
func scoreTask(name string, answers []compare.Answer, rows []*item) (s Score, unknown int) {
	s.Name = name
	byPrompt := map[uint64][]*item{}
	for _, it := range rows {
		byPrompt[it.prompt] = append(byPrompt[it.prompt], it)
	}
	for _, a := range answers {
		key := xxhash.Sum64String(a.Prompt)
		same := byPrompt[key]
		if len(same) == 0 {
			unknown++
			continue
		}
		byPrompt[key] = same[1:]
		s.Rows++
		s.All += a.Value
		if !same[0].found {
			s.Clean++
			s.OnClean += a.Value
		}
	}
	s.All /= float64(max(1, s.Rows))
	s.OnClean /= float64(max(1, s.Clean))
	return s, unknown
}

func meanScore(family string, tasks []Score) Score {
	mean := Score{Name: family}
	clean := 0
	for _, t := range tasks {
		mean.Rows += t.Rows
		mean.Clean += t.Clean
		mean.All += t.All / float64(len(tasks))
		if t.Clean > 0 {
			clean++
			mean.OnClean += t.OnClean
		}
	}
	mean.OnClean /= float64(max(1, clean))
	return mean
}
