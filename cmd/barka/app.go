package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/chattranslator"
	"barka/internal/cpu"
	"barka/internal/dataset"
	"barka/internal/digestcache"
	"barka/internal/durable"
	"barka/internal/filelock"
	"barka/internal/mapped"
	"barka/internal/recipe"
	"barka/internal/segment"
	"barka/internal/stage/decontaminate"
	"barka/internal/ui"
	"barka/internal/version"
)

// Exit codes, as the help says them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitBadInput    = 3
	exitDifferent   = 4
	exitInterrupted = 130
)

const description = `Barka takes an open large language model to a new language, Arabic first:
Wikipedia pages, questions and answers, translation, fine-tuning, evaluation.

Start with "barka demo", which runs the whole chain offline in a minute.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad input (a file, model or dataset),
4 different (diff, reproduce), 130 interrupted. If the message says so, the same command resumes an interrupted run.`

// globals are the flags that every verb has.
type globals struct {
	JSON    bool   `name:"json" help:"Write results, progress and the exit as JSON lines (docs/json-events.md)."`
	Quiet   bool   `short:"q" help:"Print only results and errors."`
	Threads int    `help:"Worker threads; 0 is one per core." default:"0"`
	Device  string `help:"Where models compute: cpu, cuda for an NVIDIA GPU, cuda:N for GPU N, or auto for a GPU if there is one." default:"cpu" placeholder:"DEVICE"`
	Seed    int64  `help:"Seed of all random choices." default:"42"`
	Rehash  bool   `help:"Read models, inputs and finished outputs again, even if their digests are remembered and no file has changed."`
	Offline bool   `help:"Do not contact the Hugging Face hub, as with HF_HUB_OFFLINE=1."`

	Version kong.VersionFlag `help:"Print the version."`
}

// commands are the verbs, in the order of the work.
type commands struct {
	globals

	Init initCmd `cmd:"" help:"Write a recipe with comments, from a few questions or flags."`
	Demo demoCmd `cmd:"" help:"Run the whole chain offline on embedded pages and tiny models."`
	Run  runCmd  `cmd:"" help:"Run a recipe: every stage in order, resumed where it stopped."`

	Download downloadCmd `cmd:"" help:"Download a model, an adapter or a dataset from the Hugging Face hub."`
	Models   modelsCmd   `cmd:"" help:"List what the hub's cache holds, or remove it."`

	Wiki    wikiCmd          `cmd:"" help:"Turn Wikipedia pages into passages."`
	Synth   synthCmd         `cmd:"" help:"Turn passages into instructions with a language model."`
	Convert convertCmd       `cmd:"" help:"Turn a benchmark's training set into instructions."`
	Filter  filterCmd        `cmd:"" help:"Drop instructions by quality rules, each with a reason."`
	Clean   decontaminateCmd `cmd:"" name:"decontaminate" help:"Remove rows that hold questions of the benchmarks."`
	Mix     mixCmd           `cmd:"" help:"Join datasets into one shuffled training set with its card."`

	Diff diffCmd `cmd:"" help:"Compare the rows of two runs of a stage, word by word."`
	View viewCmd `cmd:"" help:"Write one HTML page with rows, to read, search and review in a browser."`
	Show showCmd `cmd:"" help:"Print rows of a dataset, right-to-left text as the terminal needs it."`

	Translate translateCmd `cmd:"" help:"Translate lines, or a dataset's messages, with NLLB or a chat model."`
	BLEU      bleuCmd      `cmd:"" name:"bleu" help:"Score translations against references with BLEU, chrF and chrF++."`
	Train     trainCmd     `cmd:"" help:"Fine-tune a model with LoRA."`
	Merge     mergeCmd     `cmd:"" help:"Merge an adapter into its base model."`
	Eval      evalCmd      `cmd:"" help:"Evaluate a model on the Open Arabic LLM Leaderboard's tasks."`
	Compare   compareCmd   `cmd:"" help:"Test whether one evaluation is better than another, and find the questions that flipped."`
	Audit     auditCmd     `cmd:"" help:"Find defects of benchmarks, and their questions in training sets."`
	Lock      lockCmd      `cmd:"" help:"Write down a run: digests of all that it read and made."`
	Again     reproduceCmd `cmd:"" name:"reproduce" help:"Run a lock file's recipe again and compare."`
	Report    reportCmd    `cmd:"" help:"Write one HTML page about a run."`
	Publish   publishCmd   `cmd:"" help:"Publish a dataset, an adapter or a model on the Hugging Face hub."`

	Generate generateCmd `cmd:"" help:"Continue or answer prompts."`
	Score    scoreCmd    `cmd:"" help:"Compute log-likelihoods of continuations, JSON lines in and out."`
	Tokenize tokenizeCmd `cmd:"" help:"Turn text into token ids, line by line, and back."`
	Bench    benchCmd    `cmd:"" help:"Measure speed, share of the machine's ceilings and memory on checkpoints of real shapes."`
	Doctor   doctorCmd   `cmd:"" help:"Show what this machine has, and what fits: a model, or a recipe with its time and cost."`

	Completion completionCmd `cmd:"" help:"Print a script that completes verbs and flags in a shell."`
	About      versionCmd    `cmd:"" name:"version" help:"Print the version and the build."`
}

