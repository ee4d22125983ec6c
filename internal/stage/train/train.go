package train

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/optim"
	"barka/internal/progress"
	"barka/internal/tensor"
	"barka/internal/tensorboard"
	"barka/internal/tokenizer"
)

// Input is what a run trains.
type Input struct {
	// Open returns the base model; it is called once, and only if there is
	// something left to train.
	Open func() (model.Decoder, error)
	// Measure opens the base model's shape on a device that computes nothing.
	Measure Opener
	// Available, if not nil, returns the memory that the process may have in all, in bytes,
	// or 0 if that is unknown.
	Available func() int64
	// Apart is nil unless the device has memory of its own, which is what Available returns then: what
	// the process has is no part of it.
	Apart *Apart
	// Peak, if not nil, returns the machine's arithmetic ceiling for weights of a type, in
	// operations per second, or 0 if the type's products are of several kinds.
	Peak      func(dtype string) float64
	Tokenizer *tokenizer.Tokenizer
	// Base is the model's directory or hub id, written into the adapter.
	Base string
	// ModelDigest identifies the base weights.
	ModelDigest string
	// Train are the datasets. Replay is a dataset from which Options.ReplayShare is drawn,
	// Val that of the validations; both may be "".
	Train       []Source
	Replay, Val string
	// Evaluator measures the model for Options.Eval.
	Evaluator Evaluator
	// Save, if not nil, receives a value when a checkpoint is wanted at once.
	Save <-chan os.Signal
}

// Apart describes a device with memory of its own.
type Apart struct {
	// Workspace returns the bytes that operations take, beside tensors, in a pass over tokens through
	// layers of a width and a head over a vocabulary.
	Workspace func(tokens, width, vocabulary int) int64
}

// sources returns the datasets that are trained on, the replayed one last.
func (in *Input) sources(o Options) ([]Source, error) {
	switch {
	case len(in.Train) == 0:
		return nil, badinput.Errorf("train: no dataset given")
	case o.Patience > 0 && in.Val == "":
		return nil, badinput.Errorf("train: patience is %d, but without a validation set no loss is measured that could end the run", o.Patience)
	case in.Replay == "" && o.ReplayShare > 0:
		return nil, badinput.Errorf("train: replay_share is %g, but no dataset is given to replay", o.ReplayShare)
	case in.Replay != "" && o.ReplayShare == 0:
		return nil, badinput.Errorf("train: replay_share is 0, so that nothing of %s would be replayed; set it, to 0.1 for instance",
			in.Replay)
	case in.Replay != "":
		return append(slices.Clone(in.Train), Source{Path: in.Replay, replay: o.ReplayShare}), nil
	}
	return in.Train, nil
}

// State is trainer_state.json: the summary of a finished run.
type State struct {
	Steps        int             `json:"global_step"`
	Epochs       int             `json:"num_train_epochs"`
	FirstLoss    float64         `json:"first_loss"`
	FinalLoss    float64         `json:"final_loss"`
	BestVal      *float64        `json:"best_val_loss,omitempty"`
	BestStep     int             `json:"best_step,omitempty"`
	Stopped      bool            `json:"stopped_early,omitempty"` // by Patience
	Setbacks     []setback       `json:"setbacks,omitempty"`      // steps that were left out after divergences
	Parameters   int64           `json:"trainable_parameters"`
	Data         *Data           `json:"data"`
	Options      json.RawMessage `json:"options"`
	Seed         int64           `json:"seed"`
	ModelDigest  string          `json:"model_digest"`
	DataDigest   string          `json:"data_digest"`
	TrainedTotal int64           `json:"trained_tokens_total"`
	// Files are the digests of the files beside this one.
	Files map[string]string `json:"files,omitempty"`
}

// StateFile is written last: a directory that holds it is finished.
const StateFile = "trainer_state.json"

