package train

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/model"
	"barka/internal/printable"
	"barka/internal/tokenizer"
)

// Estimate is what a run will take.
type Estimate struct {
	Data       *Data   `json:"data"`
	Steps      int     `json:"steps"`
	Tokens     int64   `json:"tokens_all_epochs"`
	Parameters int64   `json:"trainable_parameters"`
	FLOP       float64 `json:"flop"` // rough: forward, backward of activations, adapters, recomputed blocks
	// Memory is the process's peak resident memory. Recompute of the model's Blocks keep
	// only their input and are computed again in the backward pass.
	Memory    int64 `json:"memory_bytes"`
	Recompute int   `json:"recomputed_blocks"`
	Blocks    int   `json:"blocks"`
	// Over counts the conversations that are longer than micro_tokens.
	Over int `json:"over_micro_tokens"`
	// Probe is nil unless steps were timed.
	Probe *Probed `json:"probe,omitempty"`

	units                string  // what a batch counts
	perToken, perTrained float64 // FLOP

	// Observing is what samples and evaluations take beside the weights, in bytes. Memory is
	// the larger of what they need and of what training needs.
	Observing int64 `json:"observing_bytes,omitempty"`
	// Observations counts how often they are due.
	Observations int `json:"observations,omitempty"`

	val      *Data // the tokenized validation set, or nil
	micro    int   // the bound of the tokens of a pass
	shape    micro
	prompts  []prompt
	evalWork Work
}

