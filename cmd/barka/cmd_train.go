package main

import (
	"fmt"
	"strings"
	"time"

	"barka/internal/backend"
	"barka/internal/model"
	"barka/internal/printable"
	"barka/internal/recipe"
	"barka/internal/stage/train"
)

type trainCmd struct {
	Model       string   `required:"" help:"Base model directory or hub id; it needs a chat template, or --chat-format." placeholder:"MODEL"`
	Data        string   `required:"" help:"Dataset directory, .parquet or .jsonl with messages or conversations." placeholder:"PATH"`
	Val         string   `help:"Validation dataset." placeholder:"PATH"`
	Out         string   `required:"" help:"Directory of the adapter, its metrics and checkpoints." placeholder:"DIR"`
	Rank        int      `help:"LoRA rank." default:"128"`
	Alpha       float64  `help:"LoRA alpha; the update is scaled by alpha/rank." default:"128"`
	Dropout     float64  `help:"Dropout of the adapters' inputs." default:"0"`
	Targets     []string `help:"Layers to adapt: suffixes of their paths, or all-linear." default:"all-linear"`
	RSLoRA      bool     `name:"rslora" help:"Scale the update by alpha/sqrt(rank)."`
	LR          float64  `name:"lr" help:"Peak learning rate." default:"1e-4"`
	Schedule    string   `help:"Learning rate schedule: cosine, linear or constant." default:"cosine"`
	Warmup      float64  `name:"warmup-ratio" help:"Share of the steps that warm up." default:"0.03"`
	WeightDecay float64  `help:"Decoupled weight decay." default:"0"`
	Clip        float64  `help:"Largest gradient norm; 0 is off." default:"1"`
	Epochs      int      `help:"Passes over the data." default:"1"`
	Batch       int      `help:"Conversations per optimiser step." default:"16"`
	MicroTokens int      `help:"Tokens per forward and backward pass." default:"2048"`
	MaxLength   int      `help:"Longest conversation in tokens; longer ones are cut." default:"2048"`
	ChatFormat  string   `help:"Chat format for a base model without a template: ${chat_formats}." placeholder:"NAME"`
	ChatDate    string   `help:"Date for chat templates that ask for today's; default: ${chat_date}." placeholder:"YYYY-MM-DD"`
	Thinking    bool     `help:"Render conversations with enable_thinking, for templates of reasoning models."`
	DType       string   `name:"dtype" help:"Type of the base weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	SaveSteps   int      `help:"Steps between checkpoints; 0 is never." default:"50"`
	EvalSteps   int      `help:"Steps between validations; 0 is each epoch." default:"0"`
	Restart     bool     `help:"Discard an output made with other options."`
	DryRun      bool     `help:"Tokenize, count and estimate; train nothing."`
}

func (trainCmd) Help() string {
	return `Trains LoRA adapters on the tokens of the assistant's messages, the end of turn included. Conversations
are rendered with the model's chat template, as by apply_chat_template of transformers. Text of a
message that spells a control token, such as <|im_end|>, stays text.

Writes PEFT's adapter_config.json and adapter_model.safetensors, metrics.jsonl, TensorBoard events,
and checkpoints. The same command resumes an interrupted run from its last checkpoint, and writes
the same bytes as an uninterrupted one. During the run everything is in OUT.partial, metrics and
events in OUT.partial/final. With --restart, an earlier OUT stays until the adapter is complete.

Example:

  barka train --model google/gemma-2-2b-it --data data/mix --out runs/adapter`
}

func (c *trainCmd) options() train.Options {
	o := train.Defaults()
	o.Rank, o.Alpha, o.Dropout, o.Targets, o.RSLoRA = c.Rank, c.Alpha, c.Dropout, c.Targets, c.RSLoRA
	o.LR, o.Schedule, o.WarmupRatio, o.WeightDecay, o.Clip = c.LR, c.Schedule, c.Warmup, c.WeightDecay, c.Clip
	o.Epochs, o.Batch, o.MicroTokens, o.MaxLength = c.Epochs, c.Batch, c.MicroTokens, c.MaxLength
	o.SaveSteps, o.EvalSteps = c.SaveSteps, c.EvalSteps
	o.ChatFormat, o.ChatDate, o.Thinking = c.ChatFormat, c.ChatDate, c.Thinking
	return o
}

func (c *trainCmd) Run(a *app) error {
	o := c.options()
	if err := o.Validate(); err != nil {
		return err
	}
	if err := a.ensure(weights(c.Model)); err != nil {
		return err
	}
	d, err := a.engine(c.DType).OpenDecoder(c.Model, "")
	if err != nil {
		return err
	}
	defer d.Close()
	in, err := trainInput(d, c.Data, c.Val)
	if err != nil {
		return err
	}
	o.DType = strings.ToLower(string(d.Model.Info().DType))
	e, err := train.Plan(a.ctx, o, in)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d conversations (%d dropped, %d cut), %d tokens, %d of them trained; %d steps; %d trainable parameters; "+
		"about %s of memory",
		e.Data.Samples(), e.Data.Rows-e.Data.Samples(), e.Data.Cut, e.Data.Tokens, e.Data.Trained, e.Steps, e.Parameters,
		printable.Bytes(e.Memory))
	if c.DryRun {
		return a.ui.Print(text, e)
	}
	a.ui.Event("plan", text, e)
	s, err := train.Run(a.ctx, o, in, a.env(c.Out, nil, c.Restart))
	if err != nil {
		return err
	}
	a.finished(recipe.TrainStep(c.Out, s, time.Since(a.start)))
	return a.ui.Print(fmt.Sprintf("%d steps, loss %.4f to %.4f; adapter in %s", s.Steps, s.FirstLoss, s.FinalLoss, c.Out), s)
}

// trainInput returns the input of a training run on an opened model.
func trainInput(d *backend.Decoder, data, val string) (train.Input, error) {
	digest, err := d.Digest()
	open := func() (model.Decoder, error) { return d.Model, nil }
	return train.Input{Open: open, Tokenizer: d.Tokenizer, Base: d.Name, ModelDigest: digest, Train: data, Val: val}, err
}
