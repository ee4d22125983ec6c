package main

import (
	"fmt"
	"strings"
	"time"

	"barka/internal/backend"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/stage/synth"
)

type synthCmd struct {
	In          string        `help:"Dataset of passages." placeholder:"DIR"`
	Out         string        `help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Model       string        `help:"Model directory or hub id, or the endpoint's name for the model." placeholder:"MODEL"`
	Endpoint    string        `help:"OpenAI-compatible address; without it the model runs here." placeholder:"URL"`
	KeyVariable string        `help:"Environment variable that holds the endpoint's API key." placeholder:"NAME"`
	RPM         int           `name:"requests-per-minute" help:"Rate limit of the endpoint; 0 is none." default:"0"`
	Concurrency int           `help:"Requests in flight at once." default:"8"`
	Timeout     time.Duration `help:"Timeout of one request." default:"10m"`
	DType       string        `name:"dtype" help:"Type of the weights if the model runs here; default: the checkpoint's." placeholder:"TYPE"`
	Prompts     string        `help:"Directory with the prompts; default: the built-in ones." placeholder:"DIR"`
	ShowPrompts bool          `help:"Print the prompts, and their digest; ask nothing. Needs neither --in, --out nor --model."`
	Dataset     string        `help:"Name of the rows' dataset." default:"wiki"`
	Quantile    float64       `name:"long-quantile" help:"Passages longer than this share of all become conversations." default:"0.75"`
	LongChars   int           `help:"Length of those passages in characters, instead of the quantile (the original: 2204)." default:"0"`
	Turns       int           `help:"Turns of a conversation." default:"3"`
	Independent bool          `help:"Ask for all questions at once and answer each separately, as the original did."`
	JSONForm    bool          `name:"json-questions" help:"Request those questions as JSON, which an endpoint can enforce."`
	Temperature float64       `help:"Sampling temperature." default:"0.8"`
	TopP        float64       `help:"Sample from the smallest set of tokens with this probability; 1 is all." default:"0.95"`
	MaxTokens   int           `help:"Largest number of tokens of one answer." default:"512"`
	Repair      int           `help:"Ask again this often with the complaint about a text that fails a check, per attempt." default:"1"`
	SkipChecks  []string      `help:"Checks of questions and answers to leave out (docs/data.md lists them)." sep:"," placeholder:"CHECK,..."`
	MinTurns    int           `help:"Keep a conversation with this many turns when the next turn fails." default:"2"`
	InARow      int           `name:"max-failures-in-a-row" help:"Stop after so many failed passages in a row; 0 is never." default:"20"`
	Share       float64       `name:"max-failure-share" help:"Stop at a larger share of failed passages; 0 is never." default:"0.2"`
	Retry       bool          `name:"retry-rejected" help:"Ask again about passages whose requests failed, also in a finished output."`
	Restart     bool          `help:"Discard an output made with other options."`
	DryRun      bool          `help:"Count calls and tokens; ask nothing."`
}

func (synthCmd) Help() string {
	return `If the endpoint refuses a request or does not answer it, the passage goes to rejected/ with the
endpoint's message and the answers so far, and the run goes on. Every answer is stored as it
arrives; an interrupted run is resumed by the same command and asks for none of them again.

The prompts are files. --show-prompts prints them; copies with your changes are used with
--prompts. docs/data.md describes them.

Example:

  barka synth --in data/passages --out data/instructions \
    --endpoint http://localhost:8000/v1 --model google/gemma-2-27b-it
` + outHelp
}

func (c *synthCmd) options() synth.Options {
	o := synth.Defaults()
	o.Dataset, o.LongQuantile, o.LongChars, o.Turns, o.Independent = c.Dataset, c.Quantile, c.LongChars, c.Turns, c.Independent
	o.JSON, o.Prompts, o.Repair, o.SkipChecks = c.JSONForm, c.Prompts, c.Repair, c.SkipChecks
	o.Temperature, o.TopP, o.MaxTokens, o.MinTurns = c.Temperature, c.TopP, c.MaxTokens, c.MinTurns
	o.MaxFailuresInARow, o.MaxFailureShare, o.Concurrency = c.InARow, c.Share, c.Concurrency
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
	if len(missing) > 0 {
		return fmt.Errorf("missing flags: %s", strings.Join(missing, ", "))
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
	if c.DryRun {
		e, err := synth.Plan(a.ctx, o, a.Seed, c.In)
		if err != nil {
			return err
		}
		return a.ui.Print(fmt.Sprintf("%d passages, %d of them long (from %d characters); %d calls, about %d prompt tokens, "+
			"at most %d completion tokens",
			e.Passages, e.Long, e.Threshold, e.Calls, e.PromptTokens, e.MaxTokens), e)
	}
	var client llm.Client
	var err error
	if c.Endpoint != "" {
		client, err = llm.NewHTTP(llm.Options{BaseURL: c.Endpoint, Model: c.Model, KeyVariable: c.KeyVariable,
			RequestsPerMinute: c.RPM, Timeout: c.Timeout, Note: func(note string) { a.ui.Infof("%s", note) }})
	} else {
		if err := a.ensure(weights(c.Model)); err != nil {
			return err
		}
		var d *backend.Decoder
		if d, err = a.engine(c.DType).OpenDecoder(c.Model, ""); err == nil {
			defer d.Close()
			client, err = d.Chat()
		}
		if err == nil {
			o.ModelDigest, err = a.engine(c.DType).Digest(c.Model)
		}
	}
	if err != nil {
		return err
	}
	in := map[string]string{"passages": c.In}
	return records[dataset.Instruction](a, "synth", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		env.Retry = c.Retry
		return synth.Run(a.ctx, o, client, env)
	})
}
