package bench

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/resident"
	"barka/internal/tensor"
)

// Options selects what to measure.
type Options struct {
	Works   []string // some of Works(); empty means all that fit the shape
	Dir     string   // directory of a checkpoint of Shape
	Shape   *Shape
	Device  tensor.Device
	Host    tensor.Device // computes the reference of "quality" if Device is a GPU
	Threads int
	DType   dtype.DType
	Repeat  int // runs of each work; the best counts
	// Divide divides the lengths of inputs on a GPU, so that an emulated one can run the works.
	Divide int
	// Vocabulary, if positive, is the number of tokens that the work "translate" restricts
	// outputs to, besides those of the sources.
	Vocabulary int
	// Screened lets "translate" choose tokens by a screen of integers.
	Screened bool
	// Tokenizer is a directory with a tokenizer, and Text a UTF-8 file with one
	// text per line. The work "tokenize" needs both.
	Tokenizer, Text string
	// Model is a directory whose weights the work "quality" compares, on Text,
	// instead of Dir's.
	Model string
}

// Result is one measurement.
type Result struct {
	Work    string    `json:"work"`
	Variant string    `json:"variant"`
	Shape   string    `json:"shape"`
	DType   string    `json:"dtype,omitempty"`
	Value   float64   `json:"value"` // best of the repetitions
	Median  float64   `json:"median"`
	Rates   []float64 `json:"rates,omitempty"` // of all repetitions, ascending
	Unit    string    `json:"unit"`
	// Ceiling is the largest Value possible on this machine, in the same unit,
	// given the arithmetic and memory traffic that the work needs. Share is
	// Value/Ceiling. Zero means unknown.
	Ceiling float64 `json:"ceiling"`
	Share   float64 `json:"share"`
	// PeakRSS is the largest resident size of the process during the work, 0 if
	// the system does not tell.
	PeakRSS int64 `json:"peak_rss_bytes"`
	// HeldGPU is the memory that the device has taken from a GPU for this work and those before, 0 on the CPU.
	HeldGPU int64 `json:"held_gpu_bytes,omitempty"`
	// Outcome is a number that the first run computed: a sum of
	// log-probabilities, a loss, a checksum. It shows whether another program
	// does the same work. Zero means none.
	Outcome float64 `json:"outcome,omitempty"`
	// Skipped is the reason why nothing was measured, if nothing was.
	Skipped string `json:"skipped,omitempty"`
}

// work is one thing to measure. run does it once.
type work struct {
	name, variant, unit string
	skip                string  // reason why it cannot be measured
	ceiling             float64 // units per second
	setup               func() error
	reset               func() error // runs before every run, not measured
	run                 func(ctx context.Context) (tally, error)
	// less does the part of run that is not to be measured. Its time is subtracted
	// from that of run.
	less func(ctx context.Context) error
	// values replaces all of the above for results that are not speeds.
	values func(ctx context.Context) ([]Result, error)
}

// tally is what a run did: units of work, and the Outcome of the result.
type tally struct{ units, outcome float64 }

// Works returns the names of the works.
func Works() []string {
	return []string{"kernels", "load", "prefill", "decode", "lora", "lora-recomputed", "dpo", "choice", "translate", "tokenize", "quality"}
}

// Known returns an error if a name is not among Works.
func Known(works []string) error {
	for _, w := range works {
		if !slices.Contains(Works(), w) {
			return badinput.Errorf("there is no work %q; there are %s", w, strings.Join(Works(), ", "))
		}
	}
	return nil
}

// NeedsCheckpoint reports whether any of the works opens Options.Dir. No works
// means all works. model is Options.Model.
func NeedsCheckpoint(works []string, model string) bool {
	return len(works) == 0 || slices.ContainsFunc(works, func(w string) bool {
		return w != "kernels" && w != "tokenize" && (w != "quality" || model == "")
	})
}

// Run measures the works and calls done with each result as it comes.
func Run(ctx context.Context, o Options, done func(Result)) error {
	if err := Known(o.Works); err != nil {
		return err
	}
	if o.Repeat < 1 {
		o.Repeat = 3
	}
	var c Ceilings
	if !slices.Equal(o.Works, []string{"tokenize"}) { // tokenize has no ceiling
		var err error
		if c, err = o.ceilings(); err != nil {
			return err
		}
		for _, r := range c.results() {
			done(r)
		}
	}
	b := &bench{o: o, c: c}
	defer b.forget()
	for _, w := range b.works() {
		if len(o.Works) > 0 && !slices.Contains(o.Works, w.name) {
			continue
		}
		if w.skip != "" {
			if len(o.Works) > 0 {
				return badinput.Errorf("%s: %s", w.name, w.skip)
			}
			done(Result{Work: w.name, Shape: o.Shape.String(), Skipped: w.skip})
			continue
		}
		results, err := b.results(ctx, w)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", w.name, w.variant, err)
		}
		for _, r := range results {
			done(r)
		}
	}
	return nil
}

// ceilings measures those of the device.
func (o Options) ceilings() (Ceilings, error) {
	if _, ok := o.gpu(); ok {
		return gpuCeilings(o)
	}
	return MeasureCeilings(o.Device, o.Threads), nil
}

// results returns the results of one work.
func (b *bench) results(ctx context.Context, w work) ([]Result, error) {
	if w.values == nil {
		r, err := b.measure(ctx, w)
		return []Result{r}, err
	}
	results, err := w.values(ctx)
	for i := range results {
		r := &results[i]
		r.Work, r.Shape, r.DType = w.name, b.o.Shape.String(), strings.ToLower(string(b.o.DType))
		if b.o.Model != "" {
			r.Shape = b.o.Model
		}
	}
	return results, err
}

// measure runs a work once to warm up and then o.Repeat times.
func (b *bench) measure(ctx context.Context, w work) (Result, error) {
	r := Result{Work: w.name, Variant: w.variant, Shape: b.o.Shape.String(), DType: strings.ToLower(string(b.o.DType)),
		Unit: w.unit, Ceiling: w.ceiling}
	if w.setup != nil {
		if err := w.setup(); err != nil {
			return r, err
		}
	}
	// The garbage of earlier works must not slow this one down.
	runtime.GC()
	debug.FreeOSMemory()
	once := func() (tally, time.Duration, error) {
		if w.reset != nil {
			if err := w.reset(); err != nil {
				return tally{}, 0, err
			}
		}
		b.o.finish()
		start := time.Now()
		t, err := w.run(ctx)
		b.o.finish()
		return t, time.Since(start), err
	}
	resident.ResetPeak()
	first, _, err := once()
	if err != nil {
		return r, err
	}
	r.Outcome = first.outcome
	var before time.Duration // shortest time of w.less
	for i := range b.o.Repeat {
		if w.less != nil {
			start := time.Now()
			if err := w.less(ctx); err != nil {
				return r, err
			}
			if d := time.Since(start); i == 0 || d < before {
				before = d
			}
		}
		t, took, err := once()
		if err != nil {
			return r, err
		}
		if took > before { // otherwise the difference is noise
			took -= before
		}
		r.Rates = append(r.Rates, t.units/took.Seconds())
	}
	slices.Sort(r.Rates)
	r.Value, r.Median = r.Rates[len(r.Rates)-1], r.Rates[len(r.Rates)/2]
	if w.ceiling > 0 {
		r.Share = r.Value / w.ceiling
	}
	r.PeakRSS = resident.Peak()
	if g, ok := b.o.gpu(); ok {
		r.HeldGPU = g.Held()
	}
	return r, nil
}
