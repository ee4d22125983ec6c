// Package benchdata finds, reads and downloads benchmark files in the layout of
// the Hugging Face hub: parquet, csv, tsv and json files. A subset is a directory
// or a file name; a split is one file or several shards.
package benchdata

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
	"barka/internal/hub"
)

// Store is a directory that holds dataset repositories. It is safe for
// concurrent use.
type Store struct {
	root  string
	pins  Revisions
	mu    sync.Mutex
	repos map[string]repository // by directory
}

// repository is what a repository's directory holds.
type repository struct {
	files []string
	card  []config
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
	return &Store{root: root, repos: map[string]repository{}}, nil
}

// Cache returns the store of the hub's cache, which need not exist yet. Of the snapshots of
// a repository in pins it reads those alone, and of others main's first.
func Cache(pins Revisions) *Store {
	return &Store{root: hub.CacheDir(), pins: pins, repos: map[string]repository{}}
}

// Pin makes the store read only the given snapshots of the repositories in pins. It has no
// effect on directories without snapshots.
func (s *Store) Pin(pins Revisions) { s.pins = pins }

// Missing is the error of a split that is not in the store.
type Missing struct {
	Root, Repo, Subset, Split string
	Revision                  string // that is pinned, or ""
	// Found lists some files that the repository's directory does hold.
	Found []string
	// Why is the reason why it could not be downloaded; nil if that was not tried.
	Why error
}

func (m *Missing) Error() string {
	where := fmt.Sprintf("%s in %s", m.Repo, m.Root)
	if len(m.Found) == 0 {
		return where + ": nothing there"
	}
	return fmt.Sprintf("%s: no file for subset %s, split %s (looked for %s; found %s)",
		where, m.Subset, m.Split, m.DefaultFile(), strings.Join(m.Found, ", "))
}

// Command is the command that downloads the dataset to the store.
func (m *Missing) Command() string {
	repo := m.Repo
	if m.Revision != "" {
		repo += "@" + m.Revision
	}
	if m.Root == hub.CacheDir() {
		return "barka download --dataset " + repo
	}
	return "barka download --dataset " + repo + " --cache-dir " + m.Root
}

// DefaultFile is the usual name of the missing file.
func (m *Missing) DefaultFile() string {
	if m.Subset == "default" {
		return "data/" + m.Split + "-00000-of-00001.parquet"
	}
	return m.Subset + "/" + m.Split + "-00000-of-00001.parquet"
}

