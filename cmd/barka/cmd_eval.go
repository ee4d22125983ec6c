package main

import (
	"errors"
	"fmt"
	"strings"

	"barka/internal/badinput"
	"barka/internal/stage/eval"
	"barka/internal/stage/eval/tasks"
)

// evalCmd has two sub-verbs; plain "barka eval --model …" runs the first.
type evalCmd struct {
	Run     evalRunCmd     `cmd:"" default:"withargs" help:"Evaluate a model."`
	Convert evalConvertCmd `cmd:"" help:"Bring the public AceGPT benchmark files into the hub's layout."`
}

type evalRunCmd struct {
	Model       string `help:"Model directory, or hub id." xor:"model"`
	ModelArgs   string `name:"model-args" aliases:"model_args" help:"lighteval's spelling: pretrained=MODEL,dtype=bfloat16,..." xor:"model"`
	Adapter     string `help:"LoRA adapter directory on top of the model."`
	DType       string `name:"dtype" help:"Type of the weights: bf16 or f32; the checkpoint's own by default."`
	Tasks       string `help:"A file or comma-separated list of suite|task|shots|truncate, or names such as acva; list prints them." default:"oall"`
	OutputDir   string `name:"output-dir" aliases:"output_dir" help:"Directory of results and details." default:"evals"`
	Data        string `help:"Directory of the benchmark files in the hub's layout (OALL/Arabic_MMLU/...)." placeholder:"DIR"`
	MaxSamples  int    `name:"max-samples" aliases:"max_samples" help:"Most questions of a task; 0 is all." default:"0"`
	BatchSize   int    `name:"override-batch-size" aliases:"override_batch_size" help:"Recorded in the results; scores do not depend on it." default:"0"`
	MaxLength   int    `help:"Longest input; 0 is the model's." default:"0"`
	Border      string `help:"How token borders are cut: joint (as lighteval 2024-05), guarded or pairwise." default:""`
	Chat        bool   `name:"use-chat-template" aliases:"use_chat_template" help:"Put prompts into the model's chat format."`
	System      string `name:"system-prompt" aliases:"system_prompt" help:"System prompt with --use-chat-template."`
	NoShare     bool   `help:"Run every request by itself, also what it has in common with others: slower, the same scores."`
	NoDetails   bool   `help:"Leave out the details files."`
	SaveDetails bool   `name:"save-details" aliases:"save_details" hidden:""`
	CustomTasks string `name:"custom-tasks" aliases:"custom_tasks" hidden:""`
	Processes   int    `name:"dataset-loading-processes" aliases:"dataset_loading_processes" hidden:""`
	DryRun      bool   `help:"Count questions, requests and tokens; score nothing."`
}

func (evalCmd) Help() string {
	return `Scores multiple-choice tasks as lighteval of May 2024 does, prompts and result file to the byte. A killed run goes on where it stopped; scores already computed are reused.

Example: barka eval --model google/gemma-2-2b-it --tasks acva,arabic_mmlu --data benchmarks --output-dir evals`
}

// modelArgs reads lighteval's --model_args.
func (c *evalRunCmd) modelArgs() error {
	for _, kv := range strings.Split(c.ModelArgs, ",") {
		k, v, _ := strings.Cut(kv, "=")
		switch strings.TrimSpace(k) {
		case "pretrained":
			c.Model = v
		case "delta_weights", "adapter_weights", "base_model", "use_chat_template", "trust_remote_code", "":
		}
	}
	if c.Model == "" {
		return usagef("eval: no model; use --model MODEL, or --model_args pretrained=MODEL")
	}
	return nil
}

func (c *evalRunCmd) Run(a *app) error {
	if c.Tasks == "list" {
		return tasks.WriteList(a.stdout)
	}
	if err := c.modelArgs(); err != nil {
		return err
	}
	selection, err := tasks.ParseList(c.Tasks)
	if err != nil {
		return badinput.Wrap(err)
	}
	o := eval.Options{Tasks: selection, DataDir: c.Data, OutputDir: c.OutputDir, MaxSamples: c.MaxSamples, BatchSize: c.BatchSize,
		MaxLength: c.MaxLength, Border: eval.Border(c.Border), UseChatTemplate: c.Chat, SystemPrompt: c.System, NoDetails: c.NoDetails, Log: a.log()}
	if err := o.Validate(); err != nil {
		return err
	}
	d, err := a.engine(c.DType).OpenDecoder(c.Model, c.Adapter)
	if err != nil {
		return err
	}
	m, err := d.Evaluated()
	if err != nil {
		return err
	}
	m.Apart = c.NoShare
	if c.DryRun {
		estimates, failures, err := eval.Estimate(a.ctx, m, o, a.ui.Progress())
		if err != nil && len(estimates) == 0 {
			return err
		}
		return c.estimate(a, estimates, failures)
	}
	out, err := eval.Run(a.ctx, m, o, a.ui.Progress())
	if out == nil {
		return err
	}
	return errors.Join(c.print(a, out), err)
}

func (c *evalRunCmd) estimate(a *app, es []eval.TaskEstimate, failures []eval.Failure) error {
	var rows [][]any
	var questions, requests int
	var tokens int64
	for _, e := range es {
		rows = append(rows, []any{e.Task, e.Questions, e.Requests, e.Tokens})
		questions, requests, tokens = questions+e.Questions, requests+e.Requests, tokens+e.Tokens
	}
	rows = append(rows, []any{"all", questions, requests, tokens})
	for _, f := range failures {
		a.ui.Warnf("%s: %v", f.Task, f.Err)
	}
	return a.ui.Table([]string{"task", "questions", "requests", "tokens"}, rows)
}

func (c *evalRunCmd) print(a *app, out *eval.Outcome) error {
	for _, f := range out.Failures {
		a.ui.Warnf("%s: %v", f.Task, f.Err)
	}
	a.ui.Infof("%d requests scored, %d reused", out.Scored, out.Reused)
	return a.ui.Print(out.Console+"\nresults: "+out.ResultsPath, map[string]any{"results": out.ResultsPath, "details": out.DetailsDir, "table": out.TablePath})
}

type evalConvertCmd struct {
	Src string `arg:"" help:"Directory of AceGPT's benchmark files (MMLUArabic, EXAMS_Arabic, ArabicCulture)."`
	Dst string `arg:"" help:"Directory to write, for eval's --data."`
}

func (c *evalConvertCmd) Run(a *app) error {
	n, err := eval.ConvertAceGPT(a.ctx, c.Src, c.Dst, a.ui.Progress())
	if err != nil {
		return err
	}
	return a.ui.Print(fmt.Sprintf("%d files in %s", n, c.Dst), map[string]any{"files": n, "out": c.Dst})
}
