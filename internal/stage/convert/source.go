package convert

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/hub"
)

// Source is where the data of a run are.
type Source struct {
	Data string // file or directory on this machine
	// Repo is the repository at a commit, for Options.Source; "" for the user's own files.
	Repo string
	// Plan holds the files of a repository that have to be downloaded to Data; nil if they are
	// there.
	Plan *hub.Plan
}

// HubID returns the repository in which a set is published, or "" if that is not known.
func HubID(benchmark string) string { return benchmarks[benchmark].hub }

// IsHubID reports whether data names a repository: there is no such file or directory, and it
// does not look like a file of rows.
func (o Options) IsHubID(data string) bool {
	return format(data, benchmarks[o.Benchmark]) == "" && !isArchive(data) && hub.IsID(data)
}

// Locate finds data: a path, or a repository of the hub (ORG/NAME, optionally with @REVISION);
// "" is the repository in which the set is published. A repository's files are those of the
// split and the configuration. If the cache has them, the hub is not asked.
func (o Options) Locate(ctx context.Context, client *hub.Client, data string) (Source, error) {
	b, ok := benchmarks[o.Benchmark]
	if !ok {
		return Source{}, unknownBenchmark(o.Benchmark)
	}
	if o.Config != "" {
		b.configs = []string{o.Config}
	}
	if data == "" {
		data = b.hub
	}
	if data == "" {
		return Source{}, badinput.Errorf("convert: no repository of %s is known; name a file, a directory or a hub id as data", o.Benchmark)
	}
	if !o.IsHubID(data) {
		return Source{Data: data}, nil
	}
	r, err := hub.ParseRepo(hub.Dataset, data)
	if err != nil {
		return Source{}, err
	}
	revisions := []hub.Repo{r}
	if !strings.Contains(data, "@") {
		r.Revision = hub.ConvertRevision // a set may be a program in its main revision
		revisions = append(revisions, r)
	}
	for _, r := range revisions {
		if dir, ok := client.Cached(r); ok && complete(dir, b, o.Split) {
			return Source{Data: dir, Repo: r.ID + "@" + filepath.Base(dir)}, nil
		}
	}
	return o.plan(ctx, client, revisions, b)
}

// plan lists the files of the first revision that has the split.
func (o Options) plan(ctx context.Context, client *hub.Client, revisions []hub.Repo, b benchmark) (Source, error) {
	var found []string
	for i, r := range revisions {
		l, err := client.List(ctx, r)
		if i > 0 && hub.IsNoRevision(err) {
			break // it has not been converted
		}
		if err != nil {
			return Source{}, fmt.Errorf("convert: data %s is neither a file nor a directory here, and the hub cannot be asked for it: %w",
				r.ID, err)
		}
		var names []string
		for _, f := range l.Files {
			names = append(names, f.Path)
		}
		if i == 0 {
			found = names
		}
		chosen := choose(names, b, o.Split)
		if len(chosen) == 0 {
			continue
		}
		var files []hub.File
		for _, name := range chosen {
			if f, ok := l.Find(name); ok {
				files = append(files, f)
			}
		}
		p := client.Plan(l, files)
		return Source{Data: p.Dir(), Repo: r.ID + "@" + l.Commit, Plan: p}, nil
	}
	return Source{}, badinput.Errorf("convert: the dataset %s has no file of the split %s in parquet, JSON or CSV, and the hub has "+
		"converted none; files there: %s", revisions[0], o.Split, shorten(found))
}

var shardName = regexp.MustCompile(`^(.*)-\d{5}-of-(\d{5})(.*)$`)

// complete reports whether a snapshot in the cache has the files of a split, with all shards.
func complete(dir string, b benchmark, split string) bool {
	var there []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if _, err := os.Stat(name); err != nil {
			return nil // a link without its blob
		}
		rel, err := filepath.Rel(dir, name)
		there = append(there, filepath.ToSlash(rel))
		return err
	})
	files := choose(there, b, split)
	if err != nil || len(files) == 0 {
		return false
	}
	shards, want := map[string]int{}, map[string]int{}
	for _, f := range files {
		if m := shardName.FindStringSubmatch(f); m != nil {
			shards[m[1]+m[2]]++
			want[m[1]+m[2]], _ = strconv.Atoi(m[2])
		}
	}
	for name, n := range want {
		if shards[name] != n {
			return false
		}
	}
	return len(b.configs) == 0 || !slices.ContainsFunc(files, func(f string) bool { return !ofConfig(f, b) })
}

// ofConfig reports whether a file is of one of the set's configurations, or of a repository
// without configurations. The cache may have other configurations only.
func ofConfig(f string, b benchmark) bool {
	if slices.ContainsFunc(b.configs, func(config string) bool { return inConfig(f, config) }) {
		return true
	}
	dirs := strings.Split(path.Dir(f), "/")
	return !slices.ContainsFunc(dirs, func(dir string) bool {
		return dir != "." && dir != "data" && dir != "default" && splitOf(dir) == ""
	})
}
