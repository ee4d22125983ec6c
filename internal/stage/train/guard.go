package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/progress"
)

// A run has diverged if for riseSteps steps in a row the loss is more than Options.Divergence
// above its running mean, which takes meanSteps steps to be known. It is set back maxSetbacks
// times at most.
const (
	riseSteps   = 3
	meanSteps   = 10
	meanDecay   = 0.9
	maxSetbacks = 3
)

// guard returns an error if a step must not be taken: its loss or gradient is not finite, no
// adapter has a gradient, or the run has diverged, which is a *diverged. It names the rows at
// fault.
func (t *trainer) guard(ctx context.Context, m *Metrics) error {
	switch {
	case !finite(m.Loss) || !finite(m.GradNorm):
		losses, err := t.eachLoss(ctx, m.Rows)
		if err != nil {
			return err
		}
		return fmt.Errorf("step %d: loss %g, gradient norm %g: not finite; %s. The last checkpoint is intact", m.Step, m.Loss, m.GradNorm,
			t.atFault(m.Rows, losses))
	case m.GradNorm == 0:
		return fmt.Errorf("step %d: the gradient of all adapters is 0, so that they do not move; the targets %v may lie behind layers "+
			"that cut the gradient, or the loss %g of %s may be exhausted", m.Step, t.o.Targets, m.Loss, t.data.names(m.Rows))
	}
	if t.o.Divergence == 0 {
		return nil
	}
	if m.Step <= meanSteps || m.Loss <= t.level+t.o.Divergence {
		if t.calm = m.Step; m.Step == 1 {
			t.level = m.Loss
		}
		t.level = meanDecay*t.level + (1-meanDecay)*m.Loss
		return nil
	}
	if m.Step-t.calm < riseSteps {
		return nil
	}
	losses, err := t.eachLoss(ctx, m.Rows)
	if err != nil {
		return err
	}
	return &diverged{setback{t.calm, m.Step}, fmt.Sprintf("step %d: the loss has risen from about %.3g to %.3g; the largest are those of %s",
		m.Step, t.level, m.Loss, t.largestLosses(m.Rows, losses, 3))}
}

// diverged is the error of a run that has diverged.
type diverged struct {
	setback
	text string
}

// Error implements error.
func (d *diverged) Error() string { return d.text }

// setback is steps whose batches are left out after a divergence: from the last one whose loss
// was as usual, since its update is the first that can be at fault.
type setback struct {
	From int `json:"from"`
	To   int `json:"to"`
}

const setbackFile = "setbacks.json"

// skips reports whether a step's batch is left out.
func (t *trainer) skips(step int) bool {
	return slices.ContainsFunc(t.setbacks, func(s setback) bool { return s.From <= step && step <= s.To })
}

// skip passes a step without training. Its place in the schedule and in the optimiser's count
// is taken.
func (t *trainer) skip(batch []int) Metrics {
	t.step++
	t.opt.Steps++
	t.calm = t.step
	return Metrics{Step: t.step, Epoch: float64(t.step) / float64(t.perEpoch()), Rows: batch, Loss: t.last,
		LR: t.o.LR * t.schedule(t.step-1), Skipped: true}
}

// readSetbacks reads what an earlier process has decided, and removes checkpoints of steps that
// were then undone.
func (t *trainer) readSetbacks() error {
	err := badinput.ReadJSON(filepath.Join(t.work.Dir(), setbackFile), &t.setbacks)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.undo()
}

// undo removes checkpoints that know nothing of the last setback and have steps that it undoes.
func (t *trainer) undo() error {
	names, err := t.checkpoints()
	if err != nil {
		return err
	}
	last := t.setbacks[len(t.setbacks)-1]
	for _, name := range names {
		n, err := readNumbers(name)
		if err != nil {
			return err
		}
		if n.Setbacks < len(t.setbacks) && n.Step >= last.From {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// setBack goes back to the last checkpoint before a divergence, from where the run goes on
// without the batches of the divergence. Where the run goes on does not depend on which
// checkpoints there are.
func (t *trainer) setBack(d *diverged) error {
	if len(t.setbacks) == maxSetbacks {
		return fmt.Errorf("%w. The run was set back %d times before: lower the learning rate, or look at these rows", d, maxSetbacks)
	}
	t.setbacks = append(t.setbacks, d.setback)
	if err := atomicfile.WriteJSON(filepath.Join(t.work.Dir(), setbackFile), t.setbacks); err != nil {
		return err
	}
	if err := t.undo(); err != nil {
		return err
	}
	names, err := t.checkpoints()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("%w. There is no checkpoint of a step before; the same command begins again, and leaves out steps %d to %d", d,
			d.From, d.To)
	}
	if err := t.board.Close(); err != nil {
		return err
	}
	t.adapter.Train(t.dev) // without the gradients of the step that was not taken
	if err := t.resume(); err != nil {
		return err
	}
	progress.Event(t.env.Progress, "setback", fmt.Sprintf("%v; the run goes on from step %d and leaves out steps %d to %d", d, t.step, d.From,
		d.To), d.setback)
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// eachLoss returns the mean loss of each unit of a step, run alone.
func (t *trainer) eachLoss(ctx context.Context, batch []int) (losses []float64, err error) {
	for _, u := range batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sum, weight, err := t.objective.loss(t, t.data, []int{u})
		if err != nil {
			return nil, err
		}
		losses = append(losses, sum/weight)
	}
	return losses, nil
}

// atFault describes the units whose loss is not finite.
func (t *trainer) atFault(batch []int, losses []float64) string {
	var bad []int
	for i, u := range batch {
		if !finite(losses[i]) {
			bad = append(bad, u)
		}
	}
	if len(bad) > 0 {
		return "the loss of " + t.data.names(bad) + " is not; look at these rows"
	}
	return fmt.Sprintf("the losses of its rows are (%s), so lower the learning rate", t.data.names(batch))
}

// largestLosses describes the n units with the largest losses.
func (t *trainer) largestLosses(batch []int, losses []float64, n int) string {
	order := make([]int, len(batch))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(losses[b], losses[a]) })
	var all []string
	for _, i := range order[:min(n, len(order))] {
		all = append(all, fmt.Sprintf("%s (%.3g)", t.data.name(batch[i]), losses[i]))
	}
	return strings.Join(all, ", ")
}
