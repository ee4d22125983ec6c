// Package shard divides a run among processes and joins their results. Each process
// writes its questions with their answers, and a manifest. Join reads the record of the
// whole run from these files. It needs neither the model nor the data.
package shard

import (
	"fmt"

	"barka/internal/badinput"
	"barka/internal/eval/record"
)

// Shard selects the questions that process Index, counted from 0, of Count processes
// answers. With a Count of 0 the run is not divided.
type Shard struct{ Index, Count int }

func (s Shard) String() string { return fmt.Sprintf("%d-of-%d", s.Index, s.Count) }

// Name returns the shard's part of the names of files that several shards write to one
// directory. It is empty if the run is not divided.
func (s Shard) Name() string {
	if s.Count == 0 {
		return ""
	}
	return s.String()
}

// Validate returns an error for a number that no shard has.
func (s Shard) Validate() error {
	if s.Count < 0 || s.Index < 0 || s.Index >= max(s.Count, 1) {
		return badinput.Errorf("shard %d of %d does not exist; expected a number from 0 to one less than the number of shards", s.Index, s.Count)
	}
	return nil
}

// Divide returns the indices of the questions that the shard answers, per task.
//
// Every shard has all questions and computes the same division. Questions are cut, in
// order, into Count runs of equal token cost. Neighbours stay together because they
// often share a prefix; a repeated question goes to the shard of its first occurrence.
// cost estimates the number of tokens that the model runs for question i of a task.
func Divide(all []*record.Task, s Shard, cost func(t *record.Task, i int) int64) [][]int {
	total := int64(0)
	middle := map[record.Key]int64{} // twice the position of a question's middle token among all tokens
	if s.Count > 0 {
		for _, t := range all {
			for i := range t.Questions {
				key := t.Questions[i].Key()
				if _, seen := middle[key]; seen {
					continue
				}
				n := cost(t, i)
				middle[key] = 2*total + n
				total += n
			}
		}
	}
	own := make([][]int, len(all))
	for n, t := range all {
		for i := range t.Questions {
			if s.Count == 0 || middle[t.Questions[i].Key()]*int64(s.Count)/(2*total) == int64(s.Index) {
				own[n] = append(own[n], i)
			}
		}
	}
	return own
}
