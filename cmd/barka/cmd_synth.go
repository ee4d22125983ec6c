package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/stage/synth"
)

type synthCmd struct {
	In          string        `help:"Dataset of passages." placeholder:"DIR"`
	Out         string        `help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Model       string        `help:"Model directory or hub id, or the endpoint's name for the model." placeholder:"MODEL"`
	Endpoint    []string      `help:"OpenAI-compatible address, with settings of its own after it; may be repeated. Without it the model runs here." sep:"none" placeholder:"URL"`
	KeyVariable string        `help:"Environment variable that holds the endpoints' API key." placeholder:"NAME"`
	RPM         int           `name:"requests-per-minute" help:"Rate limit of each endpoint; 0 is none." default:"0"`
	TPM         int           `name:"tokens-per-minute" help:"Limit of each endpoint for tokens in and out; 0 is none." default:"0"`
	PriceIn     float64       `help:"Price of a million tokens of prompts, for the ledger." default:"0"`
	PriceOut    float64       `help:"Price of a million tokens of answers." default:"0"`
	Concurrency int           `help:"Requests in flight at once, to each endpoint." default:"8"`
	Timeout     time.Duration `help:"Timeout of one request." default:"10m"`
	DType       string        `name:"dtype" help:"Type of the weights if the model runs here; default: the checkpoint's." placeholder:"TYPE"`
	Prompts     string        `help:"Built-in set of prompts (english, arabic) or a directory with prompts; default: english." placeholder:"SET|DIR"`
	ShowPrompts bool          `help:"Print the prompts, and their digest; ask nothing. Needs neither --in, --out nor --model."`
	Dataset     string        `help:"Name of the rows' dataset." default:"wiki"`
	Quantile    float64       `name:"long-quantile" help:"Passages longer than this share of all become conversations." default:"0.75"`
	LongChars   int           `help:"Length of those passages in characters, instead of the quantile (the original: 2204)." default:"0"`
	Turns       int           `help:"Turns of a conversation." default:"3"`
	Independent bool          `help:"Ask for all questions at once and answer each separately, as the original did."`
	JSONForm    bool          `name:"json-questions" help:"Request those questions as JSON, which an endpoint can enforce."`
	Temperature float64       `help:"Sampling temperature." default:"0.5"`
	TopP        float64       `help:"Sample from the smallest set of tokens with this probability; 1 is all." default:"0.95"`
	MaxTokens   int           `help:"Largest number of tokens of one answer." default:"512"`
	Repair      int           `help:"Ask again this often with the complaint about a text that fails a check, per attempt." default:"1"`
	SkipChecks  []string      `help:"Checks of questions and answers to leave out (docs/data.md lists them)." sep:"," placeholder:"CHECK,..."`
	BestOf      int           `help:"Ask for this many answers to each question and keep the best." default:"1"`
	Pairs       bool          `help:"Also write pairs/: kept answers beside worse ones, in the format of TRL's DPOTrainer."`
	PairMargin  float64       `help:"Least difference of the judge's scores of a pair whose answers both pass the checks." default:"2"`
	Judge       string        `help:"Model that scores each answer from 1 to 5: a directory, a hub id, or its endpoint's name for it." placeholder:"MODEL"`
	JudgeAt     []string      `name:"judge-endpoint" help:"Address of the judge, as --endpoint; without it the judge runs here." sep:"none" placeholder:"URL"`
	Threshold   float64       `name:"judge-threshold" help:"Least score that is kept." default:"4"`
	MinTurns    int           `help:"Keep a conversation with this many turns when the next turn fails." default:"2"`
	InARow      int           `name:"max-failures-in-a-row" help:"Stop after so many failed passages in a row; 0 is never." default:"20"`
	Share       float64       `name:"max-failure-share" help:"Stop at a larger share of failed passages; 0 is never." default:"0.2"`
	Retry       bool          `name:"retry-rejected" help:"Ask again about passages whose requests failed, also in a finished output."`
	Restart     bool          `help:"Discard an output made with other options."`
	DryRun      bool          `help:"Count calls and tokens, and estimate the cost; ask nothing."`
}

func (synthCmd) Help() string {
	return `If the endpoint refuses a request or does not answer it, the passage goes to rejected/ with the
endpoint's message and the answers so far, and the run goes on. Every answer is stored as it
arrives; an interrupted run is resumed by the same command and asks for none of them again.

A judge gives every answer that passes the checks a score; rows below --judge-threshold go to
rejected/ too. Its verdicts are stored like answers.

The prompts are files. --show-prompts prints them; copies with your changes are used with
--prompts. docs/data.md describes them.

Example:

  barka synth --in data/passages --out data/instructions \
    --endpoint http://localhost:8000/v1 --model google/gemma-2-27b-it

Several endpoints share the work; each takes what it is free for. Settings after the
address are its own: model (its name for the same model), key-variable, concurrency,
requests-per-minute, tokens-per-minute, price-in and price-out.

  barka synth --in data/passages --out data/instructions --model gemma-2-27b \
    --endpoint http://gpu1:8000/v1,concurrency=64 \
    --endpoint https://api.example.org/v1,model=gemma2:27b,key-variable=API_KEY,price-in=0.3,price-out=0.3 \
    --judge qwen-72b --judge-endpoint http://gpu2:8000/v1 --best-of 4 --pairs
` + outHelp
}

func (c *synthCmd) options() synth.Options {
	o := synth.Defaults()
	o.Dataset, o.LongQuantile, o.LongChars, o.Turns, o.Independent = c.Dataset, c.Quantile, c.LongChars, c.Turns, c.Independent
	o.JSON, o.Prompts, o.Repair, o.SkipChecks = c.JSONForm, c.Prompts, c.Repair, c.SkipChecks
	o.Temperature, o.TopP, o.MaxTokens, o.MinTurns = c.Temperature, c.TopP, c.MaxTokens, c.MinTurns
	o.MaxFailuresInARow, o.MaxFailureShare, o.Concurrency = c.InARow, c.Share, c.Concurrency
	o.BestOf, o.Pairs, o.PairMargin, o.JudgeThreshold = c.BestOf, c.Pairs, c.PairMargin, c.Threshold
	return o
}

// Validate checks the flags that every use but --show-prompts needs.
func (c *synthCmd) Validate() error {
	if c.ShowPrompts {
		return nil
	}
	var missing []string
	for _, f := range []struct{ name, value string }{{"--in", c.In}, {"--out", c.Out}, {"--model", c.Model}} {
		if f.value == "" {
			missing = append(missing, f.name)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("missing flags: %s", strings.Join(missing, ", "))
	case len(c.JudgeAt) > 0 && c.Judge == "":
		return fmt.Errorf("--judge-endpoint without --judge, the model's name there")
	}
	return nil
}

func (c *synthCmd) showPrompts(a *app) error {
	p, err := synth.LoadPrompts(c.Prompts)
	if err != nil {
		return err
	}
	return a.ui.Print(p.Show()+"\n\ndigest "+p.Digest(), struct {
		Prompts string `json:"prompts"`
		Digest  string `json:"digest"`
	}{p.Show(), p.Digest()})
}

func (c *synthCmd) Run(a *app) error {
	if c.ShowPrompts {
		return c.showPrompts(a)
	}
	o := c.options()
	if err := o.Validate(); err != nil {
		return err
	}
	generator, err := endpoints(c.Endpoint, llm.Server{KeyVariable: c.KeyVariable, Concurrency: c.Concurrency,
		RequestsPerMinute: c.RPM, TokensPerMinute: c.TPM, PriceIn: c.PriceIn, PriceOut: c.PriceOut})
	if err != nil {
		return err
	}
	// The generator's key is not sent to the judge's server.
	judge, err := endpoints(c.JudgeAt, llm.Server{Concurrency: c.Concurrency})
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.estimate(a, o, generator, judge)
	}
	models, closers, err := c.models(a, &o, generator, judge)
	defer func() {
		for _, closer := range closers {
			closer.Close()
		}
	}()
	if err != nil {
		return err
	}
	in := map[string]string{"passages": c.In}
	return records[dataset.Instruction](a, "synth", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		env.Retry = c.Retry
		m, err := synth.Run(a.ctx, o, models, env)
		if err == nil && synth.Money(m) != "" {
			a.ui.Infof("synth: %s", synth.Money(m))
		}
		return m, err
	})
}

// endpoints reads addresses with their settings over those of base.
func endpoints(addresses []string, base llm.Server) (all []llm.Server, err error) {
	for _, text := range addresses {
		e, err := llm.ParseServer(text, base)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// estimate prints what a run would ask and cost.
func (c *synthCmd) estimate(a *app, o synth.Options, generator, judge []llm.Server) error {
	if c.Judge != "" {
		o.Judge = c.Judge
	}
	e, err := synth.Plan(a.ctx, o, a.Seed, c.In)
	if err != nil {
		return err
	}
	e.Price(generator, judge)
	return a.ui.Print(e.String(), e)
}

// models opens the generator and the judge. A model that runs here and is both is opened
// once.
func (c *synthCmd) models(a *app, o *synth.Options, generator, judge []llm.Server) (m synth.Models, opened []io.Closer, err error) {
	base := llm.Options{Timeout: c.Timeout, Note: func(note string) { a.ui.Infof("%s", note) }}
	open := func(model string, endpoints []llm.Server) (llm.Client, string, error) {
		if len(endpoints) > 0 {
			p, err := llm.NewPool(model, endpoints, base)
			return p, "", err
		}
		if err := a.ensure(weights(model)); err != nil {
			return nil, "", err
		}
		digest, err := a.engine(c.DType).Digest(model)
		if err != nil {
			return nil, "", err
		}
		d, err := a.engine(c.DType).OpenDecoder(model, "")
		if err != nil {
			return nil, "", err
		}
		opened = append(opened, d)
		chat, err := d.Chat()
		return chat, digest, err
	}
	o.Concurrency = llm.Places(generator, o.Concurrency)
	if m.Generator, o.ModelDigest, err = open(c.Model, generator); err != nil || c.Judge == "" {
		return m, opened, err
	}
	if c.Judge == c.Model && len(generator)+len(judge) == 0 {
		m.Judge, o.JudgeDigest = m.Generator, o.ModelDigest
		return m, opened, nil
	}
	m.Judge, o.JudgeDigest, err = open(c.Judge, judge)
	return m, opened, err
}
