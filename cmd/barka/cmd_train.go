package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/bench"
	"barka/internal/dtype"
	"barka/internal/eval"
	"barka/internal/eval/tasks"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/printable"
	"barka/internal/recipe"
	"barka/internal/stage/train"
)

type trainCmd struct {
	Model          string   `required:"" help:"Base model directory or hub id, with a chat template or --chat-format." placeholder:"MODEL"`
	Data           []string `required:"" sep:"none" help:"Dataset directory, .parquet or .jsonl; repeatable. An epoch takes WEIGHT (1) times its rows." placeholder:"PATH[=WEIGHT]"`
	Val            string   `help:"Validation dataset." placeholder:"PATH"`
	Replay         string   `help:"Dataset to mix in, of which --replay-share is drawn in each epoch." placeholder:"PATH"`
	ReplayShare    float64  `help:"Share of an epoch's conversations that come from --replay." default:"0"`
	Out            string   `required:"" help:"Directory of the adapter, its metrics and checkpoints." placeholder:"DIR"`
	Rank           int      `help:"LoRA rank." default:"128"`
	Alpha          float64  `help:"LoRA alpha; the update is scaled by alpha/rank." default:"128"`
	Dropout        float64  `help:"Dropout of the adapters' inputs." default:"0"`
	Targets        []string `help:"Layers to adapt: suffixes of their paths, one regular expression for whole paths, or all-linear." default:"all-linear"`
	RSLoRA         bool     `name:"rslora" help:"Scale the update by alpha/sqrt(rank)."`
	DoRA           bool     `name:"dora" help:"Train the length of every row of the adapted weights too."`
	LR             float64  `name:"lr" help:"Peak learning rate." default:"1e-4"`
	Schedule       string   `help:"Learning rate schedule: cosine, linear or constant." default:"cosine"`
	Warmup         float64  `name:"warmup-ratio" help:"Share of the steps that warm up." default:"0.03"`
	WeightDecay    float64  `help:"Decoupled weight decay." default:"0"`
	Clip           float64  `help:"Largest gradient norm; 0 is off." default:"1"`
	Objective      string   `help:"What is trained: sft (answers), text (plain text) or dpo (preferences)." default:"sft" enum:"sft,text,dpo"`
	Beta           float64  `help:"DPO's beta: how strongly the model is held to what it was." default:"0.1"`
	NEFTune        float64  `name:"neftune" help:"Noise on the embeddings, NEFTune's alpha; 0 is none." default:"0"`
	LossNorm       string   `help:"Mean over the tokens of a step, or of micro-batches' means (hf-legacy)." default:"tokens" enum:"tokens,hf-legacy"`
	MicroBatch     int      `help:"Conversations of a micro-batch, whose mean hf-legacy takes." default:"4"`
	Epochs         int      `help:"Passes over the data." default:"1"`
	MaxSteps       int      `help:"Optimiser steps, whatever --epochs says; 0 is all of the epochs." default:"0"`
	Batch          int      `help:"Conversations per optimiser step." default:"16"`
	MicroTokens    int      `help:"Tokens per forward and backward pass; 0 is 2048 on the CPU, and on a GPU up to 32768, as its memory allows." default:"0"`
	MaxLength      int      `help:"Longest conversation in tokens; longer ones lose their last turns." default:"2048"`
	LastTurn       bool     `help:"Train the last answer of each conversation alone."`
	GroupByLength  bool     `help:"Make steps of conversations of similar length."`
	DropDuplicates bool     `help:"Drop rows whose tokens an earlier row of their set has."`
	MaxDropped     float64  `help:"Largest share of rows without anything to train on; more is an error." default:"0.01"`
	ChatFormat     string   `help:"Chat format for a base model without a template: ${chat_formats}." placeholder:"NAME"`
	ChatDate       string   `help:"Date for chat templates that ask for today's; default: ${chat_date}." placeholder:"YYYY-MM-DD"`
	Thinking       bool     `help:"Render conversations with enable_thinking, for templates of reasoning models."`
	DType          string   `name:"dtype" help:"Type of the base weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	Divergence     float64  `help:"Set the run back if its loss stays this far above its running mean; 0 is off." default:"4"`
	Patience       int      `help:"End after this many validations without a smaller loss; 0 is never." default:"0"`
	EvalSteps      int      `help:"Steps between validations; 0 is each epoch." default:"0"`
	SaveSteps      int      `help:"Steps between checkpoints; 0 is by time alone." default:"50"`
	SaveMinutes    float64  `help:"Minutes between checkpoints; 0 is by steps alone." default:"30"`
	Keep           int      `help:"Checkpoints to keep." default:"2"`

	Adapter       string             `help:"Adapter to continue, of barka or peft: directory or hub id." placeholder:"ADAPTER"`
	Exclude       []string           `help:"Layers not to adapt: suffixes of their paths." placeholder:"NAME"`
	Layers        []int              `help:"Numbers of the layers to adapt, from 0; default: all." placeholder:"N"`
	RankPattern   map[string]int     `help:"Other ranks: a regular expression for the ends of paths, and a rank." placeholder:"RE=RANK"`
	AlphaPattern  map[string]float64 `help:"Other alphas: a regular expression for the ends of paths, and an alpha." placeholder:"RE=ALPHA"`
	ModulesToSave []string           `help:"Modules to train themselves: the embeddings (embed_tokens), the head (lm_head), or both." placeholder:"NAME"`
	Init          string             `help:"Initialisation of the adapters: gaussian, olora, pissa, pissa_niter_N; default: PEFT's." placeholder:"NAME"`

	SamplePrompts  string `help:"Prompts to answer during the run, plain or JSON lines; answers go to OUT/samples.jsonl." placeholder:"FILE"`
	SampleTokens   int    `help:"Longest answer to a sample prompt, in tokens." default:"128"`
	Eval           string `help:"Benchmark tasks to evaluate during the run, as in barka eval --tasks." placeholder:"TASKS"`
	EvalData       string `help:"Benchmark files in the hub's layout; default: the hub's cache." env:"BARKA_BENCHMARKS" placeholder:"DIR"`
	EvalMaxSamples int    `help:"Largest number of questions per task of --eval; 0 is all." default:"0"`
	Every          int    `help:"Steps between samples and evaluations; 0 is at each validation, or each epoch." default:"0"`

	Checkpointing string  `help:"Recompute activations, not keep them: on, off, or auto." default:"auto" enum:"auto,on,off"`
	Restart       bool    `help:"Discard an output made with other options."`
	OtherDevice   bool    `name:"allow-other-device" help:"Continue a run that began on another --device; its bits are those of no single device."`
	Preview       bool    `help:"Show conversations with their trained tokens marked; train nothing."`
	PreviewRows   int     `help:"Conversations that --preview shows." default:"3"`
	DryRun        bool    `help:"Tokenize, count, estimate memory and time; train nothing."`
	Probe         int     `help:"Steps that --dry-run takes to estimate the time; 0 takes none and loads no weights." default:"2"`
	PricePerHour  float64 `help:"Price of this machine per hour, to estimate the cost of the run." placeholder:"PRICE"`
}

func (trainCmd) Help() string {
	return `Trains LoRA adapters on the tokens of the assistant's messages, the end of turn included. Conversations
are rendered with the model's chat template, as by apply_chat_template of transformers. Text of a
message that spells a control token, such as <|im_end|>, stays text.

--objective text continues pretraining: rows have a text, and texts are packed to --max-length without
seeing each other. --objective dpo prefers answers: rows have chosen and rejected, each a list of
messages, or a text beside a prompt. What the model thinks of both is computed once, before the first
step.

Writes PEFT's adapter_config.json and adapter_model.safetensors, metrics.jsonl, TensorBoard events,
and checkpoints. The same command resumes an interrupted run from its last checkpoint, and writes
the same bytes as an uninterrupted one. During the run everything is in OUT.partial, metrics and
events in OUT.partial/final. With --restart, an earlier OUT stays until the adapter is complete.

SIGINT and SIGTERM write a checkpoint and end the program; SIGUSR1 writes one and goes on. With
--val, OUT/best holds the adapter with the smallest validation loss. A finished run is extended by
the same command with more --epochs or --max-steps: it goes on from its last checkpoint, with the
learning rates that the longer schedule has there. --save-steps, --save-minutes, --keep and
--checkpointing may differ between the parts of a run; they change no result.

A run that needs more memory than is available is refused, with settings that would fit.

--sample-prompts and --eval look at the model as it is trained: before the first step, every --every
steps, and at the end. They change no bit of the adapter. Prompts are answered greedily.

A conversation that is too long loses its last turns; half an answer is never trained. Rows that
cannot be trained on are dropped and counted, and more than --max-dropped of them are an error.
--preview shows what is trained. docs/train.md has all cases.

Examples:

  barka train --model google/gemma-2-2b-it --data data/mix --out runs/adapter --preview

  barka train --model google/gemma-2-2b-it --data data/mix --out runs/adapter`
}

func (c *trainCmd) options() train.Options {
	o := train.Defaults()
	o.Rank, o.Alpha, o.Dropout, o.Targets, o.RSLoRA = c.Rank, c.Alpha, c.Dropout, c.Targets, c.RSLoRA
	o.DoRA, o.Adapter, o.Init, o.RankPattern, o.AlphaPattern = c.DoRA, c.Adapter, c.Init, c.RankPattern, c.AlphaPattern
	o.Exclude, o.Layers, o.ModulesToSave = c.Exclude, c.Layers, c.ModulesToSave
	o.LR, o.Schedule, o.WarmupRatio, o.WeightDecay, o.Clip = c.LR, c.Schedule, c.Warmup, c.WeightDecay, c.Clip
	o.Epochs, o.Batch, o.MicroTokens, o.MaxLength = c.Epochs, c.Batch, c.MicroTokens, c.MaxLength
	o.MaxSteps, o.EvalSteps = c.MaxSteps, c.EvalSteps
	o.SaveSteps, o.SaveMinutes, o.Keep, o.Checkpointing = c.SaveSteps, c.SaveMinutes, c.Keep, c.Checkpointing
	o.LastTurn, o.GroupByLength, o.DropDuplicates, o.MaxDropped = c.LastTurn, c.GroupByLength, c.DropDuplicates, c.MaxDropped
	o.ReplayShare, o.Objective, o.Beta, o.NEFTune = c.ReplayShare, c.Objective, c.Beta, c.NEFTune
	o.LossNorm, o.MicroBatch, o.Patience, o.Divergence = c.LossNorm, c.MicroBatch, c.Patience, c.Divergence
	o.ChatFormat, o.ChatDate, o.Thinking = c.ChatFormat, c.ChatDate, c.Thinking
	o.SamplePrompts, o.SampleTokens, o.Eval, o.Every = c.SamplePrompts, c.SampleTokens, c.Eval, c.Every
	if c.Eval != "" { // the environment may set the directory for other verbs
		o.EvalData = c.EvalData
	}
	o.EvalMaxSamples = c.EvalMaxSamples
	return o
}

func (c *trainCmd) Run(a *app) error {
	o := c.options()
	if err := o.Validate(); err != nil {
		return err
	}
	needed := []modelFiles{weights(c.Model)}
	if c.Adapter != "" {
		needed = append(needed, adapter(c.Adapter))
	}
	if err := a.ensure(needed...); err != nil {
		return err
	}
	if c.Adapter != "" {
		dir, err := hub.ResolveAdapter(c.Adapter)
		if err != nil {
			return err
		}
		o.Adapter = dir
	}
	if c.Probe < 0 || c.PricePerHour < 0 {
		return usagef("--probe and --price-per-hour must not be negative")
	}
	e := a.engine(c.DType)
	in, err := c.input(a, e, o)
	if err != nil {
		return err
	}
	defer in.Close()
	if o.DType, err = e.TypeOf(c.Model); err != nil {
		return err
	}
	if c.DryRun || c.Preview {
		return c.look(a, o, in.Input)
	}
	if in.ModelDigest, err = e.Digest(c.Model); err != nil {
		return err
	}
	env := a.env(c.Out, nil, c.Restart)
	env.AllowOtherDevice = c.OtherDevice
	s, err := train.Run(a.ctx, o, in.Input, env)
	if err != nil {
		return err
	}
	a.finished(recipe.TrainStep(c.Out, s, time.Since(a.start)))
	return a.ui.Print(fmt.Sprintf("%d steps, loss %.4f to %.4f; adapter in %s", s.Steps, s.FirstLoss, s.FinalLoss, c.Out), s)
}

// look shows the data or the estimate of a run, and trains nothing.
func (c *trainCmd) look(a *app, o train.Options, in train.Input) error {
	plan, err := train.Plan(a.ctx, o, in, a.Seed)
	if plan == nil {
		return err
	}
	defer plan.Close()
	if c.Preview {
		return cmp.Or(c.preview(a, o, in, plan), err)
	}
	return c.estimate(a, o, in, plan, err)
}

// estimate prints the estimate of a run: with refused, why it would not start.
func (c *trainCmd) estimate(a *app, o train.Options, in train.Input, plan *train.Estimate, refused error) error {
	if refused == nil && c.Probe > 0 {
		if err := plan.Time(a.ctx, o, in, a.Seed, c.Probe, c.PricePerHour); err != nil {
			return err
		}
	}
	return cmp.Or(a.ui.Print(plan.Text(), plan), refused)
}

// input returns the input of a training run. The model is opened when it is needed.
func (c *trainCmd) input(a *app, e *backend.Engine, o train.Options) (*backend.Training, error) {
	sources, err := c.sources()
	if err != nil {
		return nil, err
	}
	l, err := e.Outline(c.Model, false)
	if err != nil {
		return nil, err
	}
	if err := a.evalData(o, c.DryRun || c.Preview); err != nil {
		return nil, err
	}
	in, err := e.Training(c.Model, o, hub.CacheDir())
	if err != nil {
		return nil, err
	}
	in.Tokenizer, in.Base, in.Train, in.Replay, in.Val = l.Tokenizer, c.Model, sources, c.Replay, c.Val
	in.Peak, in.Save = a.peak(), checkpointSignal()
	return in, nil
}

// evalData downloads the benchmarks that are evaluated during a training and are not on this
// machine, unless their directory is given. A dry run only names them.
func (a *app) evalData(o train.Options, dryRun bool) error {
	if o.Eval == "" || o.EvalData != "" {
		return nil
	}
	selection, err := tasks.ParseList(o.Eval)
	if err != nil {
		return badinput.Errorf("train: eval: %w", err)
	}
	e := eval.Options{Tasks: selection, DataDir: hub.CacheDir()}
	if err := os.MkdirAll(e.DataDir, 0o777); err != nil {
		return badinput.Errorf("the hub's cache cannot be made: %w; name the directory of the benchmarks with --eval-data", err)
	}
	would, err := (&evalRunCmd{DryRun: dryRun}).benchmarks(a, &e)
	if would != "" {
		a.ui.Infof("%s", would)
	}
	return err
}

// peak returns a function for the arithmetic ceiling of weights of a type. Products with int8
// weights are of integers in one direction and of bfloat16 in the other, so they have none.
// A GPU's ceiling is not measured: the function is nil.
func (a *app) peak() func(string) float64 {
	if a.gpu != nil {
		return nil
	}
	return func(dt string) float64 {
		if parsed, err := model.ParseDType(dt); err == nil && parsed != dtype.I8 {
			return bench.Arithmetic(a.Threads, parsed)
		}
		return 0
	}
}

// sources reads --data.
func (c *trainCmd) sources() (all []train.Source, err error) {
	for _, arg := range c.Data {
		s := train.Source{Path: arg}
		if path, weight, ok := cutLast(arg, "="); ok {
			w, err := strconv.ParseFloat(weight, 64)
			if there, _ := badinput.Exists(arg); !there {
				if err != nil || !(w > 0) || math.IsInf(w, 0) {
					return nil, usagef("--data %s: the weight is %q, expected a positive number", arg, weight)
				}
				s = train.Source{Path: path, Weight: w}
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// cutLast divides s at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// preview shows the first conversations of a run.
func (c *trainCmd) preview(a *app, o train.Options, in train.Input, plan *train.Estimate) error {
	if c.PreviewRows < 1 {
		return usagef("--preview-rows must be positive")
	}
	rows, err := plan.Preview(o, in.Tokenizer, a.Seed, c.PreviewRows)
	if err != nil {
		return err
	}
	before, after := "⟦", "⟧"
	if a.ui.Colour() {
		before, after = "\x1b[32m", "\x1b[0m"
	}
	var text strings.Builder
	for i, p := range rows {
		source := printable.Text(strings.TrimSpace(p.Source + " " + p.Side))
		fmt.Fprintf(&text, "%s: step %d, %d tokens, %d of them trained\n", source, p.Step, p.Tokens, p.Trained)
		for _, s := range p.Parts {
			if s.Trained {
				text.WriteString(before + printable.Text(s.Text) + after)
			} else {
				text.WriteString(printable.Text(s.Text))
			}
		}
		if text.WriteString("\n"); i < len(rows)-1 {
			text.WriteString("\n")
		}
	}
	for _, w := range plan.Warnings() {
		a.ui.Warnf("%s", w)
	}
	if a.ui.Colour() {
		return a.ui.Styled(text.String())
	}
	return a.ui.Print(text.String(), rows)
}
