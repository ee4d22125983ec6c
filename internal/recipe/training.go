package recipe

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/hub"
	"barka/internal/stage/mix"
	"barka/internal/stage/train"
)

// trainsOnPassages reports whether the training reads the recipe's passages: plain text, if
// no other dataset is given.
func (r *Recipe) trainsOnPassages() bool {
	return r.Train != nil && r.Train.Objective == train.ObjectiveText && r.Inputs.Train == "" && (r.Wiki != nil || r.Inputs.Passages != "")
}

// trainsOnMix reports whether the training reads the mix: the recipe's conversations.
func (r *Recipe) trainsOnMix() bool {
	return r.Train != nil && r.Train.Objective == train.ObjectiveSFT && r.Inputs.Train == "" && r.Mix != nil
}

// validates reports whether the training has a validation set.
func (r *Recipe) validates() bool {
	return r.Inputs.Validation != "" || r.trainsOnMix() && r.Mix.Validation > 0
}

// trainData returns the dataset that the training of a run in out reads.
func (r *Recipe) trainData(out string) string {
	switch {
	case r.Inputs.Train != "":
		return r.path(r.Inputs.Train)
	case r.trainsOnPassages() && r.Wiki != nil:
		return filepath.Join(out, passagesDir)
	case r.trainsOnPassages():
		return r.path(r.Inputs.Passages)
	}
	return filepath.Join(out, mixDir)
}

// validationData returns the path of the validation set, or "" if there is none.
func (r *Recipe) validationData(out string) string {
	if r.Inputs.Validation != "" {
		return r.path(r.Inputs.Validation)
	}
	val := filepath.Join(out, mixDir, mix.ValidationName)
	if n, err := dataset.Count(val); !r.trainsOnMix() || !exists(val) || err == nil && n == 0 {
		return ""
	}
	return val // train reports a damaged file
}

// training returns the options of train with resolved paths.
func (r *Recipe) training() (train.Options, error) {
	o := *r.Train
	o.SamplePrompts, o.EvalData = r.path(o.SamplePrompts), r.path(o.EvalData)
	if file := r.path(o.Eval); isFile(file) {
		o.Eval = file
	}
	if o.Adapter == "" {
		return o, nil
	}
	var err error
	o.Adapter, err = hub.ResolveAdapter(r.model(o.Adapter))
	return o, err
}

// benchmarks returns the directory of the benchmark files for evaluations during the training.
func (r *Recipe) benchmarks() string {
	if r.Eval != nil && r.Eval.Data != "" {
		return r.path(r.Eval.Data)
	}
	return hub.CacheDir()
}

// trainingMissing lists what the training needs and the recipe lacks, and what has no effect.
func (r *Recipe) trainingMissing() []missing {
	o := r.Train
	if o == nil {
		return []missing{
			{r.Inputs.Train != "", "inputs.train", "inputs.train has no effect without a train block"},
			{r.Inputs.Validation != "", "inputs.validation", "inputs.validation has no effect without a train block"},
			{r.Inputs.Replay != "", "inputs.replay", "inputs.replay has no effect without a train block"},
		}
	}
	sft := o.Objective == train.ObjectiveSFT
	return []missing{
		{sft && r.Mix == nil && r.Inputs.Train == "", "train", "train has no data; add a mix block, or inputs: train"},
		{o.Objective == train.ObjectiveText && r.Inputs.Train == "" && !r.trainsOnPassages(), "train.objective",
			"train: objective text has no texts; add a wiki block, inputs: passages, or inputs: train"},
		{o.Objective == train.ObjectiveDPO && r.Inputs.Train == "", "train.objective",
			"train: objective dpo has no pairs; add inputs: train, a dataset of chosen and rejected answers"},
		{sft && r.Mix != nil && r.Inputs.Train != "", "inputs.train",
			"inputs.train takes the place of the mix, which would be made for nothing; leave one of them out"},
		{r.trainsOnMix() && r.Mix.Validation > 0 && r.Inputs.Validation != "", "inputs.validation",
			"inputs.validation takes the place of the mix's validation rows; leave it out, or set validation: 0 in the mix block"},
		{o.Patience > 0 && !r.validates(), "train.patience",
			"train: patience has no validation set; set validation in the mix block, or inputs: validation"},
		{o.ReplayShare > 0 && r.Inputs.Replay == "", "train.replay_share", "train: replay_share has nothing to replay; add inputs: replay"},
		{r.Inputs.Replay != "" && o.ReplayShare == 0, "inputs.replay",
			"inputs.replay has no effect; set replay_share in the train block, to 0.1 for instance"},
	}
}

