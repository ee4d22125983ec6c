package wiki

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/hub"
)

// IsHubID reports whether Data names a repository of the hub and nothing here.
func (o Options) IsHubID() bool {
	if o.Data == "" || strings.HasPrefix(o.Data, ".") || filepath.IsAbs(o.Data) || rendered(o.Data) || strings.HasSuffix(o.Data, ".parquet") {
		return false
	}
	_, err := os.Stat(o.Data)
	return err != nil && strings.Count(o.Data, "/") == 1
}

// Locate finds the repository that Data names, and sets Data to its directory in the cache and
// Source to its commit. The plan has the files that Config chooses; it is nil if they are here.
func (o *Options) Locate(ctx context.Context, client *hub.Client) (*hub.Plan, error) {
	repo, err := hub.ParseRepo(hub.Dataset, o.Data)
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, repo)
	if err != nil {
		if dir, ok := client.Cached(repo); ok && o.complete(dir) {
			o.from(dir, repo.ID+"@"+filepath.Base(dir))
			return nil, nil
		}
		return nil, fmt.Errorf("wiki: data %s is neither a file nor a directory here, and the hub cannot be asked for it: %w", o.Data, err)
	}
	var files []hub.File
	var configs []string
	for _, f := range list.Files {
		dir, _, nested := strings.Cut(f.Path, "/")
		if !strings.HasSuffix(f.Path, ".parquet") {
			continue
		}
		if nested {
			configs = append(configs, dir)
		}
		if o.Config == "" || nested && dir == o.Config {
			files = append(files, f)
		}
	}
	slices.Sort(configs)
	configs = slices.Compact(configs)
	if o.Config == "" && len(configs) > 1 || len(files) == 0 {
		return nil, badinput.Errorf("wiki: %s has %d configurations (%s); choose one with --config", repo.ID, len(configs), some(configs))
	}
	plan := client.Plan(list, files)
	o.from(plan.Dir(), repo.ID+"@"+plan.Commit)
	return plan, nil
}

func (o *Options) from(dir, source string) {
	o.Data, o.Source = dir, source
	if o.Config != "" {
		o.Data = filepath.Join(dir, o.Config)
	}
}

var shardName = regexp.MustCompile(`^(.*)-\d{5}-of-(\d{5})\.parquet$`)

// complete reports whether a snapshot in the cache has all shards of its tables.
func (o Options) complete(dir string) bool {
	files, err := parquetFiles(filepath.Join(dir, o.Config))
	lacks := map[string]int{}
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			return false // a link without its blob
		}
		if m := shardName.FindStringSubmatch(f); m != nil {
			if _, known := lacks[m[1]+m[2]]; !known {
				lacks[m[1]+m[2]], _ = strconv.Atoi(m[2])
			}
			lacks[m[1]+m[2]]--
		}
	}
	for _, n := range lacks {
		if n != 0 {
			return false
		}
	}
	return err == nil
}

// dataPath is the file or directory to read: that of Config in a directory of several.
func (o Options) dataPath() string {
	if o.Config == "" || filepath.Base(o.Data) == o.Config || rendered(o.Data) || strings.HasSuffix(o.Data, ".parquet") {
		return o.Data
	}
	return filepath.Join(o.Data, o.Config)
}
