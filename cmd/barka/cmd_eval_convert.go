package main

import (
	"fmt"

	"barka/internal/benchdata"
)

type evalConvertCmd struct {
	Src string `arg:"" help:"Directory of AceGPT's benchmark files (MMLUArabic, EXAMS_Arabic, ArabicCulture)."`
	Dst string `arg:"" help:"Directory to write, for eval's --data."`
}

func (c *evalConvertCmd) Run(a *app) error {
	n, err := benchdata.ConvertAceGPT(a.ctx, c.Src, c.Dst, a.ui.Progress())
	if err != nil {
		return err
	}
	return a.ui.Print(fmt.Sprintf("%d files in %s", n, c.Dst), map[string]any{"files": n, "out": c.Dst})
}
