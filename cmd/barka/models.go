package main

import (
	"fmt"

	"barka/internal/hub"
	"barka/internal/ui"
)

// hub makes a client of the hub; cache "" is the one that the Python tools
// share.
func (a *app) hub(cache string) (*hub.Client, error) {
	return hub.New(hub.Options{Cache: cache, Offline: a.Offline, Progress: a.ui.Progress()})
}

// part is what a verb needs of a model that may be named by a hub id.
type part struct {
	name string
	want hub.Want
}

func weights(model string) part     { return part{model, hub.Weights} }
func adapter(name string) part      { return part{name, hub.Adapter} }
func tokenizerOf(model string) part { return part{model, hub.Tokenizer} }

// lack plans the downloads that parts need: none for directories and for what
// is in the cache.
func (a *app) lack(parts ...part) (*hub.Client, []*hub.Plan, error) {
	var client *hub.Client
	var plans []*hub.Plan
	for _, p := range parts {
		if p.name == "" || !hub.IsID(p.name) {
			continue
		}
		if client == nil {
			var err error
			if client, err = a.hub(""); err != nil {
				return nil, nil, err
			}
		}
		plan, err := client.Lack(a.ctx, p.name, p.want)
		if err != nil {
			return nil, nil, err
		}
		if plan != nil {
			plans = append(plans, plan)
		}
	}
	return client, plans, nil
}

// need downloads what parts lack.
func (a *app) need(parts ...part) error {
	client, plans, err := a.lack(parts...)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if p.Missing > 0 {
			a.tellDownload(p)
		}
		if _, err := client.Fetch(a.ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// tellDownload reports what is about to be downloaded.
func (a *app) tellDownload(p *hub.Plan) {
	a.ui.Event("download", planText(p), map[string]any{"repo": p.Repo.String(), "commit": p.Commit, "files": len(p.Files), "bytes": p.Size, "bytes_to_fetch": p.ToFetch})
}

func planText(p *hub.Plan) string {
	return fmt.Sprintf("%s at commit %.12s: %d files, %s, of which %s are to be downloaded", p.Repo, p.Commit, len(p.Files), ui.Bytes(p.Size), ui.Bytes(p.ToFetch))
}
