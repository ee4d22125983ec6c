package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/bench"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/jsonl"
	"barka/internal/progress"
	"barka/internal/resident"
	"barka/internal/stage/convert"
	"barka/internal/stage/filter"
	"barka/internal/stage/mix"
	"barka/internal/stage/translate"
)

// dataWork is the work that measures the data stages.
const dataWork = "data"

// dataStage is what "bench data" measures under a name.
type dataStage struct {
	name    string
	measure func() ([]bench.Result, error)
}

// data measures the data stages on --rows made rows. Each stage runs once: its time is long
// enough, and a second run would find the first one's files in the page cache.
func (c *benchCmd) data(a *app) error {
	if c.Rows < 1 || c.Words < 1 {
		return usagef("bench: --rows is %d and --words %d, expected 1 or more", c.Rows, c.Words)
	}
	dir := c.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "barka-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	stages, err := chosen(c.dataStages(a, dir), c.Works[1:])
	if err != nil {
		return err
	}
	if c.Input != "" && (len(stages) != 1 || stages[0].name != rulesWork && stages[0].name != wikiWork) {
		return usagef("bench: --input is what one stage reads, rules (instructions) or wiki (a dump); name it: " +
			"barka bench data wiki --input DUMP")
	}
	if c.Input == "" || c.Write {
		if err := c.writeInputs(a, dir); err != nil {
			return err
		}
	}
	if c.Write {
		return a.ui.Print(dir, map[string]any{"dir": dir, "rows": c.Rows})
	}
	var results []bench.Result
	for _, s := range stages {
		measured, err := s.measure()
		if err != nil {
			return err
		}
		for _, r := range measured {
			a.ui.Infof("%s, %s: %s %s", r.Work, r.Variant, amount(r.Value), r.Unit)
		}
		results = append(results, measured...)
	}
	if a.JSON {
		return a.ui.Print("", results)
	}
	var table [][]any
	for _, r := range results {
		table = append(table, benchRow(r))
	}
	return a.ui.Table(benchColumns, table)
}

// chosen returns the stages of the names, or all without names.
func chosen(stages []dataStage, names []string) ([]dataStage, error) {
	for _, name := range names {
		if !slices.ContainsFunc(stages, func(s dataStage) bool { return s.name == name }) {
			return nil, usagef("bench: %s has no stage %q; it has wiki, rules, convert, translate, filter and mix", dataWork, name)
		}
	}
	if len(names) == 0 {
		return stages, nil
	}
	return slices.DeleteFunc(stages, func(s dataStage) bool { return !slices.Contains(names, s.name) }), nil
}

// The inputs below the directory of the rows.
const (
	translatedRows = "translated"
	englishRows    = "english"
	sciqRows       = "sciq"
	madeDump       = "pages.xml"
)

// dataStages lists what is measured, with an echo in place of a translator.
func (c *benchCmd) dataStages(a *app, dir string) []dataStage {
	rows, english, sciq := filepath.Join(dir, translatedRows), filepath.Join(dir, englishRows), filepath.Join(dir, sciqRows)
	stage := func(name, variant string, run func(ctx context.Context, env durable.Env) (*dataset.Manifest, error)) dataStage {
		return dataStage{name, func() ([]bench.Result, error) { return c.stage(a, name, variant, filepath.Join(dir, "out"), run) }}
	}
	filtered := func(near float64) func(context.Context, durable.Env) (*dataset.Manifest, error) {
		return func(ctx context.Context, env durable.Env) (*dataset.Manifest, error) {
			o := filter.Defaults()
			o.NearDuplicates = near
			env.In = map[string]string{"instructions": rows}
			return filter.Run(ctx, o, env)
		}
	}
	return []dataStage{
		{wikiWork, func() ([]bench.Result, error) {
			return c.wiki(a, cmp.Or(c.Input, filepath.Join(dir, madeDump)), filepath.Join(dir, "out"))
		}},
		{rulesWork, func() ([]bench.Result, error) { return c.rules(a, cmp.Or(c.Input, rows)) }},
		stage("convert", "sciq", func(ctx context.Context, env durable.Env) (*dataset.Manifest, error) {
			o := convert.Defaults()
			o.Benchmark = "sciq"
			env.In = map[string]string{"data": sciq}
			return convert.Run(ctx, o, nil, env)
		}),
		stage("translate", "no model", func(ctx context.Context, env durable.Env) (*dataset.Manifest, error) {
			env.In = map[string]string{"instructions": english}
			o := translate.Defaults()
			o.Checks = translate.ChecksOff // the echo is no translation
			m, err := translate.Run(ctx, o, translate.Tools{Translator: echo{}}, env)
			if err == nil && m.Counts["segments"] == 0 {
				err = errors.New("bench: nothing was translated")
			}
			return m, err
		}),
		stage("filter", "rules and equal rows", filtered(0)),
		stage("filter", "and near-duplicates", filtered(filter.Defaults().NearDuplicates)),
		stage("mix", "one dataset", func(ctx context.Context, env durable.Env) (*dataset.Manifest, error) {
			env.In = map[string]string{"bench": rows}
			return mix.Run(ctx, mix.Defaults(), nil, env)
		}),
	}
}

