package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"barka/internal/badinput"
	"barka/internal/digestcache"
	"barka/internal/jsonl"
	"barka/internal/parquet"
)

const (
	// ManifestName is the file that makes a directory a dataset directory.
	ManifestName = "manifest.json"
	// PartialSuffix is added to the name of a directory that is not finished.
	PartialSuffix = ".partial"
	// ManifestFormat is the version of the manifest that this program reads and
	// writes.
	ManifestFormat = 1
)

// ReadManifest reads the manifest of a finished dataset directory.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestName)
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unfinished(dir)
	}
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	if m.Format != ManifestFormat {
		return nil, badinput.Errorf("%s: format %d, this program reads %d: use the version of barka that made it (%s)",
			path, m.Format, ManifestFormat, m.Barka)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) || f.Size < 0 || f.Rows < 0 {
			return nil, badinput.Errorf("%s: file entry %q with size %d and %d rows", path, f.Name, f.Size, f.Rows)
		}
	}
	return &m, nil
}

// ManifestIfAny is ReadManifest, but returns nil if path is a file, an unfinished directory
// or one of another program, or does not exist. A manifest that cannot be read is an error.
func ManifestIfAny(path string) (*Manifest, error) {
	m, err := ReadManifest(path)
	var failed *fs.PathError
	if errors.As(err, &failed) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return nil, err
	}
	return m, nil
}

func unfinished(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		if _, perr := os.Stat(dir + PartialSuffix); perr == nil {
			return badinput.Errorf("%s is not finished yet: run its stage again to finish it. barka show %s%s prints the rows so far",
				dir, dir, PartialSuffix)
		}
		if badinput.IsMissing(err) {
			return badinput.Missing(dir, "expected a dataset directory, .parquet or .jsonl; `barka show RUN` lists those of a run")
		}
		return badinput.Wrap(err)
	}
	if strings.HasSuffix(filepath.Clean(dir), PartialSuffix) {
		return badinput.Errorf("%s is an unfinished dataset: run its stage again to finish it", dir)
	}
	return badinput.Errorf("%s has no %s: it is no finished dataset directory (name .parquet or .jsonl files themselves)", dir, ManifestName)
}

// dataset is a finished directory, or a subdirectory of one: a split, or the
// rejected rows.
type dataset struct {
	dir      string
	manifest *Manifest
	files    []FileInfo // those with rows, in order
}

func openDataset(path string) (*dataset, error) {
	m, err := ReadManifest(path)
	prefix := ""
	if err != nil {
		parent, perr := ManifestIfAny(filepath.Dir(path))
		if perr != nil {
			return nil, perr
		}
		if parent == nil {
			return nil, err
		}
		m, prefix = parent, filepath.Base(path)+"/"
	}
	d := &dataset{dir: path, manifest: m}
	for _, f := range m.Files {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if ok && strings.HasSuffix(name, ".parquet") && !strings.Contains(name, "/") {
			f.Name = name
			d.files = append(d.files, f)
		}
	}
	if prefix != "" && len(d.files) == 0 {
		return nil, err
	}
	return d, nil
}

// check compares the files' sizes with the manifest.
func (d *dataset) check() error {
	for _, f := range d.files {
		if err := checkSize(d.dir, f); err != nil {
			return err
		}
	}
	return nil
}

func checkSize(dir string, f FileInfo) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Name))
	info, err := os.Stat(path)
	if err != nil {
		return badinput.Errorf("%s is listed in the manifest, but: %w", path, err)
	}
	if info.Size() != f.Size {
		return badinput.Errorf("%s has %d bytes, the manifest says %d: the file was changed or damaged; make the dataset again",
			path, info.Size(), f.Size)
	}
	return nil
}