// trainer is one run.
type trainer struct {
	o         Options
	in        Input
	env       durable.Env
	chat      string // digest of the chat format
	model     model.Decoder
	dev       tensor.Device
	data      *Data
	val       *Data
	course    *course
	objective objective
	adapter   *model.Adapter
	opt       *optim.AdamW
	schedule  optim.Schedule
	total     int
	step      int // finished
	first     float64
	last      float64
	bestVal   *float64
	bestStep  int
	pending   *Metrics // of a finished step that is not recorded yet: its validation was interrupted
	trained   int64
	level     float64   // running mean of the loss
	calm      int       // the last step whose loss was not far above it
	setbacks  []setback // divergences
	plan      *Estimate
	saved     time.Time // of the last checkpoint, or the start
	shown     time.Time // of the last step that was shown
	peak      float64   // the machine's operations per second, or 0
	board     *tensorboard.Writer
	work      *durable.Work
	metrics   *rowLog // metrics.jsonl
	samples   *rowLog // samples.jsonl
	before    *Scores // of the first evaluation

	id             identity
	identityDigest string // of the run's course
}

// Run trains and returns the summary. An interrupted run continues from its
// last checkpoint; a finished one returns at once; one made with other
// options is refused unless env.Restart.
func Run(ctx context.Context, o Options, in Input, env durable.Env) (s *State, err error) {
	t := &trainer{in: in, env: env}
	defer func() { err = t.advise(err) }()
	defer tensor.Guard(&err)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	recorded := 0
	if !env.Restart {
		recorded = in.recordedMicroTokens(env.Out)
	}
	if o, err = o.settle(&in, recorded); err != nil {
		return nil, err
	}
	t.o = o
	if o.Objective != ObjectiveText {
		format, err := chat.Open(in.Tokenizer, o.chat())
		if err != nil {
			return nil, err
		}
		t.chat = format.Digest()
	}
	id, err := t.identity(ctx)
	if err != nil {
		return nil, err
	}
	work, done, err := begin(env.Out, &id, env.Restart)
	if err != nil || done != nil {
		return done, err
	}
	defer work.Close()
	t.work, t.id = work, id
	course, err := id.course()
	if err != nil {
		return nil, err
	}
	if t.identityDigest, err = digest(course); err != nil {
		return nil, err
	}
	if t.plan, err = plan(ctx, o, in, env.Seed, work.Dir()); err != nil {
		return nil, errors.Join(err, t.abandon())
	}
	defer t.plan.Close()
	progress.Event(env.Progress, "plan", t.plan.Text(), t.plan)
	if err := t.unchanged(ctx); err != nil {
		return nil, err
	}
	defer limitGarbage()()
	if err := t.open(); err != nil {
		return nil, err
	}
	if err := t.objective.prepare(ctx, t); err != nil {
		return nil, err
	}
	if err := t.readSetbacks(); err != nil {
		return nil, err
	}
	if err := t.resume(); err != nil {
		return nil, err
	}
	defer func() { t.board.Close() }()
	if err := t.loop(ctx); err != nil {
		return nil, err
	}
	return t.finish(id)
}

// abandon removes the directory of a run that has not taken a step and cannot start: it
// would only prevent a run with better options.
func (t *trainer) abandon() error {
	if names, err := t.checkpoints(); err != nil || len(names) > 0 {
		return err
	}
	return t.work.Remove()
}

// unchanged returns an error if the data that were tokenized are no longer those that the
// run's identity names.
func (t *trainer) unchanged(ctx context.Context) error {
	now, err := t.identity(ctx)
	if err != nil {
		return err
	}
	if diff := t.id.differences(now); len(diff) > 0 {
		return badinput.Errorf("train: the data changed while they were read (%s); run again when nothing writes to them",
			strings.Join(diff, "; "))
	}
	return nil
}

// open opens the model, attaches a new adapter, and takes the memory of the largest
// micro-batch.
func (t *trainer) open() (err error) {
	if t.model, err = t.in.Open(); err != nil {
		return err
	}
	t.dev, t.data, t.val = t.model.Device(), t.plan.Data, t.plan.val
	t.objective = newObjective(t.o)
	t.course = newCourse(t.data, t.o, t.env.Seed)
	if t.adapter, err = t.o.newAdapter(t.model, t.in.Base, t.env.Seed); err != nil {
		return err
	}
	t.adapter.Train(t.dev)
	t.opt = optim.New(t.dev, t.adapter.Params(),
		optim.Config{Beta1: t.o.Beta1, Beta2: t.o.Beta2, Eps: t.o.Eps, WeightDecay: t.o.WeightDecay})
	t.total = t.o.steps(t.course.size)
	t.schedule, err = optim.NewSchedule(t.o.Schedule, int(math.Ceil(t.o.WarmupRatio*float64(t.total))), t.total)
	if err != nil {
		return err
	}
	return t.reserve()
}

