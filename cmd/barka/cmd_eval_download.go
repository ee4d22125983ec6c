package main

import (
	"fmt"
	"os"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval"
	"barka/internal/printable"
)

// download fetches the missing files of an evaluation: benchmarks, unless --data
// names their directory, and the model. With --dry-run it prints what it would
// download instead, and lacking reports whether anything is missing.
func (c *evalRunCmd) download(a *app, o *eval.Options) (lacking bool, err error) {
	var would []string
	if c.Data == "" {
		if err := os.MkdirAll(o.DataDir, 0o777); err != nil {
			return false, badinput.Errorf("the hub's cache cannot be made: %w; name the directory of the benchmarks with --data", err)
		}
		text, err := c.benchmarks(a, o)
		if err != nil {
			return false, err
		}
		if text != "" {
			would = append(would, text)
		}
	}
	if !c.DryRun {
		return false, c.needModel(a)
	}
	_, plans, err := a.missing(c.requiredFiles()...)
	if err != nil {
		return false, err
	}
	for _, p := range plans {
		if p.Missing == 0 {
			continue
		}
		would = append(would, planText(p))
	}
	if would == nil {
		return false, nil
	}
	would = append(would, "an estimate needs these files: fetch them with barka download, or evaluate without --dry-run")
	return true, a.ui.Print(strings.Join(would, "\n"), map[string]any{"download": would})
}

// requiredFiles returns the files of the model that the evaluation reads: with an
// endpoint only those of its tokenizer.
func (c *evalRunCmd) requiredFiles() []modelFiles {
	if c.Endpoint != "" {
		return []modelFiles{tokenizerOf(c.Tokenizer)}
	}
	return []modelFiles{weights(c.Model), adapter(c.Adapter)}
}

func (c *evalRunCmd) needModel(a *app) error { return a.ensure(c.requiredFiles()...) }

// benchmarks downloads the missing data of tasks. Failed downloads are kept in
// o.DownloadErrors and reported with the tasks that need them. With --dry-run it
// downloads nothing and returns a text about what it would download.
func (c *evalRunCmd) benchmarks(a *app, o *eval.Options) (would string, err error) {
	store, err := benchdata.Open(o.DataDir)
	if err != nil {
		return "", err
	}
	store.Pin(o.Revisions)
	needs := store.Lacking(o.Needs())
	if len(needs) == 0 {
		return "", nil
	}
	client, err := a.hub("")
	if err != nil {
		return "", err
	}
	d, err := benchdata.Downloads(a.ctx, client, needs, o.Revisions)
	if err != nil {
		return "", err
	}
	o.DownloadErrors = d.Why
	if len(d.Plans) == 0 {
		return "", nil
	}
	n, repositories := d.Bytes()
	text := fmt.Sprintf("benchmarks: %s from %d datasets", printable.Bytes(n), repositories)
	if c.DryRun {
		return text + " to download", nil
	}
	a.ui.Infof("%s", text)
	return "", d.Fetch(a.ctx, client)
}
