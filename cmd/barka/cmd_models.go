package main

import (
	"cmp"
	"fmt"
	"strings"

	"barka/internal/hub"
	"barka/internal/printable"
)

// modelsCmd has two sub-verbs; plain "barka models" runs the first.
type modelsCmd struct {
	List modelsListCmd `cmd:"" default:"withargs" help:"List what the hub's cache holds."`
	RM   modelsRMCmd   `cmd:"" name:"rm" help:"Remove a repository or a revision from the cache."`
}

type modelsListCmd struct {
	Revisions bool   `help:"List every revision."`
	CacheDir  string `aliases:"cache_dir" help:"Directory of the cache; default: that of the Python tools." placeholder:"DIR"`
}

func (modelsCmd) Help() string {
	return `Lists the models and datasets in the hub's cache with their sizes, the largest first. The cache is shared
with the Python tools (HF_HUB_CACHE, HF_HOME).

Examples:
  barka models
  barka models rm google/gemma-2-2b-it`
}

func (modelsListCmd) Help() string { return modelsCmd{}.Help() }

func (c *modelsListCmd) Run(a *app) error {
	cache := cmp.Or(c.CacheDir, hub.CacheDir())
	repos, err := hub.Cached(cache)
	if err != nil {
		return err
	}
	if a.JSON {
		for _, r := range repos {
			if err := a.ui.Print("", r); err != nil {
				return err
			}
		}
		return nil
	}
	var rows [][]any
	var total int64
	for _, r := range repos {
		total += r.Size
		rows = append(rows, []any{printable.Line(r.ID, 200), kindName(r.Kind), printable.Bytes(r.Size), revisionsText(r),
			r.Modified.Format("2006-01-02")})
		for _, v := range r.Revisions {
			if c.Revisions {
				name := fmt.Sprintf("  @%.12s %s", v.Commit, strings.Join(v.Refs, ", "))
				rows = append(rows, []any{printable.Line(name, 200), "", printable.Bytes(v.Size), fmt.Sprintf("%d files", v.Files), ""})
			}
		}
	}
	if err := a.ui.Table([]string{"repository", "kind", "size", "revisions", "changed"}, rows); err != nil {
		return err
	}
	a.ui.Infof("%d repositories, %s in %s", len(repos), printable.Bytes(total), cache)
	return nil
}

func kindName(k hub.Kind) string { return strings.TrimSuffix(string(k), "s") }

// revisionsText lists the branches and tags of a repository, and counts other commits.
func revisionsText(r hub.CachedRepo) string {
	var names []string
	other := 0
	for _, v := range r.Revisions {
		names = append(names, v.Refs...)
		if len(v.Refs) == 0 {
			other++
		}
	}
	text := strings.Join(names, ", ")
	if other > 0 {
		text = strings.TrimPrefix(fmt.Sprintf("%s, %d without a name", text, other), ", ")
	}
	if r.Unfinished > 0 {
		text = strings.TrimPrefix(text+", "+printable.Bytes(r.Unfinished)+" unfinished", ", ")
	}
	return printable.Line(text, 80)
}

type modelsRMCmd struct {
	ID       string `arg:"" name:"id" help:"Repository: organisation/name, optionally with @revision: a branch, a tag or a commit."`
	Dataset  bool   `help:"The repository is a dataset, not a model or an adapter."`
	CacheDir string `aliases:"cache_dir" help:"Directory of the cache; default: that of the Python tools." placeholder:"DIR"`
}

func (modelsRMCmd) Help() string {
	return `Removes a repository from the hub's cache and prints the bytes that became free. With @revision, only that
revision and what no other revision needs. Nothing is removed while another process downloads a file of
the repository.

Examples:
  barka models rm google/gemma-2-2b-it
  barka models rm google/gemma-2-2b-it@main
  barka models rm --dataset OALL/ACVA`
}

func (c *modelsRMCmd) Run(a *app) error {
	kind := hub.Model
	if c.Dataset {
		kind = hub.Dataset
	}
	r, err := hub.ParseRepo(kind, c.ID)
	if err != nil {
		return err
	}
	revision := ""
	if strings.Contains(c.ID, "@") {
		revision = r.Revision
	}
	freed, err := hub.Remove(cmp.Or(c.CacheDir, hub.CacheDir()), r, revision)
	if err != nil {
		return err
	}
	return a.ui.Print(fmt.Sprintf("%s removed, %s freed", c.ID, printable.Bytes(freed)), map[string]any{"id": r.ID, "freed_bytes": freed})
}
