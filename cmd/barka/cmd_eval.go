package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/eval"
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/llm"
	"barka/internal/recipe"
	"barka/internal/resident"
)

// evalCmd has three sub-verbs; plain "barka eval --model …" runs the first.
type evalCmd struct {
	Run     evalRunCmd     `cmd:"" default:"withargs" help:"Evaluate a model."`
	Merge   evalMergeCmd   `cmd:"" help:"Join the shards of one evaluation into its results."`
	Pack    evalPackCmd    `cmd:"" help:"Write one archive of all that an evaluation reads, for machines without network."`
	Convert evalConvertCmd `cmd:"" help:"Convert the public AceGPT benchmark files to the hub's layout."`
}

// pinned holds revisions by repository.
type pinned map[string]string

type evalRunCmd struct {
	Model         string `help:"Model directory, hub id, or the endpoint's name for the model." xor:"model" placeholder:"MODEL"`
	Adapter       string `help:"LoRA adapter on top of the model: directory or hub id." placeholder:"ADAPTER"`
	DType         string `name:"dtype" help:"Type of the weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	Tasks         string `help:"A file or comma-separated list of tasks, or names such as acva; list prints them." default:"oall"`
	OutputDir     string `aliases:"output_dir" help:"Directory of results and details." default:"evals"`
	Store         string `help:"Directory of the score store; default: cache in the output directory." placeholder:"DIR"`
	Data          string `help:"Benchmark files in the hub's layout; default: the hub's cache." env:"BARKA_BENCHMARKS" placeholder:"DIR"`
	Pack          string `help:"Archive of barka eval pack, in place of --data; its tasks are the default." placeholder:"FILE"`
	Revisions     pinned `help:"Revisions of the hub's datasets, such as OALL/ACVA=COMMIT; default: main." placeholder:"REPO=REVISION"`
	NumFewshot    *int   `aliases:"num_fewshot" help:"Examples before each question; default: the task list's numbers." placeholder:"K"`
	MaxSamples    int    `aliases:"max_samples" help:"Largest number of questions per task; 0 is all." default:"0"`
	BatchSize     int    `name:"override-batch-size" aliases:"override_batch_size" help:"Recorded in the results only." default:"0"`
	MaxLength     int    `help:"Longest input in tokens; 0 is the model's." default:"0"`
	TokenBoundary string `aliases:"border" help:"How prompt and choice become tokens: joint, guarded or pairwise." placeholder:"MODE"`
	AlGhafa       string `name:"alghafa" help:"How AlGhafa's options are scored: text or index." placeholder:"MODE"`
	JudgeURL      string `name:"judge-url" help:"OpenAI-compatible address of ALRAGE's judge." placeholder:"URL"`
	JudgeModel    string `help:"The endpoint's name for the judge." placeholder:"NAME"`
	JudgeKey      string `name:"judge-key-variable" help:"Environment variable that holds the judge's API key." placeholder:"NAME"`
	Chat          bool   `name:"use-chat-template" aliases:"use_chat_template" help:"Put prompts into the model's chat format."`
	System        string `name:"system-prompt" aliases:"system_prompt" help:"System prompt with --use-chat-template." placeholder:"TEXT"`
	NoShare       bool   `help:"Run every request separately, without prefix sharing: slower, the same scores."`
	NoDetails     bool   `help:"Write no details files."`
	JobID         string `name:"job-id" aliases:"job_id" help:"Recorded in the results only." placeholder:"ID"`
	DryRun        bool   `help:"Count questions, requests and tokens; estimate time and memory from one question."`

	endpointFlags
	shardFlags
	lightevalFlags
}

func (evalCmd) Help() string {
	return `barka eval --model MODEL is short for barka eval run --model MODEL. All flags and what the modes mean
are in barka eval run --help.

Examples:
  barka eval --model google/gemma-2-2b-it --tasks acva,arabic_mmlu --output-dir evals
  barka eval --tasks list`
}

func (evalRunCmd) Help() string {
	return `Scores multiple-choice tasks as lighteval of May 2024 does: prompts and result file are equal to the
byte. An interrupted run is resumed by the same command, and scores that were computed are reused.

Models, adapters and benchmarks that are named by hub ids and are not in the hub's cache are
downloaded first. With --data, benchmarks come only from that directory, which has the hub's layout
(OALL/Arabic_MMLU/...). A task without data is listed with the reason and the command that
downloads it; the other tasks run.

Examples:
  barka eval --model google/gemma-2-2b-it --tasks acva,arabic_mmlu --output-dir evals
  barka eval --model google/gemma-2-2b-it --tasks acva,arabic_mmlu --data benchmarks --offline

--tasks takes names such as acva (no examples before the questions), or lighteval's
suite|task|shots|truncate. oall is version 1 of the leaderboard. oall-v2 is version 2: other tasks,
the prompts of lighteval since March 2025, and a table of seven rows. Version 2 used the chat
template of models that have one; add --use-chat-template for that.

In ALRAGE the model writes answers and a judge marks them (--judge-url, --judge-model). The
leaderboard's judge is Qwen/Qwen2.5-72B-Instruct, which samples at temperature 0.8; barka asks at
temperature 0. Without a judge ALRAGE is skipped.

--token-boundary (formerly --border) decides about a token that spans the prompt and the choice:

  - joint, the default of oall: both are encoded together, and what follows the prompt's own number
    of tokens is scored. A token that spans both is lost (lighteval to 0.5).
  - guarded, the default of oall-v2: the same, but if nothing follows, the last token is scored
    (lighteval from 0.6).
  - pairwise: prompt and choice are encoded separately (an option of lighteval from 0.6).

--alghafa concerns the options of AlGhafa and of the six translated tasks with its prompt. text, the
default of oall, scores their full texts. index, the default of oall-v2, scores their numbers "0",
"1", … (lighteval since March 2025). The prompt is the same.

lighteval of 2024 shuffles SciQ's options without a seed; barka shuffles them with seed 1234.

Any number of runs may share a --store, also at the same time; nothing is scored twice.

Several processes may each score a shard, on one machine or many. Under torchrun, srun, a Slurm
array from 0 or an indexed Kubernetes job, --num-shards and --shard are read from the environment:

  barka eval --model DIR --num-shards 4 --shard 0 --output-dir evals
  barka eval merge evals --output-dir evals

A model behind a server can be evaluated if the server's completions return the log-probabilities of
prompts, as those of vLLM do:

  barka eval --endpoint http://localhost:8000/v1 --model google/gemma-2-27b-it \
    --tokenizer google/gemma-2-27b-it --tasks acva --data benchmarks`
}

func (c *evalRunCmd) Run(a *app) error {
	if c.Tasks == "list" {
		return tasks.WriteList(a.stdout)
	}
	o, err := c.options(a)
	if err != nil {
		return err
	}
	if lacking, err := c.download(a, &o); err != nil || lacking {
		return err
	}
	m, err := c.open(a)
	if err != nil {
		return err
	}
	if opened, ok := m.(io.Closer); ok {
		defer opened.Close()
	}
	c.adviseChatTemplate(a, m, o)
	if c.DryRun {
		return c.dryRun(a, m, o)
	}
	out, err := eval.Run(a.ctx, m, o, a.ui.Progress())
	if out == nil {
		return err
	}
	if out.ResultsPath == "" && out.ShardDir != "" {
		return errors.Join(printShard(a, o, out), err)
	}
	return errors.Join(printOutcome(a, out), err)
}

// options returns the validated options of the evaluation that the flags describe.
func (c *evalRunCmd) options(a *app) (o eval.Options, err error) {
	if err := c.apply(a); err != nil {
		return o, err
	}
	if err := c.unpack(a); err != nil {
		return o, err
	}
	read, err := c.taskOptions()
	if err != nil {
		return o, err
	}
	o = eval.Options{Tasks: read.Tasks, DataDir: read.DataDir, Revisions: read.Revisions, OutputDir: c.OutputDir, Store: c.Store,
		MaxSamples: c.MaxSamples, BatchSize: c.BatchSize,
		TokenBoundary: record.TokenBoundary(c.TokenBoundary), AlGhafa: tasks.ChoiceFormat(c.AlGhafa),
		UseChatTemplate: c.Chat, SystemPrompt: c.System, NoDetails: c.NoDetails, JobID: c.JobID, Log: a.log()}
	if o.Shard, err = c.shardOf(a); err != nil {
		return o, err
	}
	if err := o.Validate(); err != nil {
		return o, err
	}
	o.Judge, err = c.judge(a)
	return o, err
}

// adviseChatTemplate advises --use-chat-template if the model has a chat template
// and the tasks are of version 2 of the leaderboard, which uses it.
func (c *evalRunCmd) adviseChatTemplate(a *app, m eval.Model, o eval.Options) {
	t, ok := m.(eval.ChatTemplater)
	if !ok || o.Tasks[0].Task.Leaderboard != tasks.V2 || c.Chat {
		return
	}
	if _, err := t.ApplyChatTemplate([]chat.Message{{Role: "user", Content: "?"}}); err == nil {
		a.ui.Infof("version 2 of the leaderboard uses the chat template of a model that has one, as this model does; " +
			"add --use-chat-template for that")
	}
}

// judge returns the client of the judge, or nil if no judge is named.
func (c *evalRunCmd) judge(a *app) (llm.Client, error) {
	switch {
	case c.JudgeURL == "" && c.JudgeModel == "" && c.JudgeKey == "":
		return nil, nil
	case c.JudgeURL == "" || c.JudgeModel == "":
		return nil, usagef("eval: a judge needs both --judge-url and --judge-model")
	}
	return llm.NewHTTP(llm.Options{BaseURL: c.JudgeURL, Model: c.JudgeModel, KeyVariable: c.JudgeKey,
		Note: func(s string) { a.ui.Infof("%s", s) }})
}

// open opens the model: here, or behind its endpoint. With --dry-run the weights
// are not loaded.
func (c *evalRunCmd) open(a *app) (eval.Model, error) {
	if c.Endpoint != "" {
		return c.openEndpoint(a)
	}
	if err := c.endpointFlags.unused(); err != nil {
		return nil, err
	}
	if c.DryRun {
		m, err := a.engine(c.DType).UnloadedModel(c.Model, c.Adapter)
		if err != nil {
			return nil, err
		}
		if err := c.checkLength(m); err != nil {
			return nil, err
		}
		m.NoPrefixSharing, m.Longest = c.NoShare, c.MaxLength
		return m, nil
	}
	resident.LimitGarbage(20) // most of the heap is weights that live for the whole run
	d, err := a.engine(c.DType).OpenDecoder(c.Model, c.Adapter)
	if err != nil {
		return nil, err
	}
	m, err := d.EvalModel()
	if err != nil {
		return nil, err
	}
	if err := c.checkLength(m); err != nil {
		return nil, err
	}
	m.NoPrefixSharing, m.Longest = c.NoShare, c.MaxLength
	return m, nil
}

// checkLength refuses a --max-length above the model's.
func (c *evalRunCmd) checkLength(m eval.Model) error {
	if n := m.MaxLength(); c.MaxLength < 0 || c.MaxLength > n {
		return badinput.Errorf("--max-length is %d, expected 0 to %d, the longest input of the model", c.MaxLength, n)
	}
	return nil
}

func printOutcome(a *app, out *eval.Outcome) error {
	for _, f := range out.Skipped {
		a.ui.Warnf("%s is skipped: %v", f.Task, f.Err)
	}
	a.ui.Infof("%d requests scored, %d reused", out.Scored, out.Reused)
	if out.ResultsPath == "" {
		return nil // no task is left; the error says why
	}
	a.finished(recipe.EvalStep("eval", filepath.Dir(out.ResultsPath), out, time.Since(a.start)))
	same := out.Leaderboard.SameAnswers()
	for _, n := range same {
		a.ui.Warnf("%s", n)
	}
	return a.ui.Print(out.Console+"\nresults: "+out.ResultsPath, map[string]any{"results": out.ResultsPath,
		"details": out.DetailsDir, "table": out.LeaderboardMD, "page": out.LeaderboardHTML, "same_answers": append([]string{}, same...)})
}

func printShard(a *app, o eval.Options, out *eval.Outcome) error {
	a.ui.Infof("%d requests scored, %d reused", out.Scored, out.Reused)
	a.finished(recipe.EvalStep("eval", out.ShardDir, out, time.Since(a.start)))
	s := o.Shard
	return a.ui.Print(fmt.Sprintf("shard %d of %d: %d questions in %s\nwhen all are done: barka eval merge %s --output-dir %s",
		s.Index, s.Count, out.Questions, out.ShardDir, o.OutputDir, o.OutputDir),
		map[string]any{"shard": s.Index, "num_shards": s.Count, "questions": out.Questions, "out": out.ShardDir})
}
