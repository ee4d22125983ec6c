package convert

import (
	"context"

	"barka/internal/dataset"
	"barka/internal/progress"
)

// Estimate is what a run will write.
type Estimate struct {
	Rows     int   `json:"rows"`
	Rejected int   `json:"rejected"`
	Chars    int64 `json:"chars"` // of all messages
}

// Write and Reject count what Run would write.
func (e *Estimate) Write(r dataset.Instruction) error {
	e.Rows++
	for _, m := range r.Messages {
		e.Chars += int64(len([]rune(m.Content)))
	}
	return nil
}

func (e *Estimate) Reject(any, dataset.Reject) error {
	e.Rejected++
	return nil
}

// Plan reads what Run(ctx, o, io) with env.In = in would read, and writes
// nothing: it finds every error that Run would find in the data.
func Plan(ctx context.Context, o Options, in map[string]string) (Estimate, error) {
	var e Estimate
	if err := o.Validate(); err != nil {
		return e, err
	}
	b := benchmarks[o.Benchmark]
	files, err := find(in["data"], b, o.Split)
	if err != nil {
		return e, err
	}
	inputs, err := withLabels(in, b, files)
	if err != nil {
		return e, err
	}
	c := &converter{o: o, b: b, data: in["data"], w: &e, seen: map[string]bool{}}
	if c.labels, err = readLabels(inputs["labels"]); err != nil {
		return e, err
	}
	if err := c.files(ctx, files, progress.Silent); err != nil {
		return e, err
	}
	return e, c.script.check(o.Language, in["data"])
}