// Probed is what timed steps showed.
type Probed struct {
	Steps           int     `json:"steps"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	Seconds         float64 `json:"seconds"` // of the whole run
	// Cost is that of the run in the unit of the price per hour; 0 without a price.
	Cost float64 `json:"cost,omitempty"`
}

// Plan tokenizes the data and estimates a run without loading weights. A run that needs more
// memory than in.Available returns is refused; the estimate is returned beside the error. The
// caller closes the estimate.
func Plan(ctx context.Context, o Options, in Input, seed int64) (*Estimate, error) {
	return plan(ctx, o, in, seed, "")
}

// plan is Plan. With dir, that directory keeps the tokens for the next process.
func plan(ctx context.Context, o Options, in Input, seed int64, dir string) (*Estimate, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o, err := o.settle(&in, 0)
	if err != nil {
		return nil, err
	}
	m, err := newMeter(o, &in)
	if err != nil {
		return nil, err
	}
	e := &Estimate{micro: o.MicroTokens}
	if err := e.read(ctx, o, in, m.model.Info(), dir); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if err := e.readObserved(ctx, o, in, m); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.Over = e.Data.over(o.MicroTokens)
	e.shape = e.Data.largest(o, seed)
	debug.FreeOSMemory()
	m.base = in.taken() // the share of the run that no meter sees: tokenizer, index of the tokens
	limit := in.limit()
	if err := e.measure(m, o, e.Data.PerEpoch(), limit); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if need := m.with(e.Observing); limit > 0 && e.Observing > 0 && need > limit {
		return e, badinput.Errorf("train: samples and evaluations during the run need about %s of memory, and %s are available; leave "+
			"out eval or sample_prompts, or lower sample_tokens", printable.Bytes(need), printable.Bytes(limit))
	}
	return e, e.fits(o, &in, m.base, limit)
}

// read tokenizes the training and the validation set.
func (e *Estimate) read(ctx context.Context, o Options, in Input, info model.Info, dir string) error {
	r, err := newReader(o, in.Tokenizer, Limits{info.Vocab, info.MaxPositions}, dir)
	if err != nil {
		return err
	}
	sources, err := in.sources(o)
	if err != nil {
		return err
	}
	if e.Data, err = r.read(ctx, "train", sources); err != nil || in.Val == "" {
		return err
	}
	if e.val, err = r.read(ctx, "val", []Source{{Path: in.Val}}); err != nil {
		return err
	}
	return e.val.overlap(e.Data)
}

// readObserved reads the prompts of samples, and estimates what looking at the model takes.
func (e *Estimate) readObserved(ctx context.Context, o Options, in Input, m *meter) (err error) {
	if e.prompts, err = readPrompts(o, in.Tokenizer, m.model.Info().MaxPositions); err != nil {
		return err
	}
	if e.Observing, err = m.sampling(e.prompts, o); err != nil {
		return err
	}
	if o.Eval == "" {
		return nil
	}
	if in.Evaluator == nil {
		return badinput.Errorf("train: eval names the tasks %s, but there is no evaluation here", o.Eval)
	}
	e.evalWork, err = in.Evaluator.Work(ctx)
	e.Observing = max(e.Observing, e.evalWork.Memory)
	return err
}

// Close closes the files of tokens.
func (e *Estimate) Close() error { return errors.Join(e.Data.Close(), e.val.Close()) }

// limit returns the memory that the process may have in all, in bytes, or 0 if unknown.
func (in *Input) limit() int64 {
	if in.Available == nil {
		return 0
	}
	return in.Available()
}

// CheckChat refuses a model whose chat format cannot be trained.
func (o Options) CheckChat(tok *tokenizer.Tokenizer) error {
	if o.Objective == ObjectiveText {
		return nil
	}
	_, err := chat.Open(tok, o.chat())
	return err
}

// Forecast estimates a run on a number of conversations without the data. Of d it uses the
// sums of tokens and the longest conversation, which may be estimates themselves. in describes the model
// and the memory, and observing is what evaluations during the run take beside the weights.
func Forecast(o Options, in Input, conversations int, d *Data, seed, observing int64) (*Estimate, error) {
	o, err := o.settle(&in, 0)
	if err != nil {
		return nil, err
	}
	m, err := newMeter(o, &in)
	if err != nil {
		return nil, err
	}
	m.base = in.taken()
	limit := in.limit()
	e := &Estimate{Data: d, shape: assumed(o, d.Longest), Observing: observing, micro: o.MicroTokens}
	if d.Samples() > 0 {
		e.Over = d.over(o.MicroTokens)
		e.shape = d.largest(o, seed)
	}
	return e, e.measure(m, o, conversations, limit)
}

// measure fills the estimate from the model's shape.
func (e *Estimate) measure(m *meter, o Options, conversations int, limit int64) (err error) {
	per := stepsPerEpoch(conversations, o.Batch)
	e.Steps, e.Parameters, e.Blocks = o.steps(conversations), m.params, m.blocks()
	e.units = o.Units()
	e.Observations = o.observations(e.Steps, max(per, 1))
	epochs := float64(e.Steps) / float64(max(per, 1))
	tokens, trained := e.Data.amounts()
	e.Tokens = int64(epochs * float64(tokens))
	if e.Recompute, e.Memory, err = m.choose(o.Checkpointing, e.shape, limit); err != nil {
		return err
	}
	e.Memory = max(e.Memory, m.with(e.Observing))
	dev, _, err := m.pass(e.shape, e.Recompute)
	if err != nil {
		return err
	}
	info := m.model.Info()
	e.perTrained = 4 * float64(info.Vocab) * float64(info.Hidden) // forward and backward through the head
	e.perToken = (dev.FLOP() - float64(e.shape.trained)*e.perTrained) / float64(max(e.shape.tokens(), 1))
	e.FLOP = e.work(float64(e.Tokens), epochs*float64(trained))
	return nil
}

// work returns the floating-point operations of tokens of which some are trained, as FLOP.
func (e *Estimate) work(tokens, trained float64) float64 {
	return tokens*e.perToken + trained*e.perTrained
}

// Text describes the estimate in a line.
func (e *Estimate) Text() string {
	d := e.Data
	dropped, units := 0, e.units
	for _, n := range d.Dropped {
		dropped += n
	}
	text := fmt.Sprintf("%d %s (%d dropped, %d cut), %d tokens, %d of them trained; ", d.Samples(), units, dropped, d.Cut, d.Tokens,
		d.Trained)
	if n := d.PerEpoch(); len(d.sets) > 1 || n != d.Samples() && n > 0 {
		text += fmt.Sprintf("%d %s per epoch; ", n, units)
	}
	text += fmt.Sprintf("%d steps; %d trainable parameters; about %s of memory", e.Steps, e.Parameters, printable.Bytes(e.Memory))
	if e.Recompute > 0 {
		text += fmt.Sprintf(" with %d of %d blocks recomputed", e.Recompute, e.Blocks)
	}
	if n := e.evalWork.Tokens; n > 0 {
		text += fmt.Sprintf("; %d evaluations of %d tokens", e.Observations, n)
	}
	if p := e.Probe; p != nil {
		text += fmt.Sprintf("; %.0f tokens/s in %d timed steps, %s for the run", p.TokensPerSecond, p.Steps,
			time.Duration(p.Seconds*float64(time.Second)).Round(time.Second))
		if p.Cost > 0 {
			text += fmt.Sprintf(", which costs %.2f", p.Cost)
		}
	}
	for _, w := range e.Warnings() {
		text += "; " + w
	}
	return text
}

// Warnings describes what is unusual about the data.
func (e *Estimate) Warnings() (all []string) {
	d := e.Data
	warn := func(n int, format string, args ...any) {
		if n > 0 {
			all = append(all, fmt.Sprintf(format, append([]any{n}, args...)...))
		}
	}
	if len(d.Dropped) > 0 {
		all = append(all, "dropped: "+reasons(d.Dropped))
	}
	warn(d.CutAnswers, "%d answers beyond max_length were cut, with their turns")
	warn(e.Over, "%d conversations are longer than micro_tokens and have a pass of their own")
	warn(d.Duplicates, "%d rows repeat an earlier row of their set")
	warn(d.DoubleBOS, "%d rows begin with two BOS tokens: the chat template and the tokenizer or the text add one each")
	if e.val != nil {
		warn(e.val.InTraining, "%d validation rows are in the training set too")
	}
	return all
}

// Time takes the first steps of the run on the model, with a learning rate of 0 and without
// output, and adds the time of the whole run to the estimate. price is that of an hour; 0 for
// none.
func (e *Estimate) Time(ctx context.Context, o Options, in Input, seed int64, steps int, price float64) error {
	t := &trainer{o: o, in: in, plan: e}
	t.env.Seed = seed
	t.o.LR, t.o.MicroTokens = 0, e.micro
	if err := t.open(); err != nil {
		return err
	}
	defer limitGarbage()()
	var tokens int64
	var took time.Duration
	steps = min(steps, t.total)
	for range steps {
		start := time.Now()
		m, err := t.one(ctx)
		if err != nil {
			return err
		}
		took += time.Since(start)
		tokens += int64(m.Tokens)
	}
	if tokens == 0 {
		return nil
	}
	p := &Probed{Steps: steps, TokensPerSecond: float64(tokens) / took.Seconds()}
	all := float64(e.Tokens)
	if e.val != nil { // a validation is a forward pass, about a third of the work
		all += float64(t.validations()) * float64(e.val.Tokens) / 3
	}
	all += float64(e.Observations) * float64(e.evalWork.Tokens) / 3
	if e.Data.paired { // and so is the reference
		all += float64(e.Data.Tokens) / 3
	}
	p.Seconds = all / p.TokensPerSecond
	p.Cost = p.Seconds / 3600 * price
	e.Probe = p
	return nil
}
