// Package hub finds and downloads repositories of the Hugging Face hub. It shares
// the cache directory and its layout with the Python tools, so that one download
// serves both.
package hub

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/gguf"
)

// Kind is a kind of repository. Its value is the name in the hub's addresses.
type Kind string

// The kinds that barka reads.
const (
	Model   Kind = "models"
	Dataset Kind = "datasets"
)

// word returns the kind's name in a sentence, such as model.
func (k Kind) word() string { return strings.TrimSuffix(string(k), "s") }

// Repo is a repository at a revision: a branch, a tag or a commit.
type Repo struct {
	Kind         Kind
	ID, Revision string
}

// mainRevision is the default revision.
const mainRevision = "main"

var (
	id     = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[\w.-]+$`)
	commit = regexp.MustCompile(`^[0-9a-f]{40}$`)
	// rev matches revisions without characters that mean something in an address or
	// a path.
	rev = regexp.MustCompile(`^[\w][\w.+-]*(/[\w][\w.+-]*)*$`)
)

// ParseRepo reads organisation/name, optionally with @revision.
func ParseRepo(kind Kind, name string) (Repo, error) {
	name, revision, found := strings.Cut(name, "@")
	if !id.MatchString(name) || strings.Contains(name, "..") || len(name) > 200 {
		return Repo{}, badinput.Errorf("%s %q is not a hub id; expected organisation/name", kind.word(), name)
	}
	if !found {
		revision = mainRevision
	}
	if !rev.MatchString(revision) || strings.Contains(revision, "..") || len(revision) > 200 {
		return Repo{}, badinput.Errorf("%s %s: revision %q is neither a name nor a commit", kind.word(), name, revision)
	}
	return Repo{kind, name, revision}, nil
}

// IsID reports whether a model's name is a hub id and not a local directory.
func IsID(name string) bool {
	if there, err := badinput.Exists(name); there || err != nil {
		return false // opening it reports the error
	}
	_, err := ParseRepo(Model, name)
	return err == nil
}

// String returns the repository's id, with its revision if that is not main.
func (r Repo) String() string {
	if r.Revision == mainRevision {
		return r.ID
	}
	return r.ID + "@" + r.Revision
}

// command returns the command that downloads the repository.
func (r Repo) command() string {
	s := "barka download "
	if r.Kind == Dataset {
		s += "--dataset "
	}
	return s + r.String()
}

// CacheDir returns the cache's directory, by the same environment variables
// as huggingface_hub: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME.
func CacheDir() string {
	if d := os.Getenv("HF_HUB_CACHE"); d != "" {
		return d
	}
	return filepath.Join(homeDir(), "hub")
}

// homeDir returns the directory of huggingface_hub's cache and token.
func homeDir() string {
	if d := os.Getenv("HF_HOME"); d != "" {
		return d
	}
	if d := os.Getenv("XDG_CACHE_HOME"); d != "" {
		return filepath.Join(d, "huggingface")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return filepath.Join(home, ".cache", "huggingface")
}

// dir returns the repository's directory in a cache.
func (r Repo) dir(cache string) string {
	return filepath.Join(cache, string(r.Kind)+"--"+strings.ReplaceAll(r.ID, "/", "--"))
}

// snapshot returns the directory of the repository's files in a cache. If the cache
// does not know the commit of the revision, there is no such directory.
func (r Repo) snapshot(cache string) string {
	name := r.Revision
	if data, err := badinput.ReadFile(filepath.Join(r.dir(cache), "refs", filepath.FromSlash(name)), maxRef); err == nil {
		if c := strings.TrimSpace(string(data)); c != "" && filepath.IsLocal(c) {
			name = c
		}
	}
	return filepath.Join(r.dir(cache), "snapshots", filepath.FromSlash(name))
}

// Cached returns the directory of a repository's files in the client's cache, and reports
// whether it exists. It may hold some of the files only.
func (c *Client) Cached(r Repo) (dir string, ok bool) {
	dir = r.snapshot(c.cache)
	ok, err := badinput.IsDir(dir)
	return dir, ok && err == nil
}

// Snapshots returns the directories of a dataset's files in a cache: those of main,
// of the hub's conversion to Parquet, and of other commits, in this order.
func Snapshots(cache, dataset string) ([]string, error) {
	var dirs []string
	var failed error
	add := func(dir string) {
		if slices.Contains(dirs, dir) {
			return
		}
		there, err := badinput.IsDir(dir)
		if there {
			dirs = append(dirs, dir)
		}
		failed = errors.Join(failed, err)
	}
	for _, revision := range []string{mainRevision, ConvertRevision} {
		if r, err := ParseRepo(Dataset, dataset+"@"+revision); err == nil {
			add(r.snapshot(cache))
		}
	}
	snapshots := filepath.Join(Repo{Kind: Dataset, ID: dataset}.dir(cache), "snapshots")
	others, err := os.ReadDir(snapshots)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range others {
		add(filepath.Join(snapshots, e.Name()))
	}
	return dirs, failed
}

// Snapshot returns the directory of a dataset's files in a cache at a revision. It may not
// exist.
func Snapshot(cache, dataset, revision string) (string, error) {
	r, err := ParseRepo(Dataset, dataset+"@"+revision)
	return r.snapshot(cache), err
}

// CommitOf returns the commit of a dataset's file in a cache, or "" if the file is not in a
// snapshot.
func CommitOf(cache, dataset, file string) string {
	rel, err := filepath.Rel(filepath.Join(Repo{Kind: Dataset, ID: dataset}.dir(cache), "snapshots"), file)
	name, _, inside := strings.Cut(filepath.ToSlash(rel), "/")
	if err != nil || !inside || !commit.MatchString(name) {
		return ""
	}
	return name
}

// Resolve returns the directory of a model. A directory is returned as it is. For a
// GGUF file it is a directory that is made of the file's settings and tokenizer. For
// a hub id such as google/gemma-2-2b-it, optionally with @revision, it is the cached
// snapshot.
func Resolve(model string) (string, error) {
	if model == "" {
		return "", badinput.Errorf("no model is given; --model takes a directory in Hugging Face layout, or a hub id")
	}
	if gguf.Is(model) {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", badinput.Errorf("model %s: no directory for its settings and tokenizer: %w", model, err)
		}
		return gguf.Directory(model, filepath.Join(cache, "barka", "gguf"))
	}
	return resolve("model", model, configFile)
}

// IsFile reports whether a model's name is that of a file, as opposed to a directory
// or a hub id, that Resolve takes.
func IsFile(model string) bool { return gguf.Is(model) }

// ResolveAdapter is Resolve for a LoRA adapter.
func ResolveAdapter(adapter string) (string, error) {
	return resolve("adapter", adapter, adapterConfigFile)
}

// resolve finds the directory of a repository. A snapshot counts as present if it
// holds the file probe.
func resolve(what, name, probe string) (string, error) {
	there, err := badinput.Exists(name)
	if err != nil {
		return "", badinput.Errorf("%s: %w", what, err)
	}
	if there {
		if dir, err := badinput.IsDir(name); err == nil && !dir {
			return "", badinput.Errorf("%s %s is a file; expected a directory in Hugging Face layout, or for a model a "+
				"file that ends in .gguf", what, name)
		}
		return name, readable(name)
	}
	r, err := ParseRepo(Model, name)
	if err != nil {
		if base, _, _ := strings.Cut(name, "@"); id.MatchString(base) && !strings.Contains(base, "..") {
			return "", err
		}
		return "", badinput.Missing(name, "expected the directory of a "+what+", or a hub id (organisation/name); `barka models` lists the cache")
	}
	dir := r.snapshot(CacheDir())
	if there, err = badinput.Exists(filepath.Join(dir, probe)); err != nil {
		return "", badinput.Errorf("%s %s: %w", what, name, err)
	}
	if !there {
		return "", badinput.Errorf("%s %s is not in the cache %s; download it with `%s`, or give a directory", what, name,
			CacheDir(), r.command())
	}
	return dir, readable(dir)
}

// readable returns an error if an entry of a directory is neither a directory nor a
// regular file: the files of a model are opened, digested and copied by patterns. A
// dangling link is left to the code that opens it.
func readable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return badinput.Wrap(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if err := badinput.Regular(path); err != nil {
			return err
		}
	}
	return nil
}
