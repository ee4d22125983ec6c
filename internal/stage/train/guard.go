package train

import (
	"context"
	"fmt"
	"math"
)

// guard returns an error if a step must not be taken: its loss or gradient is not finite, or
// no adapter has a gradient. It names the rows at fault.
func (t *trainer) guard(ctx context.Context, m *Metrics) error {
	switch {
	case !finite(m.Loss) || !finite(m.GradNorm):
		rows, err := t.atFault(ctx, m.Rows)
		if err != nil {
			return err
		}
		return fmt.Errorf("step %d: loss %g, gradient norm %g: not finite; %s. The last checkpoint is intact", m.Step, m.Loss, m.GradNorm,
			rows)
	case m.GradNorm == 0:
		return fmt.Errorf("step %d: the gradient of all adapters is 0, so that they do not move; the targets %v may lie behind layers "+
			"that cut the gradient, or the loss %g of %s may be exhausted", m.Step, t.o.Targets, m.Loss, t.data.names(m.Rows))
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// atFault runs each unit of a step alone, and describes those whose loss is not finite.
func (t *trainer) atFault(ctx context.Context, batch []int) (string, error) {
	var bad []int
	for _, u := range batch {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		sum, _, err := t.objective.loss(t, t.data, []int{u})
		if err != nil {
			return "", err
		}
		if !finite(sum) {
			bad = append(bad, u)
		}
	}
	if len(bad) > 0 {
		return "the loss of " + t.data.names(bad) + " is not; look at these rows", nil
	}
	return fmt.Sprintf("the losses of its rows are (%s), so lower the learning rate", t.data.names(batch)), nil
}