// stage runs a stage and removes its output.
func (c *benchCmd) stage(a *app, name, variant, out string, run func(ctx context.Context, env durable.Env) (*dataset.Manifest, error)) (
	[]bench.Result, error) {
	debug.FreeOSMemory()
	resident.ResetPeak()
	start := time.Now()
	m, err := run(a.ctx, durable.Env{Out: out, Restart: true, Seed: a.Seed, Progress: progress.Silent, Log: a.log()})
	took := time.Since(start)
	if err != nil {
		return nil, err
	}
	rate := float64(c.Rows) / took.Seconds()
	return []bench.Result{{Work: name, Variant: variant, Shape: fmt.Sprintf("%d rows", c.Rows), Value: rate, Median: rate,
		Unit: "rows/s", PeakRSS: resident.Peak(), Outcome: float64(m.Rows)}}, os.RemoveAll(out)
}

// writeInputs makes the inputs of the stages.
func (c *benchCmd) writeInputs(a *app, dir string) error {
	p := a.ui.Progress()
	p.Start("make rows", 2*int64(c.Rows), "rows")
	defer p.Done()
	same := func(r dataset.Instruction) dataset.Instruction { return r }
	source := func(r dataset.Instruction) dataset.Instruction {
		r.Messages, r.MessagesEN, r.Segments, r.Translator, r.Language = r.MessagesEN, nil, nil, "", "eng_Latn"
		return r
	}
	for name, as := range map[string]func(dataset.Instruction) dataset.Instruction{translatedRows: same, englishRows: source} {
		if err := c.writeRows(a, filepath.Join(dir, name), p, as); err != nil {
			return err
		}
	}
	if err := c.writePages(filepath.Join(dir, madeDump)); err != nil {
		return err
	}
	return writeLines(filepath.Join(dir, sciqRows, "train.jsonl"), bench.SciQRows(c.Rows, c.Words))
}

func (c *benchCmd) writeRows(a *app, out string, p progress.Reporter, as func(dataset.Instruction) dataset.Instruction) error {
	run, err := durable.Begin(out, durable.Identity{Stage: "rows", Version: 1}, true)
	if err != nil {
		return err
	}
	_, err = run.Execute(func(run *durable.Run) (final durable.Final, err error) {
		w, err := durable.NewWriter[dataset.Instruction](run)
		if err != nil {
			return final, err
		}
		for r := range bench.Rows(c.Rows, c.Words) {
			p.Add(1)
			if err := errors.Join(a.ctx.Err(), w.Write(as(r))); err != nil {
				return final, err
			}
		}
		return final, nil
	})
	return err
}

// writeLines writes a file of JSON lines and makes its directory.
func writeLines[T any](path string, rows iter.Seq[T]) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return atomicfile.Explain(path, err)
	}
	w, err := jsonl.Create(path)
	if err != nil {
		return err
	}
	for r := range rows {
		if err := w.Write(r); err != nil {
			w.Discard()
			return err
		}
	}
	return w.Close()
}

// echo is a translator that returns each text with its words in reverse order.
type echo struct{}

func (echo) Name() string              { return "echo" }
func (echo) CountTokens(s string) int  { return len(strings.Fields(s)) }
func (echo) RoundTrip(s string) string { return s }

func (echo) Translate(_ context.Context, texts []string, _ func()) ([]translate.Translation, error) {
	out := make([]translate.Translation, len(texts))
	for i, text := range texts {
		words := strings.Fields(text)
		slices.Reverse(words)
		out[i] = translate.Translation{Text: strings.Join(words, " "), Score: -0.5}
	}
	return out, nil
}
