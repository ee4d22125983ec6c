package main

import (
	"fmt"
	"time"

	"barka/internal/backend"
	"barka/internal/llm"
	"barka/internal/stage/synth"
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

func (c *synthCmd) options() synth.Options {
	o := synth.Defaults()
	o.Dataset, o.LongQuantile, o.LongChars, o.Turns, o.Independent = c.Dataset, c.Quantile, c.LongChars, c.Turns, c.Independent
	o.JSON = c.JSONForm
	o.Temperature, o.TopP, o.MaxTokens, o.MinTurns = c.Temperature, c.TopP, c.MaxTokens, c.MinTurns
	o.MaxFailuresInARow, o.MaxFailureShare, o.Concurrency = c.InARow, c.Share, c.Concurrency
	return o
}

func (c *synthCmd) Run(a *app) error {
	o := c.options()
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
		if err := a.ensure(weights(c.Model)); err != nil {
			return err
		}
		var d *backend.Decoder
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
	env := a.env(c.Out, map[string]string{"passages": c.In}, c.Restart)
	env.Retry = c.Retry
	m, err := synth.Run(a.ctx, o, client, env)
	if err != nil {
		return err
	}
	a.counts("synth", c.Out, m)
	return nil
}
