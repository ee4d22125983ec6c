package main

import (
	"barka/internal/dataset"
	"barka/internal/durable"
	"strings"

	"barka/internal/stage/convert"
)

type convertCmd struct {
	Benchmark string `arg:"" help:"Name of the set (see above)."`
	Data      string `required:"" help:"File of the set, or directory of its archive or hub repository." placeholder:"PATH"`
	Out       string `required:"" help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Labels    string `help:"File of labels (PIQA); default: beside the data." placeholder:"FILE"`
	Split     string `help:"Split of a directory: train, validation or test." default:"train"`
	Answer    string `help:"Answers to multiple choice: label and option (label), or option alone (text)." enum:"label,text" default:"label"`
	Dataset   string `help:"Name of the rows' dataset; default: the benchmark's." placeholder:"NAME"`
	Licence   string `help:"Licence of the rows; default: the benchmark's."`
	Language  string `help:"Language of an instruction set (alpaca, sharegpt); benchmarks are English." default:"eng_Latn"`
	Limit     int    `help:"Largest number of rows; 0 is all." default:"0"`
	Restart   bool   `help:"Discard an output made with other options."`
}

func (convertCmd) Help() string {
	return `Lays out questions, options and answers with fixed templates; no model takes part.

Sets: ` + strings.Join(convert.Benchmarks(), ", ") + `.

Example: barka convert boolq --data BoolQ/train.jsonl --out data/boolq
` + outHelp
}

func (c *convertCmd) options() convert.Options {
	o := convert.Defaults()
	o.Benchmark, o.Split, o.Answer, o.Dataset, o.Licence, o.Language, o.Limit = c.Benchmark, c.Split, c.Answer,
		c.Dataset, c.Licence, c.Language, c.Limit
	return o
}

func (c *convertCmd) Run(a *app) error {
	in := map[string]string{"data": c.Data}
	if c.Labels != "" {
		in["labels"] = c.Labels
	}
	return records[dataset.Instruction](a, "convert", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return convert.Run(a.ctx, c.options(), env)
	})
}
