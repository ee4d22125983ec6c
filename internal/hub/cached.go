package hub

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"barka/internal/badinput"
)

// CachedRepo is a repository in the cache.
type CachedRepo struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
	Path string `json:"path"`
	// Size is the number of bytes on disk, Unfinished the part of it that belongs to
	// interrupted downloads.
	Size       int64            `json:"bytes"`
	Unfinished int64            `json:"unfinished_bytes,omitempty"`
	Revisions  []CachedRevision `json:"revisions"`
	Modified   time.Time        `json:"modified"` // of the newest content
}

// CachedRevision is a commit of which the cache has files.
type CachedRevision struct {
	Commit string   `json:"commit"`
	Refs   []string `json:"refs,omitempty"` // branches and tags that name it
	Files  int      `json:"files"`
	Size   int64    `json:"bytes"` // also of contents that it shares with others
}

// Cached returns the repositories in a cache, the largest first. Other directories of the
// cache are left out.
func Cached(cache string) ([]CachedRepo, error) {
	entries, err := os.ReadDir(cache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	var all []CachedRepo
	for _, e := range entries {
		kind, name, ok := strings.Cut(e.Name(), "--")
		r := Repo{Kind: Kind(kind), ID: strings.Replace(name, "--", "/", 1)}
		if !ok || !e.IsDir() || r.Kind != Model && r.Kind != Dataset {
			continue
		}
		one, err := r.cached(cache)
		if err != nil {
			return nil, err
		}
		all = append(all, *one)
	}
	slices.SortStableFunc(all, func(a, b CachedRepo) int { return int(max(min(b.Size-a.Size, 1), -1)) })
	return all, nil
}

// cached describes a repository in a cache.
func (r Repo) cached(cache string) (*CachedRepo, error) {
	dir := r.dir(cache)
	c := &CachedRepo{Kind: r.Kind, ID: r.ID, Path: dir}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() { // links have no size of their own
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		c.Size += info.Size()
		if strings.HasSuffix(path, ".incomplete") || strings.HasSuffix(path, ".piece") {
			c.Unfinished += info.Size()
		}
		if info.ModTime().After(c.Modified) {
			c.Modified = info.ModTime()
		}
		return nil
	})
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	refs, err := r.refs(cache)
	if err != nil {
		return nil, err
	}
	commits, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, badinput.Wrap(err)
	}
	for _, e := range commits {
		one := CachedRevision{Commit: e.Name()}
		for _, ref := range slices.Sorted(maps.Keys(refs)) {
			if refs[ref] == e.Name() {
				one.Refs = append(one.Refs, ref)
			}
		}
		files, err := contents(filepath.Join(dir, "snapshots", e.Name()))
		if err != nil {
			return nil, err
		}
		for _, size := range files {
			one.Files++
			one.Size += size
		}
		c.Revisions = append(c.Revisions, one)
	}
	return c, nil
}

// refs returns the commits of the branches and tags that the cache knows.
func (r Repo) refs(cache string) (map[string]string, error) {
	root := filepath.Join(r.dir(cache), "refs")
	refs := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		data, err := badinput.ReadFile(path, maxRef)
		refs[filepath.ToSlash(name)] = strings.TrimSpace(string(data))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return refs, nil
	}
	return refs, badinput.Wrap(err)
}

// contents returns the sizes of the files of a snapshot by the paths of their contents.
func contents(snapshot string) (map[string]int64, error) {
	files := map[string]int64{}
	err := filepath.WalkDir(snapshot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) { // a link to a content that was removed
			return nil
		}
		if err != nil {
			return err
		}
		if to, err := filepath.EvalSymlinks(path); err == nil {
			path = to
		}
		files[path] = info.Size()
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) { // a branch whose files were removed
		return files, nil
	}
	return files, badinput.Wrap(err)
}

