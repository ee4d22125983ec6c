package main

import (
	"fmt"
	"time"

	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/llm"
	"barka/internal/local"
	"barka/internal/stage/filter"
	"barka/internal/stage/mix"
	"barka/internal/stage/report"
	"barka/internal/stage/synth"
	"barka/internal/tokenizer"
)

type synthCmd struct {
	In          string        `required:"" help:"Dataset of passages."`
	Out         string        `required:"" help:"Dataset directory to write."`
	Model       string        `required:"" help:"Model: a directory or hub id to run here, or the endpoint's name for it."`
	Endpoint    string        `help:"OpenAI-compatible address, such as http://localhost:8000/v1; without it the model runs here." placeholder:"URL"`
	KeyVariable string        `help:"Environment variable that holds the endpoint's API key." placeholder:"NAME"`
	RPM         int           `name:"requests-per-minute" help:"Rate limit of the endpoint; 0 is none." default:"0"`
	Concurrency int           `help:"Requests under way at once." default:"8"`
	Timeout     time.Duration `help:"Of one request." default:"10m"`
	DType       string        `name:"dtype" help:"Type of the weights of a model that runs here."`
	Dataset     string        `help:"Name of the rows' dataset." default:"wiki"`
	Quantile    float64       `name:"long-quantile" help:"Passages longer than this share of all become conversations." default:"0.75"`
	LongChars   int           `help:"That length itself; 2204 is the original's." default:"0"`
	Turns       int           `help:"Turns of a conversation." default:"3"`
	Independent bool          `help:"Ask all questions at once and answer each alone, as the original did."`
	JSONForm    bool          `name:"json-questions" help:"Have those questions as JSON, which an endpoint can hold the model to."`
	Temperature float64       `default:"0.8"`
	TopP        float64       `default:"0.95"`
	MaxTokens   int           `default:"512"`
	MinTurns    int           `help:"Turns that a conversation must have to be kept when the next turn fails." default:"2"`
	InARow      int           `name:"max-failures-in-a-row" help:"Stop when the requests of so many passages in a row fail; 0 is never." default:"20"`
	Share       float64       `name:"max-failure-share" help:"Stop when the requests of more than this share of the passages fail, from the 100th on; 0 is never." default:"0.2"`
	Retry       bool          `name:"retry-rejected" help:"Ask again about passages whose requests failed in an earlier run, also in a finished output."`
	Restart     bool          `help:"Throw away an output made with other options."`
	DryRun      bool          `help:"Count calls and tokens; ask nothing."`
}

func (synthCmd) Help() string {
	return `A passage whose request the endpoint refuses or does not answer goes to rejected/ with what the endpoint said and the answers so far, and the run goes on. Every answer is kept as it comes: stopped at any moment, the same command goes on without asking for it again.

Example: barka synth --in data/passages --out data/instructions --endpoint http://localhost:8000/v1 --model google/gemma-2-27b-it`
}

func (c *synthCmd) Run(a *app) error {
	o := synth.Defaults()
	o.Dataset, o.LongQuantile, o.LongChars, o.Turns, o.Independent = c.Dataset, c.Quantile, c.LongChars, c.Turns, c.Independent
	o.JSON = c.JSONForm
	o.Temperature, o.TopP, o.MaxTokens, o.MinTurns = c.Temperature, c.TopP, c.MaxTokens, c.MinTurns
	o.MaxFailuresInARow, o.MaxFailureShare = c.InARow, c.Share
	if err := o.Validate(); err != nil {
		return err
	}
	if c.DryRun {
		e, err := synth.Plan(a.ctx, o, c.In)
		if err != nil {
			return err
		}
		return a.ui.Print(fmt.Sprintf("%d passages, %d of them long (from %d characters); %d calls, about %d prompt tokens, at most %d completion tokens",
			e.Passages, e.Long, e.Threshold, e.Calls, e.PromptTokens, e.MaxTokens), e)
	}
	var client llm.Client
	var err error
	if c.Endpoint != "" {
		client, err = llm.NewHTTP(llm.Options{BaseURL: c.Endpoint, Model: c.Model, KeyVariable: c.KeyVariable, RequestsPerMinute: c.RPM, Timeout: c.Timeout, Note: func(note string) { a.ui.Infof("%s", note) }})
	} else {
		if err := a.need(weights(c.Model)); err != nil {
			return err
		}
		var d *local.Decoder
		if d, err = a.engine(c.DType).OpenDecoder(c.Model, ""); err == nil {
			client, err = d.Chat()
		}
		if err == nil {
			o.ModelDigest, err = a.engine(c.DType).Digest(c.Model)
		}
	}
	if err != nil {
		return err
	}
	io := a.io(c.Out, map[string]string{"passages": c.In}, c.Restart)
	io.Workers, io.Retry = c.Concurrency, c.Retry
	m, err := synth.Run(a.ctx, o, client, io)
	if err != nil {
		return err
	}
	a.counts("synth", c.Out, m)
	return nil
}

