package train_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput/badinputtest"
	"barka/internal/bench"
	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/resident"
	"barka/internal/stage/train"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/testfiles"
	"barka/internal/tokenizer"
)

// childEnv holds the trial of a child process, which is this test program again.
const childEnv = "BARKA_TRAIN_TEST_CHILD"

// trial is a run whose memory is measured in a process of its own.
type trial struct {
	Dir, Data, Out string
	Options        train.Options
}

// measuredMemory is what a child process prints.
type measuredMemory struct{ Estimated, Peak int64 }

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var tr trial
		err := json.Unmarshal([]byte(text), &tr)
		if err == nil {
			err = tr.run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// events calls do with the value of each event.
type events struct {
	progress.Reporter
	do func(v any)
}

func (e events) Event(_, _ string, v any) { e.do(v) }

// run trains as barka train does, and prints the estimated and the measured memory.
func (tr trial) run() error {
	tok, err := tokenizer.Load(base)
	if err != nil {
		return err
	}
	dev := cpu.New(2)
	defer dev.Close()
	open := func(dev tensor.Device, dt string) (model.Decoder, error) {
		parsed, err := model.ParseDType(dt)
		if err != nil {
			return nil, err
		}
		return model.OpenDecoder(tr.Dir, model.Options{Device: dev, DType: parsed})
	}
	in := train.Input{Tokenizer: tok, Base: "b", ModelDigest: "d", Train: []train.Source{{Path: tr.Data}}, Measure: open,
		Open: func() (model.Decoder, error) { return open(dev, tr.Options.DType) }}
	var plan *train.Estimate
	planned := events{Reporter: progress.Silent, do: func(v any) {
		if e, ok := v.(*train.Estimate); ok {
			plan = e
		}
	}}
	if _, err := train.Run(context.Background(), tr.Options, in, durable.Env{Out: tr.Out, Seed: 3, Progress: planned}); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measuredMemory{plan.Memory, resident.Peak()})
}

// TestMemoryIsEstimated: the estimate is within 10 % of the process's own peak, for
// checkpoints with the widths of real models.
func TestMemoryIsEstimated(t *testing.T) {
	if testing.Short() || resident.Now() == 0 {
		t.Skip("trains models of hundreds of megabytes; needs /proc")
	}
	var lines []string
	for i := range 24 {
		lines = append(lines, turn(fmt.Sprintf("Question %d: %s", i, strings.Repeat("how is coffee served there? ", 1+3*(i%8))),
			"In small cups."))
	}
	data := dataset(t, lines...)
	for _, c := range []shaped{
		{"pythia-70m", 6, "f32", 64, "off"},
		{"pythia-70m", 6, "bf16", 8, "on"},
		{"qwen2.5-0.5b", 2, "bf16", 128, "on"},
		{"qwen3-0.6b", 2, "int8", 32, "off"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			o := train.Defaults()
			o.Batch, o.MicroTokens, o.MaxSteps, o.NEFTune = 8, 500, 2, 5
			c.measure(t, data, o)
		})
	}
}

// TestMemoryOfWholeShapes measures two steps of 2,048 tokens, of which half are trained, at rank 128 with
// the checkpoints of two real models. It needs 20 GB of disk and 21 GiB of memory.
func TestMemoryOfWholeShapes(t *testing.T) {
	if os.Getenv("BARKA_WHOLE_SHAPES") == "" {
		t.Skip("trains models of 2 and 9 billion parameters; BARKA_WHOLE_SHAPES=1 runs it")
	}
	words := func(n int) string { return strings.Repeat("coffee ", n) }
	tok, err := tokenizer.Load(base)
	if err != nil {
		t.Fatal(err)
	}
	n := 1000 * 1000 / len(tok.Encode(words(1000), false))
	data := dataset(t, turn(words(n), words(n)), turn(words(n-1), words(n)))
	for _, c := range []struct {
		shaped
		most int64
	}{
		{shaped{"gemma-2-2b", 0, "bf16", 128, "on"}, 10 << 30},
		{shaped{"gemma-2-9b", 0, "int8", 128, "on"}, 20 << 30},
	} {
		t.Run(c.String(), func(t *testing.T) {
			o := train.Defaults()
			o.Batch, o.MicroTokens, o.MaxLength, o.MaxSteps = 1, 2048, 2048, 2
			if peak := c.measure(t, data, o); peak > c.most {
				t.Errorf("the process's peak was %d bytes, at most %d are allowed", peak, c.most)
			}
		})
	}
}

