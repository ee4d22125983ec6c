package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// The cache's layout is huggingface_hub's:
//
//	models--org--name/blobs/DIGEST            contents; DIGEST.incomplete during a download
//	models--org--name/snapshots/COMMIT/path   links to blobs
//	models--org--name/refs/main               the commit of a branch or tag
//	.locks/models--org--name/DIGEST.lock      held by the process that downloads the blob

// Plan lists files of a repository at a commit, and how much of them is missing in
// the cache.
type Plan struct {
	*Listing
	Files []File
	// Size is the size of all files in bytes, ToFetch the number of bytes to
	// download.
	Size, ToFetch int64
	// Missing counts the files to download.
	Missing int

	cache string
	piece int64
}

// Plan compares files with the cache.
func (c *Client) Plan(l *Listing, files []File) *Plan {
	p := &Plan{Listing: l, Files: files, cache: c.cache, piece: c.piece}
	for _, f := range files {
		p.Size += f.Size
	}
	for _, f := range p.lacking() {
		p.Missing++
		p.ToFetch += f.Size - p.begun(f)
	}
	return p
}

func (p *Plan) root() string          { return p.Repo.dir(p.cache) }
func (p *Plan) blob(f File) string    { return filepath.Join(p.root(), "blobs", f.Digest) }
func (p *Plan) pointer(f File) string { return filepath.Join(p.Dir(), filepath.FromSlash(f.Path)) }
func (p *Plan) lockFile(f File) string {
	return filepath.Join(p.cache, ".locks", filepath.Base(p.root()), f.Digest+".lock")
}

// Dir is the directory that holds the files after Fetch.
func (p *Plan) Dir() string { return filepath.Join(p.root(), "snapshots", p.Commit) }

// there reports whether a file of the right size exists, also behind a link.
// Files in the cache were verified when they were downloaded.
func there(path string, f File) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == f.Size
}

// lacking returns the files whose content is not in the cache. Of files with the
// same content it returns one.
func (p *Plan) lacking() []File {
	var out []File
	seen := map[string]bool{}
	for _, f := range p.Files {
		if !seen[f.Digest] && !there(p.pointer(f), f) && !there(p.blob(f), f) {
			out = append(out, f)
		}
		seen[f.Digest] = true
	}
	return out
}

// begun returns the number of bytes of a file that an interrupted run downloaded.
func (p *Plan) begun(f File) int64 {
	partial := int64(0)
	if info, err := os.Stat(p.blob(f) + ".incomplete"); err == nil {
		partial = info.Size()
	}
	n := partial
	for _, name := range p.pieceFiles(f) {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), f.Digest+"."), ".piece")
		if i, err := strconv.ParseInt(number, 10, 64); err == nil {
			if info, err := os.Stat(name); err == nil { // its beginning may be in the partial file
				n += max(0, info.Size()-max(0, partial-i*p.piece))
			}
		}
	}
	if n > f.Size { // not of this content
		return 0
	}
	return n
}

// link links the downloaded files into the snapshot and records the revision's
// commit. The files by which readers recognise a complete directory come last.
func (p *Plan) link() error {
	files := slices.Clone(p.Files)
	last := func(f File) int {
		return slices.Index([]string{"README.md", adapterConfigFile, configFile}, f.Path)
	}
	slices.SortFunc(files, func(a, b File) int {
		if la, lb := last(a), last(b); la != lb {
			return la - lb
		}
		return strings.Compare(b.Path, a.Path) // the first shard last
	})
	for _, f := range files {
		if there(p.pointer(f), f) {
			continue
		}
		if err := place(p.blob(f), p.pointer(f), os.Symlink); err != nil {
			return diskError(p.pointer(f), err)
		}
	}
	if p.referred() {
		return nil
	}
	ref := p.ref()
	if err := os.MkdirAll(filepath.Dir(ref), 0o777); err != nil {
		return diskError(ref, err)
	}
	return diskError(ref, atomicfile.WriteFile(ref, []byte(p.Commit)))
}

func (p *Plan) ref() string {
	return filepath.Join(p.root(), "refs", filepath.FromSlash(p.Repo.Revision))
}

// maxRef bounds the size of a ref of the cache, which holds a commit's hash.
const maxRef = 4096

// referred reports whether the cache knows the revision's commit.
func (p *Plan) referred() bool {
	data, err := badinput.ReadFile(p.ref(), maxRef)
	return p.Repo.Revision == p.Commit || err == nil && strings.TrimSpace(string(data)) == p.Commit
}

// linked reports whether link has nothing to do.
func (p *Plan) linked() bool {
	for _, f := range p.Files {
		if !there(p.pointer(f), f) {
			return false
		}
	}
	return p.referred()
}

// place makes a file of a snapshot: a relative symbolic link to the blob. On file
// systems without symbolic links it makes a hard link, or a copy.
func place(blob, pointer string, symlink func(oldname, newname string) error) error {
	dir := filepath.Dir(pointer)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := os.Remove(pointer); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if target, err := filepath.Rel(dir, blob); err == nil && symlink(target, pointer) == nil {
		return nil
	}
	if os.Link(blob, pointer) == nil {
		return nil
	}
	return atomicfile.Write(pointer, func(w io.Writer) error {
		f, err := os.Open(blob)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}

// diskError wraps the error of a failed write to path, with advice for the user.
func diskError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case noSpace(err):
		return fmt.Errorf("no space is left to write %s; free some, or set HF_HUB_CACHE to a directory with more; the "+
			"same command resumes: %w", path, err)
	case errors.Is(err, fs.ErrPermission):
		return badinput.Errorf("%s cannot be written; set HF_HUB_CACHE to a directory of yours: %w", path, err)
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

// existing returns the directory if it exists, or else its nearest existing parent.
func existing(dir string) string {
	for dir, _ = filepath.Abs(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
	}
}
