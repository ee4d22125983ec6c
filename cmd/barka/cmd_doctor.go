package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"barka/internal/backend"
	"barka/internal/cpu"
	"barka/internal/dtype"
	"barka/internal/hub"
	"barka/internal/kernel"
	"barka/internal/model"
	"barka/internal/printable"
	"barka/internal/version"
)

type doctorCmd struct {
	Target  string  `arg:"" optional:"" help:"A recipe (.yaml): does it fit, how long, what does it cost; or a model, as --model."`
	Fast    bool    `help:"Skip the measurements."`
	Model   string  `help:"Also describe a model: its weights, their memory, its tokenizer, its speed at most." placeholder:"MODEL"`
	Price   float64 `name:"price-per-hour" help:"With a recipe: price of this machine per hour." placeholder:"PRICE"`
	Contact string  `help:"With a recipe: your mail address or page, for the operators of the wiki." env:"BARKA_CONTACT" placeholder:"ADDRESS"`
}

func (doctorCmd) Help() string {
	return `Shows which kernels this machine runs and why, measures its arithmetic ceilings for a second, and
lists the supported architectures. A model is a directory, a GGUF file, or a hub id that is in the
cache: its memory and bounds of its speed are listed. For a recipe every stage is estimated as by
barka run --dry-run, and then: whether it fits, how long it takes at least, what it costs.

BARKA_CPU=generic|avx2|avx512|avx512vnni|avx512bf16 selects the kernels; a level that this machine
lacks is an error.

Examples:
  barka doctor
  barka doctor facebook/nllb-200-distilled-600M
  barka doctor recipes/quickstart.yaml`
}

func (c *doctorCmd) Run(a *app) error {
	if isRecipe(c.Target) {
		return c.diagnose(a)
	}
	if c.Target != "" && c.Model != "" {
		return usagef("doctor: give the model once, as %s or as %s", c.Target, c.Model)
	}
	c.Model = cmp.Or(c.Model, c.Target)
	level, err := cpu.Selected()
	if err != nil {
		return err
	}
	var ofModel [][]any
	if c.Model != "" {
		if ofModel, err = modelRows(a.engine(""), c.Model); err != nil {
			return err
		}
		if !c.Fast {
			ofModel = append(ofModel, workRows(a, c.Model)...)
		}
	}
	why := "the best this machine has"
	if v := os.Getenv(cpu.Variable); v != "" {
		why = cpu.Variable + "=" + v
	}
	rows := [][]any{
		{"barka", strings.TrimPrefix(version.Of().String(), "barka ")},
		{"system", runtime.GOOS + "/" + runtime.GOARCH + ", " + runtime.Version()},
		{"cores", runtime.GOMAXPROCS(0)},
		{"memory free", memoryText()},
		{"instruction sets", features()},
		{"kernels", fmt.Sprintf("%s (%s)", level, why)},
		{"architectures", strings.Join(model.Architectures(), ", ")},
		{"hub cache", hub.CacheDir()},
	}
	rows = append(rows, gpuRows()...)
	if !c.Fast {
		rows = append(rows,
			[]any{"f32, one core", arithmetic(dtype.F32, "GFLOP/s")},
			[]any{"bf16, one core", arithmetic(dtype.BF16, "GFLOP/s")},
			[]any{"int8, one core", arithmetic(dtype.I8, "GOP/s")},
			[]any{"reading, one core", bandwidth()},
		)
	}
	return a.ui.Table([]string{"what", "found"}, append(rows, ofModel...))
}

func memoryText() string {
	if n := backend.AvailableMemory(); n > 0 {
		return printable.Bytes(n)
	}
	return "unknown"
}

func features() string {
	var names []string
	for name, has := range cpu.Features() {
		if has {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none with kernels of their own"
	}
	return strings.Join(names, " ")
}

// arithmetic measures multiply-adds in registers, and returns the best of five.
func arithmetic(dt dtype.DType, unit string) string {
	best := 0.0
	for range 5 {
		start := time.Now()
		flops := kernel.Peak(5_000_000, dt)
		best = max(best, flops/time.Since(start).Seconds())
	}
	return fmt.Sprintf("%.0f %s", best/1e9, unit)
}

// bandwidth measures the reading of a slice larger than the caches, and returns the
// best of three.
func bandwidth() string {
	x := make([]float32, 64<<20)
	for i := range x {
		x[i] = 1
	}
	best := 0.0
	for range 3 {
		start := time.Now()
		kernel.ReadBandwidth(x)
		best = max(best, float64(4*len(x))/time.Since(start).Seconds())
	}
	return fmt.Sprintf("%.0f GB/s", best/1e9)
}

// modelRows returns the rows that describe a model and the memory of its weights.
func modelRows(e *backend.Engine, name string) ([][]any, error) {
	i, err := backend.Inspect(name)
	if err != nil {
		return nil, err
	}
	architecture := i.Architecture
	if !slices.Contains(model.Architectures(), architecture) {
		architecture += " (not supported)"
	}
	files := fmt.Sprintf("%d files", i.Files)
	if i.Files == 1 {
		files = "1 file"
	}
	return [][]any{
		{"model", i.Dir},
		{"model's architecture", architecture},
		{"model's weights", fmt.Sprintf("%s, %s, %s; %d tensors of %s",
			i.Format, files, printable.Bytes(i.Stored), i.Tensors, strings.Join(i.Types, ", "))},
		{"model's parameters", i.Values},
		{"memory for its weights", memoryFor(e, i.Values)},
		{"model's tokenizer", i.Tokenizer},
	}, nil
}

// memoryFor lists the memory of so many weights as each type of --dtype, and marks
// what is not free.
func memoryFor(e *backend.Engine, values int64) string {
	free := e.Available()
	var texts []string
	for _, t := range []struct {
		name  string
		per64 int64 // bytes of 64 values; int8 has a scale for them
	}{{"f32", 256}, {"bf16", 128}, {"int8", 66}} {
		need := values * t.per64 / 64
		text := t.name + " " + printable.Bytes(need)
		if free > 0 && need > free {
			text += " (not free)"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
