package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/bench"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/printable"
	"barka/internal/tensor/cpu"
)

type benchCmd struct {
	Works      []string `arg:"" optional:"" help:"What to measure (see above); default: every speed that fits the shape."`
	Shape      string   `help:"Model whose dimensions are used; --list prints them." default:"gemma-2-2b"`
	Layers     int      `help:"Largest number of layers; 0 is all." default:"4"`
	DType      string   `name:"dtype" help:"Type of the weights: f32, bf16 or int8." default:"bf16"`
	Repeat     int      `help:"Measurements of each work; best and median are shown." default:"3"`
	Tokenizer  string   `help:"Directory of the tokenizer for tokenize." placeholder:"DIR"`
	Text       string   `help:"UTF-8 text for tokenize and quality, one text per line." placeholder:"FILE"`
	Model      string   `help:"Model for quality on --text, instead of random weights." placeholder:"DIR"`
	Vocabulary int      `help:"Tokens that translate restricts outputs to, besides those of the sources; 0 is all." placeholder:"N"`
	Screened   bool     `help:"Let translate choose tokens by a screen of 8-bit integers."`
	List       bool     `help:"List shapes and works; measure nothing."`
	Dir        string   `help:"Keep the checkpoint here and use it again; default: a temporary directory." placeholder:"DIR"`
	Write      bool     `help:"Write the checkpoint and inputs.json (the works' token ids) to --dir; measure nothing."`
	Rows       int      `help:"Number of rows that data makes." default:"50000"`
	Words      int      `help:"Average number of words of a row's answer or passage that data makes." default:"70"`
	Divide     int      `help:"Divide the lengths of inputs on a GPU, for a trial on an emulated one." default:"1"`
	Input      string   `help:"Instructions for data rules, or a dump for data wiki, instead of made ones." placeholder:"PATH"`
	CPUProfile string   `name:"cpuprofile" help:"Write a CPU profile for go tool pprof." placeholder:"FILE"`
}

func (benchCmd) Help() string {
	return `Measures the machine's ceilings, then kernels and whole workloads on a checkpoint with the shape of
a real model and random weights, which it writes first. Each work runs once unmeasured and then
--repeat times. Share is the best speed in percent of what the ceilings allow. Peak memory is that
of the process while the work ran.

On a GPU (--device cuda) the works have larger inputs: prompts of 128 and 1,024 tokens for decode and up to
32 sequences, 256 questions, steps of 4 and 16 sequences of 1,024 tokens. Ceilings are those of a product
8,192 wide and of a copy, and memory is what the GPU has given by then. reference/gpu/check.sh measures kernels.

  - kernels: products, attention and norms at the model's sizes, with more weights than the caches hold.
  - load: bytes of the file per second until the model can run, from the page cache.
  - prefill: a prompt of 1,024 tokens up to its first new token.
  - decode: new tokens of 1 and of 8 sequences in one batch, without the time of the prompts.
  - lora: optimiser steps of rank 128 on all linear layers; 4 sequences of 512 tokens,
    with the second half trained.
  - lora-recomputed: the same steps, with the activations of every block computed again.
  - dpo: steps of DPO, for which the sequences are two pairs.
  - choice: 16 questions of 4 choices, with the lengths of Arabic MMLU and of HellaSwag.
  - translate: beam search with 5 beams, sources of 32 tokens, outputs of 38; 1, 16 and 64 sentences.
  - tokenize: the lines of --text on one thread, without a cache of earlier runs.
  - data [STAGE…]: rows per second of wiki, convert, translate without a model, filter and mix, or of those
    named, each run once on --rows made rows. With --write, --dir keeps the rows. data rules: bytes per
    second of filter's rules, and of the identification of languages alone, on one thread, over the first
    20,000 rows, or of --input. data wiki: bytes of XML per second and per second of processor time, and
    passages per second, of made pages with --rows sections, or of the dump --input.
  - quality: the distance between the next-token distributions of --dtype and of float32.

Example: barka bench prefill decode --shape gemma-2-2b --layers 4`
}