// app holds what every verb needs to run: the global flags, the streams and the
// state of this invocation.
type app struct {
	globals
	ctx          context.Context
	stdin        io.Reader
	stdout       io.Writer
	stderr       io.Writer
	ui           *ui.UI
	verb         string
	start        time.Time
	opened       *backend.Engine
	gpu          gpu  // that --device names, or nil
	notResumable bool // an interrupted run of this verb starts again from the beginning
}

// newParser returns the parser of the command line that fills c.
func newParser(c *commands, options ...kong.Option) (*kong.Kong, error) {
	vars := kong.Vars{"version": "barka " + version.Barka, "chat_formats": strings.Join(chat.Formats(), ", "),
		"families":  strings.Join(chattranslator.Families(), ", "),
		"kinds":     strings.Trim(fmt.Sprint(segment.Cuts()), "[]"),
		"chat_date": chat.DefaultDate,
		"originals": strings.Join(decontaminate.OriginalNames(), ",")}
	return kong.New(c, append(options, kong.Name("barka"), kong.Description(description), vars,
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))...)
}

// run parses the arguments, runs the verb and returns the exit code. With
// --json the last event is the exit, on every path.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	start := time.Now()
	var c commands
	exited := -1
	parser, err := newParser(&c, kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "barka:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if i := slices.IndexFunc(args, func(arg string) bool { return !utf8.ValidString(arg) }); i >= 0 {
		err = fmt.Errorf("argument %d, %q, is not UTF-8", i+1, args[i]) // the parser replaces such bytes
	}
	screen, flush := ui.Screen(stdout)
	out := &checkedWriter{to: screen}
	a := &app{globals: c.globals, start: start, ctx: ctx,
		stdin: &interruptible{ctx: ctx, from: stdin}, stdout: out, stderr: stderr,
		ui: ui.New(ui.Options{JSON: c.JSON || asksJSON(args), Quiet: c.Quiet, Stdout: stdout, Stderr: stderr})}
	digestcache.Rehash(c.Rehash)
	filelock.Note = func(s string) { a.ui.Warnf("%s", s) }
	if err == nil && parsed.Selected() != nil {
		a.verb, _, _ = strings.Cut(parsed.Command(), " ")
		a.notResumable = slices.Contains(notResumable, a.verb) || slices.Contains(args, "--dry-run")
	}
	code := exited
	switch _, unusable := cpu.Selected(); {
	case exited >= 0:
		err = nil
	case err != nil:
		a.ui.Errorf("%s", usage(err))
		code = exitUsage
	case unusable != nil:
		err, code = unusable, exitUsage
		a.ui.Errorf("%v", err)
	default:
		err = a.onDevice(func() error { return mapped.Guard(func() error { return parsed.Run(a) }) })
		if flushed := flush(); err == nil {
			err = cmp.Or(out.err, flushed) // the verb may have ignored a failed write
		}
		if err == nil {
			err = ctx.Err() // a calling script must see the interruption, even if the work was done
		}
		code = a.code(err)
	}
	a.exit(code, err)
	return code
}

// asksJSON reports whether --json is among arguments that could not be parsed.
func asksJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--" {
			return false
		}
		if arg == "--json" || arg == "--json=true" {
			return true
		}
	}
	return false
}

