package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"barka/internal/progress"
)

// Evaluator measures the model that Input.Open has opened, as it is at the time. It belongs
// to the caller: training knows no benchmarks.
type Evaluator interface {
	// Work returns what an evaluation takes. It needs no opened model, and refuses tasks
	// that cannot be evaluated.
	Work(ctx context.Context) (Work, error)
	// Evaluate evaluates the opened model. adapter identifies the adapter's values. dir is a
	// directory of the run, in which scores survive an interrupt.
	Evaluate(ctx context.Context, adapter, dir string) (*Scores, error)
}

// Work is what an evaluation takes: the tokens that the model runs, and memory beside that
// of the weights, in bytes.
type Work struct{ Tokens, Memory int64 }

// Scores are the result of an evaluation, from 0 to 1.
type Scores struct {
	Questions int                `json:"questions"`
	Mean      float64            `json:"mean"` // of the scores
	Scores    map[string]float64 `json:"scores"`
}

// evaluated is a line of metrics.jsonl: an evaluation after a step, or before the first.
type evaluated struct {
	Step int     `json:"step"`
	Eval *Scores `json:"eval"`
}

// observation is what was seen of the model after a step, and is not recorded yet.
type observation struct {
	samples []answered
	scores  *Scores
}

// observed reports whether the run looks at the model that it trains.
func (o Options) observed() bool { return o.SamplePrompts != "" || o.Eval != "" }

// observes reports whether samples and evaluation are due after a step of a run of total
// steps; step 0 is before the first.
func (o Options) observes(step, total, perEpoch int) bool {
	switch {
	case !o.observed():
		return false
	case step == 0 || step == total:
		return true
	case o.Every > 0:
		return step%o.Every == 0
	}
	return o.validates(step, total, perEpoch)
}

// observations counts how often a run looks at its model.
func (o Options) observations(total, perEpoch int) (n int) {
	for step := range total + 1 {
		if o.observes(step, total, perEpoch) {
			n++
		}
	}
	return n
}

// observe looks at the model as it is. It changes nothing of it. The memory of a training
// pass is given back before, and taken again after.
func (t *trainer) observe(ctx context.Context) (seen observation, err error) {
	if !t.o.observes(t.step, t.total, t.perEpoch()) {
		return seen, nil
	}
	t.trim()
	if seen.samples, err = t.sample(ctx); err != nil {
		return seen, err
	}
	if t.in.Evaluator != nil && t.o.Eval != "" {
		seen.scores, err = t.in.Evaluator.Evaluate(ctx, t.adapterDigest(), filepath.Join(t.work.Dir(), evaluationDir))
		if err != nil {
			return seen, fmt.Errorf("evaluation after step %d: %w", t.step, err)
		}
	}
	t.trim()
	return seen, t.reserve()
}

// evaluationDir is the directory, beside the adapter in the making, of evaluations.
const evaluationDir = "evaluations"

// trim gives the memory of freed tensors back to the system.
func (t *trainer) trim() {
	if dev, ok := t.dev.(interface{ Trim() }); ok {
		dev.Trim()
		debug.FreeOSMemory()
	}
}

// adapterDigest identifies the values of the adapter.
func (t *trainer) adapterDigest() string {
	const most = 1 << 18 // values at once
	h := sha256.New()
	var values []float32
	var data []byte
	for _, p := range t.adapter.Params() {
		rows := max(1, most/max(p.Value.Cols, 1))
		for lo := 0; lo < p.Value.Rows; lo += rows {
			part := p.Value.Slice(lo, min(lo+rows, p.Value.Rows))
			values = slices.Grow(values[:0], part.Len())[:part.Len()]
			t.dev.Download(values, part)
			data = data[:0]
			for _, v := range values {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			}
			h.Write(data)
		}
	}
	return "live-" + hex.EncodeToString(h.Sum(nil))
}

// recordSeen writes an observation to the logs and to TensorBoard, and shows it.
func (t *trainer) recordSeen(seen observation) error {
	texts := map[string]string{}
	for i, s := range seen.samples {
		if err := t.samples.append(s); err != nil {
			return err
		}
		e := sampleEvent{s.Step, i + 1, s.shown(), s.Answer}
		progress.Event(t.env.Progress, "sample", e.text(), e)
		texts[fmt.Sprintf("samples/%d", i+1)] = s.shown() + "\n\n→ " + s.Answer
	}
	if len(texts) > 0 {
		if err := t.board.Texts(int64(t.step), texts); err != nil {
			return err
		}
	}
	if seen.scores == nil {
		return nil
	}
	if t.before == nil {
		t.before = seen.scores
	}
	if err := t.metrics.append(evaluated{t.step, seen.scores}); err != nil {
		return err
	}
	e := evaluationEvent{t.step, t.total, seen.scores, t.before}
	progress.Event(t.env.Progress, "evaluation", e.text(), e)
	values := map[string]float64{"eval/mean": seen.scores.Mean}
	for name, v := range seen.scores.Scores {
		values["eval/"+name] = v
	}
	return t.board.Scalars(int64(t.step), values)
}

// evaluationEvent is an evaluation as an event.
type evaluationEvent struct {
	Step  int `json:"step"`
	Steps int `json:"steps"`
	*Scores
	Before *Scores `json:"before,omitempty"`
}

// text is the line of an evaluation, with the points that the scores have gained.
func (e evaluationEvent) text() string {
	parts := []string{}
	add := func(name string, now, before float64) {
		text := fmt.Sprintf("%s %.2f %%", name, 100*now)
		if e.Step > 0 {
			text += fmt.Sprintf(" (%+.2f)", 100*(now-before))
		}
		parts = append(parts, text)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Scores.Scores)) {
		add(name, e.Scores.Scores[name], e.Before.Scores[name])
	}
	if len(parts) > 1 {
		add("mean", e.Mean, e.Before.Mean)
	}
	when := fmt.Sprintf("after step %d/%d", e.Step, e.Steps)
	if e.Step == 0 {
		when = "before the first step"
	}
	return fmt.Sprintf("evaluation %s, %d questions: %s", when, e.Questions, strings.Join(parts, ", "))
}