func (c *benchCmd) Run(a *app) error {
	if c.List {
		works := append(bench.Works(), dataWork)
		return a.ui.Print("shapes: "+strings.Join(bench.Shapes(), " ")+"\nworks:  "+strings.Join(works, " "),
			map[string]any{"shapes": bench.Shapes(), "works": works})
	}
	if c.Write && c.Dir == "" {
		return usagef("bench: --write needs --dir, the directory to write to")
	}
	if len(c.Works) > 0 && c.Works[0] == dataWork {
		return c.data(a)
	}
	if c.Divide < 1 {
		return usagef("bench: --divide is %d; expected at least 1", c.Divide)
	}
	if err := bench.Known(c.Works); err != nil {
		return err
	}
	shape, err := bench.Find(c.Shape, c.Layers)
	if err != nil {
		return err
	}
	dt, err := model.ParseDType(c.DType)
	if err != nil {
		return err
	}
	dir, remove := "", func() {}
	if c.Model != "" {
		if err := a.ensure(weights(c.Model)); err != nil {
			return err
		}
		if c.Model, err = hub.Resolve(c.Model); err != nil {
			return err
		}
	}
	if c.Write || bench.NeedsCheckpoint(c.Works, c.Model) {
		if err := roomFor(shape, dt.Size()); err != nil {
			return err
		}
		if dir, remove, err = c.checkpoint(a, shape); err != nil {
			return err
		}
	}
	defer remove()
	if c.Write {
		if err := shape.WriteInputs(dir); err != nil {
			return err
		}
		return a.ui.Print(dir, map[string]any{"dir": dir, "shape": shape.String()})
	}
	o := bench.Options{Works: c.Works, Dir: dir, Shape: shape, Device: a.engine("").Device,
		Threads: a.Threads, DType: dt, Repeat: c.Repeat, Divide: c.Divide, Vocabulary: c.Vocabulary, Screened: c.Screened,
		Tokenizer: c.Tokenizer, Text: c.Text, Model: c.Model}
	if a.gpu != nil {
		host := cpu.New(a.Threads)
		defer host.Close()
		o.Host = host
	}
	results, err := c.measure(a, o)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.ui.Print("", results)
	}
	var rows [][]any
	for _, r := range results {
		if r.Skipped == "" {
			rows = append(rows, benchRow(r))
		}
	}
	return a.ui.Table(benchColumns, rows)
}

var benchColumns = []string{"work", "variant", "best", "median", "unit", "ceiling", "share", "peak memory"}

// measure runs the works, under a CPU profile with --cpuprofile.
func (c *benchCmd) measure(a *app, o bench.Options) (results []bench.Result, err error) {
	if c.CPUProfile != "" {
		f, err := os.Create(c.CPUProfile)
		if err != nil {
			return nil, badinput.Wrap(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		defer pprof.StopCPUProfile()
	}
	err = bench.Run(a.ctx, o, func(r bench.Result) {
		if r.Skipped != "" {
			a.ui.Infof("%s: skipped, %s", r.Work, r.Skipped)
		} else {
			a.ui.Infof("%s, %s: %s %s", r.Work, r.Variant, amount(r.Value), r.Unit)
		}
		results = append(results, r)
	})
	return results, err
}

// roomFor refuses a shape that does not fit into memory, before anything is
// written. It counts the packed weights, the file in the page cache and a quarter
// of both for activations.
func roomFor(s *bench.Shape, size int) error {
	all, _ := s.Parameters()
	need := all * int64(2+size) * 5 / 4
	if free := backend.AvailableMemory(); free > 0 && need > free {
		return badinput.Errorf("bench: %s needs about %s of memory, and %s are free; use fewer --layers or a smaller --shape",
			s, printable.Bytes(need), printable.Bytes(free))
	}
	return nil
}

// checkpoint writes the shape's weights, unless --dir has them already. remove
// deletes a temporary directory.
func (c *benchCmd) checkpoint(a *app, shape *bench.Shape) (dir string, remove func(), err error) {
	dir, remove = c.Dir, func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "barka-bench-"); err != nil {
			return "", nil, err
		}
		remove = func() { os.RemoveAll(dir) }
	} else {
		dir = filepath.Join(dir, fmt.Sprintf("%s-%d", shape.Name, shape.Layers))
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
			return dir, remove, nil
		}
	}
	all, _ := shape.Parameters()
	p := a.ui.Progress()
	p.Start("write checkpoint", 2*all, "B")
	err = shape.WriteCheckpoint(dir, p.Add)
	p.Done()
	if err != nil {
		remove()
	}
	return dir, remove, err
}

func benchRow(r bench.Result) []any {
	ceiling, share, memory := "", "", ""
	if r.Ceiling > 0 {
		ceiling, share = amount(r.Ceiling), fmt.Sprintf("%.0f %%", 100*r.Share)
	}
	if peak := cmp.Or(r.HeldGPU, r.PeakRSS); peak > 0 {
		memory = printable.Bytes(peak)
	}
	return []any{r.Work, r.Variant, amount(r.Value), amount(r.Median), r.Unit, ceiling, share, memory}
}

// amount formats v with two or three significant digits.
func amount(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}
