package recipe

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/durable"
	"barka/internal/eval"
	"barka/internal/eval/lighteval"
	"barka/internal/hub"
	"barka/internal/progress"
	"barka/internal/stage/report"
	"barka/internal/tokenizer"
)

// Runner runs a recipe in a directory.
type Runner struct {
	Out     string
	Engine  *backend.Engine
	Hub     *hub.Client // used by Check to find what has to be downloaded
	Restart bool
	// AllowOtherDevice continues a training that began on another kind of device.
	AllowOtherDevice bool
	Retry            bool   // ask again about passages whose requests failed
	Memory           string // translation memory, as translationmemory.Choose takes it
	Probe            int    // sentences that Plan translates to estimate the time
	Progress         progress.Reporter
	Log              *slog.Logger
	// Revisions, if not nil, pins the benchmarks of the hub, whatever the recipe says.
	Revisions benchdata.Revisions
	Kernels   string // level of the kernels, for RunFile
	// Checkpoint, if not nil, receives a value when the training shall write a checkpoint at
	// once.
	Checkpoint <-chan os.Signal
	// Peak, if not nil, is the machine's arithmetic ceiling; see train.Input.
	Peak func(dtype string) float64
	// Say is called with the result of each stage.
	Say func(Step)
}

// chain is the state of a run.
type chain struct {
	*Runner
	r        *Recipe
	passages string
	sets     []set    // the instructions, after the last stage that ran
	made     []string // dataset directories, in order
	start    time.Time
	opened   []io.Closer // models that the stage has opened
}

// Run runs every stage of the recipe. Finished stages are skipped.
func (w *Runner) Run(ctx context.Context, r *Recipe) error {
	if err := os.MkdirAll(w.Out, 0o755); err != nil {
		return badinput.Wrap(err)
	}
	if err := w.describe(r); err != nil {
		return err
	}
	c := &chain{Runner: w, r: r, passages: r.path(r.Inputs.Passages)}
	for _, st := range stages() {
		if !st.wanted(r) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now() // each set starts c.start again
		c.start = began
		err := errors.Join(st.run(c, ctx, st), c.release())
		if err := errors.Join(err, w.took(st.name, time.Since(began))); err != nil {
			return err
		}
	}
	return nil
}

// owns takes a model of the stage, to be closed at its end.
func (c *chain) owns(m io.Closer) { c.opened = append(c.opened, m) }

// release closes the models of a stage.
func (c *chain) release() (err error) {
	for _, m := range c.opened {
		err = errors.Join(err, m.Close())
	}
	c.opened = nil
	return err
}

// env returns the environment of a stage.
func (c *chain) env(out string, in map[string]string) durable.Env {
	return durable.Env{Out: c.path(out), In: in, Restart: c.Restart, AllowOtherDevice: c.AllowOtherDevice, Seed: c.r.Seed,
		Progress: c.Progress, Log: c.Log}
}

func (c *chain) path(name string) string { return filepath.Join(c.Out, name) }

func (c *chain) tokenizer(name string) (*tokenizer.Tokenizer, error) {
	dir, err := hub.Resolve(c.r.model(name))
	if err != nil {
		return nil, err
	}
	return tokenizer.Load(dir)
}

func (c *chain) merge(ctx context.Context, st stage) error {
	out := c.path(st.dir)
	if _, err := c.Engine.Merge(ctx, c.r.model(c.r.Models.Base), c.path(adapterDir), out, nil, c.Progress); err != nil {
		return err
	}
	c.Say(Step{Stage: st.name, Out: out, Seconds: time.Since(c.start).Seconds()})
	return nil
}

func (c *chain) evaluateBase(ctx context.Context, st stage) error {
	return c.evaluate(ctx, st, "base", "")
}

func (c *chain) evaluateTuned(ctx context.Context, st stage) error {
	return c.evaluate(ctx, st, "tuned", c.path(adapterDir))
}

// evaluated is the identity of a finished evaluation, which is not run again.
type evaluated struct {
	Model, Adapter, Tasks, Data string
	MaxSamples                  int
	// Benchmarks is the digest of the questions' files; "" in files of earlier versions.
	Benchmarks string `json:",omitempty"`
	// Revisions holds the commits of the hub's datasets.
	Revisions benchdata.Revisions `json:",omitempty"`
}

// equals reports whether a finished evaluation is the one that id asks for. Equal questions
// from another commit are the same.
func (id evaluated) equals(before evaluated) bool {
	if before.Benchmarks == "" {
		before.Benchmarks = id.Benchmarks
	}
	id.Revisions, before.Revisions = nil, nil
	return reflect.DeepEqual(id, before)
}

// evaluation is the content of evaluatedFile: an identity, and what was found.
type evaluation struct {
	evaluated
	Found Evaluated
}

func (c *chain) evaluate(ctx context.Context, st stage, name, adapter string) error {
	e := c.r.Eval
	base := c.r.model(c.r.Models.Base)
	id := evaluated{Tasks: e.Tasks, Data: e.Data, MaxSamples: e.MaxSamples}
	var err error
	if id.Model, err = c.Engine.Digest(base); err != nil {
		return err
	}
	if adapter != "" {
		if id.Adapter, err = backend.Digest(adapter); err != nil {
			return err
		}
	}
	selection, err := c.r.tasks()
	if err != nil {
		return err
	}
	o := c.evalOptions(c.r, selection, st.dir)
	data, err := benchmarks(o)
	if err != nil {
		return err
	}
	read, err := data.Identify(o.Needs())
	if err != nil {
		return err
	}
	id.Benchmarks, id.Revisions = read.Digest, read.Revisions
	marker := filepath.Join(c.path(st.dir), st.marker)
	var before evaluation
	if badinput.ReadJSON(marker, &before) == nil && id.equals(before.evaluated) {
		step := Step{Stage: st.name, Out: c.path(st.dir), Evaluated: &before.Found}
		step.Before = true
		c.Say(step)
		return eval.Tidy(c.path(st.dir), lighteval.ModelName(c.r.Name+"-"+name))
	}
	d, err := c.Engine.OpenDecoder(base, adapter)
	if err != nil {
		return err
	}
	c.owns(d)
	d.Name = c.r.Name + "-" + name
	m, err := d.EvalModel()
	if err != nil {
		return err
	}
	var step Step
	o.Committed = func(outcome *eval.Outcome) error {
		if outcome.Questions == 0 {
			return badinput.Errorf("%s: no question was asked; check tasks and data of the eval block", st.name)
		}
		step = EvalStep(st.name, c.path(st.dir), outcome, time.Since(c.start))
		// Only what is the same in every run, so that the file is too.
		found := Evaluated{Questions: step.Evaluated.Questions, Average: step.Average, Scores: step.Scores}
		return atomicfile.WriteJSON(marker, evaluation{id, found})
	}
	outcome, err := eval.Run(ctx, m, o, c.Progress)
	if err != nil {
		return err
	}
	for _, same := range outcome.Leaderboard.SameAnswers() {
		c.Log.Warn(st.name + ", " + same)
	}
	c.Say(step)
	return nil
}

func (c *chain) report(ctx context.Context, st stage) error {
	o, err := PageOf(c.Out)
	if err != nil {
		return err
	}
	o.Out, o.Title, o.Stages = c.path(st.dir), c.r.Name, c.made
	if err := report.Write(ctx, o); err != nil {
		return err
	}
	c.Say(Step{Stage: st.name, Out: o.Out, Seconds: time.Since(c.start).Seconds()})
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return path != "" && !errors.Is(err, fs.ErrNotExist)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