// digest identifies the rows.
func (d *dataset) digest() string {
	h := sha256.New()
	for _, f := range d.files {
		fmt.Fprintf(h, "%q %d %s %d\n", f.Name, f.Size, f.SHA256, f.Rows)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func (d *dataset) rows() (n int64) {
	for _, f := range d.files {
		n += f.Rows
	}
	return n
}

// Rows reads the rows at path: a dataset directory (or a split of one), a
// .parquet file, or a .jsonl, .jsonl.gz or .jsonl.zst file. It ends at the
// first error; errors about the data are badinput errors that name file and row
// or line. T is a struct or map[string]any.
func Rows[T any](ctx context.Context, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		files, digests := []string{path}, []FileInfo(nil)
		if isDir(path) || !isRowFile(path) {
			d, err := openDataset(path)
			if err == nil {
				err = d.check()
			}
			if err != nil {
				yield(zero, err)
				return
			}
			files = files[:0]
			for _, f := range d.files {
				files = append(files, filepath.Join(path, f.Name))
			}
			digests = d.files
		}
		for i, file := range files {
			// Some damage is still valid Parquet, with other rows.
			if digests != nil {
				if err := checkDigest(path, digests[i]); err != nil {
					yield(zero, err)
					return
				}
			}
			rows := parquet.Read[T](file)
			if jsonl.Has(file) {
				rows = jsonl.Read[T](file)
			}
			for row, err := range rows {
				if err == nil {
					err = ctx.Err()
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isRowFile(path string) bool {
	return jsonl.Has(path) || strings.HasSuffix(path, ".parquet")
}

// Count returns the number of rows that Rows will read at path.
func Count(path string) (int, error) {
	if isDir(path) || !isRowFile(path) {
		d, err := openDataset(path)
		if err != nil {
			return 0, err
		}
		return int(d.rows()), nil
	}
	if jsonl.Has(path) {
		return countLines(path)
	}
	f, err := parquet.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return int(f.NumRows()), nil
}

// countLines returns the number of rows of a file of JSON lines.
func countLines(path string) (int, error) {
	values, err := digestcache.Of("rows of JSON lines", []string{path}, func() ([]string, error) {
		n := 0
		for _, err := range jsonl.Lines(path) {
			if err != nil {
				return nil, err
			}
			n++
		}
		return []string{strconv.Itoa(n)}, nil
	})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(values[0])
}

// CountSome is Count for the input of a stage. An input without rows is an
// error, since the stage would succeed and make nothing.
func CountSome(path string) (int, error) {
	n, err := Count(path)
	if err == nil && n == 0 {
		return 0, badinput.Errorf("%s has no rows, so there is nothing to do; if a stage made it, its rejected rows "+
			"and their reasons are in %s", path, filepath.Join(path, "rejected"))
	}
	return n, err
}

// Digest identifies the content at path. For a dataset directory it covers the
// rows, by the digests in the manifest, after a check of the file sizes. For a
// file it covers the bytes, and for any other directory, such as a model, the
// names and bytes of its files.
func Digest(ctx context.Context, path string) (string, error) {
	info, err := Examine(ctx, path)
	return info.Digest, err
}

// Examine returns the digest of path and its number of rows, 0 for what does
// not hold rows.
func Examine(ctx context.Context, path string) (InputInfo, error) {
	digest, rows, err := examine(ctx, path)
	return InputInfo{Digest: digest, Rows: rows}, err
}

func examine(ctx context.Context, path string) (digest string, rows int64, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", 0, badinput.Wrap(err)
	case err != nil:
		return "", 0, unfinished(path)
	case info.Mode().IsRegular():
		if digest, err = fileDigest(ctx, path); err != nil {
			return "", 0, err
		}
		if isRowFile(path) {
			var n int
			n, err = Count(path)
			rows = int64(n)
		}
		return digest, rows, err
	case !info.IsDir():
		return "", 0, badinput.Regular(path)
	}
	d, err := openDataset(path)
	if err == nil {
		return d.digest(), d.rows(), d.check()
	}
	parts, _ := filepath.Glob(filepath.Join(path, "part-*"))
	if strings.HasSuffix(filepath.Clean(path), PartialSuffix) || len(parts) > 0 || HasManifest(path) {
		return "", 0, err // damaged or unfinished, not another kind of directory
	}
	digest, err = treeDigest(ctx, path)
	return digest, 0, err
}

// HasManifest reports whether dir is a finished dataset directory.
func HasManifest(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ManifestName))
	return err == nil
}

func fileDigest(ctx context.Context, path string) (string, error) {
	f, err := describe(ctx, path)
	return "sha256:" + f.SHA256, err
}

// treeDigest hashes relative names and bytes only. It leaves out hidden files
// and follows links to files, of which the hub's cache consists.
func treeDigest(ctx context.Context, dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") && path != dir {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		digest, err := fileDigest(ctx, path)
		fmt.Fprintf(h, "%q %s\n", filepath.ToSlash(name), digest)
		return err
	})
	if err != nil {
		return "", badinput.Wrap(err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
