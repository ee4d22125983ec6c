// Package audit finds defects of benchmarks, and training rows that repeat a
// benchmark's questions.
//
// It runs no model. The evaluation's own code reads the questions, so that row numbers
// are those of the evaluation.
package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/tasks"
	"barka/internal/overlap"
	"barka/internal/progress"
	"barka/internal/pyrandom"
)

// Options holds the settings of an audit.
type Options struct {
	// Tasks is a result of tasks.ParseList. Its numbers of shots do not matter.
	Tasks []tasks.Selection
	// DataDir holds the benchmark files in the hub's layout.
	DataDir string
	// Training lists datasets to compare with the benchmarks: Barka's dataset
	// directories, .parquet or .jsonl files. Every text of a row is compared.
	Training []string
	// Originals lists files of the benchmarks in other languages, such as the English
	// test sets that were translated. They find training rows with an English source.
	// Every row is a question, with all of its texts.
	Originals []string
	// Details lists directories of evaluations' details, which are scored again on the
	// questions without a defect.
	Details []string
	// NGram is the length, in words, of the sequences by which training rows and
	// questions are compared.
	NGram int
	// Threshold is the share of a question's sequences from which a training row that
	// holds them is to be dropped.
	Threshold float64
	// Threads is the number of threads that compare training rows; 0 means one per
	// core.
	Threads int
}

// Defaults returns sequences of 8 words and a threshold of one half.
func Defaults() Options { return Options{NGram: 8, Threshold: 0.5} }

// Validate returns an error for the first setting that cannot be right.
func (o Options) Validate() error {
	switch {
	case len(o.Tasks) == 0:
		return badinput.Errorf("audit: no tasks are selected; --tasks oall selects all")
	case o.DataDir == "":
		return badinput.Errorf("audit: no benchmark data is given; set --data to the directory of OALL/Arabic_MMLU and the other benchmarks")
	case o.NGram < overlap.Shortest:
		return badinput.Errorf("audit: --ngram is %d words, expected %d or more", o.NGram, overlap.Shortest)
	case !(o.Threshold > 0 && o.Threshold <= 1):
		return badinput.Errorf("audit: --threshold is %g, expected more than 0 and at most 1", o.Threshold)
	}
	return nil
}

// Report holds the findings of an audit.
type Report struct {
	Tasks    []*Task   `json:"tasks"`
	Families []*Family `json:"families"`
	Clusters []Cluster `json:"clusters"`
	Overlap  *Overlap  `json:"overlap,omitempty"`
	Scores   []Scores  `json:"scores,omitempty"`
	// Skipped lists the tasks whose data cannot be read, with the reason.
	Skipped []Skip `json:"skipped,omitempty"`
	// Findings holds the defects of single rows. They are in a separate file.
	Findings []Finding `json:"-"`
}

// Skip is a task that was left out, with the reason.
type Skip struct {
	Task   string `json:"task"`
	Reason string `json:"reason"`
	// Get is the command that fetches the data, if it is missing.
	Get string `json:"get,omitempty"`
}

// Finding is a defect of a row.
type Finding struct {
	Task  string `json:"task"`
	Split string `json:"split"`
	Row   int    `json:"row"` // counted from 1, in the file's order
	Kind  Kind   `json:"kind"`
	// Detail describes the defect. Like names the first row of the group.
	Detail string `json:"detail,omitempty"`
	Like   string `json:"like,omitempty"`
}

// Kind names a defect.
type Kind string

const (
	Broken        Kind = "broken"        // the row cannot be made a question
	Duplicate     Kind = "duplicate"     // the same question, options and answer as an earlier row
	Contradiction Kind = "contradiction" // the same question and options as another row, with another answer
	SameOptions   Kind = "same-options"  // two options of the row are equal
	Repeated      Kind = "repeated"      // the same question as an earlier row, with other options
	Leaked        Kind = "leaked"        // one of many nearly equal rows; see Cluster
	Contaminated  Kind = "in-training"   // a training row holds at least Threshold of its sequences
)

