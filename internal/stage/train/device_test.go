package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/resident"
	"barka/internal/tensor/cpu"
)

// stopped is a context that ends after a step.
func stopped(at int) (context.Context, progress.Reporter) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, &noted{Reporter: progress.Silent, do: func(step int) {
		if step == at {
			cancel()
		}
	}}
}

// TestOnOtherDevice: a run that began on a CPU does not continue on a GPU, and the error names both.
// With AllowOtherDevice it goes on from its checkpoint, in both directions, and the result names all
// devices. What is finished, it takes as it is, or extends it.
func TestOnOtherDevice(t *testing.T) {
	g := newGuarded(t, 8)
	g.o.SaveSteps = 1
	out := filepath.Join(t.TempDir(), "run")
	run := func(digest string, allow bool, stop int) (*State, error) {
		g.in.ModelDigest = digest
		ctx, p := stopped(stop)
		return Run(ctx, g.o, g.in, durable.Env{Out: out, Seed: 3, Progress: p, AllowOtherDevice: allow})
	}
	if _, err := run("d1-f32", false, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	refused := func(digest string, wants ...string) {
		t.Helper()
		_, err := run(digest, false, 0)
		if !badinput.Is(err) {
			t.Fatalf("error %v", err)
		}
		for _, w := range append(wants, "--restart", "--allow-other-device") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v\nwant %s", err, w)
			}
		}
	}
	refused("d1-cuda-f32", "device was cpu and is now cuda")
	if _, err := run("d2-cuda-f32", true, 0); !badinput.Is(err) || !strings.Contains(err.Error(), "model was d1-f32 and is now d2-f32") {
		t.Errorf("another model on another device: %v", err)
	}
	if _, err := run("d1-cuda-f32", true, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	refused("d1-cuda-f32", "device was cpu, then cuda and is now cuda")
	s, err := run("d1-f32", true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if lines := readFile(t, filepath.Join(out, metricsFile)); s.Steps != 4 || strings.Count(lines, "\n") != 4 {
		t.Errorf("%d steps, metrics %s", s.Steps, lines)
	}
	var id identity
	if err := badinput.ReadJSON(filepath.Join(out, identityFile), &id); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(id.Devices, " "); got != "cpu cuda cpu" || id.Model != "d1-f32" {
		t.Errorf("the run was of %s on %s", id.Model, got)
	}
	refused("d1-cuda-f32", "device was cpu, then cuda, then cpu and is now cuda")
	if again, err := run("d1-cuda-f32", true, 0); err != nil || again.FinalLoss != s.FinalLoss {
		t.Errorf("the finished run is not taken: %+v, %v", again, err)
	}
	g.o.Epochs = 2
	if s, err = run("d1-cuda-f32", true, 0); err != nil || s.Steps != 8 {
		t.Fatalf("extended: %+v, %v", s, err)
	}
	if err := badinput.ReadJSON(filepath.Join(out, identityFile), &id); err != nil || strings.Join(id.Devices, " ") != "cpu cuda cpu cuda" {
		t.Errorf("the extended run was on %v, %v", id.Devices, err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// apart makes an input one of a device with so much free memory of its own.
func (g *guarded) apart(free int64) Input {
	in := g.in
	in.Available = func() int64 { return free }
	in.Apart = &Apart{Workspace: func(tokens, width, vocabulary int) int64 { return int64(tokens * width) }}
	return in
}

// TestMemoryApart: on a device with memory of its own the memory of the process does not count, but
// embeddings and the memory of operations do.
func TestMemoryApart(t *testing.T) {
	g := newGuarded(t, 6)
	g.o.MicroTokens, g.o.Checkpointing = 64, CheckpointingOff
	need := func(in Input) int64 {
		e, err := Plan(context.Background(), g.o, in, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		return e.Memory
	}
	was := resident.Now()
	host, apart := need(g.in), need(g.apart(1<<40))
	m, err := newMeter(g.o, &g.in)
	if err != nil {
		t.Fatal(err)
	}
	if apart >= host || was > 0 && apart > host-was/2 || apart < m.dev.Weights()+m.dev.Tensors() || m.dev.Tables() == 0 {
		t.Errorf("%d bytes on a device apart, %d on the host, whose process had %d", apart, host, was)
	}
	_, err = Plan(context.Background(), g.o, g.apart(apart-1), 3)
	if !badinput.Is(err) || !strings.Contains(err.Error(), "it would fit with") {
		t.Errorf("a byte too little: %v", err)
	}
}

// TestProposedTokens: a device apart gets the largest pass that its memory allows, and a run that has
// begun keeps its own. The CPU's is always the same.
func TestProposedTokens(t *testing.T) {
	g := newGuarded(t, 6)
	settled := func(in Input, o Options, recorded int) int {
		o, err := o.settle(&in, recorded)
		if err != nil {
			t.Fatal(err)
		}
		return o.MicroTokens
	}
	m, err := newMeter(g.o, &g.in)
	if err != nil {
		t.Fatal(err)
	}
	in := g.apart(0)
	m.apart = in.Apart
	bytes := func(tokens, recompute int) int64 {
		n, err := m.bytes(g.o.longest(tokens), recompute)
		if err != nil {
			t.Fatal(err)
		}
		return n + withGarbage(m.dev.Tables()+2*m.params) + int64(tokens*1024)
	}
	for _, c := range []struct {
		free int64
		want int
	}{{0, 32768}, {1 << 40, 32768}, {bytes(16384, 0), 16384}, {bytes(8192, 0), 8192}, {bytes(4096, m.blocks()), 4096}, {1, 2048}} {
		if got := settled(g.apart(c.free), g.o, 0); got != c.want {
			t.Errorf("%d bytes are free: %d tokens, want %d", c.free, got, c.want)
		}
	}
	if settled(g.in, g.o, 0) != 2048 || settled(g.apart(1), g.o, 777) != 777 {
		t.Error("the CPU's number is another one, or the recorded one does not count")
	}
	out := filepath.Join(t.TempDir(), "run")
	run := func(free int64, stop int) error {
		ctx, p := stopped(stop)
		_, err := Run(ctx, g.o, g.apart(free), durable.Env{Out: out, Seed: 3, Progress: p})
		return err
	}
	g.o.SaveSteps = 1
	if err := run(1<<40, 1); !errors.Is(err, context.Canceled) || in.recordedMicroTokens(out) != 32768 {
		t.Fatalf("%v, %d tokens are recorded", err, in.recordedMicroTokens(out))
	}
	if err := run(bytes(8192, 0), 0); err != nil || in.recordedMicroTokens(out) != 32768 {
		t.Errorf("continued with less free memory: %v", err)
	}
	if err := run(1, 0); err != nil {
		t.Errorf("the finished run is not taken: %v", err)
	}
}

// TestTokensThatFit: a lack of memory in a pass names a bound with which passes fit what is free.
func TestTokensThatFit(t *testing.T) {
	g := newGuarded(t, 40)
	g.o.Batch = 40
	plan, err := Plan(context.Background(), g.o, g.in, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	most := plan.shape.tokens()
	m, err := newMeter(g.o, &g.in)
	if err != nil {
		t.Fatal(err)
	}
	bytes := func(tokens int) int64 {
		o := g.o
		o.MicroTokens = tokens
		shape := plan.Data.largest(o, 3)
		dev, _, err := m.pass(shape, m.blocks())
		if err != nil {
			t.Fatal(err)
		}
		return withGarbage(dev.Tensors()-m.dev.Tensors()) + int64(shape.tokens()*m.width)
	}
	m.width = 1 << 10 // more than that of the model
	dev := &fullDevice{Device: cpu.New(1)}
	t.Cleanup(dev.Close)
	seen := map[int]bool{}
	for _, tokens := range []int{most / 2, most / 4, most / 8} {
		in := g.apart(bytes(tokens))
		left := 2 // questions before the run: its estimate and its bound
		free := in.Available
		in.Available = func() int64 {
			if left--; left >= 0 {
				return 1 << 40
			}
			return free()
		}
		in.Open = func() (model.Decoder, error) {
			dev.most = 1 << 40
			m, err := in.Measure(dev, g.o.DType)
			dev.most = 1 << 14
			return m, err
		}
		_, err := Run(context.Background(), g.o, in, durable.Env{Out: t.TempDir() + "/run", Seed: 3, Progress: progress.Silent})
		n := named(t, err)
		if n > most/2 || n < tokens/2 || bytes(n) > free() {
			t.Errorf("%d tokens are named, %d bytes; %d tokens were allowed, %d bytes", n, bytes(n), tokens, free())
		}
		seen[n] = true
	}
	if len(seen) < 2 {
		t.Errorf("bounds %v whatever is free", seen)
	}
}
