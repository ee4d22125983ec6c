package main

import (
	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/hub"
	"barka/internal/printable"
)

type downloadCmd struct {
	ID       string   `arg:"" name:"id" help:"Repository: organisation/name, optionally with @revision."`
	Revision string   `help:"Branch, tag or commit; default: main." placeholder:"NAME"`
	Dataset  bool     `help:"The repository is a dataset, not a model or an adapter."`
	Include  []string `help:"Download only files that match; repeatable. * matches slashes too." sep:"none" placeholder:"GLOB"`
	CacheDir string   `aliases:"cache_dir" help:"Directory to use as the hub's cache." placeholder:"DIR"`
	DryRun   bool     `help:"List the files and their sizes; download nothing."`
}

func (downloadCmd) Help() string {
	return `Downloads into the cache that the Python tools share (HF_HUB_CACHE, HF_HOME), in their layout, and
prints the directory. Files that are in the cache are not downloaded again. Every file is verified
by its digest, and an interrupted download is resumed by the same command. Several files, and several
pieces of a large file, are downloaded at once.

  - Models: configuration, tokenizer and weights; pickled weights only if there are no safetensors.
  - Adapters: their two files.
  - Datasets: Parquet, JSON and CSV files, or if there are none, the Parquet files that the hub made
    of the dataset.

The token for gated and private repositories is read from HF_TOKEN, HF_TOKEN_PATH or the file that
hf auth login writes. HF_ENDPOINT names another hub, HTTPS_PROXY a proxy. With --offline or
HF_HUB_OFFLINE=1 the network is not used.

Examples:
  barka download google/gemma-2-2b-it --dry-run
  barka download --dataset OALL/ACVA --cache-dir benchmarks
  barka download facebook/nllb-200-distilled-600M --include "*.json" --include "*.model"`
}

func (c *downloadCmd) Run(a *app) error {
	client, err := a.hub(c.CacheDir)
	if err != nil {
		return err
	}
	l, files, err := c.choose(a, client)
	if err != nil {
		return err
	}
	p := client.Plan(l, files)
	result := map[string]any{"repository": p.Repo.ID, "commit": p.Commit, "files": len(p.Files), "bytes": p.Size, "to_fetch": p.ToFetch}
	if c.DryRun {
		var rows [][]any
		for _, f := range p.Files {
			rows = append(rows, []any{f.Path, printable.Bytes(f.Size)})
		}
		if !a.JSON {
			if err := a.ui.Table([]string{"file", "size"}, rows); err != nil {
				return err
			}
		}
		return a.ui.Print(planText(p), result)
	}
	a.reportDownload(p)
	dir, err := client.Fetch(a.ctx, p)
	if err != nil {
		return err
	}
	result["path"] = dir
	return a.ui.Print(dir, result)
}

// choose lists the repository and selects the files to download.
func (c *downloadCmd) choose(a *app, client *hub.Client) (*hub.Listing, []hub.File, error) {
	kind := hub.Model
	if c.Dataset {
		kind = hub.Dataset
	}
	r, err := hub.ParseRepo(kind, c.ID)
	if err != nil {
		return nil, nil, err
	}
	if c.Revision != "" {
		if r.Revision != "main" && r.Revision != c.Revision {
			return nil, nil, badinput.Errorf("%s and --revision %s name two revisions; give one", c.ID, c.Revision)
		}
		if r, err = hub.ParseRepo(kind, r.ID+"@"+c.Revision); err != nil {
			return nil, nil, err
		}
	}
	if c.Dataset && len(c.Include) == 0 {
		return benchdata.Data(a.ctx, client, r)
	}
	l, err := client.List(a.ctx, r)
	if err != nil {
		return nil, nil, err
	}
	var files []hub.File
	if len(c.Include) > 0 {
		files, err = l.Include(c.Include)
	} else {
		files, err = l.Choose(l.Kind())
	}
	return l, files, err
}
