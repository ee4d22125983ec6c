package main

import (
	"barka/internal/backend"
	"barka/internal/chattranslator"
	"barka/internal/hub"
	"barka/internal/llm"
	"barka/internal/model"
	"barka/internal/stage/translate"
)

// chatFlags are the settings of a chat model that translates.
type chatFlags struct {
	Endpoint       []string `sep:"none" help:"--model is a chat model behind this OpenAI-compatible address, such as http://gpu1:8000/v1,concurrency=64; repeatable." placeholder:"URL"`
	Second         string   `help:"Chat model that translates the sentences which --model does not get right: directory, hub id or a server's name for it." placeholder:"MODEL"`
	SecondEndpoint []string `sep:"none" help:"Address of --second; repeatable." placeholder:"URL"`
	SecondFor      []string `help:"Kinds of segments that --second gets first, as sentences and cells: ${kinds}." placeholder:"KIND"`
	Family         string   `help:"How a chat model is asked: ${families}, or a YAML file; default: by the model's name." placeholder:"NAME|FILE"`
	Examples       string   `help:"Translations that a chat model is shown: lines of a text, a tab and its translation." placeholder:"FILE"`
	Glossary       string   `help:"Terms for a chat model, in the same form; those that a text has are shown with it." placeholder:"FILE"`
}

const chatHelp = `--model may also be a chat model, here or behind one or several addresses (--endpoint, whose
settings are those of barka synth). Prompts are those of its family: translategemma, gemmax2,
eurollm, seed-x, hunyuan-mt, or a plain instruction for all others. Of the settings of the search
only --temperature and --top-p count then. Preambles, quotation marks and thoughts around an answer
are removed. A refusal counts as an empty translation.

--second names a chat model for the sentences that fail the checks in every other way. With
--second-for heading,option it gets segments of these kinds first, and --model gets those of them
that fail. The memory keeps its sentences if it runs here or --memory names a file.`

// given reports whether a flag is set that only chat models have.
func (f *chatFlags) given() string {
	for name, value := range map[string]string{"--family": f.Family, "--examples": f.Examples, "--glossary": f.Glossary} {
		if value != "" {
			return name
		}
	}
	return ""
}

// chats reports whether the model is a chat model.
func (c *translateCmd) chats(a *app) (bool, error) {
	if len(c.Endpoint) > 0 {
		return true, nil
	}
	if err := a.ensure(weights(c.Model)); err != nil {
		return false, err
	}
	dir, err := hub.Resolve(c.Model)
	if err != nil {
		return false, err
	}
	translates, err := model.IsEncoderDecoder(dir)
	if err != nil {
		return false, err
	}
	if name := c.given(); translates && name != "" && c.Second == "" {
		return false, usagef("translate: %s is only for chat models; %s is an encoder-decoder model", name, c.Model)
	}
	return !translates, nil
}

// openSecond opens the second translator, if one is named.
func (c *translateCmd) openSecond(a *app, o translate.Options) (*backend.ChatTranslator, error) {
	if c.Second == "" {
		return nil, nil
	}
	o.Temperature, o.TopP = 0, 1 // those of the search
	if len(c.SecondEndpoint) == 0 {
		if err := a.ensure(weights(c.Second)); err != nil {
			return nil, err
		}
	}
	return c.openChat(a, o, c.Second, c.SecondEndpoint)
}

// openChat opens a chat model as a translator.
func (c *translateCmd) openChat(a *app, o translate.Options, model string, at []string) (*backend.ChatTranslator, error) {
	co := chattranslator.Defaults()
	co.From, co.To, co.Family, co.Seed = o.From, o.To, c.Family, a.Seed
	co.Temperature, co.TopP = o.Temperature, o.TopP
	for into, path := range map[*[]chattranslator.Term]string{&co.Examples: c.Examples, &co.Glossary: c.Glossary} {
		pairs, err := chattranslator.ReadPairs(path)
		if err != nil {
			return nil, err
		}
		*into = pairs
	}
	if len(at) == 0 {
		return a.engine(c.DType).LazyChatTranslator(model, model, co)
	}
	servers, err := endpoints(at, llm.Server{Concurrency: 8})
	if err != nil {
		return nil, err
	}
	return backend.ChatTranslatorAt(model, servers, llm.Options{Note: func(note string) { a.ui.Infof("%s", note) }}, co)
}

// searchSettings reports whether settings of the search are given that a chat model does not
// have.
func searchSettings(d translate.Decoding) bool {
	usual := translate.DefaultDecoding()
	usual.Beam, usual.Temperature, usual.TopP = d.Beam, d.Temperature, d.TopP
	return d != usual
}
