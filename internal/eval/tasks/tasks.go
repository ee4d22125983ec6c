// Package tasks is the tables of the tasks of the Open Arabic LLM Leaderboard:
// where each task's rows are, the prompt made of a row, and the choices that
// are scored. Version 1 has 137 tasks, as lighteval ran them between May and
// July 2024, version 2 has 118, as lighteval runs them since March 2025.
//
// A task is data plus a prompt function of a few lines. Prompts are byte
// exact: tasks.tsv holds the digest of every task's prompts in a published
// run (google/gemma-2-9b-it of 4 July 2024).
package tasks

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"barka/internal/pyrandom"
)

// SciQSeed seeds the shuffle of SciQ's options. The reference shuffles them
// with a generator it never seeds, so its order cannot be repeated; 1234 is
// what its later versions use.
const SciQSeed = 1234

// Metrics of the tasks, by the names of the reference's configuration.
const (
	AccNorm = "loglikelihood_acc_norm"
	Acc     = "loglikelihood_acc"
	// Judged tasks have an answer generated, which a judge marks.
	Judged = "llm_as_judge"
)

// Board names a version of the leaderboard. Tasks of different versions can
// have the same key.
type Board string

// The versions, by the names of their task lists.
const (
	V1 Board = "oall"
	V2 Board = "oall-v2"
)

// Boards lists the values of Board.
var Boards = []Board{V1, V2}

// Doc is one question: the prompt, the continuations that are scored, and
// which of them is right. A judged question has one choice, the model answer.
type Doc struct {
	// Query is the prompt, beginning with Instruction.
	Query       string
	Instruction string
	Choices     []string
	Gold        int
}

// Prompt makes a question of a dataset row. The generator belongs to the
// task and is drawn from in row order (SciQ alone uses it).
type Prompt func(Row, *pyrandom.Random) (Doc, error)

// Task is one entry of the table. The fields after Prompt appear in the
// result file's config_tasks.
type Task struct {
	Board       Board
	Suite, Name string
	Prompt      Prompt
	PromptName  string
	// Repo and Subset name the dataset on the hub.
	Repo, Subset string
	Metric       string
	// Splits are the splits the reference declares.
	Splits    []string
	EvalSplit string
	// FewShotSplit is where examples come from; empty means the training split
	// or, where none is declared, the evaluation split, drawn balanced over
	// the answers.
	FewShotSplit   string
	GenerationSize *int
	StopSequence   []string
	TrustDataset   *bool
	// Docs and Choices count the published benchmark; PromptsDigest is the
	// xxHash64 of its prompts at zero shots.
	Docs, Choices int
	PromptsDigest string
}

// Key is the name in task lists and result files: suite|name.
func (t Task) Key() string { return t.Suite + "|" + t.Name }

// ExampleSplit is the split that examples come from: the one that the task
// names or else, as the reference finds it, the first declared one for
// training. It is empty if there is none but the evaluated one.
func (t Task) ExampleSplit() string {
	if t.FewShotSplit != "" {
		return t.FewShotSplit
	}
	for _, kind := range []string{"train", "dev", "valid", "default"} {
		for _, split := range t.Splits {
			if split != t.EvalSplit && strings.Contains(split, kind) {
				return split
			}
		}
	}
	return ""
}

// Family is the part of the name before the colon.
func (t Task) Family() string {
	family, _, _ := strings.Cut(t.Name, ":")
	return family
}

// MetricName is the key of the metric in results: acc_norm, acc or
// llm_as_judge.
func (t Task) MetricName() string { return strings.TrimPrefix(t.Metric, "loglikelihood_") }

//go:embed tasks.tsv
var tasksTSV string

//go:embed mmlu_subjects.tsv
var mmluSubjectsTSV string

//go:embed exams_subjects.tsv
var examsSubjectsTSV string

// MMLUSubjects maps a subset of Arabic MMLU to the Arabic name that its
// `subject` column holds. ExamsSubjects does it for the prefixes of the
// EXAMS ids. Both were recovered from the published prompt digests.
var (
	MMLUSubjects  = pairs(mmluSubjectsTSV)
	ExamsSubjects = pairs(examsSubjectsTSV)
)

func pairs(tsv string) map[string]string {
	m := map[string]string{}
	for _, f := range tsvRows(tsv, 2) {
		m[f[0]] = f[1]
	}
	return m
}

