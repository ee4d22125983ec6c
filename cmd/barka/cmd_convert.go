package main

import (
	"fmt"
	"strings"
	"time"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/printable"
	"barka/internal/stage/convert"
)

type convertCmd struct {
	Benchmark string `arg:"" optional:"" help:"Name of the set (see above)."`
	Data      string `help:"File, directory or zip archive of the set, or hub id ORG/NAME[@REVISION]; default: its repository on the hub." placeholder:"DATA"`
	Out       string `help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Labels    string `help:"File of labels (PIQA); default: beside the data." placeholder:"FILE"`
	Split     string `help:"Split of a directory or repository: train, validation or test." default:"train"`
	Config    string `help:"Configuration, a directory of a repository; default: the set's usual one." placeholder:"NAME"`
	Answer    string `help:"Answers to multiple choice: label and option (label), or option alone (text)." enum:"label,text" default:"label"`
	Dataset   string `help:"Name of the rows' dataset; default: the benchmark's." placeholder:"NAME"`
	Licence   string `help:"Licence of the rows; default: the benchmark's."`
	Language  string `help:"Language of an instruction set (alpaca, sharegpt); benchmarks are English." default:"eng_Latn"`
	Limit     int    `help:"Largest number of rows; 0 is all." default:"0"`

	Templates     string  `help:"Directory with templates and prompts that replace the built-in ones of the same name." placeholder:"DIR"`
	ShowTemplates bool    `help:"Print the templates of the set, or of all sets without one; convert nothing."`
	FirstTemplate bool    `help:"Lay out all rows with the set's first template instead of drawing one for each."`
	FewShot       float64 `help:"Share of rows that get 1, 3 or 5 other rows with their answers before them." default:"0"`

	Justify     bool          `help:"Let a model add one sentence to each answer that says why it is right."`
	Rewrite     bool          `help:"Let a model word sentences with gaps, and sentences that an option completes, as questions."`
	Model       string        `help:"Model of these two: directory or hub id, or the endpoint's name for it." placeholder:"MODEL"`
	Endpoint    string        `help:"OpenAI-compatible address; without it the model runs here." placeholder:"URL"`
	KeyVariable string        `help:"Environment variable that holds the endpoint's API key." placeholder:"NAME"`
	RPM         int           `name:"requests-per-minute" help:"Rate limit of the endpoint; 0 is none." default:"0"`
	Concurrency int           `help:"Requests in flight at once." default:"8"`
	Timeout     time.Duration `help:"Timeout of one request." default:"10m"`
	DType       string        `name:"dtype" help:"Type of the weights if the model runs here; default: the checkpoint's." placeholder:"TYPE"`
	Temperature float64       `help:"Sampling temperature." default:"0.3"`
	MaxTokens   int           `help:"Largest number of tokens of one text." default:"256"`
	Attempts    int           `help:"Ask this often for a text that fails a check; then the row keeps its template." default:"3"`

	Restart bool `help:"Discard an output made with other options."`
	DryRun  bool `help:"Count rows, calls and what would be downloaded; write nothing."`
}

func (convertCmd) Help() string {
	return `Lays out questions, options and answers with templates. One is drawn for each row, always the same
for the same seed. Every option, label and number is compared with the source row.

Without --data, the set is downloaded from the hub into the cache that the Python tools share. The
tables are read that the repository has, or else those that the hub has made of it.

With --justify and --rewrite a model takes part. Its texts are checked; where none passes, the row
keeps its template, and the manifest counts the reason.

Sets: ` + strings.Replace(strings.Join(convert.Benchmarks(), ", "), ", mmlu", ",\nmmlu", 1) + `.

Examples:
  barka convert boolq --out data/boolq
  barka convert race --data ehovy/race --config high --dry-run
  barka convert alpaca --data tatsu-lab/alpaca --licence "CC BY-NC 4.0" --out data/alpaca
  barka convert gsm8k --data grade_school_math/data/train.jsonl --out data/gsm8k
` + outHelp
}

// Validate checks the arguments that every use but --show-templates needs.
func (c *convertCmd) Validate() error {
	switch {
	case c.ShowTemplates:
		return nil
	case c.Benchmark == "":
		return fmt.Errorf("missing argument: the name of the set, one of %s", strings.Join(convert.Benchmarks(), ", "))
	case c.Out == "" && !c.DryRun:
		return fmt.Errorf("missing flags: --out")
	case (c.Justify || c.Rewrite) && c.Model == "" && !c.DryRun:
		return fmt.Errorf("missing flags: --model, for --justify and --rewrite")
	}
	return nil
}

func (c *convertCmd) options() convert.Options {
	o := convert.Defaults()
	o.Benchmark, o.Split, o.Config, o.Answer, o.Dataset, o.Licence, o.Language, o.Limit = c.Benchmark, c.Split, c.Config,
		c.Answer, c.Dataset, c.Licence, c.Language, c.Limit
	o.Templates, o.FirstTemplate, o.FewShot, o.Justify, o.Rewrite = c.Templates, c.FirstTemplate, c.FewShot, c.Justify, c.Rewrite
	o.Temperature, o.MaxTokens, o.Attempts, o.Concurrency = c.Temperature, c.MaxTokens, c.Attempts, c.Concurrency
	return o
}

func (c *convertCmd) Run(a *app) error {
	if c.ShowTemplates {
		text, err := convert.ShowTemplates(c.Templates, c.Benchmark)
		if err != nil {
			return err
		}
		return a.ui.Print(text, struct {
			Templates string `json:"templates"`
		}{text})
	}
	o := c.options()
	if err := o.Validate(); err != nil {
		return err
	}
	source, here, err := c.locate(a, &o)
	if err != nil {
		return err
	}
	in := map[string]string{"data": source.Data}
	if c.Labels != "" {
		in["labels"] = c.Labels
	}
	if c.DryRun {
		return c.plan(a, o, source, here, in)
	}
	client, stop, err := c.client(a, &o)
	if err != nil {
		return err
	}
	defer stop()
	return records[dataset.Instruction](a, "convert", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return convert.Run(a.ctx, o, client, env)
	})
}

// locate finds the data and downloads what is missing. With --dry-run it downloads nothing,
// and reports whether everything is here.
func (c *convertCmd) locate(a *app, o *convert.Options) (source convert.Source, here bool, err error) {
	client, err := a.hub("")
	if err != nil {
		return source, false, err
	}
	if source, err = o.Locate(a.ctx, client, c.Data); err != nil {
		return source, false, err
	}
	o.Source = source.Repo
	if source.Plan == nil || c.DryRun {
		return source, source.Plan == nil, nil
	}
	if source.Plan.Missing > 0 {
		a.reportDownload(source.Plan)
	}
	_, err = client.Fetch(a.ctx, source.Plan)
	return source, err == nil, err
}

// plan prints what a run would do.
func (c *convertCmd) plan(a *app, o convert.Options, source convert.Source, here bool, in map[string]string) error {
	if !here {
		p := source.Plan
		var files []string
		for _, f := range p.Files {
			files = append(files, fmt.Sprintf("\n  %s  %s", f.Path, printable.Bytes(f.Size)))
		}
		return a.ui.Print(planText(p)+strings.Join(files, ""), map[string]any{"repository": p.Repo.ID, "commit": p.Commit,
			"files": len(p.Files), "bytes": p.Size, "to_fetch": p.ToFetch})
	}
	e, err := convert.Plan(a.ctx, o, a.Seed, in)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d rows of %d characters, %d rejected", e.Rows, e.Chars, e.Rejected)
	if e.Calls > 0 {
		text += fmt.Sprintf(", %d calls of the model", e.Calls)
	}
	return a.ui.Print(text, e)
}

// client opens the model of --justify and --rewrite; without them it is nil.
func (c *convertCmd) client(a *app, o *convert.Options) (client llm.Client, stop func(), err error) {
	stop = func() {}
	switch {
	case !o.AsksModel() && (c.Model != "" || c.Endpoint != ""):
		return nil, stop, badinput.Errorf("--model and --endpoint are for --justify and --rewrite; add one of these, or leave the model out")
	case !o.AsksModel():
		return nil, stop, nil
	case c.Endpoint != "":
		client, err = llm.NewHTTP(llm.Options{BaseURL: c.Endpoint, Model: c.Model, KeyVariable: c.KeyVariable,
			RequestsPerMinute: c.RPM, Timeout: c.Timeout, Note: func(note string) { a.ui.Infof("%s", note) }})
		return client, stop, err
	}
	if err := a.ensure(weights(c.Model)); err != nil {
		return nil, stop, err
	}
	var d *backend.Decoder
	if d, err = a.engine(c.DType).OpenDecoder(c.Model, ""); err != nil {
		return nil, stop, err
	}
	stop = func() { d.Close() }
	if client, err = d.Chat(); err == nil {
		o.ModelDigest, err = a.engine(c.DType).Digest(c.Model)
	}
	return client, stop, err
}