// shaped is a run on a checkpoint with the widths of a real model.
type shaped struct {
	shape         string
	layers        int
	dtype         string
	rank          int
	checkpointing string
}

func (c shaped) String() string {
	return fmt.Sprintf("%s %s rank %d checkpointing %s", c.shape, c.dtype, c.rank, c.checkpointing)
}

// measure trains in a process of its own. It requires that the estimate is within 10 % of the
// process's peak, which it returns.
func (c shaped) measure(t *testing.T, data string, o train.Options) int64 {
	t.Helper()
	dir := t.TempDir()
	shape, err := bench.Find(c.shape, c.layers)
	if err == nil {
		err = shape.WriteCheckpoint(dir, func(int64) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Rank, o.DType, o.Checkpointing = c.rank, c.dtype, c.checkpointing
	started := time.Now()
	got := child(t, trial{Dir: dir, Data: data, Out: filepath.Join(t.TempDir(), "out"), Options: o})
	t.Logf("%s: estimated %.2f GiB, peak %.2f GiB, %.0f s", c, gib(got.Estimated), gib(got.Peak), time.Since(started).Seconds())
	if r := float64(got.Estimated) / float64(got.Peak); r < 0.9 || r > 1.1 {
		t.Errorf("estimated %d bytes, the process's peak was %d: a ratio of %.3f", got.Estimated, got.Peak, r)
	}
	return got.Peak
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }

// child runs a trial in a process of its own.
func child(t *testing.T, tr trial) (m measuredMemory) {
	t.Helper()
	text, err := json.Marshal(tr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err == nil {
		err = json.NewDecoder(bufio.NewReader(bytes.NewReader(out))).Decode(&m)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	return m
}

// TestNoiseIsEstimated: NEFTune's noise is of the size of the embeddings of the largest
// micro-batch, and part of the estimate.
func TestNoiseIsEstimated(t *testing.T) {
	const tokens = 200_000
	o := options()
	o.MaxLength = tokens
	in := input(t, "", "")
	memory := func() int64 {
		e, err := train.Forecast(o, in, 4, &train.Data{Tokens: 4 * tokens, Trained: 4 * tokens, Longest: tokens}, 3, 0)
		if err != nil {
			t.Fatal(err)
		}
		return e.Memory
	}
	without := memory()
	o.NEFTune = 5
	m, err := in.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	noise := int64(tokens * m.Info().Hidden * 4)
	if d := memory() - without; d < noise*9/10 || d > noise*13/10 {
		t.Errorf("%d bytes more with noise of %d bytes", d, noise)
	}
}

// TestMemoryDecides: with less memory more blocks are recomputed, with the same result; with
// too little the run is refused, and the settings that the error names do fit.
func TestMemoryDecides(t *testing.T) {
	data := coffee(t)
	o := options()
	o.Epochs, o.MicroTokens = 1, 400
	in := input(t, data, "")
	free, err := train.Plan(context.Background(), o, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	all := o
	all.Checkpointing = train.CheckpointingOn
	least, err := train.Plan(context.Background(), all, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	if free.Recompute != 0 || least.Recompute != free.Blocks || least.Memory >= free.Memory {
		t.Fatalf("without a limit %+v, with all blocks recomputed %+v", free, least)
	}
	run := func(o train.Options, in train.Input) map[string]string {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out")
		if _, err := train.Run(context.Background(), o, in, durable.Env{Out: out, Seed: 3, Progress: progress.Silent}); err != nil {
			t.Fatal(err)
		}
		files := outputs(t, out)
		delete(files, train.StateFile) // holds the option
		return files
	}
	want := run(o, in)
	testfiles.Same(t, "recomputed", run(all, in), want)

	tight := in
	tight.Available = func() int64 { return 1 << 20 }
	_, err = train.Plan(context.Background(), o, tight, 3)
	badinputtest.Want(t, err, "needs about", "1 MiB are available")
	if _, err := train.Run(context.Background(), o, tight, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3,
		Progress: progress.Silent}); err == nil || !strings.Contains(err.Error(), "are available") {
		t.Errorf("run: %v", err)
	}
	large := o
	large.Rank, large.MaxLength, large.MicroTokens = 2048, 1024, 4096
	tight.Available = func() int64 { return resident.Now() + 40<<20 }
	_, err = train.Plan(context.Background(), large, tight, 3)
	badinputtest.Want(t, err, "it would fit with checkpointing on, ", "rank ")
}