// extensions are in order of preference: typed formats before text.
var extensions = []string{".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".csv", ".csv.gz", ".tsv", ".tsv.gz"}

// splitNames are other names under which a split is published.
var splitNames = map[string][]string{
	"training":   {"training", "train"},
	"validation": {"validation", "valid", "val", "dev"},
	"dev":        {"dev", "validation", "valid", "val"},
}

// shard is the end of a file name that numbers the shards of a split.
var shard = regexp.MustCompile(`(-\d{5}-of-(\d{5})(-[0-9a-f]+)?|/\d{4})$`)

// Locate returns the files of one split, in order. The error of an absent split
// is a *Missing. A split that lacks some of its shards is bad input.
func (s *Store) Locate(repo, subset, split string) ([]string, error) {
	bases, err := s.bases(repo)
	if err != nil {
		return nil, badinput.Errorf("benchmark data: %w", err)
	}
	missing := &Missing{Root: s.root, Repo: repo, Subset: subset, Split: split}
	if pinned := s.pins[repo]; len(pinned) > 0 {
		missing.Revision = pinned[0]
	}
	var broken error
	for _, base := range bases {
		files, card, err := s.list(base)
		if err != nil {
			return nil, err
		}
		found, err := match(card, files, subset, split)
		if err != nil && broken == nil {
			broken = badinput.Errorf("%s: %w", base, err)
		}
		if err == nil && found != nil {
			for i, f := range found {
				found[i] = filepath.Join(base, filepath.FromSlash(f))
			}
			return found, nil
		}
		if missing.Found == nil {
			missing.Found = files[:min(len(files), 4)]
		}
	}
	if broken != nil {
		return nil, broken
	}
	return nil, missing
}

// match returns the files of a split among those of a repository, which are sorted
// and have slashes: the ones that the card declares, else those with its name. The
// only error is that some shards are missing.
func match(card []config, files []string, subset, split string) ([]string, error) {
	names := splitNames[split]
	if names == nil {
		names = []string{split}
	}
	for _, name := range names {
		if found := declared(card, files, subset, name); len(found) > 0 {
			return found, numbered(found)
		}
		for _, stem := range stems(subset, name) {
			for _, ext := range extensions {
				found, err := pick(files, stem, ext)
				if err != nil || found != nil {
					return found, err
				}
			}
		}
	}
	if subset == "default" {
		return unnamed(files, names), nil
	}
	return nil, nil
}

// unnamed returns the files of a split of a dataset without subsets that names its
// files freely: the files with the split's name as a word in their path. If no
// file names a split, all files are the training split.
func unnamed(files, names []string) []string {
	named := func(splits ...string) (out []string) {
		for _, f := range files {
			words := strings.FieldsFunc(f, func(r rune) bool { return strings.ContainsRune("/._- 0123456789", r) })
			if slices.ContainsFunc(splits, func(s string) bool { return slices.Contains(words, s) }) {
				out = append(out, f)
			}
		}
		return out
	}
	found := named(names...)
	if found == nil && names[0] == "train" && len(named("test", "eval", "validation", "valid", "val", "dev")) == 0 {
		found = files
	}
	for _, ext := range extensions { // the same rows may be there in several formats
		if same := slices.DeleteFunc(slices.Clone(found), func(f string) bool { return extension(f) != ext }); len(same) > 0 {
			return same
		}
	}
	return nil
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
	for _, f := range files {
		name, ok := strings.CutSuffix(f, ext)
		if !ok || !strings.HasPrefix(name, stem) {
			continue
		}
		m := shard.FindString(name)
		if name == stem || m != "" && name[:len(name)-len(m)] == stem {
			found = append(found, f)
		}
	}
	return found, numbered(found)
}

// numbered checks that no shard is missing, where the names give the number of
// shards or count from 0000.
func numbered(files []string) error {
	found, parts := map[string]int{}, map[string]int{}
	for _, f := range files {
		name := strings.TrimSuffix(f, extension(f))
		m := shard.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		stem := strings.TrimSuffix(name, m[0])
		found[stem]++
		if m[2] != "" {
			parts[stem], _ = strconv.Atoi(m[2])
		} else if n, _ := strconv.Atoi(m[0][1:]); parts[stem] <= n {
			parts[stem] = n + 1
		}
	}
	for stem, n := range parts {
		if found[stem] != n {
			return fmt.Errorf("%s: %d of %d parts are there; fetch the others", stem, found[stem], n)
		}
	}
	return nil
}

// extension is the extension that decides how a file is read; "" if it cannot be
// read.
func extension(name string) string {
	for _, ext := range extensions {
		if strings.HasSuffix(name, ext) {
			return ext
		}
	}
	return ""
}

func isData(name string) bool { return extension(name) != "" }

// Reads reports whether Read reads files of this name.
func Reads(name string) bool { return isData(name) }

// list returns the data files of a repository's directory, sorted, relative to it
// and with slashes, and the subsets that its card declares.
func (s *Store) list(base string) (files []string, card []config, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.repos[base]; ok {
		return r.files, r.card, nil
	}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != base {
			return fs.SkipDir
		}
		if d.IsDir() || !isData(path) {
			return nil
		}
		rel, err := filepath.Rel(base, path)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("benchmark data: %w", err)
	}
	slices.Sort(files)
	text, err := hub.CardOf(base)
	if err != nil {
		return nil, nil, fmt.Errorf("benchmark data: %w", err)
	}
	card = configs(text)
	s.repos[base] = repository{files, card}
	return files, card, nil
}

// bases are the places of a repository: DIR/owner/name, then the snapshots of the
// hub's cache.
func (s *Store) bases(repo string) ([]string, error) {
	var dirs []string
	plain := filepath.Join(s.root, filepath.FromSlash(repo))
	there, err := badinput.IsDir(plain)
	if err != nil {
		return nil, err
	}
	if there {
		dirs = append(dirs, plain)
	}
	cached, err := s.snapshots(repo)
	return append(dirs, cached...), err
}
