package shard

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/progress"
)

// run returns a record of two tasks without answers. The last question of the second task
// repeats the first question of the first.
func run(t *testing.T) *record.Run {
	t.Helper()
	r := &record.Run{Model: record.Model{Name: "m", MaxLength: 9, EOS: 1}, Settings: record.Settings{Leaderboard: tasks.V1,
		AlGhafa: tasks.Texts}}
	for n, key := range []string{"community|acva:Iraq", "community|copa_ext_ar"} {
		task, ok := tasks.Lookup(tasks.V1, key)
		if !ok {
			t.Fatal(key)
		}
		task.Prompt = nil // functions are not compared
		x := &record.Task{Task: task, Shots: tasks.Shots{K: n}, Original: 9}
		for q := range 5 {
			id := int32(10*n + q)
			if n == 1 && q == 4 {
				id = 0
			}
			x.Questions = append(x.Questions, record.Question{
				Doc: tasks.Doc{Query: fmt.Sprint("q", id), Choices: []string{"a", "b"}, Gold: 1}, Context: fmt.Sprint("c", id), EffectiveShots: n,
				Requests: []record.Request{{Context: []int32{2, id}, Continuation: []int32{3}}, {Context: []int32{2, id}, Continuation: []int32{4, 5}}},
			})
		}
		r.Tasks = append(r.Tasks, x)
	}
	return r
}

func one(*record.Task, int) int64 { return 1 }

// TestDivide: every question is in one shard, questions stay in order, and a repeated one
// goes to the shard of its first occurrence.
func TestDivide(t *testing.T) {
	r := run(t)
	for _, count := range []int{0, 1, 2, 3, 20} {
		held := map[[2]int]int{}
		for index := range max(count, 1) {
			for task, own := range Divide(r.Tasks, Shard{index, count}, one) {
				for _, q := range own {
					if other, twice := held[[2]int{task, q}]; twice {
						t.Errorf("%d shards: question %d of task %d is in %d and %d", count, q, task, other, index)
					}
					held[[2]int{task, q}] = index
				}
			}
		}
		if len(held) != 10 || held[[2]int{0, 0}] != held[[2]int{1, 4}] {
			t.Errorf("%d shards: %v", count, held)
		}
		for q := 1; q < 5; q++ {
			if held[[2]int{0, q}] < held[[2]int{0, q - 1}] {
				t.Errorf("%d shards: question %d is in an earlier shard than the one before", count, q)
			}
		}
	}
}

// TestJoin: the files of shards are read back as the record of the whole run, without model
// or data.
func TestJoin(t *testing.T) {
	root, want := t.TempDir(), run(t)
	answer := func(q *record.Question) {
		q.Answer = &record.Answer{Scores: []record.Score{{LogProb: -float64(q.Requests[0].Context[1]), Greedy: true}, {LogProb: -0.5}}}
	}
	for _, x := range want.Tasks {
		for i := range x.Questions {
			answer(&x.Questions[i])
		}
	}
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for index := range 3 {
		s, r := Shard{index, 3}, run(t)
		w, err := Create(filepath.Join(root, s.String()), s, r)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for task, own := range Divide(r.Tasks, s, one) {
			for _, q := range own {
				answer(&r.Tasks[task].Questions[q])
				n++
			}
		}
		r.Scored = n
		start := begin.Add(time.Duration(index) * time.Minute)
		if wrote, err := w.Write(r, start, start.Add(time.Hour)); err != nil || wrote != n {
			t.Fatalf("%d questions, want %d: %v", wrote, n, err)
		}
	}
	got, err := Join(t.Context(), []string{root}, progress.Silent)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range got.Tasks {
		x.Task.Prompt = nil
	}
	want.Scored = 10
	if diff := cmp.Diff(want, got.Run); diff != "" {
		t.Error(diff)
	}
	if !got.Start.Equal(begin) || !got.End.Equal(begin.Add(62*time.Minute)) || got.Asked != 2 {
		t.Errorf("from %v to %v, %d tasks", got.Start, got.End, got.Asked)
	}
}