type filterCmd struct {
	In         string  `required:"" help:"Dataset of instructions."`
	Out        string  `required:"" help:"Dataset directory to write."`
	Preset     string  `help:"default, or seed: the original's rules alone." enum:"default,seed" default:"default"`
	MinScript  float64 `name:"min-script-share" help:"Least share of the target script among letters, in rows of every form; -1 keeps the preset's." default:"-1"`
	MinAnswer  int     `name:"min-answer-words" help:"Least words of an answer, in rows of every form; -1 keeps the preset's: 3 for questions about passages, none for benchmarks." default:"-1"`
	MinScore   float64 `help:"Least mean score of the translated sentences, such as -1.5; 0 is off." default:"0"`
	Duplicates bool    `name:"duplicates" negatable:"" help:"Drop rows whose text came before." default:"true"`
	Restart    bool    `help:"Throw away an output made with other options."`
}

func (filterCmd) Help() string {
	return `Every dropped row is kept under rejected/ with its reason. What is a defect depends on the form of a row: questions and conversations about a passage that they do not show, choices, texts to read with a question, sums in words, and instructions of any origin.

Example: barka filter --in data/translated --out data/clean`
}

func (c *filterCmd) Run(a *app) error {
	o := filter.Defaults()
	if c.Preset == "seed" {
		o = filter.Seed()
	} else {
		o.Duplicates = c.Duplicates
	}
	o.Each(func(r *filter.Rules) {
		if c.MinScript >= 0 {
			r.MinScriptShare = c.MinScript
		}
		if c.MinAnswer >= 0 {
			r.MinAnswerWords = c.MinAnswer
		}
		r.MinScore = c.MinScore
	})
	m, err := filter.Run(a.ctx, o, a.io(c.Out, map[string]string{"instructions": c.In}, c.Restart))
	if err != nil {
		return err
	}
	a.counts("filter", c.Out, m)
	return nil
}

type mixCmd struct {
	In         map[string]string `required:"" help:"Datasets of instructions by name: NAME=PATH, repeated or separated by ;."`
	Out        string            `required:"" help:"Dataset directory to write."`
	Name       string            `help:"Name of the set, for its card." default:"barka"`
	Licence    string            `help:"Licence of the set, for its card; refused if the licence of a row forbids it. By default the strictest of the rows' if it covers all, else that of each source."`
	Validation float64           `help:"Share of the rows held back." default:"0"`
	Limit      map[string]int    `help:"Most rows of a dataset: DATASET=N."`
	Tokenizers []string          `help:"Models whose tokenizers fill the token table."`
	Drop       string            `help:"File of rows to leave out by their ids: the drop.jsonl of barka audit." placeholder:"FILE"`
	Restart    bool              `help:"Throw away an output made with other options."`
}

func (mixCmd) Help() string {
	return `Example: barka mix --in wiki=data/clean --out data/train --validation 0.02 --tokenizers google/gemma-2-2b-it`
}

func (c *mixCmd) Run(a *app) error {
	for _, model := range c.Tokenizers {
		if err := a.need(tokenizerOf(model)); err != nil {
			return err
		}
	}
	counters, err := counters(c.Tokenizers)
	if err != nil {
		return err
	}
	o := mix.Defaults()
	o.Name, o.Licence, o.Validation, o.Limits, o.Drop = c.Name, c.Licence, c.Validation, c.Limit, c.Drop
	m, err := mix.Run(a.ctx, o, counters, a.io(c.Out, c.In, c.Restart))
	if err != nil {
		return err
	}
	a.counts("mix", c.Out, m)
	return nil
}

// counters opens the tokenizers of models, by the models' names.
func counters(models []string) (map[string]mix.Counter, error) {
	out := map[string]mix.Counter{}
	for _, name := range models {
		dir, err := hub.Resolve(name)
		if err != nil {
			return nil, err
		}
		tok, err := tokenizer.Load(dir)
		if err != nil {
			return nil, err
		}
		out[name] = func(s string) int { return len(tok.Encode(s, false)) }
	}
	return out, nil
}

type reportCmd struct {
	Out      string   `required:"" help:"Page to write."`
	Title    string   `help:"Title of the page." default:"Barka"`
	Stages   []string `help:"Dataset directories, in the order of the run."`
	Training string   `help:"Output directory of train."`
	Base     string   `help:"Output directory of the base model's evaluation."`
	Tuned    string   `help:"Output directory of the tuned model's evaluation."`
	Samples  string   `help:"Dataset whose rows are shown, the source beside the translation."`
	From     string   `help:"Language of the samples' sources, a code such as eng_Latn; default: the translation's."`
	To       string   `help:"Language of the samples, a code such as arb_Arab; it decides their direction. Default: the translation's."`
}

func (reportCmd) Help() string {
	return `Example: barka report --out report.html --stages data/passages --stages data/clean --training runs/adapter`
}

func (c *reportCmd) Run(a *app) error {
	if len(c.Stages) == 0 && c.Training == "" && c.Base == "" && c.Tuned == "" && c.Samples == "" {
		return badinput.Errorf("report: nothing to show; name --stages, --training, --base, --tuned or --samples")
	}
	err := report.Write(a.ctx, report.Options{Out: c.Out, Title: c.Title, Stages: c.Stages, Training: c.Training, Base: c.Base, Tuned: c.Tuned, Samples: c.Samples, From: c.From, To: c.To})
	if err != nil {
		return err
	}
	return a.ui.Print("report in "+c.Out, map[string]string{"out": c.Out})
}
