package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/benchdata"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/hub"
	"barka/internal/printable"
	"barka/internal/stage/decontaminate"
)

type decontaminateCmd struct {
	In        string   `required:"" help:"Dataset of instructions." placeholder:"DIR"`
	Out       string   `help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Data      string   `help:"Benchmark files in the hub's layout; what it lacks is taken from the hub's cache." env:"BARKA_BENCHMARKS" placeholder:"DIR"`
	Tasks     string   `help:"A file or comma-separated list of tasks, or names such as acva; none for no task." default:"oall"`
	Originals []string `help:"English benchmarks or files to look for too; none for none." default:"${originals}"`
	NGram     int      `name:"ngram" help:"Length of the compared sequences, in words." default:"8"`
	Threshold float64  `help:"Remove rows that hold this share of a question's sequences." default:"0.5"`
	Passages  bool     `help:"Look for the passages of reading questions too."`
	Flag      bool     `help:"Keep the rows, with a value in their column contaminated."`
	Explain   string   `help:"Show what the row with this id shares with which questions; write nothing." placeholder:"ID"`
	DryRun    bool     `help:"Only count the rows that would be removed."`
	Restart   bool     `help:"Discard an output made with other options."`
}

func (decontaminateCmd) Help() string {
	return `Removes rows that hold a question of the benchmarks. Rows are compared with the questions of --tasks in
the target language, and with English benchmarks: rows translated from English have their source
beside them. Spelling variants, vowel signs, case and punctuation do not matter. A row goes to
rejected/ with the task, the question and the share of its sequences that the row holds;
matches/ has the same as columns (docs/data.md).

Missing benchmarks are downloaded to the hub's cache, unless --offline is given. What is
missing then is not searched, and is named.

Examples: remove contaminated rows, count them only, and look at one of them.

  barka decontaminate --in data/clean --out data/decontaminated
  barka decontaminate --in data/clean --tasks acva,arabic_mmlu --dry-run
  barka decontaminate --in data/clean --explain 5601a29e8a4da3a2
` + outHelp
}

func (c *decontaminateCmd) options() decontaminate.Options {
	o := decontaminate.Defaults()
	o.Tasks, o.Originals, o.NGram, o.Threshold = c.Tasks, c.Originals, c.NGram, c.Threshold
	o.Passages, o.Flag = c.Passages, c.Flag
	if slices.Equal(c.Originals, []string{"none"}) {
		o.Originals = []string{}
	}
	return o
}

func (c *decontaminateCmd) Run(a *app) error {
	if c.Out == "" && c.Explain == "" && !c.DryRun {
		return usagef("decontaminate: --out is missing; --dry-run counts rows and --explain shows one without it")
	}
	o := c.options()
	if err := o.Validate(); err != nil {
		return err
	}
	dirs := benchmarkDirs(c.Data)
	if err := a.fetchQuestions(o, dirs); err != nil {
		return err
	}
	switch {
	case c.Explain != "":
		return c.explain(a, o, dirs)
	case c.DryRun:
		return c.plan(a, o, dirs)
	}
	in := map[string]string{"instructions": c.In}
	return records[dataset.Instruction](a, "decontaminate", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return decontaminate.Run(a.ctx, o, dirs, env)
	})
}

// benchmarkDirs returns the directories in which benchmarks are looked for.
func benchmarkDirs(data string) []string {
	if data == "" {
		return []string{hub.CacheDir()}
	}
	return []string{data, hub.CacheDir()}
}

// fetchQuestions downloads the benchmarks that no directory has. A failure is a warning: the
// stage names what it could not search.
func (a *app) fetchQuestions(o decontaminate.Options, dirs []string) error {
	needs, err := o.Lacking(dirs)
	if err != nil || len(needs) == 0 {
		return err
	}
	client, err := a.hub("")
	if err != nil {
		return err
	}
	d, err := benchdata.Downloads(a.ctx, client, needs, nil)
	if err != nil {
		return err
	}
	if len(d.Plans) > 0 {
		n, repositories := d.Bytes()
		a.ui.Infof("benchmarks: %s from %d datasets", printable.Bytes(n), repositories)
		if err := d.Fetch(a.ctx, client); err != nil {
			return err
		}
	}
	for _, repo := range slices.Sorted(maps.Keys(d.Why)) {
		a.ui.Warnf("%s is not searched: %v", repo, d.Why[repo])
	}
	return nil
}

func (c *decontaminateCmd) explain(a *app, o decontaminate.Options, dirs []string) error {
	found, err := decontaminate.Explain(a.ctx, o, dirs, c.In, c.Explain)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return a.ui.Print(c.Explain+" holds no question", map[string]any{"id": c.Explain, "matches": []any{}})
	}
	var text []string
	for _, x := range found {
		text = append(text, x.String())
	}
	return a.ui.Print(strings.TrimSpace(strings.Join(text, "\n")), map[string]any{"id": c.Explain, "matches": found})
}

func (c *decontaminateCmd) plan(a *app, o decontaminate.Options, dirs []string) error {
	e, err := decontaminate.Plan(a.ctx, o, dirs, c.In)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.ui.Print("", e)
	}
	var rows [][]any
	for _, task := range slices.Sorted(maps.Keys(e.Tasks)) {
		rows = append(rows, []any{task, e.Tasks[task]})
	}
	if len(rows) > 0 {
		if err := a.ui.Table([]string{"task", "rows"}, rows); err != nil {
			return err
		}
	}
	if len(e.Absent) > 0 {
		a.ui.Warnf("not searched, because their data are not on this machine: %s", strings.Join(e.Absent, ", "))
	}
	return a.ui.Print(fmt.Sprintf("%d of %d rows hold one of %d questions (%d more are too short or too common to be found)",
		e.Contaminated, e.Rows, int64(e.Questions)-e.TooShort, e.TooShort), e)
}
