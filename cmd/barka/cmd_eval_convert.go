package main

import (
	"fmt"

	"barka/internal/benchdata"
)

type evalConvertCmd struct {
	Src string `arg:"" help:"Clone of AceGPT's repository, or directory of its benchmark files."`
	Dst string `arg:"" help:"Directory to write."`
}

func (evalConvertCmd) Help() string {
	return `Converts the benchmark files in AceGPT's repository to the layout of the hub's datasets, for --data of
barka eval.

Example:

  git clone https://github.com/FreedomIntelligence/AceGPT
  barka eval convert AceGPT benchmarks`
}

func (c *evalConvertCmd) Run(a *app) error {
	n, err := benchdata.ConvertAceGPT(a.ctx, c.Src, c.Dst, a.ui.Progress())
	if err != nil {
		return err
	}
	return a.ui.Print(fmt.Sprintf("%d files in %s", n, c.Dst), map[string]any{"files": n, "out": c.Dst})
}