// statuses name the exit codes in events.
var statuses = map[int]string{
	exitDone: "done", exitFailed: "failed", exitUsage: "usage", exitBadInput: "bad_input",
	exitDifferent: "different", exitInterrupted: "interrupted",
}

// exit writes the last event of --json.
func (a *app) exit(code int, err error) {
	e := struct {
		Code    int     `json:"code"`
		Status  string  `json:"status"`
		Verb    string  `json:"verb,omitempty"`
		Seconds float64 `json:"seconds"`
		Error   string  `json:"error,omitempty"`
		// Problems are a recipe's mistakes, one by one.
		Problems []recipe.Problem `json:"problems,omitempty"`
	}{code, statuses[code], a.verb, time.Since(a.start).Seconds(), "", nil}
	if err != nil {
		e.Error = withoutSecrets(err.Error())
	}
	var p *recipe.Problems
	if errors.As(err, &p) {
		e.Problems = p.List
	}
	a.ui.Exit(e)
}

// notResumable lists the verbs that start again from the beginning after an
// interruption. They take seconds to minutes, or write each answer as they read.
var notResumable = []string{
	"audit", "bench", "bleu", "compare", "completion", "diff", "doctor", "generate", "init", "lock", "merge", "mix", "models",
	"report", "score", "show", "tokenize", "version", "view",
}

// code reports an error and returns its exit code.
func (a *app) code(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		if a.notResumable {
			a.ui.Warnf("interrupted")
		} else {
			a.ui.Warnf("interrupted; the same command resumes from here")
		}
		return exitInterrupted
	case errors.As(err, &usage):
		a.ui.Errorf("%v", err)
		return exitUsage
	case errors.Is(err, differentError{}):
		return exitDifferent
	case badinput.Is(err):
		a.ui.Errorf("%v", err)
		return exitBadInput
	}
	if report := a.defect(err); report != "" {
		a.ui.Errorf("%s", report)
		return exitFailed
	}
	a.ui.Errorf("%v", err)
	return exitFailed
}

// usageError is a mistake in the command line that the parser cannot see.
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// env returns the environment of a stage that reads the inputs in and writes out.
func (a *app) env(out string, in map[string]string, restart bool) durable.Env {
	return durable.Env{Out: out, In: in, Restart: restart, Seed: a.Seed, Progress: a.ui.Progress(), Log: a.log()}
}

// log returns the logger of warnings: text lines, or with --json events of the
// name warning whose attributes are fields.
func (a *app) log() *slog.Logger {
	switch {
	case a.JSON:
		o := &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: eventField}
		return slog.New(slog.NewJSONHandler(a.stderr, o)).With("event", "warning")
	case a.Quiet:
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(ui.NewWarnings(a.stderr))
}

// eventField turns an attribute of a log record into the field of an event:
// without time and level, and with the message under "message".
func eventField(groups []string, at slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case at.Key == slog.TimeKey, at.Key == slog.LevelKey:
		return slog.Attr{}
	case at.Key == slog.MessageKey:
		at.Key = "message"
	}
	return at
}

// engine returns this command's engine, set to open models with weights of a
// type. All uses share one engine, which notices a model that changes between them.
func (a *app) engine(dtype string) *backend.Engine {
	if a.opened == nil {
		a.opened = backend.NewEngine(a.Threads, "", func(note string) { a.ui.Infof("%s", note) })
		a.opened.Progress, a.opened.Context = a.ui.Progress(), a.ctx
		if a.gpu != nil {
			a.opened.On(a.gpu)
		}
	}
	return a.opened.As(dtype)
}

// counts reports a finished stage's counts.
func (a *app) counts(stage, out string, m *dataset.Manifest) {
	text := fmt.Sprintf("%s: %d rows in %s (%s)", stage, m.Rows, out, countsText(m.Counts))
	a.ui.Event("stage", text, recipe.DatasetStep(stage, out, m, time.Since(a.start)))
	a.warn(stage, m.Notes)
}

// warn prints the notes of a finished stage about its rows.
func (a *app) warn(stage string, notes []string) {
	for _, n := range notes {
		a.ui.Warnf("%s: %s", stage, n)
	}
}
