package main

import (
	"strings"

	"barka/internal/stage/convert"
)

type convertCmd struct {
	Benchmark string `arg:"" help:"Which set it is; see below."`
	Data      string `required:"" help:"Its file, or the directory of its archive or hub repository."`
	Out       string `required:"" help:"Dataset directory to write."`
	Labels    string `help:"File of labels, where it is not beside the data (PIQA)." placeholder:"FILE"`
	Split     string `help:"Which split of a directory: train, validation or test." default:"train"`
	Answer    string `help:"Answers to multiple choice: label names the option and repeats it, text is the option alone." enum:"label,text" default:"label"`
	Dataset   string `help:"Name of the rows' dataset; the benchmark's by default." placeholder:"NAME"`
	Licence   string `help:"Licence of the rows, instead of the benchmark's own."`
	Language  string `help:"Language of an instruction set (alpaca, sharegpt), such as arb_Arab; benchmarks are English." default:"eng_Latn" placeholder:"CODE"`
	Limit     int    `help:"Most rows; 0 is all." default:"0"`
	Restart   bool   `help:"Throw away an output made with other options."`
}

func (convertCmd) Help() string {
	return `Lays questions, options and answers out by fixed templates; no model takes part. Sets: ` + strings.Join(convert.Benchmarks(), ", ") + `.

Example: barka convert boolq --data BoolQ/train.jsonl --out data/boolq`
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
	m, err := convert.Run(a.ctx, c.options(), a.env(c.Out, in, c.Restart))
	if err != nil {
		return err
	}
	a.counts("convert", c.Out, m)
	return nil
}
