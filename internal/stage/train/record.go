package train

import (
	"fmt"
	"time"

	"barka/internal/printable"
	"barka/internal/progress"
	"barka/internal/resident"
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
	// Skipped is set for a step that is left out after a divergence.
	Skipped bool `json:"skipped,omitempty"`
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
	// Share is that of the machine's arithmetic ceiling, 0 if it is not known. Memory is the
	// process's resident memory in bytes.
	Share  float64 `json:"share_of_peak,omitempty"`
	Memory int64   `json:"memory_bytes,omitempty"`
}

// record appends a step to metrics.jsonl and to TensorBoard's events, which
// alone hold the speed.
func (t *trainer) record(m Metrics, took time.Duration) error {
	if err := t.metrics.append(m); err != nil {
		return err
	}
	speed := float64(m.Tokens) / took.Seconds()
	values := map[string]float64{"train/loss": m.Loss, "train/epoch": m.Epoch, "train/trained_tokens": float64(m.Trained),
		"train/learning_rate": m.LR, "train/grad_norm": m.GradNorm,
		"train/tokens_per_second": speed}
	for name, v := range map[string]*float64{"eval/loss": m.ValLoss, "train/reward_margin": m.Margin, "train/reward_accuracy": m.Accuracy} {
		if v != nil {
			values[name] = *v
		}
	}
	event := stepEvent{Step: m.Step, Steps: t.total, Loss: m.Loss, LR: m.LR, GradNorm: m.GradNorm, Speed: speed, ValLoss: m.ValLoss,
		Memory: resident.Now()}
	if t.peak > 0 {
		event.Share = t.share(m, took)
		values["train/share_of_peak"] = event.Share
	}
	values["train/memory_bytes"] = float64(event.Memory)
	// Steps of milliseconds are shown once a second, others all.
	if now := time.Now(); m.ValLoss != nil || m.Step%max(1, t.total/20) == 0 || now.Sub(t.shown) >= time.Second {
		t.shown = now
		progress.Event(t.env.Progress, "step", event.text(), event)
	}
	return t.board.Scalars(int64(m.Step), values)
}

// share returns a step's speed as a share of the machine's peak. A step that is faster than the
// peak shows that the machine was busy when the peak was measured: it is measured again.
func (t *trainer) share(m Metrics, took time.Duration) float64 {
	speed := t.plan.work(float64(m.Tokens), float64(m.Trained)) / took.Seconds()
	if speed > t.peak {
		t.peak = max(speed, t.in.Peak(t.o.DType))
	}
	return speed / t.peak
}

// text is the line of a step.
func (e stepEvent) text() string {
	text := fmt.Sprintf("step %d/%d  loss %.4f  lr %.2e  norm %.2f  %.0f tokens/s", e.Step, e.Steps, e.Loss, e.LR, e.GradNorm, e.Speed)
	if e.Share > 0 {
		text += fmt.Sprintf("  %.0f %% of peak", 100*e.Share)
	}
	if e.Memory > 0 {
		text += "  " + printable.Bytes(e.Memory)
	}
	if e.ValLoss != nil {
		text += fmt.Sprintf("  val %.4f", *e.ValLoss)
	}
	return text
}