// Remove removes a repository from a cache, or only one revision of it if revision is not "".
// Contents that other revisions have stay. It returns the number of bytes that became free.
// It refuses while another process downloads a file of the repository.
func Remove(cache string, r Repo, revision string) (freed int64, err error) {
	dir := r.dir(cache)
	if there, err := badinput.IsDir(dir); err != nil || !there {
		return 0, badinput.Errorf("%s is not in the cache %s; barka models lists what is", what(r), cache)
	}
	release, err := holdAll(cache, r)
	if err != nil {
		return 0, err
	}
	defer release()
	before, err := r.cached(cache)
	if err != nil {
		return 0, err
	}
	if revision == "" {
		err = removeWhole(dir)
	} else {
		err = r.removeRevision(cache, revision)
	}
	if err != nil {
		return 0, err
	}
	if there, _ := badinput.IsDir(dir); !there {
		return before.Size, nil
	}
	after, err := r.cached(cache)
	if err != nil {
		return 0, err
	}
	return before.Size - after.Size, nil
}

// removeWhole removes what readers look at first, so that a process that ends in between
// leaves nothing that seems complete.
func removeWhole(dir string) error {
	for _, name := range []string{"refs", "snapshots", "blobs", "."} {
		if err := os.RemoveAll(filepath.Clean(filepath.Join(dir, name))); err != nil {
			return diskError(dir, err)
		}
	}
	return nil
}

// removeRevision removes a commit, or the branch or tag of that name and its commit if no
// other names it, and the contents that no other commit has.
func (r Repo) removeRevision(cache, revision string) error {
	dir := r.dir(cache)
	refs, err := r.refs(cache)
	if err != nil {
		return err
	}
	gone, named := refs[revision]
	if !named {
		gone = revision
		if short, err := filepath.Glob(filepath.Join(dir, "snapshots", revision+"*")); err == nil && len(short) == 1 && len(revision) >= 7 {
			gone = filepath.Base(short[0])
		}
	}
	snapshot := filepath.Join(dir, "snapshots", gone)
	if there, err := badinput.IsDir(snapshot); !commit.MatchString(gone) || err != nil || !named && !there {
		return badinput.Errorf("%s has no revision %s in the cache; barka models --revisions lists what is", what(r), revision)
	}
	others := 0
	for name, to := range refs {
		switch {
		case to != gone:
		case named && name != revision:
			others++
		default:
			if err := os.Remove(filepath.Join(dir, "refs", filepath.FromSlash(name))); err != nil {
				return diskError(dir, err)
			}
		}
	}
	if others > 0 {
		return nil
	}
	lost, err := contents(snapshot)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(snapshot); err != nil {
		return diskError(snapshot, err)
	}
	commits, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if err != nil {
		return badinput.Wrap(err)
	}
	for _, e := range commits {
		kept, err := contents(filepath.Join(dir, "snapshots", e.Name()))
		if err != nil {
			return err
		}
		maps.DeleteFunc(lost, func(path string, _ int64) bool { _, ok := kept[path]; return ok })
	}
	if len(commits) == 0 {
		return removeWhole(dir)
	}
	blobs, err := filepath.EvalSymlinks(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil // the snapshots had the contents themselves
	}
	for path := range lost {
		if filepath.Dir(path) != blobs {
			continue // of the snapshot, or of nobody's business
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return diskError(path, err)
		}
	}
	return nil
}

// holdAll takes all locks of a repository, without waiting.
func holdAll(cache string, r Repo) (release func(), err error) {
	var held []func()
	release = func() {
		for _, one := range held {
			one()
		}
	}
	p := &Plan{Listing: &Listing{Repo: r}, cache: cache}
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(p.lockFile(File{})), "*.lock"))
	if err != nil {
		return nil, err
	}
	if last := p.lockFile(File{Digest: "snapshot"}); !slices.Contains(paths, last) {
		paths = append(paths, last)
	}
	for _, path := range paths {
		ctx, stop := context.WithCancel(context.Background())
		one, err := acquire(ctx, path, stop)
		stop()
		if errors.Is(err, context.Canceled) {
			release()
			return nil, badinput.Errorf("%s: another process is downloading it (it holds %s); run this again when it has ended", what(r), path)
		}
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, one)
	}
	return release, nil
}
