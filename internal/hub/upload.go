package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/digestcache"
	"barka/internal/filestamp"
)

// Source is a file to publish: a file on disk, or its content.
type Source struct {
	Path string // in the repository, with slashes
	File string // on disk; "" if Data is the content
	Data []byte
}

// Mode is how a file is sent.
type Mode string

// The modes: as a part of the commit, or to the store of large files.
const (
	Regular Mode = "regular"
	Large   Mode = "lfs"
)

// State compares a file with the repository's of the same path.
type State string

// The states.
const (
	Added     State = "new"
	Changed   State = "changed"
	Unchanged State = "unchanged"
	Ignored   State = "ignored" // by the published .gitignore
)

// maxRegular bounds the size of a file that is sent in a commit, and maxCommit that of all
// of them. The hub itself puts files of more than 10 MiB into its store.
const (
	maxRegular = 64 << 20
	maxCommit  = 512 << 20
)

// Outgoing is a file to publish.
type Outgoing struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"`
	Mode  Mode   `json:"mode"`
	State State  `json:"state"`

	source Source
	sample []byte // the first bytes, from which the hub decides the mode
	sha256 string
	git    string // digest of git's object; "" above maxRegular
	stamp  filestamp.Stamp
}

// sends reports whether a commit has the file.
func (f *Outgoing) sends() bool { return f.State == Added || f.State == Changed }

// Upload is what publishing would do.
type Upload struct {
	Repo  Repo
	Files []*Outgoing
	// Exists is set if the repository exists, Private if it is private. Head is the
	// revision's commit, "" if there is none.
	Exists, Private bool
	Head            string
	// Stale are shards of an earlier version, which are removed: the readers of the new
	// version would read them too. Kept are other files of the repository.
	Stale, Kept []string
	// ToSend is the number of bytes of new and changed files. The store may have some of them.
	ToSend int64
	// There is the repository's list of files, nil if there is none.
	There *Listing
	// Unknown, if not nil, is why the repository was not asked. Modes are guessed then.
	Unknown error
}

// Changes reports whether there is anything to commit.
func (u *Upload) Changes() bool { return u.count() > 0 }

// Drop takes a file out of the upload.
func (u *Upload) Drop(path string) {
	u.Files = slices.DeleteFunc(u.Files, func(f *Outgoing) bool { return f.Path == path })
	u.sum()
}

func (u *Upload) count() (n int) {
	for _, f := range u.Files {
		if f.sends() {
			n++
		}
	}
	return n + len(u.Stale)
}

// PlanUpload reads the files and compares them with the repository. It changes nothing
// there. Without a network, or a token that may write, it guesses what the hub would say.
func (c *Client) PlanUpload(ctx context.Context, r Repo, sources []Source) (*Upload, error) {
	u := &Upload{Repo: r}
	if commit.MatchString(r.Revision) {
		return nil, badinput.Errorf("%s: --revision %s is a commit; a new commit needs a branch", what(r), r.Revision)
	}
	if err := c.readSources(ctx, u, sources); err != nil {
		return nil, err
	}
	for _, f := range u.Files {
		f.Mode, f.State = guess(f), Added
	}
	if c.offline {
		u.Unknown = errOffline
		u.sum()
		return u, nil
	}
	var noRepo *noRepo
	err := c.look(ctx, u)
	switch {
	case errors.As(err, &noRepo), IsUnreachable(err):
		u.Unknown = err
	case err != nil:
		return nil, err
	case c.token == "":
		u.Unknown = errors.New("no token is set")
	default:
		err := c.preupload(ctx, u)
		if refusedAs(err, 401, 403) {
			u.Unknown = err
		} else if err != nil {
			return nil, err
		}
	}
	u.sum()
	return u, nil
}

// readSources checks the paths and digests the files, several at once.
func (c *Client) readSources(ctx context.Context, u *Upload, sources []Source) error {
	seen := map[string]bool{}
	for _, s := range sources {
		switch {
		case !plainPath(s.Path) || strings.HasPrefix(s.Path, ".git/") || s.Path == ".git":
			return badinput.Errorf("%q cannot be the path of a published file; rename it", shorten(s.Path))
		case seen[s.Path]:
			return badinput.Errorf("%s would be published twice", s.Path)
		}
		seen[s.Path] = true
		u.Files = append(u.Files, &Outgoing{Path: s.Path, source: s})
	}
	if len(u.Files) == 0 {
		return badinput.Errorf("there are no files to publish")
	}
	var total int64
	for _, f := range u.Files {
		if err := f.stat(); err != nil {
			return err
		}
		total += f.Size
	}
	c.progress.Start("digests", total, "bytes")
	defer c.progress.Done()
	return c.each(ctx, len(u.Files), func(ctx context.Context, i int) error {
		defer c.progress.Add(u.Files[i].Size)
		return u.Files[i].digest(ctx)
	})
}

// stat sets the size and the stamp.
func (f *Outgoing) stat() error {
	if f.source.File == "" {
		f.Size = int64(len(f.source.Data))
		return nil
	}
	if err := badinput.Regular(f.source.File); err != nil {
		return err
	}
	info, err := os.Stat(f.source.File)
	if err != nil {
		return badinput.Wrap(err)
	}
	f.stamp = filestamp.Of(info)
	f.Size = info.Size()
	return nil
}