// tsvRows splits an embedded table, without its header.
func tsvRows(tsv string, fields int) [][]string {
	var rows [][]string
	for line := range strings.Lines(tsv) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != fields {
			panic("tasks: an embedded table has a broken line: " + line)
		}
		rows = append(rows, f)
	}
	return rows[1:]
}

const (
	native     = "OALL/AlGhafa-Arabic-LLM-Benchmark-Native"
	translated = "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated"
)

var tables = func() map[Board][]Task {
	v1 := build()
	return map[Board][]Task{V1: v1, V2: buildV2(v1)}
}()

func build() []Task {
	var all []Task
	for _, f := range tsvRows(tasksTSV, 4) {
		key := strings.TrimSuffix(f[0], "|0")
		suite, name, _ := strings.Cut(key, "|")
		t := define(suite, name)
		t.Docs, _ = strconv.Atoi(f[1])
		t.Choices, _ = strconv.Atoi(f[2])
		t.PromptsDigest = f[3]
		all = append(all, t)
	}
	return sorted(all)
}

// sorted sorts tasks by their keys.
func sorted(all []Task) []Task {
	slices.SortFunc(all, func(a, b Task) int { return strings.Compare(a.Key(), b.Key()) })
	return all
}

// define fills in what a family shares.
func define(suite, name string) Task {
	minusOne, yes := -1, true
	t := Task{
		Board: V1, Suite: suite, Name: name, Metric: AccNorm, Splits: []string{"test", "validation"},
		EvalSplit: "test", FewShotSplit: "validation", GenerationSize: &minusOne,
	}
	_, t.Subset, _ = strings.Cut(name, ":")
	switch t.Family() {
	case "arabic_mmlu":
		t.Repo, t.PromptName, t.Prompt = "OALL/Arabic_MMLU", "mmlu_arabic", arabicMMLU
		t.Splits, t.FewShotSplit = []string{"test", "dev"}, "dev"
	case "acva":
		t.Repo, t.PromptName, t.Prompt = "OALL/ACVA", "acva", acva
	case "alghafa":
		t.Repo, t.PromptName, t.Prompt = native, alghafaTexts, alghafa
	case "arabic_exams":
		t.Repo, t.PromptName, t.Prompt = "OALL/Arabic_EXAMS", "arabic_exams", arabicExams
		t.Subset, t.GenerationSize = "default", nil
	case "xstory_cloze":
		t.Repo, t.PromptName, t.Prompt = "juletxara/xstory_cloze", "storycloze", storyCloze
		t.Splits, t.EvalSplit, t.FewShotSplit = []string{"training", "eval"}, "eval", ""
		t.Metric, t.StopSequence, t.TrustDataset = Acc, []string{"\n"}, &yes
	default:
		t.Repo, t.Subset, t.GenerationSize = translated, name, nil
		t.PromptName, t.Prompt = alghafaTexts, alghafa
		if p, ok := translatedPrompts[name]; ok {
			t.PromptName, t.Prompt = p.name, p.prompt
		}
	}
	return t
}

var translatedPrompts = map[string]struct {
	name   string
	prompt Prompt
}{
	"boolq_ar":           {"boolq_prompt_arabic", boolQ},
	"copa_ext_ar":        {"copa_prompt_arabic", copa},
	"hellaswag_okapi_ar": {"hellaswag_prompt_arabic", hellaSwag},
	"toxigen_ar":         {"toxigen_prompt_arabic", toxiGen},
	"sciq_ar":            {"sciq_prompt_arabic", sciQ},
}

// All returns the table of a version, sorted by key.
func All(b Board) []Task { return slices.Clone(tables[b]) }

// Lookup finds a task by its key, suite|name.
func Lookup(b Board, key string) (Task, bool) {
	i, ok := slices.BinarySearchFunc(tables[b], key, func(t Task, key string) int { return strings.Compare(t.Key(), key) })
	if !ok {
		return Task{}, false
	}
	return tables[b][i], true
}

// Row is one row of a dataset: the columns in the file's order and their
// values (nil, bool, int64, float64, string, []any).
type Row struct {
	Columns []string
	Values  []any
}

// Get returns a column's value; a column that does not exist is an error
// that lists those that do.
func (r Row) Get(column string) (any, error) {
	i := slices.Index(r.Columns, column)
	if i < 0 {
		return nil, fmt.Errorf("column %q is missing; the file has %s", column, strings.Join(r.Columns, ", "))
	}
	return r.Values[i], nil
}
