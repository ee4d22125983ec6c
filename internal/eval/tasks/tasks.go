// Package tasks holds the tasks of the Open Arabic LLM Leaderboard: the location of each
// task's rows, the prompt made of a row, and the choices that are scored. Version 1 has
// 137 tasks, as lighteval ran them between May and July 2024. Version 2 has 118, as
// lighteval runs them since March 2025.
//
// A task is data and a prompt function of a few lines. Prompts are equal to the
// reference's, to the byte: tasks.tsv holds the digest of every task's prompts in a
// published run (google/gemma-2-9b-it of 4 July 2024).
package tasks

import (
	_ "embed"
	"slices"
	"strings"

	"barka/internal/pyrandom"
)

// SciQSeed seeds the shuffle of SciQ's options. The reference shuffles them with a
// generator that it never seeds, so its order cannot be reproduced. Its later versions
// use 1234.
const SciQSeed = 1234

// Metrics of the tasks, by the names of the reference's configuration.
const (
	AccNorm = "loglikelihood_acc_norm"
	Acc     = "loglikelihood_acc"
	// Judged is the metric of tasks whose answers are generated and marked by a judge.
	Judged = "llm_as_judge"
)

// Leaderboard names a version of the leaderboard. Tasks of different versions can
// have the same key.
type Leaderboard string

// The versions, by the names of their task lists.
const (
	V1 Leaderboard = "oall"
	V2 Leaderboard = "oall-v2"
)

// Leaderboards lists the values of Leaderboard.
var Leaderboards = []Leaderboard{V1, V2}

// Doc is one question: the prompt, the choices that are scored as its
// continuations, and the index of the right one. The only choice of a judged
// question is the right answer.
type Doc struct {
	// Query is the prompt, which begins with Instruction.
	Query       string
	Instruction string
	Choices     []string
	Gold        int
}

// Prompt turns a row of a dataset into a question. The generator belongs to the task and
// is used in row order. Only SciQ needs it.
type Prompt func(Row, *pyrandom.Random) (Doc, error)

// Task is an entry of the table of tasks. The fields after Prompt appear in config_tasks
// of the result file.
type Task struct {
	Leaderboard Leaderboard
	Suite, Name string
	Prompt      Prompt
	PromptName  string
	// Repo and Subset name the dataset on the hub.
	Repo, Subset string
	Metric       string
	// Splits lists the splits that the reference declares.
	Splits    []string
	EvalSplit string
	// FewShotSplit is the split of the examples. If it is empty, they are taken from
	// the training split or, if none is declared, from the evaluation split, with
	// equal numbers of each answer.
	FewShotSplit   string
	GenerationSize *int
	StopSequence   []string
	TrustDataset   *bool
	// Docs and Choices count the questions and choices of the published benchmark.
	// PromptsDigest is the xxHash64 of its prompts with zero shots.
	Docs, Choices int
	PromptsDigest string
}

// Key returns the name in task lists and result files: suite|name.
func (t Task) Key() string { return t.Suite + "|" + t.Name }

// ExampleSplit returns the split of the examples: the one that the task names, or else
// the first declared one for training, by the reference's rule. It returns "" if only
// the evaluated split is left.
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

// Family returns the part of the name before the colon.
func (t Task) Family() string {
	family, _, _ := strings.Cut(t.Name, ":")
	return family
}

// MetricName returns the key of the metric in results: acc_norm, acc or llm_as_judge.
func (t Task) MetricName() string { return strings.TrimPrefix(t.Metric, "loglikelihood_") }

// All returns the tasks of a version, sorted by key.
func All(b Leaderboard) []Task { return slices.Clone(tables[b]) }

// Lookup finds a task by its key, suite|name.
func Lookup(b Leaderboard, key string) (Task, bool) {
	i, ok := slices.BinarySearchFunc(tables[b], key, func(t Task, key string) int { return strings.Compare(t.Key(), key) })
	if !ok {
		return Task{}, false
	}
	return tables[b][i], true
}
