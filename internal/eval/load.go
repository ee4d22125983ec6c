package eval

import (
	"slices"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/tasks"
	"barka/internal/pyrandom"
)

// questions makes a split's rows into questions, in the dataset's order. The
// generator is the task's own and goes on from split to split.
func questions(store *benchdata.Store, t tasks.Task, split string, rnd *pyrandom.Random) ([]tasks.Doc, error) {
	files, err := store.Locate(t.Repo, t.Subset, split)
	if err != nil {
		return nil, err
	}
	table, err := benchdata.Read(files)
	if err != nil {
		return nil, err
	}
	if len(table.Rows) == 0 {
		return nil, badinput.Errorf("%s: no rows", files[0])
	}
	docs := make([]tasks.Doc, len(table.Rows))
	for i, values := range table.Rows {
		docs[i], err = t.Prompt(tasks.Row{Columns: table.Columns, Values: values}, rnd)
		if err != nil {
			return nil, badinput.Errorf("split %s, row %d of %s: %w", split, i+1, files[0], err)
		}
	}
	return docs, nil
}

// evaluationOrder shuffles questions as the reference does for every task.
func evaluationOrder(docs []tasks.Doc) {
	pyrandom.New(42).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
}

// Needs are the splits that the tasks read.
func (o Options) Needs() []benchdata.Need {
	var needs []benchdata.Need
	for _, s := range o.Tasks {
		t := s.Task
		if t.Metric == tasks.Judged && (o.Judge == nil || o.Shard.Count > 0) {
			continue // is skipped
		}
		needs = append(needs, benchdata.Need{Repo: t.Repo, Subset: t.Subset, Split: t.EvalSplit})
		if split := t.ExampleSplit(); split != "" && slices.ContainsFunc(s.Shots, func(s tasks.Shots) bool { return s.K > 0 }) {
			needs = append(needs, benchdata.Need{Repo: t.Repo, Subset: t.Subset, Split: split})
		}
	}
	return needs
}