// training checks what the run looks at while it trains, and what that takes.
func (k *checker) training(ctx context.Context) {
	for key, name := range map[string]string{"inputs.train": k.r.Inputs.Train, "inputs.validation": k.r.Inputs.Validation} {
		if name == "" {
			continue
		}
		path := k.r.path(name)
		if !exists(path) {
			k.problem(key, k.absent(name))
			continue
		}
		n, err := dataset.Count(path)
		if err == nil && n == 0 {
			err = badinput.Errorf("%s has no rows", path)
		}
		k.problem(key, err)
	}
	if k.r.Train == nil || k.base == nil || exists(filepath.Join(k.w.Out, adapterDir, train.StateFile)) {
		return
	}
	o, err := k.r.training()
	if err != nil {
		return // already a problem
	}
	if o.SamplePrompts != "" && !exists(o.SamplePrompts) {
		k.problem("train.sample_prompts", k.absent(k.r.Train.SamplePrompts))
	} else {
		k.problem("train.sample_prompts", o.CheckPrompts(k.base.Tokenizer, k.base.Shape.MaxPositions))
	}
	if o.Eval == "" {
		return
	}
	if data := o.EvalData; data != "" && !exists(data) {
		k.problem("train.eval_data", k.absent(k.r.Train.EvalData))
		return
	}
	in, err := k.w.Engine.As(o.DType).Training(k.r.model(k.r.Models.Base), o, k.r.benchmarks())
	if err == nil {
		k.observed, err = in.Evaluator.Work(ctx)
	}
	k.problem("train.eval", err)
}

// train runs the training.
func (c *chain) train(ctx context.Context, st stage) error {
	o, err := c.r.training()
	if err != nil {
		return err
	}
	base, engine := c.r.model(c.r.Models.Base), c.Engine.As(c.r.Train.DType)
	in, err := engine.Training(base, o, c.r.benchmarks())
	if err != nil {
		return err
	}
	c.owns(in)
	if in.Tokenizer, err = c.tokenizer(c.r.Models.Base); err != nil {
		return err
	}
	if in.ModelDigest, err = engine.Digest(base); err != nil {
		return err
	}
	if o.DType, err = engine.TypeOf(base); err != nil {
		return err
	}
	in.Base, in.Train, in.Val = c.r.Models.Base, []train.Source{{Path: c.r.trainData(c.Out)}}, c.r.validationData(c.Out)
	in.Replay, in.Save, in.Peak = c.r.path(c.r.Inputs.Replay), c.Checkpoint, c.Peak
	s, err := train.Run(ctx, o, in.Input, c.env(st.dir, nil))
	if err != nil {
		return err
	}
	c.Say(TrainStep(c.path(st.dir), s, time.Since(c.start)))
	return nil
}

// train plans the training.
func (f *forecast) train(st stage) {
	if f.done(st) {
		return
	}
	p := Planned{Stage: st.name, Out: f.path(st.dir)}
	if f.base != nil {
		if o, err := f.r.training(); err == nil { // else the checks report it
			f.trains(&p, o)
		}
	}
	f.add(p)
}

// trains sets the effort of the training. It tokenizes the data if they exist, and otherwise
// uses the forecast.
func (f *forecast) trains(p *Planned, o train.Options) {
	s, a := f.base.Shape, f.amounts[mixed]
	if f.r.trainsOnPassages() {
		a = f.passages
	}
	grown := 1 / (1 - o.ReplayShare)
	tokens := int64(grown * float64(a.tokens()))
	d, n, how := &train.Data{Tokens: tokens, Trained: tokens, Longest: o.MaxLength}, int(grown*float64(a.rows)), "about "
	p.Estimated = true
	path := f.r.trainData(f.w.Out)
	if isFile(path) || exists(filepath.Join(path, dataset.ManifestName)) || f.r.Inputs.Train != "" {
		in := train.Input{Tokenizer: f.base.Tokenizer, Train: []train.Source{{Path: path}}, Replay: f.r.path(f.r.Inputs.Replay),
			Val: f.r.validationData(f.w.Out)}
		data, err := train.Read(f.ctx, o, in, train.Limits{Vocab: s.Vocab, Positions: s.MaxPositions})
		if err != nil {
			f.Problems = append(f.Problems, Problem{Line: f.r.doc.line("train"), Key: "train", Text: "train: " + err.Error()})
			return
		}
		defer data.Close()
		d, n, how, p.Estimated = data, data.PerEpoch(), "", false
	}
	engine, base := f.w.Engine.As(o.DType), f.r.model(f.r.Models.Base)
	if o.DType, _ = engine.TypeOf(base); n == 0 {
		return
	}
	e, err := engine.Forecast(base, o, n, d, f.r.Seed, f.observed.Memory)
	if err != nil {
		return
	}
	looks := int64(e.Observations)
	p.Rows, p.Tokens, p.FLOP, p.Memory = int64(n), e.Tokens+looks*f.observed.Tokens, e.FLOP, e.Memory
	p.FLOP += 2 * float64(f.base.Parameters) * float64(looks*f.observed.Tokens)
	p.DType = o.DType
	p.Work = fmt.Sprintf("%s%d %s, %d tokens in all epochs, %d steps, %d trainable parameters", how, n, o.Units(), e.Tokens, e.Steps,
		e.Parameters)
	if f.observed.Tokens > 0 {
		p.Work += fmt.Sprintf("; %d evaluations of %d tokens", looks, f.observed.Tokens)
	}
}
