package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// Options says what to measure.
type Options struct {
	Works   []string // names of Works; empty means all that fit the shape
	Dir     string   // checkpoint of Shape
	Shape   *Shape
	Device  tensor.Device
	Threads int
	DType   dtype.DType
	Repeat  int // measurements of each, of which the best counts
}

// Result is one measurement.
type Result struct {
	Work    string  `json:"work"`
	Variant string  `json:"variant"`
	Shape   string  `json:"shape"`
	Value   float64 `json:"value"` // best of the repetitions
	Median  float64 `json:"-"`
	Unit    string  `json:"unit"`
	// Ceiling is what Value could be at most on this machine, in the same
	// unit, by the arithmetic or the memory traffic that the work cannot do
	// without; Share is Value/Ceiling. 0: none is known.
	Ceiling float64 `json:"ceiling"`
	Share   float64 `json:"share"`
	// PeakRSS is the process's largest resident size while it ran, 0 where
	// the system does not say.
	PeakRSS int64 `json:"peak_rss_bytes"`
}

// work measures one thing. run does it once and returns how much was done, in
// units; ceiling is the most units a second.
type work struct {
	name, variant, unit string
	ceiling             float64
	setup               func() error
	reset               func() // before every run, not measured
	run                 func(ctx context.Context) (units float64, err error)
	// less is subtracted from the time of run: what must be done before the
	// part that is measured.
	less func(ctx context.Context) error
}

// Works lists the names of what can be measured.
func Works() []string {
	return []string{"kernels", "load", "prefill", "decode", "lora", "choice", "translate"}
}

// Run measures and calls done with every result as it comes.
func Run(ctx context.Context, o Options, done func(Result)) error {
	for _, w := range o.Works {
		if !slices.Contains(Works(), w) {
			return badinput.Errorf("there is no work %q; there are %s", w, strings.Join(Works(), ", "))
		}
	}
	if o.Repeat < 1 {
		o.Repeat = 3
	}
	c := MeasureCeilings(o.Device, o.Threads)
	for _, r := range []Result{{Variant: "f32", Value: c.F32 / 1e9, Unit: "GFLOP/s"}, {Variant: "bf16", Value: c.BF16 / 1e9, Unit: "GFLOP/s"}, {Variant: "int8", Value: c.I8 / 1e9, Unit: "GOP/s"}, {Variant: "read", Value: c.Read / 1e9, Unit: "GB/s"}} {
		r.Work, r.Shape = "ceiling", "machine"
		r.Median = r.Value
		done(r)
	}
	b := &bench{o: o, c: c}
	for _, w := range b.works() {
		if len(o.Works) > 0 && !slices.Contains(o.Works, w.name) {
			continue
		}
		r, err := b.measure(ctx, w)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", w.name, w.variant, err)
		}
		done(r)
	}
	return nil
}

// measure runs a work once to warm up and then o.Repeat times.
func (b *bench) measure(ctx context.Context, w work) (Result, error) {
	r := Result{Work: w.name, Variant: w.variant, Shape: b.o.Shape.String(), Unit: w.unit, Ceiling: w.ceiling}
	if w.setup != nil {
		if err := w.setup(); err != nil {
			return r, err
		}
	}
	// What is measured is not to pay for what came before.
	runtime.GC()
	debug.FreeOSMemory()
	if w.reset != nil {
		w.reset()
	}
	resetPeak()
	if _, err := w.run(ctx); err != nil {
		return r, err
	}
	var rates []float64
	for range b.o.Repeat {
		var before time.Duration
		if w.less != nil {
			start := time.Now()
			if err := w.less(ctx); err != nil {
				return r, err
			}
			before = time.Since(start)
		}
		if w.reset != nil {
			w.reset()
		}
		start := time.Now()
		units, err := w.run(ctx)
		if err != nil {
			return r, err
		}
		rates = append(rates, units/(time.Since(start)-before).Seconds())
	}
	slices.Sort(rates)
	r.Value, r.Median = rates[len(rates)-1], rates[len(rates)/2]
	if w.ceiling > 0 {
		r.Share = r.Value / w.ceiling
	}
	r.PeakRSS = PeakMemory()
	return r, nil
}

// resetPeak makes Linux count the peak of resident memory anew.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// PeakMemory is the largest resident size that the process has had, in bytes;
// 0 where the system does not say.
func PeakMemory() int64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
