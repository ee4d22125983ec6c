package main

import (
	"time"

	"barka/internal/backend"
	"barka/internal/llm"
)

// endpointFlags describe a model that is evaluated through a server.
type endpointFlags struct {
	Endpoint    string        `aliases:"base-url" help:"OpenAI-compatible address whose completions score the choices." placeholder:"URL"`
	Tokenizer   string        `help:"The endpoint's model, for its tokenizer and config.json; no weights are read." placeholder:"MODEL"`
	KeyVariable string        `help:"Environment variable that holds the endpoint's API key." placeholder:"NAME"`
	RPM         int           `name:"requests-per-minute" help:"Rate limit of the endpoint; 0 is none." default:"0"`
	Concurrency int           `help:"Requests in flight at once." default:"8"`
	Timeout     time.Duration `help:"Timeout of one request." default:"10m"`
}

// unused returns an error if flags of an endpoint are set without --endpoint.
func (f endpointFlags) unused() error {
	switch {
	case f.Tokenizer != "":
		return usagef("eval: --tokenizer is only for --endpoint; leave it out, a model that runs here has its own")
	case f.KeyVariable != "" || f.RPM != 0:
		return usagef("eval: --key-variable and --requests-per-minute are only for --endpoint; leave them out, or name the endpoint")
	}
	return nil
}

func (c *evalRunCmd) openEndpoint(a *app) (*backend.Endpoint, error) {
	switch {
	case c.Adapter != "" || c.DType != "" || c.NoShare:
		return nil, usagef("eval: --adapter, --dtype and --no-share are only for a model that runs here; leave them out with --endpoint")
	case c.MaxLength < 0:
		return nil, usagef("eval: --max-length is %d, expected 0 or more", c.MaxLength)
	case c.Concurrency < 1:
		return nil, usagef("eval: --concurrency is %d, expected 1 or more", c.Concurrency)
	}
	if err := a.ensure(tokenizerOf(c.Tokenizer)); err != nil {
		return nil, err
	}
	return backend.OpenEndpoint(a.ctx, backend.EndpointOptions{
		Options: llm.Options{BaseURL: c.Endpoint, Model: c.Model, KeyVariable: c.KeyVariable, RequestsPerMinute: c.RPM,
			Timeout: c.Timeout, Note: func(note string) { a.ui.Infof("%s", note) }},
		Tokenizer: c.Tokenizer, Concurrency: c.Concurrency, MaxLength: c.MaxLength,
	})
}
