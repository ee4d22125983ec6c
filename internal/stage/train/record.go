package train

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"barka/internal/progress"
)

// Metrics is a line of metrics.jsonl: nothing in it depends on time.
type Metrics struct {
	Step     int     `json:"step"` // from 1
	Epoch    float64 `json:"epoch"`
	Loss     float64 `json:"loss"` // mean over the batch's trained tokens
	LR       float64 `json:"lr"`
	GradNorm float64 `json:"grad_norm"` // before clipping
	Tokens   int     `json:"tokens"`
	Trained  int     `json:"trained_tokens"`
	// Rows are the numbers, among the usable rows, of the batch's
	// conversations: where to look when a loss jumps.
	Rows []int `json:"rows"`
	// Margin and Accuracy are DPO's: the mean of β times how much the chosen answer has gained
	// on the rejected one, and the share of pairs in which it has.
	Margin   *float64 `json:"reward_margin,omitempty"`
	Accuracy *float64 `json:"reward_accuracy,omitempty"`
	// ValLoss is the mean over the validation set's trained tokens, at steps
	// that measure it.
	ValLoss *float64 `json:"val_loss,omitempty"`
}

// stepEvent is a step as an event.
type stepEvent struct {
	Step     int      `json:"step"`
	Steps    int      `json:"steps"`
	Loss     float64  `json:"loss"`
	LR       float64  `json:"learning_rate"`
	GradNorm float64  `json:"grad_norm"`
	Speed    float64  `json:"tokens_per_second"`
	ValLoss  *float64 `json:"validation_loss,omitempty"`
}

// record appends a step to metrics.jsonl and to TensorBoard's events, which
// alone hold the speed.
func (t *trainer) record(m Metrics, took time.Duration) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	f, err := os.OpenFile(filepath.Join(t.work.Final(), metricsFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	t.metrics.Write(line)
	t.recorded += int64(len(line))
	speed := float64(m.Tokens) / took.Seconds()
	values := map[string]float64{"train/loss": m.Loss, "train/epoch": m.Epoch, "train/trained_tokens": float64(m.Trained),
		"train/learning_rate": m.LR, "train/grad_norm": m.GradNorm,
		"train/tokens_per_second": speed}
	for name, v := range map[string]*float64{"eval/loss": m.ValLoss, "train/reward_margin": m.Margin, "train/reward_accuracy": m.Accuracy} {
		if v != nil {
			values[name] = *v
		}
	}
	note := fmt.Sprintf("step %d/%d  loss %.4f  lr %.2e  norm %.2f  %.0f tokens/s", m.Step, t.total, m.Loss, m.LR, m.GradNorm, speed)
	if m.ValLoss != nil {
		note += fmt.Sprintf("  val %.4f", *m.ValLoss)
	}
	if m.ValLoss != nil || m.Step%max(1, t.total/20) == 0 {
		progress.Event(t.env.Progress, "step", note, stepEvent{m.Step, t.total, m.Loss, m.LR, m.GradNorm, speed, m.ValLoss})
	}
	return t.board.Scalars(int64(m.Step), values)
}
