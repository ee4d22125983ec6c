package prompt

import (
	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/tasks"
	"barka/internal/pyrandom"
)

// Questions turns the rows of a split into questions, in the dataset's order. The
// generator belongs to the task and continues from split to split.
func Questions(store *benchdata.Store, t tasks.Task, split string, rnd *pyrandom.Random) ([]tasks.Doc, error) {
	files, err := store.Locate(t.Repo, t.Subset, split)
	if err != nil {
		return nil, err
	}
	table, err := benchdata.Read(files)
	if err != nil {
		return nil, err
	}
	if len(table.Rows) == 0 {
		return nil, badinput.Errorf("%s has no rows", files[0])
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

// EvaluationOrder shuffles questions as the reference does for every task.
func EvaluationOrder(docs []tasks.Doc) {
	pyrandom.New(42).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
}

// Examples returns the few-shot examples of a task in the order of their use. A prompt uses
// up to k of them. evaluated holds the evaluated questions in the dataset's
// order.
func Examples(store *benchdata.Store, t tasks.Task, k int, evaluated []tasks.Doc, rnd *pyrandom.Random) ([]tasks.Doc, error) {
	if k == 0 {
		return nil, nil
	}
	docs := evaluated
	if split := t.ExampleSplit(); split != "" {
		var err error
		if docs, err = Questions(store, t, split, rnd); err != nil {
			return nil, err
		}
	}
	if len(docs) < k {
		return nil, badinput.Errorf("%d examples are requested, but the few-shot split has %d", k, len(docs))
	}
	if t.FewShotSplit == "" {
		return balanced(docs, k+1), nil
	}
	return docs, nil
}
