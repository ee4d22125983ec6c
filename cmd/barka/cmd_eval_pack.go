package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval"
	"barka/internal/eval/tasks"
	"barka/internal/hub"
	"barka/internal/printable"
)

type evalPackCmd struct {
	Out        string `arg:"" help:"Archive to write, such as oall.zip."`
	Tasks      string `help:"A file or comma-separated list of tasks, or names such as acva." default:"oall"`
	Data       string `help:"Benchmark files in the hub's layout; default: the hub's cache." env:"BARKA_BENCHMARKS" placeholder:"DIR"`
	Revisions  pinned `help:"Revisions of the hub's datasets, such as OALL/ACVA=COMMIT; default: main." placeholder:"REPO=REVISION"`
	NumFewshot *int   `aliases:"num_fewshot" help:"Examples before each question; default: the task list's numbers." placeholder:"K"`
}

func (evalPackCmd) Help() string {
	return `Writes one archive with everything that an evaluation reads beside the model: the list of tasks, the
files of their datasets with the commits, and digests of all. Datasets that are not in the hub's cache
are downloaded. The same files give the same archive, to the byte. barka eval --pack reads it on a
machine without network.

Example:

  barka eval pack oall.zip --tasks acva,arabic_mmlu
  barka eval --pack oall.zip --model DIR --offline`
}

func (c *evalPackCmd) Run(a *app) error {
	run := evalRunCmd{Tasks: c.Tasks, Data: c.Data, Revisions: c.Revisions, NumFewshot: c.NumFewshot}
	o, err := run.taskOptions()
	if err != nil {
		return err
	}
	if c.Data == "" {
		if err := os.MkdirAll(o.DataDir, 0o777); err != nil {
			return badinput.Wrap(err)
		}
		if _, err := run.benchmarks(a, &o); err != nil {
			return err
		}
	}
	for _, s := range o.Tasks {
		if s.Task.Metric == tasks.Judged {
			a.ui.Warnf("%s needs a judge and is left out", s.Task.Key())
		}
	}
	store, err := benchdata.Open(o.DataDir)
	if err != nil {
		return err
	}
	store.Pin(o.Revisions)
	if lacking := store.Lacking(o.Needs()); len(lacking) > 0 {
		return absent(store, lacking, o.DownloadErrors)
	}
	entries, err := tasks.Entries(c.Tasks)
	if err != nil {
		return err
	}
	p, err := store.NewPack(entries, c.NumFewshot, o.Needs())
	if err != nil {
		return err
	}
	if err := p.Write(a.ctx, c.Out); err != nil {
		return err
	}
	return a.ui.Print(fmt.Sprintf("%s: %d files of %d datasets, %s\nread it with: barka eval --pack %s --model MODEL --offline", c.Out,
		len(p.Files), p.Datasets(), printable.Bytes(p.Size()), c.Out),
		map[string]any{"pack": c.Out, "files": len(p.Files), "bytes": p.Size(), "revisions": p.Revisions})
}

// absent returns the error of the first need that the store does not meet, with its reason.
func absent(store *benchdata.Store, lacking []benchdata.Need, why map[string]error) error {
	n := lacking[0]
	_, err := store.Locate(n.Repo, n.Subset, n.Split)
	text := fmt.Sprintf("a pack has all of its tasks' data, and %d splits are not there: %v", len(lacking), err)
	if why[n.Repo] != nil {
		text += fmt.Sprintf(" (%v)", why[n.Repo])
	}
	return badinput.Errorf("%s; leave the task out, or get its data with `barka download --dataset %s`", text, n.Repo)
}

// taskOptions returns the options that say what is read: tasks, shots and data.
func (c *evalRunCmd) taskOptions() (o eval.Options, err error) {
	selection, err := tasks.ParseList(c.Tasks)
	if err != nil {
		return o, badinput.Wrap(err)
	}
	if k := c.NumFewshot; k != nil {
		if *k < 0 {
			return o, usagef("eval: --num-fewshot is %d, expected 0 or more", *k)
		}
		selection = tasks.WithShots(selection, *k)
	}
	if len(c.Revisions) > 0 && c.Data != "" {
		return o, usagef("eval: --revisions is about datasets of the hub, and has no effect beside --data or --pack")
	}
	pins, err := benchdata.Pins(c.Revisions)
	return eval.Options{Tasks: selection, DataDir: cmp.Or(c.Data, hub.CacheDir()), Revisions: pins}, err
}

// unpack makes the data and the tasks of --pack those of the evaluation.
func (c *evalRunCmd) unpack(a *app) error {
	if c.Pack == "" {
		return nil
	}
	if c.Data != "" && os.Getenv("BARKA_BENCHMARKS") != c.Data {
		return usagef("eval: give --pack or --data, not both")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return badinput.Errorf("eval: there is no directory for the files of --pack: %w", err)
	}
	p, dir, err := benchdata.Unpack(a.ctx, c.Pack, filepath.Join(cache, "barka", "packs"))
	if err != nil {
		return err
	}
	c.Data = dir
	if c.Tasks == defaultTasks {
		c.Tasks = strings.Join(p.Tasks, ",")
	}
	if c.NumFewshot == nil {
		c.NumFewshot = p.Shots
	}
	return nil
}

// defaultTasks is the default of --tasks.
const defaultTasks = "oall"