// Run audits the tasks. Tasks without data are listed in Skipped. If no task is left, Run
// returns an error.
func Run(ctx context.Context, o Options, progress progress.Reporter) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	store, err := benchdata.Open(o.DataDir)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	var items []item
	progress.Start("read", int64(len(o.Tasks)), "tasks")
	seen := map[string]bool{}
	for _, s := range o.Tasks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !seen[s.Task.Key()] {
			seen[s.Task.Key()] = true
			more, err := r.read(store, s.Task)
			if err != nil {
				return nil, err
			}
			items = append(items, more...)
		}
		progress.Add(1)
	}
	progress.Done()
	if len(r.Tasks) == 0 {
		return nil, badinput.Errorf("audit: no task has data; %s: %s", r.Skipped[0].Task, r.Skipped[0].Reason)
	}
	r.repetitions(items)
	r.clusters(items)
	r.families(items)
	benchmark := len(items)
	if len(o.Training) > 0 {
		for _, path := range o.Originals {
			more, err := r.originals(ctx, path)
			if err != nil {
				return nil, err
			}
			items = append(items, more...)
		}
		if err := r.overlap(ctx, o, items, progress); err != nil {
			return nil, err
		}
	}
	for _, dir := range o.Details {
		if err := r.score(dir, items[:benchmark]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// read returns a task's questions: the evaluated ones and those of the few-shot split.
func (r *Report) read(store *benchdata.Store, t tasks.Task) ([]item, error) {
	task := &Task{Task: t.Key(), family: t.Family()}
	splits := []string{t.EvalSplit}
	if t.FewShotSplit != "" && t.FewShotSplit != t.EvalSplit {
		splits = append(splits, t.FewShotSplit)
	}
	rnd := pyrandom.New(tasks.SciQSeed)
	var items []item
	for i, split := range splits {
		table, err := readSplit(store, t, split)
		var missing *benchdata.Missing
		if errors.As(err, &missing) && i > 0 {
			continue
		}
		if disk := new(fs.PathError); errors.As(err, &disk) {
			return nil, err // the disk may be at fault, and not the file
		}
		if err != nil {
			skip := Skip{Task: t.Key(), Reason: err.Error()}
			if missing != nil {
				skip.Get = missing.Command()
			}
			r.Skipped = append(r.Skipped, skip)
			return nil, nil
		}
		for n, values := range table.Rows {
			row := tasks.Row{Columns: table.Columns, Values: values}
			doc, err := t.Prompt(row, rnd)
			if err != nil {
				r.Findings = append(r.Findings, Finding{Task: t.Key(), Split: split, Row: n + 1, Kind: Broken, Detail: err.Error()})
				task.Broken++
				continue
			}
			items = append(items, newItem(task, t, split, n+1, i == 0, row, doc))
		}
	}
	task.measure(items)
	r.Tasks = append(r.Tasks, task)
	return items, nil
}

// originals returns the rows of a file as questions of a task with the file's name.
func (r *Report) originals(ctx context.Context, path string) ([]item, error) {
	task := &Task{Task: path, family: path}
	var items []item
	for row, err := range overlap.Rows(ctx, path) {
		if err != nil {
			return nil, err
		}
		task.Rows++
		passage, question, proof := overlap.Original(row)
		items = append(items, item{task: task, split: "original", row: task.Rows, test: true,
			question: strings.Trim(passage+"\n"+question, "\n"), proof: proof})
	}
	r.Tasks = append(r.Tasks, task)
	return items, nil
}

func readSplit(store *benchdata.Store, t tasks.Task, split string) (*benchdata.Table, error) {
	files, err := store.Locate(t.Repo, t.Subset, split)
	if err != nil {
		return nil, err
	}
	return benchdata.Read(files)
}

func (r *Report) find(it *item, kind Kind, like *item, detail string) {
	f := Finding{Task: it.task.Task, Split: it.split, Row: it.row, Kind: kind, Detail: detail}
	if like != nil {
		f.Like = like.where()
	}
	r.Findings = append(r.Findings, f)
	it.found = it.found || kind != Repeated // the wording of a repeated question may just be common
}

func (it *item) where() string { return fmt.Sprintf("%s, %s, row %d", it.task.Task, it.split, it.row) }
