package benchdata

import (
	"archive/zip"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/hub"
	"barka/internal/version"
)

// A pack is a zip archive with all that an evaluation reads beside the model:
//
//	pack.json               format, version, tasks, commits, and the SHA-256 of every file
//	data/ORG/NAME/PATH      files of datasets, as they are on the hub, with their cards
const (
	packFormat  = "barka-eval-pack"
	packVersion = 1
	packFile    = "pack.json"
	packData    = "data/"
)

// maxPacked bounds the size of all files of a pack.
const maxPacked = 1 << 40

// Pack describes a pack.
type Pack struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Barka   string `json:"barka"`
	// Tasks are entries of a list of tasks, as --tasks takes them.
	Tasks     []string   `json:"tasks"`
	Shots     *int       `json:"num_fewshot,omitempty"` // in place of the tasks' own
	Revisions Revisions  `json:"revisions,omitempty"`   // commits of the datasets
	Files     []PackFile `json:"files"`
}

// PackFile is a file of a pack; Name is its name in the archive.
type PackFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	path   string // of the original
}

// Size returns the number of bytes of all files.
func (p *Pack) Size() (n int64) {
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// Datasets returns the number of datasets.
func (p *Pack) Datasets() int {
	names := map[string]bool{}
	for _, f := range p.Files {
		if parts := strings.SplitN(f.Name, "/", 4); len(parts) == 4 {
			names[parts[1]+"/"+parts[2]] = true
		}
	}
	return len(names)
}

// NewPack lists the files of needs. It returns the error of a need that the store does not
// meet.
func (s *Store) NewPack(tasks []string, shots *int, needs []Need) (*Pack, error) {
	content, err := s.Identify(needs)
	if err != nil {
		return nil, err
	}
	p := &Pack{Format: packFormat, Version: packVersion, Barka: version.Barka, Tasks: tasks, Shots: shots, Revisions: content.Revisions}
	for _, n := range Sorted(needs) {
		files, err := s.Locate(n.Repo, n.Subset, n.Split)
		if err != nil {
			return nil, err
		}
		base, err := s.base(n.Repo, files[0])
		if err != nil {
			return nil, err
		}
		if card := filepath.Join(base, "README.md"); isFile(card) {
			files = append(files, card)
		}
		for _, file := range files {
			if err := p.add(n.Repo, base, file); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(p.Files, func(a, b PackFile) int { return strings.Compare(a.Name, b.Name) })
	return p, nil
}

// base returns the directory of a repository that holds a file: a snapshot, or ORG/NAME.
func (s *Store) base(repo, file string) (string, error) {
	if commit := hub.CommitOf(s.root, repo, file); commit != "" {
		return hub.Snapshot(s.root, repo, commit)
	}
	return filepath.Join(s.root, filepath.FromSlash(repo)), nil
}

// add adds a file, once.
func (p *Pack) add(repo, base, file string) error {
	rel, err := filepath.Rel(base, file)
	if err != nil {
		return err
	}
	name := packData + repo + "/" + filepath.ToSlash(rel)
	d, err := dataset.Describe(filepath.Dir(file), filepath.Base(file))
	if err != nil {
		return err
	}
	for _, f := range p.Files {
		if f.Name == name && f.SHA256 != d.SHA256 && !strings.HasSuffix(name, "README.md") {
			return badinput.Errorf("%s is in two revisions of %s with different content; pin one with --revisions", rel, repo)
		} else if f.Name == name {
			return nil
		}
	}
	p.Files = append(p.Files, PackFile{name, d.Size, d.SHA256, file})
	return nil
}

// Write writes the archive. Equal contents give equal bytes.
func (p *Pack) Write(ctx context.Context, out string) error {
	return atomicfile.Write(out, func(w io.Writer) error {
		z := zip.NewWriter(w)
		about, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			return err
		}
		if err := entry(z, packFile, strings.NewReader(string(about)+"\n")); err != nil {
			return err
		}
		for _, f := range p.Files {
			if err := cmp.Or(ctx.Err(), f.pack(z)); err != nil {
				return err
			}
		}
		return z.Close()
	})
}

// pack writes a file to the archive, and an error if it has changed since it was listed.
func (f PackFile) pack(z *zip.Writer) error {
	from, err := badinput.Open(f.path)
	if err != nil {
		return badinput.Wrap(err)
	}
	defer from.Close()
	sum := sha256.New()
	if err := entry(z, f.Name, io.TeeReader(from, sum)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return badinput.Errorf("%s has changed while it was packed: its SHA-256 was %s and is %s; pack again", f.path, f.SHA256, got)
	}
	return nil
}

// entry adds an entry. Parquet and compressed files are stored as they are.
func entry(z *zip.Writer, name string, data io.Reader) error {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	if slices.Contains([]string{".parquet", ".gz", ".zst"}, path.Ext(name)) {
		h.Method = zip.Store
	}
	h.SetMode(0o644)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = io.Copy(w, data)
	}
	return err
}

// Unpack returns the description of a pack and a directory below cache with its data. The
// directory is named by the description's digest, and a pack that was unpacked before is not
// written again. Every file is compared with its digest.
func Unpack(ctx context.Context, pack, cache string) (*Pack, string, error) {
	if err := badinput.Regular(pack); err != nil {
		return nil, "", badinput.Wrap(err)
	}
	z, err := zip.OpenReader(pack)
	if err != nil {
		return nil, "", badinput.Errorf("%s is not a pack: %w; `barka eval pack` writes one", pack, err)
	}
	defer z.Close()
	p, id, err := describePack(&z.Reader)
	if err != nil {
		return nil, "", badinput.Errorf("%s: %w", pack, err)
	}
	dir := filepath.Join(cache, id)
	done := filepath.Join(dir, packFile)
	if isFile(done) {
		return p, filepath.Join(dir, "data"), p.check(dir)
	}
	for _, f := range p.Files {
		if err := cmp.Or(ctx.Err(), f.unpack(&z.Reader, dir)); err != nil {
			return nil, "", fmt.Errorf("%s: %w", pack, err)
		}
	}
	return p, filepath.Join(dir, "data"), atomicfile.WriteJSON(done, p)
}

// describePack reads and checks the description in an archive.
func describePack(z *zip.Reader) (p *Pack, id string, err error) {
	f, err := z.Open(packFile)
	if err != nil {
		return nil, "", badinput.Errorf("it has no %s; `barka eval pack` writes packs", packFile)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, badinput.MaxSettings))
	if err != nil {
		return nil, "", badinput.Errorf("%s: %w", packFile, err)
	}
	p = &Pack{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, "", badinput.Errorf("%s: %w", packFile, err)
	}
	switch {
	case p.Format != packFormat:
		return nil, "", badinput.Errorf("its format is %q, expected %q", p.Format, packFormat)
	case p.Version > packVersion:
		return nil, "", badinput.Errorf("it has version %d, and this barka reads versions up to %d; use a newer barka", p.Version, packVersion)
	case len(p.Tasks) == 0 || len(p.Files) == 0:
		return nil, "", badinput.Errorf("it has %d tasks and %d files, expected some", len(p.Tasks), len(p.Files))
	}
	for _, f := range p.Files {
		if !strings.HasPrefix(f.Name, packData) || !filepath.IsLocal(filepath.FromSlash(f.Name)) || strings.Contains(f.Name, "\\") {
			return nil, "", badinput.Errorf("%s names a file %q outside of its data", packFile, f.Name)
		}
	}
	if n := p.Size(); n > maxPacked || n < 0 {
		return nil, "", badinput.Errorf("its files have %d bytes, more than %d", n, int64(maxPacked))
	}
	sum := sha256.Sum256(data)
	return p, hex.EncodeToString(sum[:]), nil
}

// unpack writes a file below a directory.
func (f PackFile) unpack(z *zip.Reader, dir string) error {
	from, err := z.Open(f.Name)
	if err != nil {
		return badinput.Errorf("it lacks %s: %w", f.Name, err)
	}
	defer from.Close()
	to := filepath.Join(dir, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return badinput.Wrap(err)
	}
	return atomicfile.Write(to, func(w io.Writer) error {
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(from, f.Size+1))
		if err != nil {
			return badinput.Errorf("%s: %w", f.Name, err)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); n != f.Size || got != f.SHA256 {
			return badinput.Errorf("%s is damaged: %d bytes with the SHA-256 %s, expected %d with %s; copy the pack again",
				f.Name, n, got, f.Size, f.SHA256)
		}
		return nil
	})
}

// check compares the unpacked files with their digests.
func (p *Pack) check(dir string) error {
	files := make([]dataset.FileInfo, len(p.Files))
	for i, f := range p.Files {
		files[i] = dataset.FileInfo{Name: f.Name, Size: f.Size, SHA256: f.SHA256}
	}
	if err := dataset.CheckFiles(dir, files); err != nil {
		return badinput.Errorf("the unpacked files have changed: %w; remove %s", err, dir)
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
