package main

import (
	"fmt"

	"barka/internal/hub"
	"barka/internal/printable"
)

// hub returns a client of the hub. An empty cache stands for the directory that
// the Python tools use.
func (a *app) hub(cache string) (*hub.Client, error) {
	return hub.New(hub.Options{Cache: cache, Offline: a.Offline, Progress: a.ui.Progress()})
}

// modelFiles names a model, by directory or hub id, and the set of its files that
// a verb reads.
type modelFiles struct {
	name  string
	files hub.FileSet
}

func weights(model string) modelFiles     { return modelFiles{model, hub.Weights} }
func adapter(name string) modelFiles      { return modelFiles{name, hub.Adapter} }
func tokenizerOf(model string) modelFiles { return modelFiles{model, hub.Tokenizer} }

// missing plans the downloads of files that are not in the hub's cache.
// Directories need none.
func (a *app) missing(wanted ...modelFiles) (*hub.Client, []*hub.Plan, error) {
	var client *hub.Client
	var plans []*hub.Plan
	for _, p := range wanted {
		if p.name == "" || !hub.IsID(p.name) {
			continue
		}
		if client == nil {
			var err error
			if client, err = a.hub(""); err != nil {
				return nil, nil, err
			}
		}
		plan, err := client.Missing(a.ctx, p.name, p.files)
		if err != nil {
			return nil, nil, err
		}
		if plan != nil {
			plans = append(plans, plan)
		}
	}
	return client, plans, nil
}

// ensure downloads the files that are missing.
func (a *app) ensure(wanted ...modelFiles) error {
	client, plans, err := a.missing(wanted...)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if p.Missing > 0 {
			a.reportDownload(p)
		}
		if _, err := client.Fetch(a.ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// reportDownload reports what is about to be downloaded.
func (a *app) reportDownload(p *hub.Plan) {
	a.ui.Event("download", planText(p), map[string]any{"repo": p.Repo.String(), "commit": p.Commit, "files": len(p.Files),
		"bytes": p.Size, "bytes_to_fetch": p.ToFetch})
}

func planText(p *hub.Plan) string {
	return fmt.Sprintf("%s at commit %.12s: %d files, %s, %s to download",
		p.Repo, p.Commit, len(p.Files), printable.Bytes(p.Size), printable.Bytes(p.ToFetch))
}
