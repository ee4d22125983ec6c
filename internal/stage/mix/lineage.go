package mix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/dataset"
)

// ancestor is a stage that the rows of an input went through.
type ancestor struct {
	source   string // name of the input
	manifest *dataset.Manifest
}

// lineage returns the stages of each input, the earliest first, as far as their
// directories lie beside the input's. They are found by their digests, which the
// manifest of the next stage has.
func (m *mixer) lineage(ctx context.Context) (all []ancestor, err error) {
	for _, source := range slices.Sorted(maps.Keys(m.env.In)) {
		path := m.env.In[source]
		chain := []ancestor{}
		seen := map[string]bool{}
		for path != "" {
			seen[filepath.Clean(path)] = true
			manifest, err := dataset.ManifestIfAny(path)
			if err != nil {
				return nil, err
			}
			if manifest == nil { // a file, or a directory of another program
				break
			}
			chain = append(chain, ancestor{source, manifest})
			if path, err = madeFrom(ctx, filepath.Dir(filepath.Clean(path)), manifest, seen); err != nil {
				return nil, err
			}
		}
		slices.Reverse(chain)
		all = append(all, chain...)
	}
	return all, nil
}

// madeFrom returns the dataset directory in dir that is an input of a stage and was not
// seen, "" if none is there. A stage that drops no row has the digest of its input. Of
// directories with one digest, the last name is taken: a recipe numbers its stages.
func madeFrom(ctx context.Context, dir string, of *dataset.Manifest, seen map[string]bool) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) { // only its names are known
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(entries) {
		path := filepath.Join(dir, e.Name())
		if seen[path] || !dataset.HasManifest(path) {
			continue
		}
		digest, err := dataset.Digest(ctx, path)
		if ctx.Err() != nil { // also after a digest that was complete, or the chain would seem to end here
			return "", ctx.Err()
		}
		if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
			return "", err
		}
		if err != nil { // a damaged set of another run
			continue
		}
		for name, in := range of.Inputs {
			if in.Digest == digest && !strings.HasPrefix(name, dataset.EarlierInput) {
				return path, nil
			}
		}
	}
	return "", nil
}

// lineageTable has what each stage kept, and why it dropped the rest.
func lineageTable(b *strings.Builder, all []ancestor) {
	if len(all) == 0 {
		return
	}
	b.WriteString("\n## Stages\n\n| set | stage | records | rows | rejected |\n|---|---|---:|---:|---|\n")
	for _, a := range all {
		var reasons []string
		for _, name := range slices.Sorted(maps.Keys(a.manifest.Counts)) {
			if reason, ok := strings.CutPrefix(name, "rejected_"); ok && a.manifest.Counts[name] > 0 {
				reasons = append(reasons, fmt.Sprintf("%s %d", reason, a.manifest.Counts[name]))
			}
		}
		fmt.Fprintf(b, "| %s | %s | %d | %d | %s |\n", a.source, a.manifest.Stage, a.manifest.Counts["in"], a.manifest.Counts["out"],
			strings.Join(reasons, ", "))
	}
}