// reserve makes the device take the memory of the largest micro-batch, so that smaller ones
// find theirs among it. Without this, batches of changing size would leave memory of every
// size behind.
func (t *trainer) reserve() error {
	dev, ok := t.dev.(interface{ ReuseLarger() })
	if !ok {
		return nil
	}
	m, err := newMeter(t.o, &t.in)
	if err != nil {
		return err
	}
	meter, mark, err := m.pass(t.plan.shape, t.plan.Recompute)
	if err != nil {
		return err
	}
	meter.Warm(t.dev, mark)
	dev.ReuseLarger()
	return nil
}

func (t *trainer) loop(ctx context.Context) error {
	p := t.env.Progress
	p.Start("train", int64(t.total), "steps")
	p.Skip(int64(t.step))
	defer p.Done()
	t.saved = time.Now()
	if t.in.Peak != nil {
		t.peak = t.in.Peak(t.o.DType)
	}
	if t.step == 0 {
		seen, err := t.observe(ctx)
		if err != nil {
			return err
		}
		if err := t.recordSeen(seen); err != nil {
			return err
		}
	}
	for t.step < t.total && !t.exhausted() || t.pending != nil {
		err := t.next(ctx)
		var d *diverged
		if errors.As(err, &d) {
			if err := t.setBack(d); err != nil {
				return err
			}
			continue
		}
		if err != nil && ctx.Err() != nil {
			// What is done is kept: the next start goes on from here.
			if saveErr := t.save(); saveErr != nil {
				return saveErr
			}
		}
		if err != nil {
			return err
		}
		p.Add(1)
		if t.due() {
			if err := t.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// exhausted reports whether the last patience validations have not found a smaller loss than
// one before them.
func (t *trainer) exhausted() bool {
	if t.o.Patience == 0 || t.bestVal == nil {
		return false
	}
	n := 0
	for step := t.bestStep + 1; step <= t.step; step++ {
		if t.measures(step) {
			n++
		}
	}
	return n >= t.o.Patience
}

// next takes an optimiser step, validates and observes if that is due, and records all of it.
func (t *trainer) next(ctx context.Context) error {
	start := time.Now()
	if t.pending == nil {
		m, err := t.one(ctx)
		if err != nil {
			return err
		}
		t.pending = &m
	}
	took := time.Since(start)
	if err := t.validate(ctx, t.pending); err != nil {
		return err
	}
	seen, err := t.observe(ctx)
	if err != nil {
		return err
	}
	m := *t.pending
	t.pending = nil
	return errors.Join(t.record(m, took), t.recordSeen(seen))
}

// validate measures the validation loss if it is due after a step, and keeps the adapter
// with the smallest.
func (t *trainer) validate(ctx context.Context, m *Metrics) error {
	if t.val == nil || !t.measures(t.step) || m.ValLoss != nil {
		return nil
	}
	v, err := t.valLoss(ctx)
	if err != nil {
		return err
	}
	if t.bestVal == nil || v < *t.bestVal {
		t.bestVal, t.bestStep = &v, t.step
		if err := t.adapter.Save(t.dev, filepath.Join(t.work.Final(), bestDir)); err != nil {
			return err
		}
	}
	m.ValLoss = &v
	return nil
}

// due reports whether a checkpoint is due after a step that is not the last.
func (t *trainer) due() bool {
	if t.step == t.total {
		return false
	}
	return t.o.SaveSteps > 0 && t.step%t.o.SaveSteps == 0 ||
		t.o.SaveMinutes > 0 && time.Since(t.saved).Minutes() >= t.o.SaveMinutes
}

// between is called between two micro-batches. It returns the context's error, and writes a
// checkpoint if one is wanted: that of the last finished step, whose parameters are still in
// place.
func (t *trainer) between(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-t.in.Save:
		if t.step == 0 {
			progress.Event(t.env.Progress, "checkpoint", "no checkpoint yet: the first step is not finished", checkpointEvent{})
			return nil
		}
		if err := t.save(); err != nil {
			return err
		}
		progress.Event(t.env.Progress, "checkpoint", fmt.Sprintf("checkpoint of step %d written", t.step), checkpointEvent{t.step})
	default:
	}
	return nil
}

// checkpointEvent is a checkpoint that was asked for, as an event.
type checkpointEvent struct {
	Step int `json:"step"`
}

// one takes an optimiser step.
func (t *trainer) one(ctx context.Context) (m Metrics, err error) {
	defer tensor.Guard(&err)
	batch := t.course.at(t.step)
	if t.skips(t.step + 1) {
		return t.skip(batch), nil
	}
	m = Metrics{Step: t.step + 1, Rows: batch, Epoch: float64(t.step+1) / float64(t.perEpoch())}
	var losses []tensor.Value
	for _, part := range t.objective.parts(t.data, batch) {
		if err := t.between(ctx); err != nil {
			return m, err
		}
		p, err := t.pass(t.data, part.units)
		if err != nil {
			return m, err
		}
		t.perturb(p)
		loss, err := t.objective.backward(t, p, part)
		p.free()
		if err != nil {
			return m, err
		}
		losses = append(losses, loss)
		m.Tokens += len(p.tokens)
		m.Trained += len(p.rows)
	}
	norm := t.opt.GradNorm(t.dev)
	for _, loss := range losses { // read once the step's work is on its way
		m.Loss += loss.Get()
	}
	t.objective.measure(&m)
	m.GradNorm = norm.Get()
	m.LR = t.o.LR * t.schedule(t.step)
	if err := t.guard(ctx, &m); err != nil {
		return m, err
	}
	t.opt.Step(t.dev, m.LR, optim.Clip(m.GradNorm, t.o.Clip))
	t.adapter.Renew(t.dev)
	t.step++
	t.trained += int64(m.Trained)
	if t.step == 1 {
		t.first = m.Loss
	}
	t.last = m.Loss
	return m, nil
}

// validates reports whether the validation loss is due after a step of a run of total steps.
func (o Options) validates(step, total, perEpoch int) bool {
	return step%cmp.Or(o.EvalSteps, perEpoch) == 0 || step == total
}

// measures reports whether the validation loss is due after a step.
func (t *trainer) measures(step int) bool { return t.o.validates(step, t.total, t.perEpoch()) }

// perEpoch returns the steps of an epoch.
func (t *trainer) perEpoch() int { return stepsPerEpoch(t.course.size, t.o.Batch) }

// validations counts the validations of the whole run.
func (t *trainer) validations() (n int) {
	for step := 1; t.val != nil && step <= t.total; step++ {
		if t.measures(step) {
			n++
		}
	}
	return n
}

func (t *trainer) valLoss(ctx context.Context) (float64, error) {
	all := make([]int, t.val.Samples())
	for i := range all {
		all[i] = i
	}
	var sum, weight float64
	for _, units := range t.val.micro(all, t.o.MicroTokens) {
		if err := t.between(ctx); err != nil {
			return 0, err
		}
		s, w, err := t.objective.loss(t, t.val, units)
		if err != nil {
			return 0, err
		}
		sum, weight = sum+s, weight+w
	}
	return sum / weight, nil
}

func (t *trainer) identity(ctx context.Context) (identity, error) {
	options, err := t.o.identity()
	if err != nil {
		return identity{}, err
	}
	id := identity{Version: version, Options: options, Seed: t.env.Seed, Model: t.in.ModelDigest, Chat: t.chat,
		anyDevice: t.env.AllowOtherDevice}
	sources, err := t.in.sources(t.o)
	if err != nil {
		return identity{}, err
	}
	if err := t.o.checkBase(t.in.ModelDigest); err != nil {
		return identity{}, err
	}
	if id.Adapter, err = t.o.adapterDigests(); err != nil {
		return identity{}, err
	}
	for i, s := range sources {
		digest, err := dataset.Digest(ctx, s.Path)
		switch {
		case err != nil:
			return identity{}, err
		case i == 0:
			id.Data = digest
		default:
			id.More = append(id.More, digest)
		}
		if s.Weight != 0 && s.Weight != 1 {
			id.Weights = append(id.Weights, fmt.Sprintf("%d: %g", i+1, s.Weight))
		}
	}
	if t.in.Val != "" {
		if id.Val, err = dataset.Digest(ctx, t.in.Val); err != nil {
			return identity{}, err
		}
	}
	if t.env.Out == "" {
		return id, badinput.Errorf("train: no output directory given")
	}
	return id, nil
}