// open returns a reader of the content.
func (f *Outgoing) open() (io.ReadSeekCloser, error) {
	if f.source.File == "" {
		return nopCloser{strings.NewReader(string(f.source.Data))}, nil
	}
	return badinput.Open(f.source.File)
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// digest computes the digests, or remembers them if the file has not changed since.
func (f *Outgoing) digest(ctx context.Context) error {
	compute := func() ([]string, error) { return f.hash(ctx) }
	var values []string
	var err error
	if f.source.File == "" {
		values, err = compute()
	} else {
		values, err = digestcache.Of("publish 1", []string{f.source.File}, compute)
	}
	if err != nil {
		return err
	}
	f.sha256, f.git = values[0], values[1]
	in, err := f.open()
	if err != nil {
		return err
	}
	defer in.Close()
	f.sample, err = io.ReadAll(io.LimitReader(in, 512))
	if err != nil {
		return badinput.Wrap(err)
	}
	return f.same()
}

// hash reads the content and returns its SHA-256, and the digest of git's object if it is
// small enough for a commit.
func (f *Outgoing) hash(ctx context.Context) ([]string, error) {
	in, err := f.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	sum, git := sha256.New(), sha1.New()
	fmt.Fprintf(git, "blob %d\x00", f.Size)
	to := io.Writer(sum)
	if f.Size <= maxRegular {
		to = io.MultiWriter(sum, git)
	}
	n, err := io.Copy(to, io.LimitReader(&untilDone{ctx, in}, f.Size+1))
	switch {
	case err != nil:
		return nil, badinput.Wrap(err)
	case n != f.Size:
		return nil, f.changed()
	case f.Size > maxRegular:
		return []string{hex.EncodeToString(sum.Sum(nil)), ""}, nil
	}
	return []string{hex.EncodeToString(sum.Sum(nil)), hex.EncodeToString(git.Sum(nil))}, nil
}

// untilDone is a reader that ends with its context.
type untilDone struct {
	ctx  context.Context
	from io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.from.Read(p)
}

// same returns an error if the file is not the one that was digested.
func (f *Outgoing) same() error {
	if f.source.File == "" {
		return nil
	}
	info, err := os.Stat(f.source.File)
	if err != nil || filestamp.Of(info) != f.stamp {
		return f.changed()
	}
	return nil
}

// changed is the error of a file that changes while it is published.
func (f *Outgoing) changed() error {
	return badinput.Errorf("%s changed while it was being published; nothing of it is visible on the hub; run the same command again "+
		"when nothing writes to it", f.source.File)
}

// look fetches the state of the revision and compares the files with it.
func (c *Client) look(ctx context.Context, u *Upload) error {
	l, err := c.List(ctx, u.Repo)
	if IsNoRevision(err) { // the repository exists
		u.Exists = true
		main := u.Repo
		main.Revision = mainRevision
		if u.Repo.Revision == mainRevision {
			return nil
		}
		l, err = c.List(ctx, main) // from which the branch will be made
		if IsNoRevision(err) {
			return nil
		}
		if err != nil {
			return err
		}
	} else if err == nil {
		u.Head = l.Commit
	}
	if err != nil {
		return err
	}
	u.Exists, u.Private, u.There = true, l.private, l
	u.compare(l)
	return nil
}

// compare sets the states of the files, and what becomes of the repository's others.
func (u *Upload) compare(l *Listing) {
	there := map[string]File{}
	for _, f := range l.Files {
		there[f.Path] = f
	}
	ours := map[string]bool{}
	for _, f := range u.Files {
		ours[f.Path] = true
		switch has, ok := there[f.Path]; {
		case !ok:
			f.State = Added
		case has.Digest == f.sha256 || has.Digest == f.git && f.git != "":
			f.State = Unchanged
		default:
			f.State = Changed
		}
	}
	u.Stale, u.Kept = nil, nil
	for _, f := range l.Files {
		switch {
		case ours[f.Path] || f.Path == ".gitattributes":
		case u.replaces(f.Path):
			u.Stale = append(u.Stale, f.Path)
		default:
			u.Kept = append(u.Kept, f.Path)
		}
	}
}

// numbered matches the files of a set that is written in numbered files.
var numbered = regexp.MustCompile(`^(.*-)\d{5}-of-\d{5}(\.\w+)$`)

// replaces reports whether a file of the repository is one of a numbered set that the
// published files replace.
func (u *Upload) replaces(name string) bool {
	m := numbered.FindStringSubmatch(name)
	return m != nil && slices.ContainsFunc(u.Files, func(f *Outgoing) bool {
		n := numbered.FindStringSubmatch(f.Path)
		return n != nil && n[1] == m[1] && n[2] == m[2]
	})
}

func (u *Upload) sum() {
	u.ToSend = 0
	for _, f := range u.Files {
		if f.sends() {
			u.ToSend += f.Size
		}
	}
}

// storeSuffixes are the names of files that a new repository of the hub keeps in its store.
var storeSuffixes = []string{".7z", ".arrow", ".bin", ".bz2", ".gguf", ".gz", ".h5", ".model", ".msgpack", ".npy", ".npz", ".onnx",
	".parquet", ".pickle", ".pkl", ".pt", ".pth", ".safetensors", ".tar", ".tgz", ".xz", ".zip", ".zst"}

// guess returns how the hub would take a file, by the rules of a new repository.
func guess(f *Outgoing) Mode {
	switch {
	case f.Size == 0:
		return Regular
	case f.Size > 10<<20, slices.Contains(storeSuffixes, path.Ext(f.Path)), strings.Contains(path.Base(f.Path), "tfevents"):
		return Large
	}
	return Regular
}
