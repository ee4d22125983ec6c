package convert

import (
	"context"
	"errors"
	"os"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
)

// Estimate is what a run will write.
type Estimate struct {
	Rows     int   `json:"rows"`
	Rejected int   `json:"rejected"`
	Chars    int64 `json:"chars"`           // of all messages
	Calls    int   `json:"calls,omitempty"` // of the model, if each text is good at once
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

// Plan reads what Run with env.In = in would read, and writes nothing: it finds every error
// that Run would find in the data. It asks no model.
func Plan(ctx context.Context, o Options, seed int64, in map[string]string) (e Estimate, err error) {
	if err := o.Validate(); err != nil {
		return e, err
	}
	var a archive
	if in, a, err = unpack(in, benchmarks[o.Benchmark]); err != nil {
		return e, err
	}
	defer func() { err = errors.Join(a.named(err), a.close()) }()
	c, files, _, err := prepare(o, durable.Env{In: in, Seed: seed})
	if err != nil {
		return e, err
	}
	c.w = &e
	dir, err := os.MkdirTemp("", "barka-convert-")
	if err != nil {
		return e, err
	}
	defer os.RemoveAll(dir)
	if err := c.all(ctx, dir, files, progress.Silent); err != nil {
		return e, err
	}
	e.Calls = c.calls
	return e, c.script.check(o.Language, in["data"])
}
