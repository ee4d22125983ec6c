// Package hubdata finds and reads benchmark files kept in the layout of the
// Hugging Face hub: parquet, csv, tsv and json files, a directory or a file
// name a subset, a file or several shards a split.
package hubdata

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"barka/internal/badinput"
)

// Store is a directory that holds dataset repositories. It is safe for
// concurrent use.
type Store struct {
	root  string
	mu    sync.Mutex
	repos map[string][]string
}

// Open returns the store of a directory, which must exist.
func Open(root string) (*Store, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, badinput.Errorf("benchmark data: %w", err)
	}
	if !info.IsDir() {
		return nil, badinput.Errorf("benchmark data: %s is a file, expected the directory that holds OALL/…", root)
	}
	return &Store{root: root, repos: map[string][]string{}}, nil
}

// Missing says that a split of a dataset is not in the store.
type Missing struct {
	Root, Repo, Subset, Split string
	// Found lists some of what the repository's directory does hold.
	Found []string
}

func (m *Missing) Error() string {
	where := filepath.Join(m.Root, filepath.FromSlash(m.Repo))
	if len(m.Found) == 0 {
		return fmt.Sprintf("%s: nothing there", where)
	}
	return fmt.Sprintf("%s: no file for subset %s, split %s (looked for %s; found %s)",
		where, m.Subset, m.Split, m.Want(), strings.Join(m.Found, ", "))
}

// Want is the usual name of the file that is missing.
func (m *Missing) Want() string {
	if m.Subset == "default" {
		return "data/" + m.Split + "-00000-of-00001.parquet"
	}
	return m.Subset + "/" + m.Split + "-00000-of-00001.parquet"
}

// extensions in order of preference: typed before text.
var extensions = []string{".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".csv", ".tsv"}

// splitNames are other names under which a split is published.
var splitNames = map[string][]string{
	"training":   {"training", "train"},
	"validation": {"validation", "valid", "val", "dev"},
	"dev":        {"dev", "validation", "valid", "val"},
}

// shard is the tail of a file name that numbers the parts of a split.
var shard = regexp.MustCompile(`(-\d{5}-of-(\d{5})(-[0-9a-f]+)?|/\d{4})$`)

// Locate returns the files of one split, in order. A split that is not there
// is a *Missing; one with missing shards is bad input.
func (s *Store) Locate(repo, subset, split string) ([]string, error) {
	base, files, err := s.list(repo)
	if err != nil {
		return nil, err
	}
	names := splitNames[split]
	if names == nil {
		names = []string{split}
	}
	for _, name := range names {
		for _, stem := range stems(subset, name) {
			for _, ext := range extensions {
				found, err := pick(files, stem, ext)
				if err != nil {
					return nil, badinput.Errorf("%s: %w", filepath.Join(base, filepath.FromSlash(stem)), err)
				}
				if found != nil {
					for i, f := range found {
						found[i] = filepath.Join(base, filepath.FromSlash(f))
					}
					return found, nil
				}
			}
		}
	}
	return nil, &Missing{s.root, repo, subset, split, files[:min(len(files), 4)]}
}

// stems are the paths, without shard and extension, under which a split of a
// subset is published.
func stems(subset, split string) []string {
	out := []string{
		subset + "/" + split, "data/" + subset + "/" + split, subset + "/data/" + split,
		subset + "_" + split, subset + "-" + split, "data/" + subset + "_" + split, "data/" + subset + "-" + split,
		split + "/" + subset, split + "/" + subset + "_" + split, "data/" + split + "/" + subset, subset + "/" + subset + "_" + split,
	}
	if subset == "default" {
		out = append([]string{"data/" + split, split}, out...)
	}
	if split == "eval" { // the original file names of XStoryCloze
		out = append(out, "spring2016.val."+subset+".tsv.split_20_80_eval")
	}
	return out
}

// pick returns the files of a stem with an extension, sorted, and checks that
// no shard is missing.
func pick(files []string, stem, ext string) ([]string, error) {
	var found []string
	parts := 0
	for _, f := range files {
		name, ok := strings.CutSuffix(f, ext)
		if !ok || name != stem && !strings.HasPrefix(name, stem) {
			continue
		}
		m := shard.FindStringSubmatch(name)
		if m == nil && name == stem || m != nil && name[:len(name)-len(m[0])] == stem {
			found = append(found, f)
			if m != nil && m[2] != "" {
				parts, _ = strconv.Atoi(m[2])
			}
		}
	}
	if parts != 0 && len(found) != parts {
		return nil, fmt.Errorf("%d of %d parts are there; fetch the others", len(found), parts)
	}
	return found, nil
}

// list returns the repository's directory and its data files, with slashes
// and relative to it, sorted.
func (s *Store) list(repo string) (base string, files []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	base = s.base(repo)
	if files, ok := s.repos[repo]; ok {
		return base, files, nil
	}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) && path == base {
				return fs.SkipAll
			}
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != base {
			return fs.SkipDir
		}
		isData := slices.ContainsFunc(extensions, func(ext string) bool { return strings.HasSuffix(path, ext) })
		if d.IsDir() || !isData {
			return nil
		}
		rel, err := filepath.Rel(base, path)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("benchmark data: %w", err)
	}
	slices.Sort(files)
	s.repos[repo] = files
	return base, files, nil
}

// base is where the repository lies: DIR/owner/name, or the hub cache's
// snapshot directory.
func (s *Store) base(repo string) string {
	plain := filepath.Join(s.root, filepath.FromSlash(repo))
	if _, err := os.Stat(plain); err == nil {
		return plain
	}
	flat := strings.ReplaceAll(repo, "/", "--")
	if snapshots, _ := filepath.Glob(filepath.Join(s.root, "datasets--"+flat, "snapshots", "*")); len(snapshots) > 0 {
		return snapshots[len(snapshots)-1]
	}
	return plain
}
