package eval

import (
	"crypto/sha256"
	"fmt"

	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/score"
)

// Shard is the part of a run's questions that one of several workers scores:
// number Index, counted from 0, of Count parts. With a Count of 0 the run is
// not divided.
type Shard struct{ Index, Count int }

func (s Shard) String() string { return fmt.Sprintf("%d-of-%d", s.Index, s.Count) }

func (s Shard) validate() error {
	if s.Count < 0 || s.Index < 0 || s.Index >= max(s.Count, 1) {
		return badinput.Errorf("shard %d of %d: expected a number from 0 to one less than that of the shards", s.Index, s.Count)
	}
	return nil
}

// divide marks the questions that other workers score. All workers see all
// questions and come to the same division: the questions in their order, cut
// where the tokens the model runs are a Count-th of all. Neighbours, which
// often begin alike, stay together, and a question that is asked again goes
// where it was first.
func (e *evaluation) divide() {
	if e.o.Shard.Count == 0 {
		return
	}
	total := int64(0)
	middle := map[requestKey]int64{} // of a question's tokens among all, twice
	for _, r := range e.runs {
		for i := range r.samples {
			key := r.samples[i].key()
			if _, seen := middle[key]; seen {
				continue
			}
			n := e.cost(r, i)
			middle[key] = 2*total + n
			total += n
		}
	}
	for _, r := range e.runs {
		for i := range r.samples {
			s := &r.samples[i]
			s.elsewhere = middle[s.key()]*int64(e.o.Shard.Count)/(2*total) != int64(e.o.Shard.Index)
		}
	}
}

// cost is about how many tokens the model runs for question i of a task: not
// those that the question before it begins with too, such as examples.
func (e *evaluation) cost(r *taskRun, i int) int64 {
	var t TaskEstimate
	s, limit := &r.samples[i], e.m.MaxLength()
	if r.task.Metric == tasks.Judged {
		t.addAnswer(len(e.m.Tokenizer().Encode(s.context, true)), *r.task.GenerationSize, limit)
		return t.SharedTokens
	}
	t.add(s.requests, limit)
	if input := s.requests[0].input(0); i > 0 && len(input) <= limit {
		t.SharedTokens -= int64(score.CommonPrefix(r.samples[i-1].requests[0].input(0), input))
	}
	return max(t.SharedTokens, 1)
}

// key identifies what a question asks of a model.
func (s *sample) key() requestKey {
	h := sha256.New()
	if len(s.requests) == 0 {
		h.Write([]byte(s.context)) // which the model continues
	}
	for _, r := range s.requests {
		key := r.key()
		h.Write(key[:])
	}
	return requestKey(h.Sum(nil)[:16])
}
