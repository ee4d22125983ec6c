package main

import (
	"time"

	"barka/internal/backend"
	"barka/internal/llm"
)

// endpointFlags describe a model that is evaluated through a server.
type endpointFlags struct {
	Endpoint    string        `aliases:"base-url" help:"OpenAI-compatible address, such as http://localhost:8000/v1, whose completions score the choices; without it the model runs here." placeholder:"URL"`
	Tokenizer   string        `help:"Directory or hub id of the endpoint's model, for its tokenizer and config.json; no weights are read." placeholder:"MODEL"`
	KeyVariable string        `help:"Environment variable that holds the endpoint's API key." placeholder:"NAME"`
	RPM         int           `name:"requests-per-minute" help:"Rate limit of the endpoint; 0 is none." default:"0"`
	Concurrency int           `help:"Requests under way at once." default:"8"`
	Timeout     time.Duration `help:"Timeout of one request." default:"10m"`
}

// unused refuses the flags of an endpoint without an --endpoint.
func (f endpointFlags) unused() error {
	switch {
	case f.Tokenizer != "":
		return usagef("eval: --tokenizer is the endpoint's model's, and there is no --endpoint; a model that runs here has its own")
	case f.KeyVariable != "" || f.RPM != 0:
		return usagef("eval: --key-variable and --requests-per-minute are an endpoint's, and there is no --endpoint")
	}
	return nil
}

func (c *evalRunCmd) openEndpoint(a *app) (*backend.Endpoint, error) {
	switch {
	case c.Adapter != "" || c.DType != "" || c.NoShare:
		return nil, usagef("eval: --adapter, --dtype and --no-share are of a model that runs here; with --endpoint the server decides")
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
